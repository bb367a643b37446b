"""Byte-exact load on one thread, with the time that each connection needs to its next bytes."""
import random
import select
import socket
import struct
import threading
import time

LONGEST = 16384
STALLED_S = 60.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Broken(Exception):
    """A connection ended, or its bytes are not those that were sent."""


def figures(pauses):
    """Of so many pauses in seconds: median, 99th percentile and the longest, in milliseconds."""
    ordered = sorted(1000 * pause for pause in pauses)
    return {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)], "max_ms": ordered[-1]}


class Load:
    """`count` connections to an echo at `address`; each has one message on its way at any time, of random bytes and
    length, which must come back as it is."""

    def __init__(self, address, count, seed=1):
        self._random = random.Random(seed)
        self._sockets = [self._connect(address) for _ in range(count)]
        self._wanted, self._got, self._left = {}, {}, {}
        self.exchanges = [0] * count
        self.error = None
        self._last = {}              # when each exchange before this one was over
        self._longest = None         # of each connection, while that is watched: seconds between two exchanges
        self._marks = []             # of disturbances: [time, {connection: exchanges then}]
        self.pauses = []             # seconds from a disturbance to the second exchange after it, of all connections
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._guard, daemon=True)
        self._thread.start()

    @staticmethod
    def _connect(address):
        sock = socket.create_connection(address, timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    def mark(self):
        """Something is done to the agents now. The first exchange after it may have been over but for the reading."""
        with self._lock:
            self._marks.append((time.monotonic(), dict(enumerate(self.exchanges))))

    def watch(self):
        """From now on. What is done takes its time before it does anything to the connections."""
        with self._lock:
            self._longest = {}

    def watched(self):
        """Each connection's longest time between two exchanges since then: its pause."""
        with self._lock:
            longest, self._longest = self._longest, None
        return list(longest.values())

    def settled(self):
        """All connections have gone on since the last mark."""
        if self.error:
            raise self.error
        return not self._marks

    def close(self):
        self._over.set()
        self._thread.join(5)
        for sock in self._sockets:
            sock.close()
        if self.error:
            raise self.error

    def _guard(self):
        try:
            self._run()
        except (OSError, Broken) as error:
            self.error = error if isinstance(error, Broken) else Broken(f"a connection ended: {error}")

    def _run(self):
        poll = select.epoll()
        numbers = {}
        for number, sock in enumerate(self._sockets):
            numbers[sock.fileno()] = number
            poll.register(sock, select.EPOLLIN)
            self._begin(number)
        moved = time.monotonic()
        while not self._over.is_set():
            events = poll.poll(0.1)
            for fd, _ in events:
                self._receive(numbers[fd])
            now = time.monotonic()
            moved = now if events else moved
            if now - moved > STALLED_S:
                raise Broken(f"nothing moved for {STALLED_S:.0f} s")
        poll.close()

    def _begin(self, number):
        message = self._random.randbytes(self._random.randint(1, LONGEST))
        self._wanted[number], self._got[number] = message, b""
        sent = self._sockets[number].send(message)
        if sent != len(message):     # one message fits into a socket's buffer
            raise Broken(f"only {sent} of {len(message)} bytes were taken")

    def _receive(self, number):
        data = self._sockets[number].recv(LONGEST)
        if not data:
            raise Broken(f"connection {number} came to an end after {self.exchanges[number]} exchanges")
        self._got[number] += data
        if not self._wanted[number].startswith(self._got[number]):
            raise Broken(f"connection {number} got other bytes than it sent, in exchange {self.exchanges[number]}")
        if len(self._got[number]) < len(self._wanted[number]):
            return
        self.exchanges[number] += 1
        self._note(number)
        self._begin(number)

    def _note(self, number):
        now = time.monotonic()
        before = self._last.get(number, now)
        self._last[number] = now
        if not self._marks and self._longest is None:
            return
        with self._lock:
            if self._longest is not None:
                self._longest[number] = max(self._longest.get(number, 0), now - before)
            for since, before in self._marks:
                if number in before and self.exchanges[number] >= before[number] + 2:
                    del before[number]
                    self.pauses.append(time.monotonic() - since)
            self._marks = [mark for mark in self._marks if mark[1]]


class Endings:
    """Beside the load, one after the other: a connection whose one way ends before the other, one that is read slowly,
    one that is reset. Whoever ends in order must have got all bytes."""

    def __init__(self, address, seed=1):
        self._address, self._random = address, random.Random(seed)
        self.ended = 0
        self.error = None
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kind,), daemon=True)
                         for kind in (self._half_close, self._read_slowly, self._reset)]
        for thread in self._threads:
            thread.start()

    def _run(self, kind):
        while not self._over.is_set() and not self.error:
            try:
                with socket.create_connection(self._address, timeout=30) as sock:
                    kind(sock)
                self.ended += 1
            except (OSError, Broken) as error:
                self.error = Broken(f"{kind.__name__.strip('_')}: {error}")
            self._over.wait(0.01)

    def _message(self, most):
        return self._random.randbytes(self._random.randint(1, most))

    @staticmethod
    def _all_of(sock, message, pause=0.0):
        got = b""
        while True:
            data = sock.recv(4096)
            if not data:
                break
            got += data
            time.sleep(pause)
        if got != message:
            raise Broken(f"{len(got)} bytes of {len(message)} came, or others")

    def _half_close(self, sock):
        message = self._message(LONGEST)
        sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)
        self._all_of(sock, message)

    def _read_slowly(self, sock):
        message = self._message(4 * LONGEST)
        sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)
        self._all_of(sock, message, 0.005)

    def _reset(self, sock):
        sock.sendall(self._message(LONGEST))
        sock.recv(self._random.randint(1, LONGEST))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close(self):
        self._over.set()
        for thread in self._threads:
            thread.join(35)
        if self.error:
            raise self.error


class Connector:
    """Connects again and again and exchanges some bytes; counts who was refused or cut off."""

    def __init__(self, address):
        self._address = address
        self.served = 0
        self.failures = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.is_set():
            try:
                with socket.create_connection(self._address, timeout=30) as sock:
                    sock.sendall(b"hello")
                    got = b""
                    while len(got) < 5:
                        data = sock.recv(16)
                        if not data:
                            raise OSError("an end in place of an answer")
                        got += data
                self.served += 1
            except OSError as error:
                self.failures.append(str(error))
            self._over.wait(0.02)

    def close(self):
        self._over.set()
        self._thread.join(35)
