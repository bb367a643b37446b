"""Strangers: many sockets at the link port, from the address that the client has, too.

A program of its own (flood.py PORT COUNT HEX), so that it does not share its interpreter with the relay:
it prints `ready` when COUNT sockets are open, and ends with its standard input."""
import collections
import contextlib
import os
import socket
import struct
import subprocess
import sys

HOST = "127.0.0.1"


class Flood:
    """`count` sockets at a time, the oldest dropped for each new one, each saying `words`."""

    def __init__(self, port, count, words=b""):
        self._program = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(port), str(count), words.hex()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def wait(self):
        assert self._program.stdout.readline() == b"ready\n", "the flood ended by itself"

    def stop(self):
        self._program.stdin.close()
        self._program.stdout.close()
        self._program.wait(10)


def main():
    port, count, words = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
    os.set_blocking(0, False)
    sockets, opened = collections.deque(), 0
    while opened % 64 or still_wanted():
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            sock.connect((HOST, port))
        with contextlib.suppress(OSError):
            sock.send(words)
        sockets.append(sock)
        opened += 1
        if len(sockets) >= count:
            sockets.popleft().close()
        if opened == count:
            print("ready", flush=True)


def still_wanted():
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


if __name__ == "__main__":
    main()
