"""Many connections to an echo, each with one message on its way at any time, on one thread."""
import select
import struct
import threading
import time

from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import wait_until

MESSAGE = struct.Struct(">IQ20x")      # connection, round


class PingPong:
    def __init__(self, sockets):
        self._sockets = sockets
        self.rounds = [0] * len(sockets)
        self.round_trips = []              # seconds, of all
        self._watch = Stopwatch()
        self._slowness = 1.0
        self.error = None
        self._sent_at = [0.0] * len(sockets)
        self._pending = [b""] * len(sockets)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._guard, daemon=True)
        self._thread.start()

    def _guard(self):
        try:
            self._run()
        except Exception as error:  # told by check()
            self.error = error

    def _run(self):
        poll = select.epoll()
        number_of = {}
        for number, sock in enumerate(self._sockets):
            sock.settimeout(10)
            number_of[sock.fileno()] = number
            poll.register(sock, select.EPOLLIN)
            self._serve_ball(number)
        while not self._stopping.is_set():
            for fd, _ in poll.poll(0.05):
                self._receive(number_of[fd])
        poll.close()

    def _serve_ball(self, number):
        self._sent_at[number] = time.monotonic()
        self._sockets[number].sendall(MESSAGE.pack(number, self.rounds[number]))

    def _receive(self, number):
        data = self._sockets[number].recv(MESSAGE.size - len(self._pending[number]))
        if not data:
            raise AssertionError(f"connection {number} ended in round {self.rounds[number]}")
        data = self._pending[number] + data
        if len(data) < MESSAGE.size:
            self._pending[number] = data
            return
        self._pending[number] = b""
        if data != MESSAGE.pack(number, self.rounds[number]):
            raise AssertionError(f"connection {number}, round {self.rounds[number]}: wrong echo")
        self.round_trips.append(time.monotonic() - self._sent_at[number])
        self.rounds[number] += 1
        self._serve_ball(number)

    def wait_round(self, seconds=20):
        """Every connection finishes one more round."""
        before = list(self.rounds)
        wait_until(lambda: self.error or all(a > b for a, b in zip(self.rounds, before)),
                   seconds * TIMESCALE, "another round of every connection")
        self.check()

    def check(self):
        if self.error:
            raise AssertionError(f"ping-pong broken: {self.error!r}") from self.error

    def percentile(self, share):
        """Of the round trips, once stopped; as on a machine that lets nobody wait for a core."""
        trips = sorted(self.round_trips)
        return trips[min(len(trips) - 1, int(len(trips) * share))] / self._slowness

    def stop(self):
        self._slowness = self._watch.slowness()
        self._stopping.set()
        self._thread.join(5)
        self.check()
