"""The ways from an application to a service that are compared: each is two hops on loopback.

A path is started with {service: port of the service} and then has `ports` {service: port to dial}
at `host`, and `pids` of its hops. Each hop has one thread. Between two network namespaces (`place`)
the near hop, the dialling programs included, is in the one and the far hop in the other.
"""
import getpass
import os
import subprocess

from pair import BIN, Agent, free_port
from programs import ProgramFailed, Programs, children, find_program
from relay import Relay

NAME = "edge-1"
READY_S = 5.0


class Path:
    """Base: subclasses start programs in `begin`."""
    label = ""
    only = ""                          # the one measure it takes part in, or all

    def __init__(self, folder):
        self.folder = os.path.join(str(folder), type(self).__name__ + self.label.replace(" ", "-"))
        os.makedirs(self.folder, exist_ok=True)
        self.programs = Programs(self.folder)
        self.ports, self.pids = {}, []
        self.near = self.far = None
        self.host = self.far_host = "127.0.0.1"

    def place(self, wan):
        """On a wan.Wan instead of loopback."""
        self.near, self.far, self.far_host = wan.near, wan.far, wan.far_host
        return self

    def start(self, targets):
        self.ports, self.pids = {}, []
        try:
            self.begin(targets)
        except BaseException:
            self.stop()
            raise

    def begin(self, targets):
        raise NotImplementedError

    def stop(self):
        self.programs.stop_all()

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, mode)) as file:
            file.write(text)
        return path


class Direct(Path):
    label = "direct"

    def begin(self, targets):
        self.ports, self.host = dict(targets), self.far_host


def make_certificate(path):
    """A key and a self-signed certificate for localhost, in one file."""
    pem = os.path.join(path.folder, "both.pem")
    if not os.path.exists(pem):
        key, certificate = (os.path.join(path.folder, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True, timeout=20)
        path.file("both.pem", open(certificate).read() + open(key).read())
    return pem


class Haproxy(Path):
    """Two haproxy processes, plain (spliced) or with TLS 1.3 between them."""
    tls = False
    label = "haproxy"
    settings = ""

    def begin(self, targets):
        middle = {service: free_port() for service in targets}
        self.ports = {service: free_port() for service in targets}
        to_next = bind = ""
        if self.tls:
            pem = make_certificate(self)
            to_next = f" ssl verify required ca-file {pem} verifyhost localhost ssl-min-ver TLSv1.3"
            bind = f" ssl crt {pem} ssl-min-ver TLSv1.3"
        # The far hop first: the near one is dialled as soon as it listens.
        self._hop("far", (self.far_host, middle), ("127.0.0.1", targets), bind, "")
        self._hop("near", ("127.0.0.1", self.ports), (self.far_host, middle), "", to_next)

    def _hop(self, name, listen, target, bind, server):
        (host, ports), (next_host, next_ports) = listen, target
        sections = "".join(f"""
listen {service}
  bind {host}:{port}{bind}
  server s {next_host}:{next_ports[service]}{server}
""" for service, port in ports.items())
        config = self.file(f"{name}.cfg", f"""global
  nbthread 1
  maxconn 4000
{self.settings}defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{sections}""")
        process = self.programs.start_listening(["haproxy", "-db", "-f", config], next(iter(ports.values())),
                                                f"{name}.log", getattr(self, name))
        self.pids.append(process.pid)


class HaproxyTls(Haproxy):
    tls = True
    label = "haproxy TLS"


class HaproxyTlsLatency(HaproxyTls):
    """Set for latency as well as haproxy can be (its manual: tune.sched.low-latency)."""
    label = "haproxy TLS low-latency"
    settings = "  tune.sched.low-latency on\n"
    only = "ping beside bulk"


class Pair(Path):
    """holdfast-client and holdfast-server; `with_relay` puts the fault relay between them."""
    link = "plain"
    label = "holdfast"
    with_relay = False

    def begin(self, targets):
        link_port = free_port()
        self.relay = Relay((self.far_host, link_port)).start() if self.with_relay else None
        dialled = self.relay.port if self.relay else link_port
        self.ports = {service: free_port() for service in targets}
        plain = {"unsafe_plaintext": True} if self.link == "plain" else {}
        key = {"psk_file": self._key()} if self.link == "psk" else {}
        server = {"link": {"listen": [f"{self.far_host}:{link_port}"], **plain},
                  "clients": {NAME: {"services": list(targets), **key}},
                  "services": {s: {"target": f"127.0.0.1:{port}"} for s, port in targets.items()},
                  "admin": self._admin("server")}
        client = {"name": NAME,
                  "link": {"server": [f"{self.far_host}:{dialled}"], **plain, **key},
                  "services": {s: {"listen": f"127.0.0.1:{port}"} for s, port in self.ports.items()},
                  "admin": self._admin("client")}
        self.change(client)
        self.change_server(server)
        self.agents = []
        for role, config, space in (("server", server, self.far), ("client", client, self.near)):
            program = os.path.join(BIN, f"holdfast-{role}")
            if not os.access(program, os.X_OK):
                raise ProgramFailed(f"{program} is not there")
            self.agents.append(Agent(role, self.folder, config, space).start())
        self.server, self.client = self.agents
        self._wait_ready()
        self.pids = [agent.pid for agent in self.agents]

    def change(self, client):
        """Of the client's config, before it starts."""

    def change_server(self, server):
        """Likewise of the server's."""

    def _admin(self, role):
        return {"socket": os.path.join(self.folder, f"{role}.sock"),
                "metrics": f"127.0.0.1:{free_port()}"}

    def _key(self):
        result = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], timeout=10,
                                capture_output=True, text=True)
        if result.returncode:
            raise ProgramFailed(f"genpsk: {result.stderr.strip()}")
        return self.file("edge-1.psk", result.stdout)

    def _wait_ready(self):
        from streams import wait_until

        def ready():
            for agent in self.agents:
                if not agent.running:
                    last = (agent.log().strip().splitlines() or ["without a word"])[-1]
                    raise ProgramFailed(f"holdfast-{agent.role} ended: {last}")
            return self.client.run("ready").returncode == 0
        try:
            wait_until(ready, READY_S, "holdfast-client ready")
        except AssertionError as error:
            last = (self.client.log().strip().splitlines() or [""])[-1]
            raise ProgramFailed(f"{error}; {last}") from None

    def stop(self):
        for agent in reversed(getattr(self, "agents", [])):
            if agent.running:
                agent.process.terminate()
                try:
                    agent.process.wait(3)
                except subprocess.TimeoutExpired:
                    pass
            agent.kill()
        self.agents = []
        if getattr(self, "relay", None):
            self.relay.stop()
            self.relay = None
        super().stop()


class PairTls(Pair):
    link = "psk"
    label = "holdfast TLS"


class PairTlsParallel(PairTls):
    """Four links in place of one, each with a carrier of its own."""
    label = "holdfast TLS parallel"

    def change(self, client):
        client["link"]["parallel"] = 4


class PairTlsThreads(PairTls):
    """Two loop threads in each agent, with a link on each."""
    label = "holdfast TLS threads"

    def change(self, client):
        client["threads"] = client["link"]["parallel"] = 2

    def change_server(self, server):
        server["threads"] = 2


class PairRedirect(Pair):
    """Nobody listens where the programs connect: nftables turns them to the client agent. The rules are
    those of `holdfast-client nft`; bench.py gives this run a network namespace of its own for them."""
    label = "holdfast redirect"

    def change(self, client):
        for service, port in self.ports.items():
            client["services"][service] = {"mode": "redirect", "listen": f"*:{free_port()}",
                                           "match": f"127.0.0.1:{port}"}
        client["nft"] = {"exclude": "mark:18503"}

    def begin(self, targets):
        super().begin(targets)
        self._nft("--apply")

    def _nft(self, what):
        done = subprocess.run([self.client.program, "nft", what, "-c", self.client.config], timeout=10,
                              capture_output=True, text=True)
        if done.returncode:
            raise ProgramFailed(f"holdfast-client nft {what}: {done.stderr.strip()}")

    def stop(self):
        if getattr(self, "agents", []):
            self._nft("--remove")
        super().stop()


class Stunnel(Path):
    """stunnel at both ends, TLS between."""
    label = "stunnel"

    def begin(self, targets):
        pem = make_certificate(self)
        middle = {service: free_port() for service in targets}
        self.ports = {service: free_port() for service in targets}
        self._hop("far", (self.far_host, middle), ("127.0.0.1", targets), f"cert = {pem}")
        self._hop("near", ("127.0.0.1", self.ports), (self.far_host, middle),
                  f"client = yes\nverifyChain = yes\nCAfile = {pem}")

    def _hop(self, name, listen, target, tls):
        (host, ports), (next_host, next_ports) = listen, target
        sections = "".join(f"""
[{service}]
accept = {host}:{port}
connect = {next_host}:{next_ports[service]}
TIMEOUTclose = 0
{tls}
""" for service, port in ports.items())
        config = self.file(f"{name}.conf", "foreground = yes\nsyslog = no\ndebug = err\npid =\n"
                           "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n" + sections)
        process = self.programs.start_listening(["stunnel", config], next(iter(ports.values())),
                                                f"{name}.log", getattr(self, name))
        self.pids.append(process.pid)


class Ssh(Path):
    """ssh -L: all connections in one, as in a link, but without its surviving."""
    label = "ssh"

    def begin(self, targets):
        for name in ("host", "user"):
            key = os.path.join(self.folder, f"ssh-{name}")
            if not os.path.exists(key):
                subprocess.run([find_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key],
                               check=True, timeout=20)
        os.makedirs("/run/sshd", exist_ok=True)
        port = free_port()
        config = self.file("sshd_config", f"""ListenAddress {self.far_host}:{port}
HostKey {self.folder}/ssh-host
AuthorizedKeysFile {self.folder}/ssh-user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
""")
        far = self.programs.start_listening([find_program("sshd"), "-D", "-e", "-f", config], port,
                                            "sshd.log", self.far)
        self.ports = {service: free_port() for service in targets}
        forwards = [word for service, local in self.ports.items()
                    for word in ("-L", f"127.0.0.1:{local}:127.0.0.1:{targets[service]}")]
        near = self.programs.start_listening(
            ["ssh", "-N", "-F", "none", "-i", f"{self.folder}/ssh-user", "-p", str(port),
             "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder}/known",
             "-o", "ExitOnForwardFailure=yes", *forwards, f"{getpass.getuser()}@{self.far_host}"],
            next(iter(self.ports.values())), "ssh.log", self.near)
        self.pids = [near.pid, far.pid, *children(far.pid)]


ALL = (Direct, Haproxy, HaproxyTls, HaproxyTlsLatency, Pair, PairTls, PairTlsParallel, PairTlsThreads,
       PairRedirect, Stunnel, Ssh)
# Only where asked for.
UNUSUAL = (PairTlsParallel, PairTlsThreads, PairRedirect, Stunnel, Ssh)
