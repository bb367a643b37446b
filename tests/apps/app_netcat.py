"""netcat's half-close: what comes after the client's end, by a server that answers only then."""
import hashlib
import subprocess
import threading

from application import Application
from pair import free_port
from run import POLL_S, Lost, expect

PIECE = 64 << 10


class App(Application):
    title = "netcat"
    packages = ["netcat-openbsd", "socat"]
    bulk = ("ends before the fault",)

    def start(self, programs):
        self._port = free_port()
        programs.start_listening(["socat", "-t", "60", f"TCP-LISTEN:{self._port},fork,reuseaddr",
                                  "EXEC:sha256sum"], self._port, "socat.log")
        return self._port

    def remove(self):
        """It kept nothing."""

    def workloads(self):
        return {"ends before the fault": self.ended, "ends after it": self.going_on}

    @staticmethod
    def _start(run):
        return run.start(["nc", "-N", run.host, run.port], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @staticmethod
    def _answer(run, process, digest):
        answer = process.stdout.read().decode()
        expect(process.wait() == 0, f"exit status {process.returncode}")
        expect(answer.partition(" ")[0] == digest.hexdigest(), f"answered {answer!r}")

    def ended(self, run):
        """All is written and ended as the fault begins; the answer has to come through it."""
        data = b"x" * run.bulk_bytes
        run.prepared()
        process = self._start(run)

        def write():
            try:
                for start in range(0, len(data), PIECE):
                    process.stdin.write(data[start:start + PIECE])
                    process.stdin.flush()
                    run.progress()
                process.stdin.close()
            except BrokenPipeError:
                """The answer tells."""
        threading.Thread(target=write, daemon=True).start()
        run.wait(lambda: run.moments, 10, "a first piece")
        run.under_way()
        run.broken.wait()
        self._answer(run, process, hashlib.sha256(data))

    def going_on(self, run):
        """Pieces before, in and after the fault, then the end."""
        process, digest = self._start(run), hashlib.sha256()

        def step(number):
            piece = (b"%08d" % number) * (PIECE // 8)
            try:
                process.stdin.write(piece)
                process.stdin.flush()
            except BrokenPipeError:
                raise Lost(f"netcat ended with {process.wait()}") from None
            digest.update(piece)
        run.steadily(step, pace_s=2 * POLL_S)
        process.stdin.close()
        self._answer(run, process, digest)
