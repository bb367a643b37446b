"""Connections outlive their agents: kills, restarts, figures. See scripts/check-outlive."""
import argparse
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pair as pair_module
from load import Broken, Connector, Endings, Load, figures
from pair import BIN, REPOSITORY, EchoBackend, Pair
from stores import Orders
from streams import wait_until

SETTLE_S = 60
PASSED_S = 2      # so soon a place is passed, if it is
MOST_P50_MS, MOST_P99_MS = 60, 500


def kill(*agents):
    """kill -9 of all at once."""
    for pid in [agent.pid for agent in agents]:
        os.kill(pid, signal.SIGKILL)


def lost_by(agent):
    """Connections that any of its processes could not go on with. A metric is the last process's alone."""
    return sum(int(re.search(r"\blost=(\d+)", line)[1]) for line in agent.events("recovered"))


class Skipped(Exception):
    """It cannot be tried here, and why."""


def built_package():
    """Of this tree's sources."""
    done = subprocess.run([f"{REPOSITORY}/scripts/package"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Broken(f"no package: {done.stderr[-500:]}")
    return done.stdout.split()[-1]


class Scenario:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)

    def pair(self, **options):
        settings = {"link": "psk", "fast": False, "relay": "thread", **options}
        return Pair(self.folder, services={"echo": {"target": EchoBackend()}}, **settings)

    def disturb(self, pair, load, kills, action):
        for _ in range(kills):
            time.sleep(self.random.uniform(0.05, 0.3))
            load.mark()
            action()
            wait_until(load.settled, SETTLE_S, "every connection gone on")

    def measured(self, kills, action, connections=None, **options):
        with self.pair(**options) as pair:
            address = pair.listens["echo"]
            load = Load(address, connections or self.options.connections, self.options.seed)
            connector = Connector(address)
            try:
                self.disturb(pair, load, kills, lambda: action(pair))
            finally:
                connector.close()
                load.close()
            pair.wait_ready()
            lost = sum(lost_by(agent) for agent in (pair.client, pair.server))
            if lost:
                raise Broken(f"{lost} connections closed with state_lost")
            if connector.failures:
                raise Broken(f"{len(connector.failures)} connects failed: {connector.failures[0]}")
            pair.note_descriptors()
        return {"kills": kills, "exchanges": sum(load.exchanges), "new_connections": connector.served,
                **figures(load.pauses)}

    # -- what is done to the agents ------------------------------------------------------------------

    def server(self):
        return self.measured(self.options.kills, lambda pair: kill(pair.server))

    def client(self):
        return self.measured(self.options.kills, lambda pair: kill(pair.client))

    def threads(self):
        one = iter(range(1 << 30))
        return self.measured(self.options.kills, lambda pair: kill((pair.server, pair.client)[next(one) % 2]),
                             client={"threads": 4}, server={"threads": 4})

    def both(self):
        return self.measured(max(1, self.options.kills // 4), lambda pair: kill(pair.client, pair.server))

    def twice(self):
        """The second time while the link resumes."""
        def action(pair):
            kill(pair.server)
            time.sleep(self.random.uniform(0.005, 0.06))
            kill(pair.client)
            time.sleep(self.random.uniform(0.005, 0.06))
            kill(pair.server)
        return self.measured(max(1, self.options.kills // 4), action)

    def outage(self):
        """While the link is cut and refused."""
        def action(pair):
            pair.relay.refuse()
            pair.relay.cut()
            kill(pair.client, pair.server)
            time.sleep(0.3)
            pair.relay.accept()
        return self.measured(max(1, self.options.kills // 4), action)

    def restart(self):
        def action(pair):
            for agent in (pair.server, pair.client):
                done = agent.run("restart")
                if done.returncode != 0:
                    raise Broken(f"restart: {done.stderr}")
        return self.measured(max(1, self.options.kills // 4), action)

    def idle(self):
        """A few busy connections among many idle ones, which are all asked at the end."""
        limits = {"limits": {"connections": 20000, "memory": "512MiB"}}
        with self.pair(client=limits, server=limits) as pair:
            address = pair.listens["echo"]
            idle = [socket.create_connection(address, timeout=30) for _ in range(self.options.idle)]
            load = Load(address, 8, self.options.seed)
            kills = max(2, self.options.kills // 10)
            try:
                for agent in (pair.server, pair.client):
                    self.disturb(pair, load, kills, lambda a=agent: kill(a))
                for sock in idle:
                    sock.sendall(b"still there?")
                for sock in idle:
                    if sock.recv(64) != b"still there?":
                        raise Broken("an idle connection was lost")
            finally:
                load.close()
                for sock in idle:
                    sock.close()
            pair.note_descriptors()
        return {"kills": 2 * kills, "exchanges": sum(load.exchanges) + len(idle), "new_connections": 0,
                **figures(load.pauses)}


    def stores(self):
        """At each place between two stores in turn: the first time it is passed, the second, and later."""
        orders = Orders(self.folder)
        os.environ["HOLDFAST_DIE_AT"] = orders.path
        pair_module.BIN = os.environ["HOLDFAST_DIE_BIN"]
        done, deaths = set(), 0
        try:
            with self.pair() as pair:
                address = pair.listens["echo"]
                load = Load(address, self.options.connections, self.options.seed)
                endings = Endings(address, self.options.seed)
                connector = Connector(address)
                try:
                    wait_until(lambda: endings.ended > 20 and connector.served > 20, SETTLE_S, "some connections")
                    for agent in (pair.client, pair.server):
                        while rest := sorted(set(orders.places(agent.role)) - done):
                            deaths += self.die_at(orders, rest[0], agent, load)
                            done.add(rest[0])
                            if endings.error:
                                raise endings.error
                finally:
                    os.environ.pop("HOLDFAST_DIE_AT")
                    for each in (connector, endings, load):
                        each.close()
                pair.wait_ready()
                if connector.failures:
                    raise Broken(f"{len(connector.failures)} connects failed: {connector.failures[0]}")
                pair.note_descriptors()
        finally:
            pair_module.BIN = BIN
        print(f"stores     {len(done)} places")
        return {"kills": deaths, "exchanges": sum(load.exchanges), "new_connections": connector.served + endings.ended,
                **figures(load.pauses)}

    def die_at(self, orders, place, agent, load):
        """How often it died there."""
        name, deaths = orders.places(agent.role)[place], 0
        for passes in (1, 2, self.random.randint(3, 200)):
            try:
                load.mark()
                orders.die(place, passes)
                if not orders.died(PASSED_S):    # what only a process that begins does, or a reload
                    agent.run("reload")
                    kill(agent)
                    passed = orders.died(PASSED_S)
                    if not passed and passes == 1:
                        raise Broken("nothing passes it any more")
                    deaths += passed
                else:
                    deaths += 1
                orders.forget()
                wait_until(load.settled, SETTLE_S, "every connection gone on")
            except (Broken, AssertionError) as error:
                raise Broken(f"{agent.role}, {name}, {passes}: {error}") from error
        return deaths

    def container(self):
        """Each agent is process 1 of pids of its own, but for the keeper."""
        if os.geteuid() != 0:
            raise Skipped("SKIPPED: making a pid namespace needs root")
        one = iter(range(1 << 30))
        return self.measured(self.options.kills, lambda pair: kill((pair.server, pair.client)[next(one) % 2]),
                             contained=True)

    # -- what is done to the units, under a systemd of their own --------------------------------------

    def units(self, name, *boot, kills=None, more=()):
        words = [f"{REPOSITORY}/tests/systemd/inside", *boot, "env", "PYTHONPATH=tests/systemd:tests/lib:tests/outlive",
                 "/usr/bin/python3", "tests/outlive/units.py", name, "--kills", kills or self.options.kills,
                 "--connections", self.options.connections, "--seed", self.options.seed, *more]
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "HOLDFAST_BIN": BIN, "HOLDFAST_LIMIT_S": "7200"})
        if done.returncode == 77:
            raise Skipped(done.stdout.strip())
        last = done.stdout.strip().rpartition("\n")[2]
        row = json.loads(last) if last.startswith("{") else {"error": done.stdout}
        if "error" in row:
            raise Broken(row["error"])
        return row

    def systemd(self):
        return self.units("systemd")

    def keeper(self):
        return self.units("keeper")

    def storm(self):
        return self.units("storm")

    def stop(self):
        return self.units("stop")

    def packages(self):
        package = self.options.package or built_package()
        return self.units("packages", "--own-packages", kills=max(2, self.options.kills // 10),
                          more=["--package", os.path.relpath(package, REPOSITORY)])


NAMES = ("server", "client", "threads", "both", "twice", "outage", "restart", "idle", "stores", "container", "systemd",
         "keeper", "storm", "stop", "packages")
BOUNDED = ("server", "client", "threads")     # by the medians that are promised


def main():
    parser = argparse.ArgumentParser(prog="scripts/check-outlive")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=" ".join(NAMES) + "; all without")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--idle", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--package", metavar="FILE", help="below this tree; without it scripts/package builds one")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--bounds", action="store_true", help="figures beyond what is promised fail, too")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"seed {options.seed}")
    print(f"{'scenario':10} {'times':>6} {'exchanges':>10} {'connects':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    rows, failed = {}, 0
    for name in options.scenarios or NAMES:
        if name not in NAMES:
            parser.error(f"no scenario {name}")
        with tempfile.TemporaryDirectory(prefix="holdfast-outlive-") as folder:
            try:
                row = getattr(Scenario(options, folder), name)()
            except Skipped as reason:
                print(f"{name:10} {reason}", flush=True)
                continue
            except (Broken, AssertionError, OSError) as error:
                print(f"{name:10} FAILED: {error}", flush=True)
                rows[name], failed = {"error": str(error)}, failed + 1
                continue
        rows[name] = row
        print(f"{name:10} {row['kills']:6} {row['exchanges']:10} {row['new_connections']:9} {row['p50_ms']:8.1f} "
              f"{row['p99_ms']:8.1f} {row['max_ms']:8.1f}", flush=True)
        if options.bounds and name in BOUNDED and (row["p50_ms"] > MOST_P50_MS or row["p99_ms"] > MOST_P99_MS):
            print(f"{name:10} FAILED: beyond {MOST_P50_MS} ms and {MOST_P99_MS} ms", flush=True)
            failed += 1
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"seed": options.seed, "connections": options.connections, "rows": rows}, file, indent=1)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
