"""The real services, in the foreground on free ports of loopback, and how to talk to their clients."""
import os
import shutil
import subprocess
import threading
import time

from pair import free_port
from programs import listens
from streams import wait_until

POSTGRES = "/usr/lib/postgresql/15/bin"


def outage(pair, seconds):
    """The path says nothing for so long; then what was on its way is lost and the path is back."""
    pair.relay.freeze()
    hold(seconds)
    end_outage(pair)


def end_outage(pair):
    pair.relay.cut()
    pair.relay.thaw()
    pair.relay.accept()


def unplug(pair):
    """The loss is noticed at once, so that the grace runs from now on."""
    pair.relay.refuse()
    pair.relay.cut()


def hold(seconds):
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start >= seconds, seconds + 5, "the end of the outage")


class Talk:
    """A client program that is typed to; what it says is kept with the time."""

    def __init__(self, programs, words, **options):
        self.process = programs.start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, bufsize=0, **options)
        self.text = ""
        self.started, self.ended_after = time.monotonic(), None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            self.text += chunk.decode(errors="replace")
        self.process.wait()
        self.ended_after = time.monotonic() - self.started

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def expect(self, text, seconds=10):
        wait_until(lambda: text in self.text, seconds, f"{text!r} from {self.process.args[0]}, which "
                   f"said {self.text[-600:]!r}")

    def expect_end(self, seconds=10):
        wait_until(lambda: self.ended_after is not None, seconds,
                   f"the end of {self.process.args[0]}")
        return self.ended_after

    @property
    def running(self):
        return self.process.poll() is None


class Service:
    """A program with a port, and with a folder of its own unless everything lies in the test's."""

    folder = None

    def __init__(self, programs):
        self.programs, self.port = programs, free_port()
        self.log = f"{type(self).__name__.lower()}-{self.port}.log"

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def said(self):
        return self.programs.tail(self.log, 10_000)

    def remove(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Service):
    """A cluster of its own; `settings` as in postgresql.conf, `hba` lines of pg_hba.conf."""

    def __init__(self, programs, settings=None, base=None, hba=""):
        super().__init__(programs)
        # Beside pytest's folder, which only root may enter.
        self.folder = f"/tmp/holdfast-guide-pg-{os.getpid()}-{self.port}"
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.folder, exist_ok=True)
        shutil.chown(self.folder, "postgres", "postgres")
        if base:
            base(self.data)
        else:
            self.as_postgres("initdb", "-D", self.data, "-A", "trust", "--no-sync")
            with open(os.path.join(self.data, "pg_hba.conf"), "a") as file:
                file.write(f"host replication all 127.0.0.1/32 trust\n{hba}")
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a") as file:
            for key, value in {"listen_addresses": programs.host, "port": self.port, "fsync": "off",
                               "unix_socket_directories": "", **(settings or {})}.items():
                file.write(f"{key} = '{value}'\n")
        self.process = programs.start(self.words("postgres", "-D", self.data), self.log)
        wait_until(lambda: self.process.poll() is None and listens(self.process.pid, self.port)
                   and "ready to accept" in programs.tail(self.log), 20, "PostgreSQL listening")

    @staticmethod
    def words(program, *arguments):
        """Not root: PostgreSQL refuses that. setpriv, unlike runuser, stays one process."""
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                f"{POSTGRES}/{program}", *arguments]

    def as_postgres(self, program, *arguments):
        subprocess.run(self.words(program, *arguments), check=True, capture_output=True, cwd="/tmp",
                       env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})


class Sshd(Service):
    """sshd with a key of its own and one user's key, for who runs the tests."""

    def __init__(self, programs, **settings):
        super().__init__(programs)
        self.folder = f"/tmp/holdfast-guide-ssh-{os.getpid()}-{self.port}"
        os.makedirs(self.folder, mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                            f"{self.folder}/{name}"], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        config = os.path.join(self.folder, "sshd_config")
        with open(config, "w") as file:
            file.write(f"ListenAddress {programs.host}:{self.port}\nHostKey {self.folder}/host\n"
                       f"AuthorizedKeysFile {self.folder}/user.pub\nPidFile none\nUsePAM no\n"
                       "StrictModes no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
                       + "".join(f"{key} {value}\n" for key, value in settings.items()))
        programs.start_listening(["sshd", "-D", "-e", "-f", config], self.port, self.log)

    def options(self, port, **settings):
        words = ["-F", "none", "-o", f"IdentityFile={self.folder}/user", "-o", f"Port={port}",
                 "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder}/known",
                 "-o", "LogLevel=INFO"]
        for key, value in settings.items():
            words += ["-o", f"{key}={value}"]
        return words


class Mosquitto(Service):
    def __init__(self, programs, **settings):
        super().__init__(programs)
        config = os.path.join(programs.folder, f"mosquitto-{self.port}.conf")
        with open(config, "w") as file:
            file.write(f"listener {self.port} {programs.host}\nallow_anonymous true\nuser root\n"
                       "connection_messages true\n"
                       + "".join(f"{key} {value}\n" for key, value in settings.items()))
        programs.start_listening(["mosquitto", "-c", config], self.port, self.log)


class Redis(Service):
    """Without persistence; `settings` as in redis.conf."""

    def __init__(self, programs, settings=None):
        super().__init__(programs)
        config = os.path.join(programs.folder, f"redis-{self.port}.conf")
        with open(config, "w") as file:
            file.write(f"bind {programs.host}\nport {self.port}\nsave \"\"\ndir {programs.folder}\n"
                       f"dbfilename dump-{self.port}.rdb\n"
                       + "".join(f"{key} {value}\n" for key, value in (settings or {}).items()))
        programs.start_listening(["redis-server", config], self.port, self.log)


class RabbitMQ(Service):
    """One node without plugins, with an epmd of its own; `settings` as in rabbitmq.conf."""

    def __init__(self, programs, settings=None):
        super().__init__(programs)
        base = os.path.join(programs.folder, f"rabbitmq-{self.port}")
        os.mkdir(base)
        with open(os.path.join(base, "rabbitmq.conf"), "w") as file:
            file.write(f"listeners.tcp.1 = {programs.host}:{self.port}\nlog.console = true\n"
                       + "".join(f"{key} = {value}\n" for key, value in (settings or {}).items()))
        with open(os.path.join(base, ".erlang.cookie"), "w",
                  opener=lambda path, flags: os.open(path, flags, 0o400)) as file:
            file.write("guide")
        epmd = free_port()
        environment = {**os.environ, "HOME": base, "ERL_EPMD_PORT": str(epmd),
                       "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": "guide@localhost",
                       "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_LOGS": "-",
                       "RABBITMQ_MNESIA_BASE": f"{base}/mnesia", "RABBITMQ_LOG_BASE": f"{base}/log",
                       "RABBITMQ_CONFIG_FILE": f"{base}/rabbitmq.conf",
                       "RABBITMQ_ENABLED_PLUGINS_FILE": f"{base}/plugins",
                       "RABBITMQ_PID_FILE": f"{base}/pid"}
        programs.start_listening(["epmd", "-port", epmd, "-address", "127.0.0.1"], epmd, "epmd.log")
        # The script that starts it stays its parent, and passes SIGTERM on.
        programs.start(["/usr/lib/rabbitmq/bin/rabbitmq-server"], self.log, env=environment)
        wait_until(lambda: "Server startup complete" in self.said(), 180, "RabbitMQ")
