"""A stopwatch that stands still while this machine keeps us waiting for a core.

What the agents promise in seconds, they promise on a machine that runs them. On a busy one every thread
waits for its turn, and the kernel counts for how long (/proc/PID/task/TID/schedstat, the second number):
those waits of this process and of all below it, the agents and the relay among them, do not count here.
On a quiet machine they are next to nothing, and the stopwatch is a clock. On none it is more than
SLOWEST times slower than one, so that every bound stays one.
"""
import os
import time

SLOWEST = 20


def _processes():
    """Ids of this process and of all below it."""
    found = [os.getpid()]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    found += map(int, file.read().split())
        except OSError:                     # it has ended
            pass
    return found


def _waits():
    """{thread: seconds that it has waited for a core in its life}."""
    waits = {}
    for pid in _processes():
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    waits[task] = int(file.read().split()[1]) / 1e9
        except OSError:
            pass
    return waits


class Stopwatch:
    def __init__(self):
        self._waits = _waits()
        self.start = time.monotonic()

    def elapsed(self):
        """By the clock on the wall."""
        return time.monotonic() - self.start

    def waited(self):
        """Seconds that our threads have waited for a core since the start, added up."""
        return sum(now - self._waits.get(task, 0.0) for task, now in _waits().items())

    def seconds(self, elapsed=None):
        """Since the start, without the waits; of so many elapsed ones, or of all until now."""
        if elapsed is None:
            elapsed = self.elapsed()
        return max(elapsed - self.waited(), elapsed / SLOWEST)

    def slowness(self):
        """How many seconds one of ours took: 1 on a quiet machine."""
        elapsed = self.elapsed()
        return elapsed / self.seconds(elapsed)
