#!/usr/bin/python3
"""What two agents say to each other on two carriers of one link, in clear: a new link, a connection with some bytes,
a cut, and the resume. Recorded once for each release, and played to today's agents (tests/e2e/test_versions.py).

    HOLDFAST_BIN=build-fe1c038/bin tests/lib/handshake.py tests/golden/handshakes/0.1.0
"""
import os
import socket
import sys
import tempfile
import threading

import rawlink
from pair import Pair
from streams import read_exactly, wait_until

BEFORE, AFTER = (b"before", b"BEFORE"), (b"after", b"AFTER")  # what goes up, and what comes down
CARRIERS, SIDES = ("new", "resumed"), ("client", "server")
# What is said at a time of its own.
LEFT_OUT = (rawlink.PING, rawlink.PONG)
NAMES = {getattr(rawlink, name): name for name in
         ("HELLO", "WELCOME", "TABLE", "OPEN", "OPENED", "DATA", "FIN", "ABORT", "RESET", "ACK", "DRAIN", "GOODBYE")}
INSTANCE = slice(28, 36)  # of the server, in a HELLO's frame


def frames_of(said):
    """[(type, whole frame)], without one that is there in part."""
    found = []
    while len(said) >= 4 and len(said) >= 4 + int.from_bytes(said[1:4], "big"):
        size = 4 + int.from_bytes(said[1:4], "big")
        if said[0] not in LEFT_OUT:
            found.append((said[0], said[:size]))
        said = said[size:]
    return found


def path_of(folder, carrier, side):
    return os.path.join(folder, f"{carrier}_{side}.hex")


def load(folder, carrier, side):
    said = b""
    with open(path_of(folder, carrier, side)) as file:
        for line in file:
            said += bytes.fromhex(line.partition("#")[0])
    return frames_of(said)


def write(folder, carrier, side, said):
    with open(path_of(folder, carrier, side), "w") as file:
        file.write(f"# What the {side} says on the {carrier if carrier == 'new' else 'second'} carrier\n")
        for kind, frame in frames_of(said):
            file.write(f"{frame[:4].hex(' ')}  # {NAMES.get(kind, f'type {kind}')}\n")
            for at in range(4, len(frame), 24):
                file.write(f"  {frame[at:at + 24].hex(' ')}\n")


class Ear:
    """Passes one carrier on and remembers what was said."""

    def __init__(self, listener, port):
        self.ends = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
        self.said = {side: b"" for side in SIDES}
        self.threads = [threading.Thread(target=self._pass_on, args=each, daemon=True)
                        for each in ((*self.ends, "client"), (*reversed(self.ends), "server"))]
        for thread in self.threads:
            thread.start()

    def _pass_on(self, source, target, side):
        try:
            while data := source.recv(65536):
                self.said[side] += data
                target.sendall(data)
        except OSError:
            pass

    def cut(self):
        for end in self.ends:
            end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        return self.said


def exchange(app, back, words):
    up, down = words
    app.sendall(up)
    assert read_exactly(back, len(up)) == up
    back.sendall(down)
    assert read_exactly(app, len(down)) == down


def record(folder):
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        pair = Pair(place, relay=None, link="plain", fast=False, client={"link": {"server": [f"127.0.0.1:{port}"]}},
                    server={"name": "hub-1"})
        try:
            pair.server.start()
            wait_until(lambda: pair.server.run("status").returncode == 0, 10, "the server agent")
            pair.client.start()
            ear = Ear(listener, pair.link_port)
            app, back = pair.connect()
            exchange(app, back, BEFORE)
            said = ear.cut()
            for side in SIDES:
                write(folder, "new", side, said[side])
            ear = Ear(listener, pair.link_port)
            exchange(app, back, AFTER)
            said = ear.cut()
            for side in SIDES:
                write(folder, "resumed", side, said[side])
        finally:
            pair.stop()


if __name__ == "__main__":
    record(sys.argv[1])
