"""Three server agents behind a real balancer, as config/balancer has them, in a network namespace of
their own. Needs root, and HAProxy or nginx.

    with Fleet(folder, "haproxy") as fleet:
        client = fleet.client()              # a client agent, which knows the balancer alone
        app = client.dial()                  # an application's socket; the service echoes
        fleet.cut(client)
"""
import contextlib
import itertools
import os
import shutil
import socket

from netns import Namespace
from pair import FAST, REPORTS, REPOSITORY, TIMESCALE, Agent, EchoBackend, merge, write_key
from programs import Programs
from streams import wait_until

BALANCER = ("192.0.2.10", 7443)
CLIENTS = "192.0.2.20"                            # from where they come to the balancer
NUMBERS = (1, 2, 3)
CONFIGS = os.path.join(REPOSITORY, "config", "balancer")
SERVICE_PORT, ECHO_PORT = 5432, 7777
_numbers = itertools.count()


def hub_address(number):
    return f"192.0.2.{10 + number}"


def home_of(number):
    return f"hub-{number}.hub.example.org"


class Client:
    """A client agent on an address of its own, 127.1.0.N."""

    def __init__(self, fleet, number, options):
        self.fleet = fleet
        folder = os.path.join(fleet.folder, f"client-{number}")
        os.makedirs(folder)
        self.host = f"127.1.{number // 250}.{1 + number % 250}"
        config = {"name": fleet.client_name(number),
                  "link": {"server": [f"{BALANCER[0]}:{BALANCER[1]}"], "psk_file": fleet.keys[number], **FAST},
                  "services": {"echo": {"listen": f"{self.host}:{SERVICE_PORT}"}},
                  "admin": {"socket": os.path.join(folder, "client.sock"),
                            "metrics": f"{self.host}:9091"},
                  "log": {"level": "debug"}}
        merge(config, options)
        self.agent = Agent("client", folder, config, fleet.space).start()

    def dial(self, seconds=20, port=SERVICE_PORT):
        with self.fleet.space.enter():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.fleet.sockets.append(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect((self.host, port))
        return sock

    def ready(self):
        return self.agent.run("ready").returncode == 0

    def links(self):
        return self.agent.json("links")

    def hub_of(self, sock):
        """The number of the hub that has this application's connection."""
        host, port = sock.getsockname()
        for each in self.agent.connections():
            if each["client"] == f"{host}:{port}":
                return int(each["peer"].rpartition("-")[2])
        raise AssertionError(f"no connection of {host}:{port}")


class Fleet:
    """`hub`, `link`: tables merged into every hub's config, and into its [link]; `clients`: how many
    there may be; `services`: so many, echo-0 and on, instead of "echo"; `client_links`: [clients.NAME]
    links; `hubs`: those that there are."""

    def __init__(self, folder, balancer="haproxy", hub=None, link=None, clients=1, homes=True,
                 proxy=True, config=None, services=0, client_links=None, hubs=NUMBERS):
        self.folder, self.kind = str(folder), balancer
        self.space = Namespace(f"hf-{os.getpid()}-fleet{next(_numbers)}")
        self.programs = Programs(self.folder, space=self.space)
        self.sockets, self.clients, self.hubs = [], [], {}
        self.backend = self.balancer = None
        self._config = config
        self._services = [f"echo-{each}" for each in range(services)] or ["echo"]
        self._client_links = client_links
        try:
            self._wire()
            self.backend = EchoBackend(("127.0.0.1", ECHO_PORT), space=self.space)
            self.keys = [self._key(number) for number in range(clients)]
            for number in hubs:
                self.hubs[number] = self._make_hub(number, hub or {}, link or {}, homes, proxy)
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def client_name(number):
        return f"edge-{number + 1}"

    def _wire(self):
        self.space.run("ip", "link", "set", "lo", "up")
        for host in (BALANCER[0], CLIENTS, *map(hub_address, NUMBERS)):
            self.space.run("ip", "address", "add", f"{host}/32", "dev", "lo")
        # Each comes from its own address, as hosts do; else it would be the one that it goes to.
        sources = {BALANCER[0]: CLIENTS, **{hub_address(each): BALANCER[0] for each in NUMBERS}}
        for host, source in sources.items():
            self.space.run("ip", "route", "replace", "local", f"{host}/32", "dev", "lo", "table", "local",
                           "src", source)

    def _key(self, number):
        folder = os.path.join(self.folder, f"key-{number}")
        os.makedirs(folder)
        return write_key(folder)

    def _make_hub(self, number, extra, link, homes, proxy):
        folder = os.path.join(self.folder, f"hub-{number}")
        os.makedirs(folder)
        config = {"name": f"hub-{number}",
                  "link": {"listen": [f"{hub_address(number)}:{BALANCER[1]}"], "grace": "30s", **FAST},
                  "clients": {self.client_name(each): {"services": self._services, "psk_file": key,
                                                       "links": self._client_links}
                              for each, key in enumerate(self.keys)},
                  "services": {name: {"target": f"127.0.0.1:{ECHO_PORT}"} for name in self._services},
                  "admin": {"socket": os.path.join(folder, "server.sock"),
                            "metrics": f"{hub_address(number)}:9090"},
                  "log": {"level": "debug"}}
        if homes:
            config["link"]["home"] = home_of(number)
        if proxy:
            config["link"].update(accept_proxy=True, accept_proxy_from=[BALANCER[0]])
        merge(config, extra)
        merge(config["link"], link)
        return Agent("server", folder, config, self.space)

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self):
        try:
            for agent in self.hubs.values():
                agent.start()
            for agent in self.hubs.values():
                wait_until(lambda: agent.run("ready").returncode == 0, 20 * TIMESCALE, "a hub")
            self.start_balancer()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.check_and_stop()
        finally:
            if kind is not None:
                self.print_logs()
            self.stop()

    def check_and_stop(self):
        agents = [each.agent for each in self.clients] + list(self.hubs.values())
        for agent in agents:
            if agent.running:
                agent.terminate()
            found = [line for line in agent.log().splitlines() if REPORTS.search(line)]
            assert not found, f"in {agent.log_path}: {found[:5]}"

    def start_balancer(self):
        log = f"{self.kind}.log"
        if self.kind == "haproxy":
            config = self._config or os.path.join(CONFIGS, "haproxy.cfg")
            words = ["haproxy", "-db", "-f", config]
        else:
            config = self._config or os.path.join(CONFIGS, "nginx.conf")
            pid = os.path.join(self.folder, "nginx.pid")
            words = ["nginx", "-e", "stderr", "-p", self.folder, "-c", config, "-g",
                     f"daemon off; pid {pid}; user root;"]
        self.balancer = self.programs.start(words, log)
        wait_until(self._listens, 10 * TIMESCALE, f"{self.kind} listens: {self.programs.tail(log)}")

    def _listens(self):
        assert self.balancer.poll() is None, self.programs.tail(f"{self.kind}.log")
        return self.space.run("ss", "-Hltn", "src", f"{BALANCER[0]}:{BALANCER[1]}").stdout

    def stop_balancer(self):
        """Every carrier through it is cut; nobody answers until it is started again."""
        self.programs.stop(self.balancer)

    def stop(self):
        for sock in self.sockets:
            sock.close()
        for agent in [each.agent for each in self.clients] + list(self.hubs.values()):
            agent.kill()
        self.programs.stop_all()
        if self.backend:
            self.backend.close()
        self.space.kill_all()
        self.space.remove()

    def print_logs(self, lines=40):
        for agent in list(self.hubs.values()) + [each.agent for each in self.clients[:3]]:
            print(f"---- {agent.log_path}")
            if os.path.exists(agent.log_path):
                print("\n".join(agent.log().splitlines()[-lines:]))

    # -- use -----------------------------------------------------------------------------------

    def client(self, wait=True, **options):
        client = Client(self, len(self.clients), options)
        self.clients.append(client)
        if wait:
            wait_until(client.ready, 20 * TIMESCALE, "the client agent ready")
        return client

    def cut(self, client):
        """The carriers of the client are reset at its end (or dropped, where the kernel cannot)."""
        pid = client.agent.pid
        said = self.space.run("ss", "-Ktnp", "dst", BALANCER[0], "dport", "=", f":{BALANCER[1]}",
                              check=False).stdout
        if f"pid={pid}," not in said:
            client.agent.run("reconnect")

    def probe(self, words, to):
        """A balancer's check on a link port, from the balancer's address: the bytes it read."""
        with self.space.enter():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.bind((BALANCER[0], 0))
        with sock:
            sock.settimeout(5)
            sock.connect((hub_address(to), BALANCER[1]))
            if words:
                sock.sendall(words)
                with contextlib.suppress(OSError):
                    return sock.recv(4096)
        return b""


def why_unavailable(balancer):
    """None where the balancer can run here, else the reason."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if not shutil.which(balancer, path=path):
        return f"{balancer} is not installed"
    if balancer == "nginx" and not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
        return "nginx has no stream module (libnginx-mod-stream)"
    return None
