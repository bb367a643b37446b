"""Seeded byte streams, senders and checking receivers, and the exact ways in which a socket ends."""
import hashlib
import random
import socket
import threading
import time

from relay import reset_close
from stopwatch import Stopwatch

BLOCK_BYTES = 256 * 1024
PACE_S = 0.01
FIN, RST = "fin", "rst"


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true and returns that value; AssertionError at the deadline, which
    a stopwatch tells, as in all that waits here."""
    value = condition()
    watch = None if value else Stopwatch()
    while not value:
        if watch.elapsed() > seconds and watch.seconds() > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)
        value = condition()
    return value


class _Patience:
    """For a socket's calls: those that time out are made again until the stopwatch says so, too."""

    def __init__(self, sock, seconds):
        self._sock, self._seconds, self._watch = sock, seconds, Stopwatch()
        sock.settimeout(seconds)

    def call(self, function, *arguments):
        """TimeoutError when the seconds are over."""
        while True:
            try:
                return function(*arguments)
            except TimeoutError:
                rest = self._seconds - self._watch.seconds()
                if rest <= 0:
                    raise
                self._sock.settimeout(max(rest, 0.05))


def accept(listener, seconds):
    return _Patience(listener, seconds).call(listener.accept)[0]


def blocks(seed, size):
    """The stream of `seed`: `size` bytes in blocks."""
    generator = random.Random(seed)
    while size > 0:
        block = generator.randbytes(BLOCK_BYTES)
        yield block[:size] if size < len(block) else block
        size -= len(block)


def payload(seed, size):
    return b"".join(blocks(seed, size))


def digest(seed, size):
    sha = hashlib.sha256()
    for block in blocks(seed, size):
        sha.update(block)
    return sha.hexdigest()


def read_end(sock, seconds=5):
    """Reads to the end: (FIN or RST, all bytes before it). An end that does not come is an error."""
    patience = _Patience(sock, seconds)
    data = bytearray()
    try:
        while True:
            chunk = patience.call(sock.recv, BLOCK_BYTES)
            if not chunk:
                return FIN, bytes(data)
            data += chunk
    except ConnectionResetError:
        return RST, bytes(data)
    except TimeoutError:
        raise AssertionError(f"no end within {seconds} s, after {len(data)} bytes") from None


def read_exactly(sock, size, seconds=10):
    patience = _Patience(sock, seconds)
    data = bytearray()
    while len(data) < size:
        try:
            chunk = patience.call(sock.recv, size - len(data))
        except TimeoutError:
            raise AssertionError(f"{len(data)} of {size} bytes within {seconds} s") from None
        if not chunk:
            raise AssertionError(f"clean end after {len(data)} of {size} bytes")
        data += chunk
    return bytes(data)


def reset(sock):
    """The application's own reset."""
    reset_close(sock)


def is_open(sock):
    """No end and no byte has arrived."""
    sock.setblocking(False)
    try:
        sock.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        sock.setblocking(True)


def ping(app, back, text=b"ping", seconds=10):
    """One round trip through app -> back -> app; returns its seconds, as a stopwatch tells them."""
    watch = Stopwatch()
    app.sendall(text)
    assert read_exactly(back, len(text), seconds) == text
    back.sendall(text[::-1])
    assert read_exactly(app, len(text), seconds) == text[::-1]
    return watch.seconds()


class Flow:
    """`size` seeded bytes from src to dst, on two threads, compared with what was sent as they
    arrive; then FIN. size None: until stop(). pace: bytes a second that the sender writes."""

    def __init__(self, src, dst, seed, size=None, finish=True, pace=None):
        self.seed, self.size, self.finish, self._pace = seed, size, finish, pace
        self.sent = self.received = 0
        self.end = None
        self.error = None
        self.arrivals = []                    # (time, received) of late
        self._stop = threading.Event()
        self._src, self._dst = src, dst
        src.settimeout(None)
        dst.settimeout(None)
        self._sha = hashlib.sha256()
        self._sender = threading.Thread(target=self._guard, args=(self._send,), daemon=True)
        self._receiver = threading.Thread(target=self._guard, args=(self._receive,), daemon=True)
        self._sender.start()
        self._receiver.start()

    def _guard(self, body):
        try:
            body()
        except Exception as error:  # told by check()
            self.error = self.error or error

    def _send(self):
        generator = random.Random(self.seed)
        while not self._stop.is_set() and (self.size is None or self.sent < self.size):
            if self._pace:
                self._stop.wait(PACE_S)
            block = generator.randbytes(int(self._pace * PACE_S) & ~3 if self._pace else BLOCK_BYTES)
            if self.size is not None:
                block = block[:self.size - self.sent]
            self._src.sendall(block)
            self.sent += len(block)
        self.size = self.sent
        if self.finish:
            self._src.shutdown(socket.SHUT_WR)

    def _receive(self):
        generator, expected, buffer = random.Random(self.seed), b"", bytearray(BLOCK_BYTES)
        view = memoryview(buffer)
        while True:
            if not self.finish and self.size is not None and self.received >= self.size:
                self.end = "complete"
                return
            try:
                count = self._dst.recv_into(view[:BLOCK_BYTES])
            except ConnectionResetError:
                self.end = RST
                return
            if count == 0:
                self.end = FIN
                return
            while len(expected) < count:
                expected += generator.randbytes(BLOCK_BYTES)
            if view[:count] != expected[:count]:
                wrong = next(i for i in range(count) if buffer[i] != expected[i])
                raise AssertionError(f"wrong byte at offset {self.received + wrong}")
            self._sha.update(view[:count])
            expected = expected[count:]
            # Whoever sees it received finds when.
            self.arrivals.append((time.monotonic(), self.received + count))
            self.received += count

    def stop(self):
        """The sender ends (and says FIN) after the block it is at."""
        self._stop.set()

    def wait_received(self, count, seconds=20):
        wait_until(lambda: self.received >= count or self.error or self.end, seconds,
                   f"{count} bytes received (sent {self.sent}, received {self.received})")
        self.check()
        assert self.received >= count, f"ended by {self.end} at {self.received} of {count}"

    def wait_progress(self, seconds):
        """Seconds until the next byte arrives, from now, as a stopwatch tells them."""
        watch, start, before = Stopwatch(), time.monotonic(), self.received
        wait_until(lambda: self.received > before or self.error or self.end, seconds,
                   f"a byte after {before} (sent {self.sent})")
        self.check()
        return watch.seconds(self.arrived_after(start) - start)

    def arrived_after(self, moment):
        return next(t for t, _ in self.arrivals if t >= moment)

    def check(self):
        if self.error:
            raise AssertionError(f"flow broken: sent {self.sent}, received {self.received}: "
                                 f"{self.error!r}") from self.error

    def wait(self, seconds=30):
        """All bytes have arrived, exactly, and the end is a FIN."""
        wait_until(lambda: self.error or self.end, seconds,
                   f"end of flow (size {self.size}, sent {self.sent}, received {self.received})")
        self.check()
        assert self.end == (FIN if self.finish else "complete"), (
            f"ended by {self.end} after {self.received} of {self.size}")
        assert self.received == self.size, f"{self.received} of {self.size} bytes"
        assert self._sha.hexdigest() == digest(self.seed, self.size)
