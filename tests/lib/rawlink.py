"""A client agent made of bytes: says exactly what a scenario wants said, after docs/PROTOCOL.md.

    raw = RawLink(port, name="evil")
    raw.greet()                            # HELLO, empty table; reads WELCOME and the server's table
    raw.open(1, "raw")
    raw.send(data(1, 0, b"x"))

Speaks plaintext (unsafe_plaintext), or over any connected socket given to it."""
import os
import random
import socket
import ssl
import struct

(HELLO, WELCOME, TABLE, OPEN, OPENED, DATA, FIN, ABORT, RESET, ACK, PING, PONG, DRAIN,
 GOODBYE) = range(2, 30, 2)
NEW, RESUMED, UNKNOWN, REFUSED = 1, 2, 3, 4
CLIENT_RST, STALE, AUTH, LIMIT, PROTOCOL, UNKNOWN_SERVICE = 2, 13, 15, 16, 17, 24
MAX_LIMIT = 1 << 62


def frame(kind, payload=b"", length=None):
    length = len(payload) if length is None else length
    return bytes([kind]) + length.to_bytes(3, "big") + payload


def parameter(kind, value):
    return struct.pack(">HH", kind, len(value)) + value


def hello(name, link, attempt=1, instance=0, slot=0, start_id=1, ordinal=1, versions=(1, 1), extra=b""):
    head = struct.pack(">4sHH16sQQ", b"HFST", *versions, link, instance, attempt)
    return frame(HELLO, head + parameter(2, name.encode()) + parameter(4, struct.pack(">I", slot)) +
                 parameter(6, struct.pack(">Q", start_id)) +
                 parameter(8, struct.pack(">Q", ordinal)) + extra)


def entry(stream, received=0, delivered=0, limit=4096, flags=0):
    return struct.pack(">QQQQB", stream, received, delivered, limit, flags)


def table(entries=(), highest=0, last=True):
    return frame(TABLE, struct.pack(">BQ", last, highest) + b"".join(entries))


def open_stream(stream, service, limit=4096):
    return frame(OPEN, struct.pack(">QQBBB", stream, limit, 0, 0, len(service)) + service.encode())


def data(stream, offset, payload, ack=0, limit=4096):
    return frame(DATA, struct.pack(">QQQQ", stream, offset, ack, limit) + payload)


def fin(stream, offset):
    return frame(FIN, struct.pack(">QQ", stream, offset))


def abort(stream, offset, code=CLIENT_RST):
    return frame(ABORT, struct.pack(">QQH", stream, offset, code))


def reset(stream, code=CLIENT_RST):
    return frame(RESET, struct.pack(">QH", stream, code))


def ack(*entries):
    return frame(ACK, b"".join(struct.pack(">QQQ", *each) for each in entries))


class Ended(Exception):
    """The server ended the carrier."""


class RawLink:
    def __init__(self, port, name="evil", link=None, sock=None, start_id=None):
        self.sock = sock or socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.settimeout(30)
        self.name, self.link = name, link or os.urandom(16)
        self.start_id = start_id or random.getrandbits(63)
        self.welcome = None
        self._input = b""

    def send(self, *frames):
        try:
            self.sock.sendall(b"".join(frames))
        except (ConnectionError, ssl.SSLError) as error:
            raise Ended from error

    def read(self, seconds=30):
        """(type, payload) of the next frame; Ended when there is none any more."""
        self.sock.settimeout(seconds)
        try:
            while len(self._input) < 4 or len(self._input) < 4 + self._length():
                more = self.sock.recv(1 << 16)
                if not more:
                    raise Ended
                self._input += more
        except (ConnectionError, ssl.SSLError) as error:
            raise Ended from error
        size = self._length()
        kind, payload = self._input[0], self._input[4:4 + size]
        self._input = self._input[4 + size:]
        return kind, payload

    def _length(self):
        return int.from_bytes(self._input[1:4], "big")

    def read_until(self, wanted, seconds=30):
        while True:
            kind, payload = self.read(seconds)
            if kind == wanted:
                return payload

    def say_hello(self, attempt=1, instance=0, entries=(), highest=0, **more):
        self.send(hello(self.name, self.link, attempt, instance, start_id=self.start_id, **more),
                  table(entries, highest))

    def read_welcome(self):
        """(verdict, code, instance)."""
        payload = self.read_until(WELCOME)
        self.welcome = struct.unpack_from(">HBHQ", payload)[1:]
        if self.welcome[0] in (NEW, RESUMED):
            while not self.read_until(TABLE)[0] & 1:
                pass
        return self.welcome

    def greet(self, **more):
        self.say_hello(**more)
        return self.read_welcome()

    def open(self, stream, service, seconds=30):
        self.send(open_stream(stream, service))
        return self.read_until(OPENED, seconds)

    def goodbye_code(self, seconds=30):
        """Reads to the end; the GOODBYE's code, or None for an end without one."""
        try:
            return struct.unpack(">H", self.read_until(GOODBYE, seconds))[0]
        except Ended:
            return None

    def ended(self, seconds=30):
        """Reads to the end."""
        try:
            while True:
                self.read(seconds)
        except Ended:
            return True

    def close(self):
        self.sock.close()
