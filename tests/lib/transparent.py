"""Five hosts as network namespaces, and the pair between an application and a service that know nothing
of it:

    app -- agent -- link -- hub -- backend        10.203.1-4.0/24, fd03:1-4::/64
           client   router  server

Routes lead all the way, so that without the pair's rules the application reaches the service directly.
"""
import contextlib
import itertools
import os
import socket

from netns import Namespace, run
from pair import FAST, Agent, admin_table
from streams import wait_until

NETS = ("app", "agent", "link", "hub", "backend")
_numbers = itertools.count()
PORT = 5432
LINK_PORT = 7443


def v4(net, host):
    return f"10.203.{net}.{host}"


def v6(net, host):
    return f"fd03:{net}::{host}"


APP = {4: v4(1, 2), 6: v6(1, 2)}
AGENT = {4: v4(1, 1), 6: v6(1, 1)}
BACKEND = {4: v4(4, 2), 6: v6(4, 2)}
SERVER = {4: v4(3, 2), 6: v6(3, 2)}


class Lab:
    def __init__(self):
        base = f"hf-{os.getpid()}-t{next(_numbers)}"
        self.spaces = {}
        self.agent_host = 2
        try:
            for name in NETS:
                self.spaces[name] = Namespace(f"{base}-{name}")
                self[name].run("ip", "link", "set", "lo", "up")
            for net, (left, right) in enumerate(zip(NETS, NETS[1:]), 1):
                self._wire(net, left, right)
            self._route("app", v4(1, 1), v6(1, 1))
            self._route("agent", v4(2, 1), v6(2, 1))
            self._route("link", v4(2, 2), v6(2, 2), "10.203.1.0/24", "fd03:1::/64")
            self._route("link", v4(3, 2), v6(3, 2), "10.203.4.0/24", "fd03:4::/64")
            self._route("hub", v4(3, 1), v6(3, 1))
            self._route("backend", v4(4, 1), v6(4, 1))
            for name in ("agent", "link", "hub"):
                self[name].run("sysctl", "-qw", "net.ipv4.ip_forward=1",
                               "net.ipv6.conf.all.forwarding=1")
            self["link"].run("nft", "add", "table", "inet", "fault")
            self["link"].run("nft", "add chain inet fault forward "
                             "{ type filter hook forward priority 0; }")
        except BaseException:
            self.remove()
            raise

    def __getitem__(self, name):
        return self.spaces[name]

    def _wire(self, net, left, right):
        """The host on the application's side has .1 on the first wire's far end, else .2 .1 ..."""
        ends = {1: (2, 1), 2: (2, 1), 3: (1, 2), 4: (1, 2)}[net]
        names = (f"to-{right}", f"to-{left}")
        run("ip", "link", "add", names[0], "netns", self[left].name, "type", "veth", "peer", "name",
            names[1], "netns", self[right].name)
        for name, port, host in ((left, names[0], ends[0]), (right, names[1], ends[1])):
            self[name].run("ip", "address", "add", f"{v4(net, host)}/24", "dev", port)
            self[name].run("ip", "address", "add", f"{v6(net, host)}/64", "dev", port, "nodad")
            self[name].run("ip", "link", "set", port, "up")

    def _route(self, name, gateway4, gateway6, net4="default", net6="default"):
        self[name].run("ip", "route", "replace", net4, "via", gateway4)
        self[name].run("ip", "-6", "route", "replace", net6, "via", gateway6)

    def remove(self):
        for space in self.spaces.values():
            space.remove()
        self.spaces = {}

    def keep_source(self):
        """Connections that the client agent's host makes to the service have an address that stays."""
        self["agent"].run("ip", "route", "replace", BACKEND[4], "dev", "lo", "src", "127.0.0.1")
        self["agent"].run("ip", "-6", "route", "replace", BACKEND[6], "dev", "lo", "src", "::1")

    # -- faults --------------------------------------------------------------------------------

    def drop(self):
        """True silence between the agents."""
        self["link"].run("nft", "add", "rule", "inet", "fault", "forward", "drop")

    def heal(self):
        self["link"].run("nft", "flush", "chain", "inet", "fault", "forward")

    def roam(self):
        """The client agent's host gets another address on its way out."""
        old, self.agent_host = self.agent_host, self.agent_host + 1
        agent = self["agent"]
        agent.run("ip", "address", "del", f"{v4(2, old)}/24", "dev", "to-link")
        agent.run("ip", "address", "add", f"{v4(2, self.agent_host)}/24", "dev", "to-link")
        agent.run("ip", "route", "replace", "default", "via", v4(2, 1))
        self["link"].run("ip", "route", "replace", "10.203.1.0/24", "via", v4(2, self.agent_host))


class TransparentPair:
    """Agents between the hosts. `service`: the client's and the server's [services.db]; `client`,
    `server`: more tables. The rules are not applied yet."""

    def __init__(self, lab, folder, client=None, server=None, mode="redirect", services=None,
                 nft=None):
        self.lab, self.folder = lab, str(folder)
        self._sockets = []
        listen = {"mode": mode, "listen": "*:15001", "match": [f"{BACKEND[4]}:{PORT}",
                                                               f"[{BACKEND[6]}]:{PORT}"]}
        link = {**FAST, "unsafe_plaintext": True}
        nft = {"exclude": [f"mark:{18503}"], **(nft or {})}
        self.client_config = {
            "name": "edge-1", "link": {"server": [f"{SERVER[4]}:{LINK_PORT}"], **link},
            "services": {"db": {**listen, **(client or {})}}, "nft": nft,
            "admin": admin_table(self.folder, "client"), "log": {"level": "debug"}}
        target = {"target": f"{BACKEND[4]}:{PORT}"}
        self.server_config = {
            "link": {"listen": [f"{SERVER[4]}:{LINK_PORT}"], **link},
            "clients": {"edge-1": {"services": ["db"], "sources": ["10.203.1.0/24", "fd03:1::/64"]}},
            "services": {"db": {**target, **(server or {})}},
            "admin": admin_table(self.folder, "server"), "log": {"level": "debug"}}
        for extra, config in ((services or {}).get("client"), self.client_config), (
                (services or {}).get("server"), self.server_config):
            for key, value in (extra or {}).items():
                config.setdefault(key, {}).update(value)
        self.client = Agent("client", self.folder, self.client_config, lab["agent"])
        self.server = Agent("server", self.folder, self.server_config, lab["hub"])

    def start(self):
        self.server.start()
        self.client.start()
        wait_until(lambda: self.client.run("ready").returncode == 0, 10, "holdfast-client ready")
        return self

    def nft(self, agent, *words):
        """`holdfast-... nft`, on the agent's host; what succeeds says nothing of errors."""
        done = agent.space.run(agent.program, "nft", *words, "-c", agent.config)
        assert done.stderr == "", done.stderr
        return done

    def apply(self):
        self.nft(self.client, "--apply")
        self.nft(self.server, "--apply")
        return self

    def stop(self):
        for sock in self._sockets:
            sock.close()
        for agent in (self.client, self.server):
            agent.kill()

    def dial(self, where="app", family=4, address=None, port=PORT, seconds=5):
        """A socket on the host, connected to the service's own address."""
        with self.lab[where].enter():
            sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        self._sockets.append(sock)
        sock.settimeout(seconds)
        sock.connect((address or BACKEND[family], port))
        return sock

    def refused(self, **where):
        """Why a dial fails at once: "refused", or "reset" after it stood; None: it stands."""
        try:
            sock = self.dial(**where)
        except ConnectionRefusedError:
            return "refused"
        except ConnectionResetError:
            return "reset"
        try:
            sock.settimeout(1)
            sock.recv(1)
            return "ended"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return None


@contextlib.contextmanager
def service(lab, family=4, port=PORT, where="backend", address=None):
    """A listener on a host, for Python scenarios that hold both ends."""
    with lab[where].enter():
        sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address or BACKEND[family], port))
    sock.listen(16)
    sock.settimeout(5)
    try:
        yield sock
    finally:
        sock.close()
