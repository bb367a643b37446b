"""A server agent, a client agent and a relay between them, in a temporary folder.

    with Pair(folder) as pair:
        app, back = pair.connect()         # the application's socket and the backend's
        pair.relay.cut()

Leaving the block checks what every scenario must keep: no descriptor left over, exit 0 within 2 s of
SIGTERM, no sanitizer report and no internal error in the logs.

HOLDFAST_BIN  folder of the programs (default: build/bin)
HOLDFAST_E2E_LINK  plain (default) or psk
HOLDFAST_E2E_THREADS  loop threads of both agents (1)
HOLDFAST_E2E_TIMESCALE  factor for time limits, for sanitizer builds
"""
import contextlib
import ctypes
import functools
import http.client
import itertools
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading

from relay import Relay, RemoteRelay
from stopwatch import Stopwatch
from streams import RST, accept, read_end, wait_until

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HOLDFAST_BIN") or os.path.join(REPOSITORY, "build", "bin")
LINK = os.environ.get("HOLDFAST_E2E_LINK", "plain")
THREADS = int(os.environ.get("HOLDFAST_E2E_THREADS", "1"))
TIMESCALE = float(os.environ.get("HOLDFAST_E2E_TIMESCALE", "1"))
FAST = {"heartbeat": "200ms", "dead_after": "1s"}
NAME = "edge-1"
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|internal error"
                     r"|terminate called|double free|corrupted")
# Opened once and kept: the netlink socket, the resolver's, a standby being dialled.
LAZY_DESCRIPTORS = 3
_libc = ctypes.CDLL(None)
FIRST_PORT, END_OF_PORTS, PORTS_PER_PROCESS = 12000, 32000, 1250
PR_SET_PDEATHSIG = 1


def _reserve_ports():
    """Yields the ports of a range that no other test process has, over and over; the range is ours
    as long as we hold a name that the kernel gives to one process only."""
    for first in range(FIRST_PORT, END_OF_PORTS, PORTS_PER_PROCESS):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0holdfast-e2e-ports-{first}")
        except OSError:
            claim.close()
            continue
        while True:
            yield from range(first, first + PORTS_PER_PROCESS)
    raise RuntimeError("too many test processes at once")


_ports = _reserve_ports()


def free_port(host="127.0.0.1"):
    """A port below the ephemeral range, so that no connect takes it before its owner binds."""
    for port in itertools.islice(_ports, PORTS_PER_PROCESS):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
            try:
                sock.bind((host, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def toml(table, path=()):
    """Nested dicts as TOML text."""
    plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if value is not None]
    if path and (lines or not table):
        lines.insert(0, f"[{'.'.join(path)}]")
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(toml(value, path + (key,)))
    return "\n".join(lines) + "\n"


def parse_metrics(text):
    """Prometheus text as {name: [(labels, value)]}."""
    metrics = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if match:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            metrics.setdefault(match[1], []).append((labels, float(match[3])))
    return metrics


def name_of(pid):
    """As ps shows it; empty where there is no such process."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def agent_of(keeper):
    """The agent's process of a keeper's; None while there is none."""
    if name_of(keeper) != "hf-keeper":
        return None
    return next((pid for pid in children_of(keeper) if name_of(pid).startswith("holdfast-")), None)


class Container:
    """Where what is started is process 1, as in a container; what it needs of one is its pids. As root."""
    prefix = ["unshare", "--fork", "--kill-child", "--pid", "--mount-proc"]

    @staticmethod
    def enter():
        return contextlib.nullcontext()


def is_over(pid):
    """It holds nothing any more, for all its threads are gone; whoever is to reap it may not have done so."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


@functools.lru_cache
def has_keeper(program):
    """Agents of a release from before there were keepers have none (scripts/check-interop)."""
    return subprocess.run([program, "--can-read", "1.0"], capture_output=True).returncode in (0, 1)


class Agent:
    """One daemon: its config, process, log, and what it says of itself."""

    def __init__(self, role, folder, config, space=None):
        self.role, self.folder, self.space = role, folder, space
        self.program = os.path.join(BIN, f"holdfast-{role}")
        self.config = os.path.join(folder, f"{role}.toml")
        self.log_path = os.path.join(folder, f"{role}.log")
        self.metrics_host, _, port = config["admin"]["metrics"].rpartition(":")
        self.metrics_port = int(port)
        self.process = None
        self.write_config(config)

    def write_config(self, config):
        self.settings = config
        with open(self.config, "w") as file:
            file.write(toml(config))

    # -- life ----------------------------------------------------------------------------------

    def start(self, descriptors=None):
        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        words = (self.space.prefix if self.space else []) + [self.program, "-c", self.config]
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=prepare)
        return self

    @property
    def keeper_pid(self):
        """Of the process that was started; it ends when the agent exits, and all ends with it."""
        if isinstance(self.space, Container):        # the child of who made its pids, which hears no signal
            return next(iter(children_of(self.process.pid)), self.process.pid)
        return self.process.pid

    @property
    def pid(self):
        """The agent's own process, which the keeper made. Under valgrind there is no other one."""
        def found():
            name = name_of(self.keeper_pid)
            alone = name.startswith("holdfast-") and not has_keeper(self.program)
            if alone or name in ("memcheck-amd64-", "callgrind-amd64"):
                return self.keeper_pid
            return agent_of(self.keeper_pid)
        return wait_until(found, 10 * TIMESCALE, f"a process of the {self.role} agent")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """To the process that was started, as a shell or a supervisor would."""
        os.kill(self.keeper_pid, number)

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def kill_agent(self):
        """kill -9 of the agent's process, which another one follows. The pid of the dead one."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill(self):
        """kill -9 of the process that was started: the end of all. The agent follows it a moment later."""
        agent = agent_of(self.keeper_pid) if self.running else None
        if self.running:
            self.process.kill()
        if self.process:
            self.process.wait()
        if agent is not None:
            wait_until(lambda: is_over(agent), 5 * TIMESCALE, f"the end of the {self.role} agent")

    def terminate(self):
        """SIGTERM; must end with exit code 0 within 2 s."""
        if not self.running:
            raise AssertionError(f"the {self.role} agent has already ended with "
                                 f"{self.process.returncode}")
        self.signal(signal.SIGTERM)
        watch = Stopwatch()
        while True:
            try:
                code = self.process.wait(2 * TIMESCALE)
                break
            except subprocess.TimeoutExpired:
                if watch.seconds() > 2 * TIMESCALE:
                    self.kill()
                    raise AssertionError(f"the {self.role} agent did not end within 2 s") from None
        assert code == 0, f"the {self.role} agent ended with {code}"

    # -- what it says ----------------------------------------------------------------------------

    def run(self, *words, config=None):
        """A subcommand, as a person runs it."""
        return subprocess.run([self.program, *words, "-c", config or self.config], timeout=60,
                              capture_output=True, text=True)

    def json(self, *words):
        result = self.run(*words, "--json")
        assert result.returncode == 0, f"{words}: exit {result.returncode}: {result.stderr}"
        return json.loads(result.stdout)

    def status(self):
        return self.json("status")

    def connections(self):
        return self.json("connections")

    def metrics(self):
        with self.space.enter() if self.space else contextlib.nullcontext():
            client = http.client.HTTPConnection(self.metrics_host, self.metrics_port, timeout=30)
            client.connect()
        client.request("GET", "/metrics", headers={"Connection": "close"})
        response = client.getresponse()
        text = response.read().decode()
        client.close()
        assert response.status == 200, text
        return parse_metrics(text)

    def metric(self, name, **labels):
        """Sum of the metric's values whose labels fit; the metric must exist."""
        metrics = self.metrics()
        assert name in metrics, f"no {name} among {sorted(metrics)}"
        return sum(value for have, value in metrics[name] if labels.items() <= have.items())

    def replayed(self):
        return self.metric("holdfast_replayed_bytes_total")

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def events(self, event, **fields):
        """The log's lines of the event whose fields have these values (logfmt or JSON)."""
        patterns = [re.compile(rf"(?<![\w-]){event}(?![\w-])")]
        for key, value in fields.items():
            patterns.append(re.compile(rf'(?<!\w){key}"?\s*[=:]\s*"?{re.escape(str(value))}(?![\w.])'))
        return [line for line in self.log().splitlines() if all(p.search(line) for p in patterns)]

    def wait_event(self, event, seconds=5, **fields):
        wanted = " ".join([event, *(f"{k}={v}" for k, v in fields.items())])
        return wait_until(lambda: self.events(event, **fields), seconds * TIMESCALE,
                          f"{wanted} in the {self.role}'s log")

    # -- what the kernel says --------------------------------------------------------------------

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Backend:
    """A listener whose accepted sockets the scenario drives itself."""

    def __init__(self, address=("127.0.0.1", 0), space=None):
        self.family = (socket.AF_UNIX if isinstance(address, str) else
                       socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        with space.enter() if space else contextlib.nullcontext():
            self.listener = socket.socket(self.family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(4096)
        self.address = self.listener.getsockname()
        self.accepted = []

    @property
    def target(self):
        return format_address(self.address)

    def accept(self, seconds=10):
        try:
            sock = accept(self.listener, seconds)
        except TimeoutError:
            raise AssertionError(f"no connection at the backend within {seconds} s") from None
        sock.settimeout(30)
        self.accepted.append(sock)
        return sock

    def quiet(self, seconds=0.2):
        """Nobody connects for this long."""
        self.listener.settimeout(seconds)
        try:
            self.accepted.append(self.listener.accept()[0])
            return False
        except TimeoutError:
            return True

    def close(self):
        for sock in self.accepted:
            sock.close()
        self.listener.close()


class EchoBackend(Backend):
    """Echoes on any number of connections, on one thread of its own."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.open = 0
        self._stop_r, self._stop_w = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        poll, sockets = select.epoll(), {}
        poll.register(self._stop_r, select.EPOLLIN)
        poll.register(self.listener, select.EPOLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._stop_r.fileno():
                    for sock in sockets.values():
                        sock.close()
                    poll.close()
                    return
                if fd == self.listener.fileno():
                    sock, _ = self.listener.accept()
                    sockets[sock.fileno()] = sock
                    poll.register(sock, select.EPOLLIN)
                    self.open = len(sockets)
                elif not self._echo(sockets[fd]):
                    poll.unregister(fd)
                    sockets.pop(fd).close()
                    self.open = len(sockets)

    @staticmethod
    def _echo(sock):
        try:
            data = sock.recv(65536)
            if data:
                sock.sendall(data)
            return bool(data)
        except OSError:
            return False

    def close(self):
        self._stop_w.send(b"x")
        self._thread.join(5)
        super().close()
        self._stop_r.close()
        self._stop_w.close()


def format_address(address):
    if isinstance(address, str):
        return f"unix:{address}"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def parse_address(text):
    if text.startswith("unix:"):
        return text[5:]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def admin_table(folder, role):
    """[admin] of an agent whose socket lies in the folder."""
    return {"socket": os.path.join(folder, f"{role}.sock"), "metrics": f"127.0.0.1:{free_port()}"}


def write_key(folder):
    """The path of a new key for NAME."""
    program = os.path.join(BIN, "holdfast-client")
    key = subprocess.run([program, "genpsk"], capture_output=True, text=True, check=True).stdout
    path = os.path.join(folder, f"{NAME}.psk")
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(key)
    return path


class Pair:
    """Options: `client`, `server`: tables merged into the configs (e.g. {"link": {"grace": "2s"}});
    `services`: {name: {"target": ..., "listen": ...}}, where a missing target is a Backend of the
    pair's and a missing listen a free port; `fast`: the short heartbeat (False: the defaults);
    `relay`: "thread", "process" or None; `lab`: a netns.Lab (then there is no relay); `contained`: each agent in a
    Container."""

    def __init__(self, folder, client=None, server=None, services=None, fast=True, relay="thread",
                 lab=None, link=LINK, descriptors=None, wait_ready=True, contained=False):
        self.folder, self.lab, self.link_kind = str(folder), lab, link
        self.failed = False
        self._descriptors, self._wait_ready = descriptors or {}, wait_ready
        self._sockets, self._relay_program = [], None
        self.backends, self.listens = {}, {}
        for role in ("client", "server"):
            program = os.path.join(BIN, f"holdfast-{role}")
            assert os.access(program, os.X_OK), f"{program} is not there: build first (scripts/build)"
        self.link_host = "127.0.0.1" if not lab else lab_server_address()
        self.link_port = free_port()
        self.relay = self._make_relay(relay if not lab else None)
        dialled = self.relay.port if self.relay else self.link_port
        configs = self._configs(services or {"raw": {}}, fast, dialled)
        for config, extra in zip(configs, (client, server)):
            merge(config, extra or {})
        self.client = Agent("client", self.folder, configs[0], lab.client if lab else contained and Container())
        self.server = Agent("server", self.folder, configs[1], lab.server if lab else contained and Container())

    def _make_relay(self, kind):
        target = (self.link_host, self.link_port)
        if kind == "process":
            control = os.path.join(self.folder, "relay.sock")
            self._relay_program = subprocess.Popen(
                [sys.executable, os.path.join(os.path.dirname(__file__), "relay.py"), "--target",
                 format_address(target), "--control", control], stdout=subprocess.DEVNULL)

            def dial():
                try:
                    return RemoteRelay(control)
                except OSError:
                    return None
            return wait_until(dial, 10, "the relay's control socket")
        return Relay(target).start() if kind == "thread" else None

    def _configs(self, services, fast, dialled):
        client_services, server_services = {}, {}
        for name, options in services.items():
            options = dict(options)
            target, listen = options.pop("target", None), options.pop("listen", None)
            if target is None or isinstance(target, Backend):
                self.backends[name] = target or Backend(
                    (self.link_host if self.lab else "127.0.0.1", 0),
                    space=self.lab and self.lab.server)
                target = self.backends[name].target
            listen = listen or f"127.0.0.1:{free_port()}"
            self.listens[name] = parse_address(listen)
            client_services[name] = {"listen": listen}
            server_services[name] = {"target": target, **options}
        link = dict(FAST) if fast else {}
        if self.link_kind == "plain":
            link["unsafe_plaintext"] = True
        elif self.link_kind != "psk":
            raise ValueError(f"HOLDFAST_E2E_LINK must be plain or psk, not {self.link_kind!r}")
        key = {} if self.link_kind == "plain" else {"psk_file": write_key(self.folder)}
        client = {"name": NAME, "link": {"server": [f"{self.link_host}:{dialled}"], **link, **key},
                  "services": client_services, "admin": admin_table(self.folder, "client"),
                  "log": {"level": "debug"}}
        server = {"link": {"listen": [f"{self.link_host}:{self.link_port}"], **link},
                  "clients": {NAME: {"services": list(server_services), **key}},
                  "services": server_services, "admin": admin_table(self.folder, "server"),
                  "log": {"level": "debug"}}
        if THREADS > 1:
            client["threads"] = server["threads"] = THREADS
        return client, server

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.server.start(self._descriptors.get("server"))
            self.client.start(self._descriptors.get("client"))
            if self._wait_ready:
                self.wait_ready()
                self.note_descriptors()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and not self.failed:
                self.check_and_stop()
        finally:
            self.stop()

    def wait_ready(self, seconds=10):
        def ready():
            assert self.client.running, f"the client agent ended: {self.client.log()[-2000:]}"
            assert self.server.running, f"the server agent ended: {self.server.log()[-2000:]}"
            # A server's next process may have taken over and answer nobody yet.
            return (self.client.run("ready").returncode == 0 and
                    self.server.run("status").returncode == 0)
        wait_until(ready, seconds * TIMESCALE, "holdfast-client ready")

    def note_descriptors(self):
        """What each agent holds with no connection."""
        self.idle_descriptors = {a.role: a.descriptors() for a in (self.client, self.server)}

    def wait_empty(self, seconds=10):
        """Both agents have forgotten every connection."""
        for agent in (self.client, self.server):
            if agent.running:
                wait_until(lambda: agent.connections() == [], seconds * TIMESCALE,
                           f"no connection left at the {agent.role}")

    def wait_descriptors(self, slack=LAZY_DESCRIPTORS, seconds=45):
        """What each agent held before. Lanes that are empty go after half a minute."""
        for agent in (self.client, self.server):
            limit = self.idle_descriptors[agent.role] + slack
            wait_until(lambda: agent.descriptors() <= limit, seconds * TIMESCALE,
                       f"the {agent.role} back at {limit} descriptors or fewer")

    def heal(self):
        if self.relay:
            self.relay.thaw()
            self.relay.accept()
            for fault in ("delay", "rate", "chunk"):
                getattr(self.relay, fault)(0)

    def check_and_stop(self):
        for agent in (self.client, self.server):
            if agent.process and not agent.running:
                raise AssertionError(f"the {agent.role} agent ended by itself with "
                                     f"{agent.process.returncode}")
        self.close_sockets()
        if self._wait_ready:
            self.heal()
            self.wait_ready()
            self.wait_empty()
            self.wait_descriptors()
        self.client.terminate()
        self.server.terminate()
        self.check_logs()

    def check_logs(self):
        for agent in (self.client, self.server):
            found = [line for line in agent.log().splitlines() if REPORTS.search(line)]
            assert not found, f"in the {agent.role}'s log: {found[:5]}"

    def close_sockets(self):
        for sock in self._sockets:
            sock.close()
        for backend in self.backends.values():
            for sock in backend.accepted:
                sock.close()

    def stop(self):
        self.close_sockets()
        for agent in (self.client, self.server):
            agent.kill()
        if self._relay_program:
            self.relay.close()
            self._relay_program.terminate()
            self._relay_program.wait(30)
        elif self.relay:
            self.relay.stop()
        for backend in set(self.backends.values()):
            backend.close()

    # -- use -----------------------------------------------------------------------------------

    def dial(self, service="raw", seconds=30, receive_buffer=None):
        """An application's socket, connected to the client agent."""
        address = self.listens[service]
        family = (socket.AF_UNIX if isinstance(address, str) else
                  socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        with self.lab.client.enter() if self.lab else contextlib.nullcontext():
            sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect(address)
        self._sockets.append(sock)
        return sock

    def dial_in_vain(self, service="raw", seconds=10):
        """Connects to the client agent and reads to the end; a reset may come before connect() returns."""
        try:
            return read_end(self.dial(service), seconds)
        except ConnectionResetError:
            return RST, b""

    def connect(self, service="raw"):
        """(application's socket, backend's socket) of one connection."""
        app = self.dial(service)
        back = self.backends[service].accept()
        if back.family != socket.AF_UNIX:
            back.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return app, back

    def reconnects(self):
        """A reason that has not happened yet may have no series."""
        series = self.client.metrics().get("holdfast_link_reconnects_total", [])
        return sum(value for _, value in series)

    def print_logs(self, lines=60):
        for agent in (self.server, self.client):
            print(f"---- {agent.role} agent, end of its log ({agent.log_path}):")
            if os.path.exists(agent.log_path):
                print("\n".join(agent.log().splitlines()[-lines:]))


def lab_server_address():
    import netns
    return netns.SERVER_ADDRESS


def merge(config, extra):
    """None removes a key."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        elif value is None:
            config.pop(key, None)
        else:
            config[key] = value
