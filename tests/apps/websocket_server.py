"""Sends every message back: the server of app_websocket.py.    websocket_server.py HOST PORT"""
import asyncio
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def serve(host, port):
    async with websockets.serve(echo, host, port):
        await asyncio.Future()

if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
