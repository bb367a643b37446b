"""Two hosts as network namespaces and equal paths between them, one for the pair and one for bare TCP.

    with Lab(folder, shape) as lab:        near == pair == far, near == bare == far
        lab.ways["pair"].connect("echo"), lab.ways["bare"].connect("echo")
        lab.change("both", blocked=1)      both paths, at once

`place` says where the pair's path lies: between the agents, between the server agent and the services
("service"), or between the applications and the client agent ("application").
"""
import itertools
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import netns
from pair import BIN, NAME, Agent, write_key
from pki import make_certificates, tls
from programs import ProgramFailed
from far_services import FarServices
from streams import wait_until

EMULATOR = os.path.join(BIN, "path-emulator")
NETS = {"pair": "10.203.1", "bare": "10.203.2"}
READY_S = 60.0                          # on a path of 64 kbit/s or a round trip of 5 s
LINK_PORT = 7443
FIRST_PORT = 5001                       # of the agents: the namespaces have no other owner of ports
MTU = 1500


class Emulator:
    """The program that carries the packets of both paths."""

    def __init__(self, folder, near, far, seed):
        if not os.access(EMULATOR, os.X_OK):
            raise ProgramFailed(f"{EMULATOR} is not there")
        self._log = open(os.path.join(folder, "emulator.log"), "w")
        words = [f"{name}:{near.name}:{far.name}:{seed}" for name in NETS]
        self._process = subprocess.Popen([EMULATOR, *words], stdin=subprocess.PIPE, text=True,
                                         stdout=subprocess.PIPE, stderr=self._log)
        self._lock = threading.Lock()
        if self._process.stdout.readline() != "ready\n":
            raise ProgramFailed(f"no paths: {open(self._log.name).read()}")

    def ask(self, *words):
        with self._lock:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise ProgramFailed(f"path-emulator: {' '.join(map(str, words))}: {answer}")
        return answer

    def stats(self, name):
        return json.loads(self.ask(name, "stats"))

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Way:
    """How applications reach the services: where they are, and at which address of which service."""

    def __init__(self, name, lab, addresses):
        self.name, self._space, self._addresses = name, lab.near, addresses
        self.services, self.lab = lab.services, lab

    def connect(self, service, timeout=60):
        with self._space.enter():
            sock = socket.socket()
        sock.settimeout(timeout)
        sock.connect(self._addresses[service])
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class Lab:
    def __init__(self, folder, shape, place="between", link=None, seed=1, sysctls=None, certificates=False):
        self.folder, self.place, self._shape = folder, place, shape
        self._certificates = certificates
        self._link, self._seed, self._sysctls = link or {}, seed, sysctls or {}
        self._spaces, self.agents, self.emulator, self.services = [], [], None, None
        self._free_ports = itertools.count(FIRST_PORT)
        self.slow = threading.Event()    # Resume: the paths are slow now

    def __enter__(self):
        try:
            self._make_hosts()
            self._make_services()
            for way, keys in self._shape.items():
                self.change(way, **keys)
            self._start_agents()
            self.ways = {"pair": self._pair_way(), "bare": self._bare_way()}
            for name, way in self.ways.items():
                way.rival = self._rival_way(name)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for agent in reversed(self.agents):
            if agent.running:
                agent.process.terminate()
        for agent in reversed(self.agents):
            try:
                agent.process.wait(3)
            except subprocess.TimeoutExpired:
                agent.kill()
        if self.services:
            self.services.close()
        if self.emulator:
            self.emulator.stop()
        for space in self._spaces:
            space.remove()

    # -- building --------------------------------------------------------------------------------

    def _make_hosts(self):
        self.near, self.far = self._space("near"), self._space("far")
        self.emulator = Emulator(self.folder, self.near, self.far, self._seed)
        for name, net in NETS.items():
            for space, host in ((self.near, 1), (self.far, 2)):
                space.run("ip", "address", "add", f"{net}.{host}/24", "dev", name)
                space.run("ip", "link", "set", name, "addrgenmode", "none")   # no IPv6, no chatter
                space.run("ip", "link", "set", name, "up", "mtu", str(MTU), "txqueuelen", "1000")

    def _space(self, what):
        space = netns.Namespace(f"hf-{os.getpid()}-{what}")
        self._spaces.append(space)
        space.run("ip", "link", "set", "lo", "up")
        for key, value in self._sysctls.items():
            space.run("sysctl", "-qw", f"{key}={value}")
        return space

    def _make_services(self):
        with self.far.enter():
            self.services = FarServices()
        self.services.start()

    def _start_agents(self):
        """Each in the namespace that its place in the picture says."""
        client_space = self.far if self.place == "application" else self.near
        server_space = self.near if self.place == "service" else self.far
        link_host = f"{NETS['pair']}.2" if self.place == "between" else "127.0.0.1"
        self._client_host = f"{NETS['pair']}.2" if self.place == "application" else "127.0.0.1"
        target_host = f"{NETS['pair']}.2" if self.place == "service" else "127.0.0.1"
        self._ports = {service: next(self._free_ports) for service in self.services.ports}
        proof = self._proof(link_host)
        server = {"link": {"listen": [f"{link_host}:{LINK_PORT}"], **proof["server"], **self._link},
                  "clients": {NAME: {"services": list(self._ports), **proof["entry"]}},
                  "services": {service: {"target": f"{target_host}:{port}"}
                               for service, port in self.services.ports.items()},
                  "admin": self._admin("server")}
        client = {"name": NAME,
                  "link": {"server": [f"{link_host}:{LINK_PORT}"], **proof["client"], **self._link},
                  "services": {service: {"listen": f"{self._client_host}:{port}"}
                               for service, port in self._ports.items()},
                  "admin": self._admin("client")}
        for role, config, space in (("server", server, server_space), ("client", client, client_space)):
            self.agents.append(Agent(role, self.folder, config, space).start())
        self.server, self.client = self.agents

    def _proof(self, host):
        """What shows who is who: a key, or certificates."""
        if not self._certificates:
            key = {"psk_file": write_key(self.folder)}
            return {"server": {}, "client": key, "entry": key}
        made = make_certificates(pathlib.Path(self.folder) / "pki", host, NAME)
        return {"server": {"tls": tls(made, "server")}, "entry": {},
                "client": {"tls": {**tls(made, NAME), "server_name": host}}}

    def wait_ready(self):
        """Gives how long it took."""
        began = time.monotonic()
        wait_until(lambda: self.client.run("ready").returncode == 0, READY_S, "holdfast-client ready")
        return time.monotonic() - began

    def _admin(self, role):
        return {"socket": os.path.join(self.folder, f"{role}.sock"),
                "metrics": f"127.0.0.1:{next(self._free_ports)}"}

    def _pair_way(self):
        return Way("pair", self, {service: (self._client_host, port)
                                 for service, port in self._ports.items()})

    def _bare_way(self):
        return Way("bare", self, {service: (f"{NETS['bare']}.2", port)
                                 for service, port in self.services.ports.items()})

    def _rival_way(self, name):
        """Bare TCP over the path of the way `name`."""
        return Way("rival", self, {service: (f"{NETS[name]}.2", port)
                                  for service, port in self.services.ports.items()})

    # -- faults and what was seen ------------------------------------------------------------------

    def change(self, direction, **keys):
        """Both paths; up, down or both ways."""
        for name in NETS:
            self.emulator.ask(name, direction, *(f"{key}={value}" for key, value in keys.items()))

    def answer_syns(self, yes):
        for name in NETS:
            self.emulator.ask(name, "answer_syns", int(yes))

    def carriers_lost(self):
        return len(self.client.events("link_down"))
