"""What applications do over a lab's ways, and what they see of it.

Each kind is called with a way (lab.Way) and gives a dict of measures; TrafficFailed is for what did
not come to its end in time.
"""
import contextlib
import os
import re
import socket
import struct
import threading
import time

from far_services import CHUNK_BYTES, SIZE_DIGITS, TOKEN_BYTES
from streams import wait_until

LIMIT_S = 120.0


class TrafficFailed(Exception):
    pass


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Upload:
    def __init__(self, size, limit_s=LIMIT_S):
        self.size, self.limit_s = size, limit_s

    def __call__(self, way):
        began = time.monotonic()
        with way.connect("sink", self.limit_s) as sock:
            try:
                chunk, left = memoryview(bytes(CHUNK_BYTES)), self.size
                while left > 0:
                    sock.settimeout(max(0.1, began + self.limit_s - time.monotonic()))
                    left -= sock.send(chunk[:left])
                sock.shutdown(1)
                sock.settimeout(max(0.1, began + self.limit_s - time.monotonic()))
                answer = sock.recv(SIZE_DIGITS)
            except OSError as error:
                raise TrafficFailed(f"upload of {self.size} bytes: {error}") from None
        if answer != b"%d" % self.size:
            raise TrafficFailed(f"upload of {self.size} bytes: the sink says {answer!r}")
        return {"seconds": time.monotonic() - began}


class Uploads:
    """`count` of them at once, each over a connection of its own; the last one's time."""

    def __init__(self, count, size, limit_s=LIMIT_S):
        self.count, self.one = count, Upload(size, limit_s)

    def __call__(self, way):
        results = together({number: lambda: self.one(way) for number in range(self.count)})
        for result in results.values():
            if isinstance(result, Exception):
                raise result
        return {"seconds": max(result["seconds"] for result in results.values())}


class Download:
    def __init__(self, size, limit_s=LIMIT_S):
        self.size, self.limit_s = size, limit_s

    def __call__(self, way):
        began, got, buffer = time.monotonic(), 0, bytearray(CHUNK_BYTES)
        with way.connect("source", self.limit_s) as sock:
            try:
                sock.sendall(b"%0*d" % (SIZE_DIGITS, self.size))
                while True:
                    sock.settimeout(max(0.1, began + self.limit_s - time.monotonic()))
                    count = sock.recv_into(buffer)
                    if not count:
                        break
                    got += count
            except OSError as error:
                raise TrafficFailed(f"download: {error}, {got} of {self.size} bytes") from None
        if got != self.size:
            raise TrafficFailed(f"download: {got} of {self.size} bytes")
        return {"seconds": time.monotonic() - began}


class Typist:
    """A byte, and the next one `gap_s` after its echo; the first after `wait_s`. What counts is what
    was typed from `from_s` on: when there is something beside it."""

    def __init__(self, seconds, gap_s=0.2, wait_s=0.0, size=1, from_s=0.0):
        self.seconds, self.gap_s, self.wait_s, self.size = seconds, gap_s, wait_s, size
        self.from_s = from_s

    def __call__(self, way):
        took, began = [], time.monotonic()
        end = began + self.wait_s + self.seconds
        with way.connect("echo") as sock:
            time.sleep(self.wait_s)
            while (now := time.monotonic()) < end:
                try:
                    self._echo(sock, max(5.0, end - now + 5.0))
                except OSError as error:
                    took.append(time.monotonic() - now)
                    if not isinstance(error, TimeoutError):
                        raise TrafficFailed(f"typist: {error} after {len(took)} echoes") from None
                    break
                if now - began >= self.from_s:
                    took.append(time.monotonic() - now)
                time.sleep(self.gap_s)
        return {"echoes": len(took), "median_ms": median(took) * 1000,
                "p99_ms": quantile(took, 0.99) * 1000, "worst_ms": max(took) * 1000}

    def _echo(self, sock, seconds):
        sock.settimeout(seconds)
        sock.sendall(b"k" * self.size)
        left = self.size
        while left:
            data = sock.recv(left)
            if not data:
                raise ConnectionError("closed")
            left -= len(data)


class BulkUpload:
    """As many bytes as go through in a time, from `wait_s` on; counted where they arrive."""

    def __init__(self, seconds, wait_s=0.0):
        self.seconds, self.wait_s = seconds, wait_s

    def __call__(self, way):
        token = os.urandom(TOKEN_BYTES)
        time.sleep(self.wait_s)
        end = time.monotonic() + self.seconds
        with way.connect("tally") as sock:
            chunk = bytes(CHUNK_BYTES)
            sock.sendall(token)
            with contextlib.suppress(TimeoutError):
                while (left := end - time.monotonic()) > 0:
                    sock.settimeout(left)
                    sock.send(chunk)
            arrived = way.services.tally.get(token, 0)
            # What is still on its way is of no use to anybody: away with it at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return {"kilobytes": arrived / 1000}


class Rival:
    """A bare upload in the same path, beside the way's own traffic."""

    def __init__(self, bulk):
        self.bulk = bulk

    def __call__(self, way):
        return self.bulk(way.rival)


class Resume:
    """So many idle connections on a quick path, which becomes one of `rate_kbit`; then the carrier is
    dropped: how long until they go on. Bare TCP carries what both ends say of them, one after the
    other."""

    def __init__(self, count, rate_kbit, entry_bytes, limit_s):
        self.count, self.rate_kbit, self.limit_s = count, rate_kbit, limit_s
        self.size = count * entry_bytes

    def __call__(self, way):
        if way.name == "bare":
            way.lab.slow.wait(self.limit_s)
            began = time.monotonic()
            Upload(self.size, self.limit_s)(way)
            Download(self.size, self.limit_s)(way)
            return {"seconds": time.monotonic() - began, "alive": self.count}
        socks = [way.connect("hold") for _ in range(self.count)]
        client = way.lab.client
        # On all lanes, of which so many new connections get some.
        wait_until(lambda: sum(link["connections"] for link in client.json("links")) == self.count, 60,
                   "all connections")
        time.sleep(2)
        way.lab.change("both", rate_kbit=self.rate_kbit)
        way.lab.slow.set()
        began = time.monotonic()
        client.run("reconnect")
        try:
            wait_until(lambda: sum(int(re.search(r"connections=(\d+)", line)[1])
                                   for line in client.events("link_resumed")) == self.count,
                       self.limit_s, "the resume")
        except AssertionError as error:
            raise TrafficFailed(str(error)) from None
        seconds = time.monotonic() - began
        alive = sum(self._alive(sock) for sock in socks)
        for sock in socks:
            sock.close()
        return {"seconds": seconds, "alive": alive}

    @staticmethod
    def _alive(sock):
        sock.settimeout(0)
        try:
            sock.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


class NextByte:
    """An echo every 0.1 s through an outage: how long after the path's return the next one is there."""

    def __init__(self, outage_at_s, outage_s, limit_s=60.0):
        self.back_at_s, self.limit_s = outage_at_s + outage_s, limit_s

    def __call__(self, way):
        back = time.monotonic() + self.back_at_s
        with way.connect("echo") as sock:
            while True:
                sock.settimeout(back + self.limit_s - time.monotonic())
                try:
                    sock.sendall(b"k")
                    if not sock.recv(1):
                        raise TrafficFailed("closed in the outage")
                except OSError as error:
                    raise TrafficFailed(f"no byte after the outage: {error}") from None
                if (now := time.monotonic()) > back:
                    return {"seconds": now - back}
                time.sleep(0.1)


def all_of(streams, way):
    """All streams at once over the way: {stream.measure: value}."""
    results = together({name: lambda stream=stream: stream(way) for name, stream in streams.items()})
    for result in results.values():
        if isinstance(result, Exception):
            raise result
    return {f"{name}.{measure}": value for name, measures in results.items()
            for measure, value in measures.items()}


def together(jobs):
    """{name: function} at the same time: {name: its value, or the exception}."""
    results = {}

    def run(name, job):
        try:
            results[name] = job()
        except Exception as error:
            results[name] = error
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
