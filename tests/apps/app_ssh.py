"""OpenSSH: a session that is typed to, scp, sftp, rsync, and a port forwarded inside."""
import getpass
import glob
import os
import shlex
import socket

from application import Application
from pair import free_port
from programs import listens
from run import Lost, expect_same, last_line, size_of
from services import Sshd, Talk


class App(Application):
    title = "OpenSSH"
    packages = ["openssh-server", "openssh-client", "rsync", "socat"]
    bulk = ("scp", "sftp", "rsync")

    def start(self, programs):
        # Logins of ten sessions at once: not what is tried here.
        self.service = Sshd(programs, MaxStartups="100")
        return self.service.port

    def workloads(self):
        return {"session": self.session, "scp": self.scp, "sftp": self.sftp, "rsync": self.rsync,
                "port forwarding": self.forwarding}

    def _login(self, run, *more):
        return ["ssh", *self.service.options(run.port), *more, f"{getpass.getuser()}@{run.host}"]

    def session(self, run):
        talk = Talk(run.programs, [*self._login(run), "sh"])

        def step(number):
            try:
                talk.type(f"echo typed-$(({number} + 1000))")
            except BrokenPipeError:
                raise Lost(last_line(talk.text)) from None
            run.wait(lambda: f"typed-{number + 1000}" in talk.text or not talk.running, 120, "an answer")
            if f"typed-{number + 1000}" not in talk.text:
                raise Lost(last_line(talk.text))
        run.steadily(step)

    def _copy(self, run, words, **options):
        copy = run.path("copy")
        run.prepared()
        process = run.start(words, "said", **options)
        temporary = run.path(".copy.*")

        def moved():
            return max([size_of(copy), *map(size_of, glob.glob(temporary))])
        run.transfer(process, moved, lambda: run.programs.tail("said"))
        expect_same(run.path("source"), copy)

    def scp(self, run):
        """To the server."""
        self._copy(run, ["scp", *self.service.options(run.port), run.random_file(),
                         f"{getpass.getuser()}@{run.host}:{run.path('copy')}"])

    def sftp(self, run):
        """From the server."""
        run.random_file()
        with open(run.path("batch"), "w") as file:
            file.write(f"get {run.path('source')} {run.path('copy')}\n")
        self._copy(run, ["sftp", *self.service.options(run.port), "-b", run.path("batch"),
                         f"{getpass.getuser()}@{run.host}"])

    def rsync(self, run):
        shell = shlex.join(map(str, ["ssh", *self.service.options(run.port)]))
        self._copy(run, ["rsync", "-e", shell, run.random_file(),
                         f"{getpass.getuser()}@{run.host}:{run.path('copy')}"])

    def forwarding(self, run):
        """A TCP connection inside the session: the SSH server's own port gives its banner, and what is
        asked of an echo at the server's host comes back."""
        inner, echo = free_port(), run.path("echo.sock")
        run.start([*self.space.prefix, "socat", f"UNIX-LISTEN:{echo},fork", "EXEC:cat"], "echo")
        run.wait(lambda: os.path.exists(echo), 10, "an echo")
        process = run.start([*self._login(run, "-N", "-o", "ExitOnForwardFailure=yes", "-L",
                                          f"127.0.0.1:{inner}:{echo}")], "said")
        run.wait(lambda: listens(process.pid, inner) or process.poll() is not None, 30, "a listener")
        with socket.create_connection(("127.0.0.1", inner)) as sock:
            sock.settimeout(180)

            def step(number):
                text = b"%06d" % number
                try:
                    sock.sendall(text)
                    answer = sock.recv(6)
                except OSError as error:
                    raise Lost(f"{error}; ssh said {run.programs.tail('said')}") from None
                if answer != text:
                    raise Lost(f"{answer!r} came back; ssh said {run.programs.tail('said')}")
            run.steadily(step)

