"""The soak's applications, on one asyncio loop: every byte that comes back is compared.

The service echoes; when the application ends its direction, the service ends its own. Whatever else an
application meets (a reset, an early end, another byte, no answer for ANSWER_S) is a failure.
"""
import asyncio
import random
import socket
import struct
import time

ANSWER_S = 60                     # longer than any fault
RESET = struct.pack("ii", 1, 0)
PING_EVERY_S = 0.1
STALL_MOST = 3 << 20


class Broken(Exception):
    """The tunnel did not keep its promise."""


async def echo(reader, writer):
    """The service's side of one connection."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        """The application's own reset, carried over."""
    finally:
        writer.close()


class Totals:
    def __init__(self):
        self.opened = self.ended = self.half_closed = self.reset = self.stalled = 0
        self.bytes_echoed = 0
        self.failures = []


class Connection:
    """An application's connection. Everything it does is bounded by ANSWER_S."""

    def __init__(self, totals, reader, writer):
        self._totals, self._reader, self.writer = totals, reader, writer
        totals.opened += 1

    @classmethod
    async def open(cls, address, totals):
        opening = asyncio.open_connection(*address, limit=1 << 16)
        return cls(totals, *await asyncio.wait_for(opening, ANSWER_S))

    async def exchange(self, data):
        """`data` goes and comes back."""
        writing = asyncio.create_task(self.write(data))
        try:
            await self.expect(data)
        finally:
            await writing

    async def write(self, data):
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), ANSWER_S)

    async def expect(self, data):
        back = await asyncio.wait_for(self._reader.readexactly(len(data)), ANSWER_S)
        if back != data:
            raise Broken(f"other bytes came back, {len(data)} of them")
        self._totals.bytes_echoed += len(back)

    async def finish(self):
        """Half-close; the service's end must follow, and nothing before it."""
        self.writer.write_eof()
        rest = await asyncio.wait_for(self._reader.read(), ANSWER_S)
        if rest:
            raise Broken(f"{len(rest)} bytes after everything had come back")
        self._totals.half_closed += 1
        self.close()

    def close(self):
        self.writer.close()
        self._totals.ended += 1

    def abort(self):
        """The application's own reset."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()
        self._totals.reset += 1
        self._totals.ended += 1


class Traffic:
    """`stop()` lets every application come to its end in order."""

    def __init__(self, address, seed, scale=1.0):
        self.totals, self._address, self._scale = Totals(), address, scale
        self._random, self._stop = random.Random(seed), asyncio.Event()
        self._tasks, self.pings = [], []          # pings: (time, seconds)

    def start(self):
        kinds = [self._churn] * 8 + [self._idle] * int(100 * self._scale) + [self._bulk] * 2 \
            + [self._stalled] * 4 + [self._ping]
        self._tasks = [asyncio.create_task(self._keep(kind)) for kind in kinds]

    async def stop(self):
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _keep(self, kind):
        name = kind.__name__.strip("_")
        try:
            while not self._stop.is_set():
                await kind()
        except Exception as error:                # told at the end
            self.totals.failures.append(f"{name}: {type(error).__name__}: {error}")

    async def _pause(self, seconds):
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            """Nobody asked to stop."""

    def _open(self):
        return Connection.open(self._address, self.totals)

    async def _churn(self):
        """Short connections, which end in all ways."""
        connection = await self._open()
        for _ in range(self._random.randrange(1, 4)):
            await connection.exchange(self._random.randbytes(self._random.randrange(1, 20_000)))
        way = self._random.choice(("finish", "close", "abort"))
        await connection.finish() if way == "finish" else getattr(connection, way)()
        await self._pause(self._random.uniform(0.1, 1.0))

    async def _idle(self):
        """Says something now and then."""
        connection = await self._open()
        for _ in range(self._random.randrange(2, 8)):
            await connection.exchange(self._random.randbytes(100))
            await self._pause(self._random.uniform(5, 40))
        await connection.finish()

    async def _bulk(self):
        """Paced, so that an hour costs little."""
        connection = await self._open()
        until = time.monotonic() + self._random.uniform(10, 90)
        while time.monotonic() < until and not self._stop.is_set():
            await connection.exchange(self._random.randbytes(50_000))
            await self._pause(0.15)
        await connection.finish()

    async def _stalled(self):
        """Writes, but does not read for a while: everything between fills up."""
        connection = await self._open()
        data = self._random.randbytes(self._random.randrange(STALL_MOST // 10, STALL_MOST))
        connection.writer.transport.set_write_buffer_limits(high=0)
        connection.writer.write(data)
        self.totals.stalled += 1
        await self._pause(self._random.uniform(2, 15))
        await connection.expect(data)
        await connection.finish()
        await self._pause(self._random.uniform(5, 20))

    async def _ping(self):
        """One connection whose answers are timed."""
        connection = await self._open()
        while not self._stop.is_set():
            begun = time.monotonic()
            await connection.exchange(b"x" * 64)
            self.pings.append((begun, time.monotonic() - begun))
            await self._pause(max(0.0, begun + PING_EVERY_S - time.monotonic()))
        await connection.finish()
