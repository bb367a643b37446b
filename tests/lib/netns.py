"""Two hosts and a router between them, as network namespaces: client -- router -- server.

The faults are the kernel's own: a link that goes down, an address that changes (roaming), routes that
vanish, nftables in the router that drop (true silence) or reject. Needs root.
"""
import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess

CLONE_NEWNET = 0x40000000
CLIENT_NET, SERVER_NET = "10.201.1", "10.201.2"
SERVER_ADDRESS = f"{SERVER_NET}.2"
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def run(*command, check=True, text=None):
    result = subprocess.run(command, capture_output=True, text=True, input=text)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result


def why_unavailable():
    """None where namespaces can be made, else the reason."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"hf-{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "nft", "list", "ruleset")
    except (RuntimeError, FileNotFoundError) as error:
        return f"network namespaces are not available: {error}"
    finally:
        if os.path.exists(f"/run/netns/{name}"):
            run("ip", "netns", "del", name, check=False)
    return None


class Namespace:
    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)

    @property
    def prefix(self):
        """Before a command's words: the command runs inside, with the same pid."""
        return ["ip", "netns", "exec", self.name]

    def run(self, *command, text=None, check=True):
        return run(*self.prefix, *command, text=text, check=check)

    @contextlib.contextmanager
    def enter(self):
        """Sockets that this thread makes inside the block belong to the namespace for good. So
        would threads: start none here."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if _libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            if _libc.setns(home, CLONE_NEWNET):
                os._exit(70)                 # nothing may go on in the wrong namespace
            os.close(home)
            os.close(there)

    def kill_all(self):
        """What still runs inside: sessions that a server left behind when it was stopped."""
        for pid in run("ip", "netns", "pids", self.name, check=False).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)


class Lab:
    """The three namespaces; remove() takes all of it away."""

    def __init__(self):
        base = f"hf-{os.getpid()}-{next(_numbers)}"
        self._spaces = []
        self.client_host = 2
        try:
            self.client = self._add(f"{base}-c")
            self.router = self._add(f"{base}-r")
            self.server = self._add(f"{base}-s")
            self._wire(self.client, CLIENT_NET)
            self._wire(self.server, SERVER_NET)
            self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.router.run("nft", "add", "table", "inet", "fault")
            self.router.run("nft", "add chain inet fault forward "
                            "{ type filter hook forward priority 0; }")
        except BaseException:
            self.remove()
            raise

    def _add(self, name):
        space = Namespace(name)
        self._spaces.append(space)
        space.run("ip", "link", "set", "lo", "up")
        return space

    def _wire(self, host, net):
        port = "to-client" if host is self.client else "to-server"
        run("ip", "link", "add", "up0", "netns", host.name, "type", "veth",
            "peer", "name", port, "netns", self.router.name)
        self.router.run("ip", "address", "add", f"{net}.1/24", "dev", port)
        self.router.run("ip", "link", "set", port, "up")
        host.run("ip", "address", "add", f"{net}.2/24", "dev", "up0")
        host.run("ip", "link", "set", "up0", "up")
        host.run("ip", "route", "add", "default", "via", f"{net}.1")

    def remove(self):
        for space in self._spaces:
            space.remove()
        self._spaces = []

    # -- faults --------------------------------------------------------------------------------

    def link_down(self):
        """The client's cable is pulled; its kernel also forgets the routes over it."""
        self.client.run("ip", "link", "set", "up0", "down")

    def link_up(self):
        self.client.run("ip", "link", "set", "up0", "up")
        self.client.run("ip", "route", "replace", "default", "via", f"{CLIENT_NET}.1")

    def change_address(self):
        """The client host roams: the old address is gone, a new one is there."""
        old, self.client_host = self.client_host, self.client_host + 1
        self.client.run("ip", "address", "del", f"{CLIENT_NET}.{old}/24", "dev", "up0")
        self.client.run("ip", "address", "add", f"{CLIENT_NET}.{self.client_host}/24", "dev", "up0")
        self.client.run("ip", "route", "replace", "default", "via", f"{CLIENT_NET}.1")

    def remove_route(self):
        self.client.run("ip", "route", "del", "default")

    def restore_route(self):
        self.client.run("ip", "route", "replace", "default", "via", f"{CLIENT_NET}.1")

    def drop(self, direction="both"):
        """True silence in the router: up is client to server."""
        self._rules("counter drop", direction)

    def reject(self):
        """Every packet is answered with a RST, as a firewall that lost its state does."""
        self._rules("meta l4proto tcp counter reject with tcp reset", "both")

    def lose(self, percent):
        """So many packets in a hundred are lost by chance, each way."""
        self._rules(f"numgen random mod 100 < {percent} counter drop", "both")

    def drop_large(self, size, direction="both"):
        """Packets of more bytes vanish without a word, as in a tunnel that is too narrow."""
        for host in (self.client, self.server):     # else the rule sees several segments as one packet
            host.run("ip", "link", "set", "dev", "up0", "gso_max_segs", "1")
        self._rules(f"meta length > {size} counter drop", direction)

    def limit_rate(self, mbit):
        """The path carries so much each way; who comes faster waits for up to 50 ms, then is lost."""
        for port in ("to-client", "to-server"):
            self.router.run("tc", "qdisc", "replace", "dev", port, "root", "tbf", "rate", f"{mbit}mbit",
                            "burst", "64kb", "latency", "50ms")

    def _rules(self, verdict, direction):
        for name, port in (("up", "to-client"), ("down", "to-server")):
            if direction in (name, "both"):
                self.router.run("nft", "add", "rule", "inet", "fault", "forward",
                                f"iifname {port} {verdict}")

    def packets_hit(self):
        """How many packets the router's present rules have dropped or rejected."""
        rules = self.router.run("nft", "list", "chain", "inet", "fault", "forward").stdout
        return sum(map(int, re.findall(r"counter packets (\d+)", rules)))

    def heal(self):
        self.router.run("nft", "flush", "chain", "inet", "fault", "forward")
