"""A WebSocket by python3-websockets with its defaults: both ends ping every 20 s and wait for 20 s."""
import asyncio
import os
import sys

import websockets

from application import Application
from pair import free_port
from run import Lost, expect

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "websocket_server.py")


class App(Application):
    title = "WebSocket"
    packages = ["python3-websockets"]

    def start(self, programs):
        self._port = free_port()
        programs.start_listening([sys.executable, SERVER, programs.host, self._port], self._port,
                                 "websocket.log")
        return self._port

    def remove(self):
        """It kept nothing."""

    def workloads(self):
        return {"messages": lambda run: asyncio.run(self.messages(run))}

    async def messages(self, run):
        try:
            async with websockets.connect(f"ws://{run.host}:{run.port}") as socket:
                number = 0
                while not run.over():
                    text = f"message {number} " + "x" * 1000
                    await socket.send(text)
                    expect(await socket.recv() == text, "another message")
                    number += 1
                    run.progress()
                    if number == 5:
                        run.under_way()
                    await asyncio.sleep(0.1)
        except websockets.ConnectionClosed as error:
            raise Lost(str(error)) from None
