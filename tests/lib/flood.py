"""Strangers: many sockets at the link port, from the address that the client has, too."""
import contextlib
import socket
import threading

from relay import reset_close
from streams import wait_until

HOST = "127.0.0.1"


class Flood:
    """Sockets from this very host, opened anew as they are dropped, each saying `words`."""

    def __init__(self, port, count, words=b""):
        self.port, self.count, self.words = port, count, words
        self.opened = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        sockets = []
        while not self._stop.is_set():
            sock = socket.socket()
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.connect((HOST, self.port))
            sockets.append(sock)
            if self.words:
                with contextlib.suppress(OSError):
                    sock.send(self.words)
            self.opened += 1
            if len(sockets) >= self.count:
                reset_close(sockets.pop(0))
        for sock in sockets:
            sock.close()

    def wait(self):
        wait_until(lambda: self.opened >= self.count, 60, f"{self.count} sockets")

    def stop(self):
        self._stop.set()
        self._thread.join(10)
