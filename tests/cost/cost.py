"""Instructions of both real agents for each HTTP request, connection and MiB, by callgrind. See scripts/check-cost."""
import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

from building import ROOT, BuildFailed, build, build_commit, run
from programs import Programs, ProgramFailed, die_on_signals, listens, start_nginx
from streams import wait_until

BASELINE = os.path.join(ROOT, "tests", "cost", "baseline.json")
ROLES = ("client", "server")
AGENTS = [f"holdfast-{role}" for role in ROLES]
PAGE_BYTES = 1024
MIB = 1024 * 1024
# Two runs differ in these many operations: what starting and ending cost cancels out.
LENGTHS = {"http": (200, 1700), "connection": (200, 1200), "up": (8, 40), "down": (8, 40)}
TITLES = {"http": "HTTP request, kept alive, 1 KiB", "connection": "connection with one HTTP request",
          "up": "MiB up", "down": "MiB down"}
# Bounds only: under callgrind on a crowded machine a handshake takes minutes.
START_S, END_S, TALK_S = 600, 300, 1200


def wrap(programs, folder):
    """A folder with the agents as they run under callgrind; subcommands run as they are."""
    wrapped = os.path.join(folder, "bin")
    os.makedirs(wrapped)
    for agent in AGENTS:
        path = os.path.join(wrapped, agent)
        with open(path, "w") as file:
            file.write(f"""#!/bin/sh
case "$1" in
  -c) HOLDFAST_KEEPER=no exec valgrind --tool=callgrind --callgrind-out-file=/dev/null \\
        --log-file="${{2%.toml}}.callgrind" {programs}/{agent} "$@" ;;
  *) exec {programs}/{agent} "$@" ;;
esac
""")
        os.chmod(path, 0o755)
    return wrapped


def counted_pair():
    """The pair over its default link. Imported late: pair.py asks for HOLDFAST_BIN when it is read."""
    from paths import PairTls

    class Counted(PairTls):
        label = "counted"

        def _wait_ready(self):
            # The log and the kernel, not the admin socket: each question would be counted.
            wait_until(lambda: self.client.events("link_up"), START_S, "the link is up")
            for port in self.ports.values():
                wait_until(lambda: listens(self.client.pid, port), START_S, "the client agent listens")

        def end(self):
            """{role: instructions} of the whole life."""
            counts = {}
            for agent in self.agents:
                agent.process.terminate()
            for agent in self.agents:
                if agent.process.wait(END_S) != 0:
                    raise ProgramFailed(f"holdfast-{agent.role} ended with {agent.process.returncode}")
                with open(os.path.join(self.folder, f"{agent.role}.callgrind")) as file:
                    counts[agent.role] = int(re.search(r"Collected : (\d+)", file.read())[1])
            return counts
    return Counted


class Bulk:
    """A service that takes all that it is sent, or sends for as long as it is read."""

    def __init__(self, down):
        self.down = down
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        block = bytes(MIB)
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                if self.down:
                    for _ in range(int.from_bytes(sock.recv(4), "big")):
                        sock.sendall(block)
                else:
                    while sock.recv(MIB):
                        pass
                    sock.sendall(b"done")

    def close(self):
        self.listener.close()


def talk_http(port, count):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=TALK_S)
    client.connect()
    first = client.sock
    for _ in range(count):
        client.request("GET", "/page")
        if len(client.getresponse().read()) != PAGE_BYTES or client.sock is not first:
            raise ProgramFailed("HTTP: not the page, or not the same connection")
    client.close()


def talk_connections(port, count):
    for _ in range(count):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=TALK_S)
        client.request("GET", "/page")
        if len(client.getresponse().read()) != PAGE_BYTES:
            raise ProgramFailed("HTTP: not the page")
        client.close()


def talk_bulk(port, count, down):
    block = bytes(MIB)
    with socket.create_connection(("127.0.0.1", port), timeout=TALK_S) as sock:
        left = count * MIB if down else len(b"done")
        if down:
            sock.sendall(count.to_bytes(4, "big"))
        else:
            for _ in range(count):
                sock.sendall(block)
            sock.shutdown(socket.SHUT_WR)
        while left:
            data = sock.recv(MIB)
            if not data:
                raise ProgramFailed("the transfer ended early")
            left -= len(data)


class Backends:
    """The services, one set for all runs."""

    def __init__(self, folder):
        from pair import free_port
        self.programs = Programs(folder)
        root = os.path.join(folder, "root")
        os.makedirs(root)
        with open(os.path.join(root, "page"), "wb") as file:
            file.write(b"x" * PAGE_BYTES)
        port = free_port()
        start_nginx(self.programs, port, root, directives="keepalive_requests 1000000;")
        self.bulk = {"up": Bulk(down=False), "down": Bulk(down=True)}
        self.ports = {"http": port, "connection": port, **{name: bulk.port for name, bulk in self.bulk.items()}}

    def close(self):
        self.programs.stop_all()
        for bulk in self.bulk.values():
            bulk.close()


def count(folder, backends, what, length):
    """{role: instructions} of a pair that does `length` operations and ends."""
    pair = counted_pair()(tempfile.mkdtemp(dir=folder))
    pair.start({what: backends.ports[what]})
    try:
        if what == "http":
            talk_http(pair.ports[what], length)
        elif what == "connection":
            talk_connections(pair.ports[what], length)
        else:
            talk_bulk(pair.ports[what], length, down=what == "down")
        return pair.end()
    finally:
        pair.stop()


def measure(programs, rounds, only):
    """{what: {role: [instructions an operation, by round]}}"""
    values = {what: {role: [] for role in ROLES} for what in LENGTHS if not only or what in only}
    with tempfile.TemporaryDirectory(prefix="holdfast-cost-") as folder:
        os.environ["HOLDFAST_BIN"] = wrap(programs, folder)
        backends = Backends(folder)
        try:
            for number in range(rounds):
                for what in values:
                    few, many = LENGTHS[what]
                    print(f"counting {what}, round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
                    less, more = (count(folder, backends, what, length) for length in (few, many))
                    for role in ROLES:
                        values[what][role].append((more[role] - less[role]) / (many - few))
                    told = ", ".join(f"{role} {values[what][role][-1]:,.0f}" for role in ROLES)
                    print(f"{TITLES[what]}: {told}", file=sys.stderr, flush=True)
        finally:
            backends.close()
    return values


def conditions(build_folder):
    """What the numbers depend on: the sources, and all else."""
    with open(os.path.join(build_folder, "CMakeCache.txt")) as file:
        cache = dict(re.findall(r"(?m)^(\w+):\w+=(.*)$", file.read()))
    source = cache["CMAKE_HOME_DIRECTORY"]
    with open(os.path.join(source, "CMakeLists.txt")) as file:
        release = re.search(r'set\(CMAKE_CXX_FLAGS_RELEASE "(.*)"\)', file.read())[1]
    compiler = run([cache["CMAKE_CXX_COMPILER"], "--version"]).splitlines()[0]
    libraries = {name: run(["dpkg-query", "-W", "-f=${Version}", name]).strip()
                 for name in ("libc6", "libssl3", "libuv1", "valgrind")}
    with open("/proc/cpuinfo") as file:
        processor = re.search(r"model name\s*: (.*)", file.read())
    return {"commit": commit_of(source), "compiler": compiler,
            "flags": f"{cache['CMAKE_CXX_FLAGS']} {release}".strip(), "libraries": libraries,
            "processor": processor[1] if processor else "unknown"}


def commit_of(source):
    """Of the folder's sources; those of build_commit() have no git of their own."""
    if not os.path.exists(os.path.join(source, ".git")):
        return None
    commit = run(["git", "-C", source, "rev-parse", "HEAD"]).strip()
    changed = subprocess.run(["git", "-C", source, "diff", "--quiet", "HEAD", "--", "common"]).returncode
    return commit + (" and changes" if changed else "")


def medians(values):
    return {what: {role: round(statistics.median(rounds)) for role, rounds in roles.items()}
            for what, roles in values.items()}


def spread(rounds):
    """How far apart the rounds lie, in parts of their median."""
    return (max(rounds) - min(rounds)) / statistics.median(rounds)


def compare(values, baseline, limit):
    """(lines of a table, what became dearer by more than the limit)"""
    lines = [f"{'instructions for each':<34}{'agent':<8}{'baseline':>12}{'now':>12}{'change':>9}{'spread':>9}"]
    dearer = []
    for what, roles in values.items():
        for role, rounds in roles.items():
            now, then = statistics.median(rounds), baseline["values"][what][role]
            change = now / then - 1
            lines.append(f"{TITLES[what]:<34}{role:<8}{then:>12,}{round(now):>12,}{change:>+9.1%}"
                         f"{spread(rounds):>9.1%}")
            if change > limit:
                noisy = spread(rounds) > limit or (baseline.get("spread", {}).get(what, {}).get(role) or 0) > limit
                dearer.append(f"{TITLES[what]}, {role}: {change:+.1%}"
                              + (" (the rounds, or the baseline's, lie farther apart than the limit: "
                                 "measure both on a quiet machine)" if noisy else ""))
    return lines, dearer


def parse():
    parser = argparse.ArgumentParser(prog="scripts/check-cost", description=(
        "Instructions of holdfast-client and holdfast-server under callgrind, over the default link, beside "
        "tests/cost/baseline.json. Exits 1 when any is dearer by more than the limit."))
    parser.add_argument("--limit", type=float, default=3, metavar="PERCENT", help="(3)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="of which the median counts (1)")
    parser.add_argument("--only", nargs="+", choices=list(LENGTHS), help="not all of them")
    parser.add_argument("--commit", help="the agents of this commit, not those of the sources here")
    parser.add_argument("--record", action="store_true", help="write the baseline instead of comparing")
    parser.add_argument("--json", metavar="FILE", help="the numbers for other programs; - is standard output")
    options = parser.parse_args()
    if options.record and options.only:
        parser.error("a baseline has all of them")
    return options


def main():
    options = parse()
    die_on_signals()
    with tempfile.TemporaryDirectory(prefix="holdfast-cost-build-") as folder:
        commit = None
        if options.commit:
            programs = build_commit(options.commit, folder, AGENTS, tests=False)
            commit = run(["git", "-C", ROOT, "rev-parse", options.commit]).strip()
        else:
            programs = os.environ.get("HOLDFAST_BIN") or build(ROOT, os.path.join(ROOT, "build"), AGENTS)
        found = conditions(os.path.dirname(os.path.abspath(programs)))
        found["commit"] = commit or found["commit"]
        values = measure(programs, options.rounds, options.only)
    found["values"] = medians(values)
    found["spread"] = {what: {role: round(spread(rounds), 4) for role, rounds in roles.items()}
                       for what, roles in values.items()}
    text = json.dumps(found, indent=1) + "\n"
    if options.json:
        with open("/dev/stdout" if options.json == "-" else options.json, "w") as file:
            file.write(text)
    if options.record:
        with open(BASELINE, "w") as file:
            file.write(text)
        print(text, end="")
        return 0
    with open(BASELINE) as file:
        baseline = json.load(file)
    lines, dearer = compare(values, baseline, options.limit / 100)
    shown = sys.stderr if options.json == "-" else sys.stdout
    print("\n".join(lines), file=shown)
    print(f"baseline: {baseline['commit'][:12]}, {baseline['compiler']}, {baseline['flags']}", file=shown)
    for name in ("compiler", "flags", "libraries", "processor"):
        if found[name] != baseline[name]:
            print(f"another {name} here: {found[name]} (counts may differ by it)", file=shown)
    for line in dearer:
        print(f"DEARER {line}", file=shown)
    print(f"{2 * len(values) - len(dearer)} passed, {len(dearer)} failed", file=shown)
    return 1 if dearer else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BuildFailed, ProgramFailed, AssertionError) as error:
        sys.exit(f"scripts/check-cost: {error}")
