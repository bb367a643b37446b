"""A client that behaves, beside attackers: ping-pong and throughput, and the server's peak memory.

Every attack runs as a program of its own, and takes CPU time from this machine, which the attackers
of a real server do not: so it is a nice program (nice(1)), and the first rows are no attack, and such
programs that only burn one core and both.

    scripts/bench --only attack
"""
import argparse
import collections
import contextlib
import itertools
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

import measures
import paths
import rawlink
from pair import REPOSITORY, Agent, free_port
from programs import ProgramFailed, die_on_signals, die_with_parent
from report import number, table

HOST = "127.0.0.1"
EVIL = "evil"
MEMORY_MIB, EVIL_MEMORY_MIB, EVIL_CONNECTIONS = 64, 16, 1000
STRANGERS = 1000                   # sockets that a flood holds at a time
LEAD_S = 1.0                       # an attack runs this long before anything is measured

Row = collections.namedtuple("Row", "attack ping_p50_us ping_p99_us gbps peak_mib per_second")


# -- attackers: programs of their own --------------------------------------------------------------

class Count:
    """What an attacker did, for its log when it is ended."""
    done = 0


def tls_context(made):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(os.path.join(made, "ca.pem"))
    context.load_cert_chain(os.path.join(made, f"{EVIL}.pem"), os.path.join(made, f"{EVIL}.key"))
    return context


def client_hello(made):
    """A good first message, as any client says it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = tls_context(made).wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def admitted(port, made):
    """A link of the evil client's, whose certificate is good."""
    sock = tls_context(made).wrap_socket(socket.create_connection((HOST, port), 5))
    raw = rawlink.RawLink(port, name=EVIL, sock=sock)
    raw.greet()
    return raw


def throw_away(raw):
    """Reads what is there; Ended at the end."""
    while raw.sock.pending() or select.select([raw.sock], [], [], 0)[0]:
        if not raw.sock.recv(1 << 18):
            raise rawlink.Ended


def strangers(port, hello, count):
    sockets = collections.deque()
    while True:
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.connect((HOST, port))
        with contextlib.suppress(OSError):
            sock.send(hello)
        sockets.append(sock)
        count.done += 1
        if len(sockets) >= STRANGERS:
            sockets.popleft().close()


def silent_strangers(port, _made, count):
    strangers(port, b"", count)


def tls_strangers(port, made, count):
    strangers(port, client_hello(made), count)


def again_and_again(port, made, count, frames_of):
    """Sends what frames_of makes of each stream id; a new link when it is dropped."""
    while True:
        with contextlib.suppress(OSError, rawlink.Ended):
            raw = admitted(port, made)
            for stream in itertools.count(1, 100):
                raw.send(*(frame for n in range(stream, stream + 100) for frame in frames_of(n)))
                count.done += 100
                throw_away(raw)


def opens(port, made, count):
    again_and_again(port, made, count, lambda n: [rawlink.open_stream(n, "echo")])


def opens_and_resets(port, made, count):
    again_and_again(port, made, count, lambda n: [rawlink.open_stream(n, "echo"), rawlink.reset(n)])


def never_acks(port, made, count):
    """Asks for all that a source has, reads it, says of none that it was delivered."""
    raw = admitted(port, made)
    raw.send(*(rawlink.open_stream(n, "source", rawlink.MAX_LIMIT) for n in range(1, 101)))
    beat = time.monotonic()
    while True:
        if select.select([raw.sock], [], [], 0.1)[0]:
            count.done += len(raw.sock.recv(1 << 18))
        if time.monotonic() - beat > 0.5:
            raw.send(rawlink.frame(rawlink.PING, bytes(8)))
            beat = time.monotonic()


def never_reads(port, made, count):
    """Asks for all that a source has, and takes nothing of it; a new link when it is dropped."""
    while True:
        raw = admitted(port, made)
        with contextlib.suppress(OSError, rawlink.Ended):
            raw.send(*(rawlink.open_stream(n, "source", rawlink.MAX_LIMIT) for n in range(1, 101)))
            while True:
                raw.send(*[rawlink.frame(rawlink.PING, bytes(8))] * 100)
                count.done += 100
        raw.close()


def garbage(port, made, count):
    while True:
        with contextlib.suppress(OSError, rawlink.Ended):
            raw = admitted(port, made)
            raw.send(os.urandom(4096))
            raw.ended(5)
            raw.close()
            count.done += 1


def burn(_port, _made, count):
    while True:
        count.done += 1


def burn_all(port, made, count):
    for _ in range(1, os.cpu_count()):
        if os.fork() == 0:
            die_with_parent()
            break
    burn(port, made, count)


# What it is called, the program, what its count counts.
ATTACKS = {
    "burn": ("a program that burns one core", burn, ""),
    "burn-all": ("programs that burn all cores", burn_all, ""),
    "silent-strangers": ("strangers: sockets that say nothing", silent_strangers, "sockets"),
    "tls-strangers": ("strangers: TLS up to the certificate", tls_strangers, "handshakes"),
    "opens": ("admitted: OPENs without end", opens, "OPENs"),
    "resets": ("admitted: OPEN and RESET without end", opens_and_resets, "pairs"),
    "never-acks": ("admitted: never acks", never_acks, "bytes"),
    "never-reads": ("admitted: never reads, PINGs", never_reads, "PINGs"),
    "garbage": ("admitted: garbage, and again", garbage, "links"),
}


def attack():
    """This file as a program: attacks until it is ended, then prints how often."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=ATTACKS)
    parser.add_argument("port", type=int)
    parser.add_argument("made")
    options = parser.parse_args()
    die_on_signals()
    os.nice(19)
    count, began = Count(), time.monotonic()
    try:
        ATTACKS[options.kind][1](options.port, options.made, count)
    finally:
        print(f"count {count.done / (time.monotonic() - began):.0f}", flush=True)


# -- the besieged ----------------------------------------------------------------------------------

class Source:
    """A service that sends as much as is taken."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._pour, args=(sock,), daemon=True).start()

    @staticmethod
    def _pour(sock):
        with sock, contextlib.suppress(OSError):
            while True:
                sock.sendall(bytes(1 << 16))

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Besieged(paths.Pair):
    """One server: a client with a key, which behaves, and one with a certificate, which does not."""
    label = "besieged"

    def begin(self, targets):
        made = self.made = os.path.join(self.folder, "pki")
        subprocess.run([os.path.join(REPOSITORY, "scripts", "make-certs"), made, HOST, EVIL],
                       check=True, capture_output=True, timeout=30)
        self.link_port = free_port()
        self.relay = None
        self.ports = {service: free_port() for service in ("iperf", "sockperf")}
        key = {"psk_file": self._key()}
        server = {
            "link": {"listen": [f"{HOST}:{self.link_port}"],
                     "tls": {"ca_file": f"{made}/ca.pem", "cert_file": f"{made}/server.pem",
                             "key_file": f"{made}/server.key"}},
            "clients": {paths.NAME: {"services": ["iperf", "sockperf"], **key},
                        EVIL: {"services": ["echo", "source"], "connections": EVIL_CONNECTIONS,
                               "memory": f"{EVIL_MEMORY_MIB}MiB"}},
            "services": {s: {"target": f"{HOST}:{port}"} for s, port in targets.items()},
            "limits": {"memory": f"{MEMORY_MIB}MiB"}, "admin": self._admin("server")}
        client = {"name": paths.NAME, "link": {"server": [f"{HOST}:{self.link_port}"], **key},
                  "services": {s: {"listen": f"{HOST}:{port}"} for s, port in self.ports.items()},
                  "admin": self._admin("client")}
        self.agents = [Agent("server", self.folder, server).start(),
                       Agent("client", self.folder, client).start()]
        self.server, self.client = self.agents
        self._wait_ready()
        self.pids = [agent.pid for agent in self.agents]


def forget_peak(pid):
    """See proc(5), clear_refs."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def measure(path, kind, seconds, backends):
    """One Row."""
    log = f"{kind}.log"
    attacker = None
    forget_peak(path.server.pid)
    try:
        if kind:
            attacker = path.programs.start(
                [sys.executable, os.path.abspath(__file__), kind, path.link_port, path.made], log)
            time.sleep(LEAD_S)
        ping = measures.percentiles(path, seconds)
        backends.restart_iperf()
        gbps = measures.run_iperf(path, seconds, 1, False)["bits_per_second"] / 1e9
        if attacker and attacker.poll() is not None:
            raise ProgramFailed(f"the attacker ended by itself:\n{path.programs.tail(log)}")
    finally:
        if attacker:
            path.programs.stop(attacker)
    counted = [line.split()[1] for line in path.programs.tail(log).splitlines()
               if line.startswith("count ")] if kind else []
    per_second = float(counted[-1]) if counted else None
    return Row(kind, ping[50.0], ping[99.0], gbps, peak_mib(path.server.pid), per_second)


def run(folder, rounds, seconds, backends, progress, failures):
    """Rows of all rounds, attack by attack within each; what could not be measured goes to failures."""
    rows, source = [], Source()
    path = Besieged(folder)
    targets = {**backends.ports, "source": source.listener.getsockname()[1]}
    try:
        for turn in range(rounds):
            path.start({name: targets[name] for name in ("iperf", "sockperf", "echo", "source")})
            for kind in (None, *ATTACKS):
                progress.show(f"attacks, round {turn + 1} of {rounds}: {kind or 'none'}")
                try:
                    rows.append(measure(path, kind, seconds, backends))
                except ProgramFailed as error:
                    progress.end()
                    print(f"Failed: attacks: {kind}: {error}")
                    failures.append(f"attacks: {kind}: {error}")
            path.stop()
    finally:
        path.stop()
        source.close()
    return rows


def medians(rows):
    """One Row for each attack, in the order of running."""
    by_attack = {}
    for row in rows:
        by_attack.setdefault(row.attack, []).append(row)

    def middle(values):
        values = sorted(value for value in values if value is not None)
        return values[len(values) // 2] if values else None
    return [Row(attack, *(middle(getattr(row, field) for row in group) for field in Row._fields[1:]))
            for attack, group in by_attack.items()]


def show(rows):
    lines = []
    for row in medians(rows):
        title, _, unit = ATTACKS[row.attack] if row.attack else ("no attack", None, "")
        rate = f"{number(row.per_second)} {unit}/s" if row.per_second and unit else "-"
        lines.append([title, number(row.ping_p50_us), number(row.ping_p99_us), number(row.gbps),
                      number(row.peak_mib), rate])
    head = [f"a client beside attacks (server: memory = {MEMORY_MIB}MiB)", "ping p50 µs",
            "ping p99 µs", "Gbit/s", "peak MiB", "the attack did"]
    return table(head, lines)


def as_json(rows):
    return {"memory_mib": MEMORY_MIB, "evil_memory_mib": EVIL_MEMORY_MIB,
            "evil_connections": EVIL_CONNECTIONS, "rows": [row._asdict() for row in rows]}


if __name__ == "__main__":
    attack()
