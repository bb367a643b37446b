"""What is seen of a run: the bytes that arrive, and what the agents say of themselves."""
import json
import subprocess
import threading
import time

SOON_S = 0.2                           # after the path's return: a pause that begins later is another's


class Flow:
    """When bytes arrived, as far as looking at a file's size every 20 ms can tell."""

    def __init__(self):
        self._size = 0
        self._arrivals = []

    def sample(self, size):
        now = time.monotonic()
        if size > self._size:
            self._size = size
            self._arrivals.append((now, size))

    def pause(self, cut_at, path_back):
        """(begin, end) of the time without a byte that the cut made: the longest that had begun soon
        after the path's return (a reset is over before anybody can wait)."""
        times = [cut_at] + [t for t, _ in self._arrivals if t > cut_at]
        gaps = [gap for gap in zip(times, times[1:]) if gap[0] < path_back + SOON_S]
        return max(gaps, key=lambda gap: gap[1] - gap[0], default=(cut_at, cut_at))

    def last_arrival(self):
        return self._arrivals[-1][0] if self._arrivals else 0.0

    def rate(self, seconds=1.0):
        now = time.monotonic()
        early = [size for t, size in self._arrivals if t < now - seconds]
        return max(0, self._size - (early[-1] if early else 0)) / seconds


class Monitor:
    """What the agents say of themselves, asked four times a second as a person would."""

    def __init__(self, client, server):
        self._client, self._server = client, server
        self.state, self.outage_s, self.resumes, self.resent = "?", 0.0, 0, 0
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._leave.is_set():
            try:
                self.ask()
            except (OSError, ValueError, AssertionError, subprocess.TimeoutExpired):
                self.state = "?"
            self._leave.wait(0.25)

    def ask(self):
        status = json.loads(self._client.run("status", "--json").stdout)
        links = status.get("links") or [{}]
        self.state = links[0].get("state", "?")
        self.outage_s = status.get("totals", {}).get("outage_total_s", 0)
        self.resumes = sum(link.get("resumes", 0) for link in links)
        self.resent = self._client.replayed() + self._server.replayed()

    def stop(self):
        self._leave.set()
        self._thread.join(5)
