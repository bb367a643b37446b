"""What one workload of an application is given, and the few ways in which workloads go on.

A workload is a function of one Run. It calls `under_way()` when its application is at work, and after
that lives through the fault; it returns when the application has done all and its own oracle (rows,
digests, exit status) is content, and raises Lost with the application's words when it is not.
"""
import contextlib
import hashlib
import os
import subprocess
import threading
import time

GO_ON_S = 3.0                   # steady workloads work on for so long after the fault
POLL_S = 0.05


class Lost(Exception):
    """What a user would have seen."""


class Untried(Exception):
    """The workload did not meet the fault: a defect of the test."""


class Run:
    def __init__(self, workload, way, address, programs, fault):
        self.workload, self.way = workload, way        # way: "holdfast" or "direct"
        self.host, self.port = self.address = address  # what the application dials
        self.programs, self.fault = programs, fault
        self.folder = programs.folder
        self.bulk_bytes = (2 if fault.slow else 24) << 20
        self.moments = []                              # when the application got on
        self.is_prepared, self.may_begin = threading.Event(), threading.Event()
        self.is_under_way, self.broken, self.healed = (threading.Event() for _ in range(3))
        self.broken_at = self.healed_at = None

    # -- told by the workload --------------------------------------------------------------------

    def under_way(self):
        self.is_under_way.set()

    def prepared(self):
        """For bulk workloads: all is there but the transfer; waits until the others are as far."""
        self.is_prepared.set()
        self.may_begin.wait()

    def progress(self):
        self.moments.append(time.monotonic())

    def over(self):
        """Whether a steady workload has gone on for long enough after the fault."""
        return self.healed.is_set() and time.monotonic() > self.healed_at + GO_ON_S

    def write_moments(self):
        """When it got on, in seconds from the end of the fault and by the clock, for who keeps the folder."""
        now, clock = time.monotonic(), time.time()
        with open(self.path("moments"), "w") as file:
            for moment in self.moments:
                at = time.strftime("%H:%M:%S", time.gmtime(clock - now + moment))
                file.write(f"{moment - (self.healed_at or now):8.3f} {at}\n")

    # -- ways to go on ---------------------------------------------------------------------------

    def steadily(self, step, pace_s=0.1):
        """step(0), step(1), ... until over(), each a moment of progress; gives their number."""
        number = 0
        while not self.over():
            step(number)
            number += 1
            self.progress()
            if number == 5:
                self.under_way()
            time.sleep(pace_s)
        return number

    def transfer(self, process, moved=None, said=None):
        """Waits for the program's end with exit status 0; moved(): bytes so far, where it can be told;
        said(): its words."""
        last = 0
        if not moved:
            self.under_way()
        while process.poll() is None:
            now = moved() if moved else 0
            if now > last:
                self.progress()
                last = now
            if moved and now >= self.bulk_bytes / 20:
                self.under_way()
            time.sleep(POLL_S)
        if process.returncode:
            raise Lost(f"exit status {process.returncode}: {last_line(said() if said else '')}")
        if not self.broken.is_set():
            raise Untried("done before the fault began")
        if moved:
            self.progress()

    def wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Lost(f"not within {seconds:g} s: {what}")
            time.sleep(POLL_S)

    def start(self, words, log=None, **options):
        """A program of the workload's; its words in `log` or a pipe of the caller's."""
        return self.programs.start(words, log, **options)

    def call(self, words, **options):
        """A program to its end, beside the workload; Lost when it fails."""
        result = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
        if result.returncode:
            raise Lost(f"{words[0]}: {result.stderr.strip()[-300:]}")
        return result.stdout

    # -- files -----------------------------------------------------------------------------------

    def path(self, name):
        return os.path.join(self.folder, name)

    def random_file(self, name="source", size=None):
        """A file of the run's own that does not compress; gives its path."""
        with open(self.path(name), "wb") as file:
            file.write(os.urandom(size or self.bulk_bytes))
        return self.path(name)


def last_line(text):
    """What a program said last, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-200:] if lines else ""


def expect(condition, words):
    if not condition:
        raise Lost(words)


def size_of(path):
    with contextlib.suppress(FileNotFoundError):
        return os.path.getsize(path)
    return 0


def read_so_far(process):
    """Bytes that the process has read from anywhere (proc(5), rchar)."""
    try:
        with open(f"/proc/{process.pid}/io") as file:
            return int(file.readline().split()[1])
    except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
        return 0


def position(process):
    """How far the process has read the file that is its standard input."""
    try:
        with open(f"/proc/{process.pid}/fdinfo/0") as file:
            return int(file.readline().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expect_same(one, other):
    expect(size_of(one) == size_of(other) and digest_of(one) == digest_of(other),
           f"{size_of(other)} of {size_of(one)} bytes, or other ones")
