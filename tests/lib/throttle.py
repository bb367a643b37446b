"""A process that gets a share of a core: by a control group where the machine has them, else by stopping it
for most of every tenth of a second."""
import os
import signal
import threading

PERIOD_US = 100_000
V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"


class Throttle:
    """with Throttle(pid, 0.1): it has a tenth of a core."""

    def __init__(self, pid, share):
        self.pid, self.share = pid, share
        self.kind = self._folder = self._thread = None

    def __enter__(self):
        for kind, make in (("cgroup v2", self._version_2), ("cgroup v1", self._version_1)):
            try:
                make()
                self.kind = kind
                return self
            except OSError:
                self._remove()
        self.kind = "stopped and let go"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pulse, daemon=True)
        self._thread.start()
        return self

    def _make(self, root):
        self._folder = os.path.join(root, f"holdfast-{os.getpid()}-{self.pid}")
        os.mkdir(self._folder)

    def _write(self, name, text):
        with open(os.path.join(self._folder, name), "w") as file:
            file.write(text)

    def _version_2(self):
        if not os.path.exists(os.path.join(V2, "cgroup.controllers")):
            raise OSError("no cgroup v2")
        self._make(V2)
        self._write("cpu.max", f"{int(self.share * PERIOD_US)} {PERIOD_US}")
        self._write("cgroup.procs", str(self.pid))

    def _version_1(self):
        self._make(V1)
        self._write("cpu.cfs_period_us", str(PERIOD_US))
        self._write("cpu.cfs_quota_us", str(int(self.share * PERIOD_US)))
        self._write("cgroup.procs", str(self.pid))

    def _pulse(self):
        running = PERIOD_US / 1e6 * self.share
        while not self._over.wait(running):
            os.kill(self.pid, signal.SIGSTOP)
            self._over.wait(PERIOD_US / 1e6 - running)
            os.kill(self.pid, signal.SIGCONT)

    def _remove(self):
        if not self._folder or not os.path.isdir(self._folder):
            return
        root = V1 if self._folder.startswith(V1) else V2
        try:
            with open(os.path.join(root, "cgroup.procs"), "w") as file:
                file.write(str(self.pid))
        except OSError:
            pass
        try:
            os.rmdir(self._folder)
        except OSError:
            pass
        self._folder = None

    def __exit__(self, *_):
        if self._thread:
            self._over.set()
            self._thread.join()
            try:
                os.kill(self.pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self._remove()
