#!/usr/bin/python3
"""Three server agents behind real balancers: the figures that a fleet is to reach.

    check.py [--short] [--balancer haproxy|nginx] [SCENARIO...]    (all of them, with both)

Scenarios: resume death drain rename checks rolling herd sizes. Each prints what it measured and what it
should reach. --short: fewer rounds and links. Ends with "N passed, N failed".
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import fleet as fleets
from fleet import NUMBERS, Fleet
from programs import cpu_seconds, die_on_signals, memory_bytes
from streams import RST, read_end, wait_until
from throttle import Throttle


class Missed(Exception):
    """A figure that was not reached."""


def reach(name, value, most, unit="s"):
    print(f"    {name}: {value:.3g} {unit} (at most {most:g})", flush=True)
    if value > most:
        raise Missed(f"{name}: {value:.3g} {unit}, more than {most:g}")


def echo(sock, word=b"x"):
    sock.sendall(word)
    got = b""
    while len(got) < len(word):
        chunk = sock.recv(65536)
        if not chunk:
            raise Missed("a connection ended")
        got += chunk
    if got != word:
        raise Missed("other bytes came back")


def opened(client):
    """A new connection and how long it took to be answered."""
    start = time.monotonic()
    sock = client.dial()
    echo(sock)
    return sock, time.monotonic() - start


class Flow(threading.Thread):
    """Sends numbered blocks and compares what comes back, until it is told to stop."""

    def __init__(self, sock, number, pause=0.05):
        super().__init__(daemon=True)
        self.sock, self.number, self.pause, self.rounds, self.fault = sock, number, pause, 0, None
        self._over = threading.Event()
        self.start()

    def run(self):
        try:
            self.sock.settimeout(60)
            while not self._over.is_set():
                echo(self.sock, b"%08d:%08d;" % (self.number, self.rounds) * 20)
                self.rounds += 1
                self._over.wait(self.pause)
        except (OSError, Missed) as error:
            self.fault = f"flow {self.number}, round {self.rounds}: {error}"

    def stop(self):
        self._over.set()
        self.join(90)
        if self.fault or self.is_alive():
            raise Missed(self.fault or f"flow {self.number} hangs")


# -- scenarios ---------------------------------------------------------------------------------


def resume(make, short):
    fleet = make(clients=6)
    clients = []
    apps = {}
    for _ in range(6):                        # until each hub has one
        client = fleet.client()
        app, _ = opened(client)
        apps.setdefault(client.hub_of(app), (client, app))
        clients.append(client)
        if len(apps) == len(NUMBERS):
            break
    took = []
    for _ in range(10 if short else 50):
        for home, (client, app) in apps.items():
            fleet.cut(client)
            start = time.monotonic()
            echo(app)
            took.append(time.monotonic() - start)
    stray = sum(len(client.agent.events("link_refused")) for client in clients)
    print(f"    {len(took)} cuts at {len(apps)} homes, {stray} dials at another server")
    reach("resumed, median", 1000 * statistics.median(took), 100, "ms")
    reach("resumed, longest", 1000 * max(took), 2000, "ms")
    for home, (client, app) in apps.items():
        if client.hub_of(app) != home:
            raise Missed("a link is not at home")


def death(make, short):
    fleet = make(link={"grace": "5s"})
    client = fleet.client()
    old, _ = opened(client)
    fleet.hubs[client.hub_of(old)].kill()
    client.agent.wait_event("link_down")      # else its OPEN may be on the wire, and holds it there
    new, took = opened(client)
    reach("a new connection after the home's death", took, 2)
    if read_end(old, 30)[0] != RST:
        raise Missed("the old connection ended cleanly")
    client.agent.wait_event("connection_closed", cause="grace_expired")
    echo(new)


def drain(make, short):
    fleet = make()
    client = fleet.client()
    flows = [Flow(opened(client)[0], each) for each in range(8)]
    hub = fleet.hubs[client.hub_of(flows[0].sock)]
    hub.run("drain", "--until-empty")
    client.agent.wait_event("link_draining")  # an OPEN that is on its way is taken by the old hub
    new, took = opened(client)
    reach("a new connection after the drain began", took, 1)
    if fleet.hubs[client.hub_of(new)] is hub:
        raise Missed("it is at the hub that drains")
    for _ in range(5):
        fleet.cut(client)
        time.sleep(0.3)
    for flow in flows:
        flow.stop()
    print(f"    old connections: {sum(flow.rounds for flow in flows)} rounds, byte-exact, through 5 cuts")
    for flow in flows:
        flow.sock.close()
    hub.process.wait(30)
    echo(new)


def rename(make, short):
    fleet = make(link={"grace": "5s"})
    client = fleet.client()
    old, _ = opened(client)
    number = client.hub_of(old)
    hub = fleet.hubs[number]
    hub.kill()
    client.agent.wait_event("link_down")
    hub.write_config({**hub.settings, "name": f"host-{number}"})
    hub.start()
    _, took = opened(client)
    reach("a new connection after a restart under another name", took, 2)


def checks(make, short):
    fleet = make(clients=1)
    fleet.client()
    time.sleep(3 if short else 10)            # the balancer's own
    for words in (b"", b"OPTIONS / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                  b"\x16\x03\x00\x00\x2b\x01\x00\x00\x27\x03\x00" + bytes(38)):
        for number in NUMBERS:
            fleet.probe(words, number)
    time.sleep(0.5)
    warned = [line for hub in fleet.hubs.values() for line in hub.log().splitlines()
              if " warn " in line and "config_warning" not in line]
    print(f"    lines that warn: {len(warned)}")
    if warned:
        raise Missed(warned[0])


def many(fleet, processes, links):
    """Client agents with so many links each, and one connection over each link."""
    clients, apps = [], []
    for number in range(processes):
        names = [f"l{each}" for each in range(links)]
        table = {"server": [f"{fleets.BALANCER[0]}:{fleets.BALANCER[1]}"], "psk_file": fleet.keys[number],
                 "parallel": 1}
        host = f"127.1.{number // 250}.{1 + number % 250}"
        clients.append(fleet.client(wait=False, link=None, links={name: dict(table) for name in names},
                                    services={"echo": None, **{
                                        f"echo-{each}": {"listen": f"{host}:{6000 + each}", "link": name}
                                        for each, name in enumerate(names)}}, log={"level": "info"}))
    for client in clients:
        wait_until(client.ready, 120, "a client agent ready")
        apps += [client.dial(port=6000 + each) for each in range(links)]
    for app in apps:
        echo(app)
    return clients, apps


def tables(links):
    """What hubs need for that: a service for each link of a client, and room."""
    services = {f"echo-{each}": {"target": f"127.0.0.1:{fleets.ECHO_PORT}"} for each in range(links)}
    return {"services": services, "limits": {"memory": "1GiB"}, "log": {"level": "info"}}


def rolling(make, short):
    processes, links = (6, 10) if short else (30, 34)
    fleet = make(clients=processes, hub=tables(links), services=links, client_links=links + 40)
    clients, apps = many(fleet, processes, links)
    pause = max(0.05, len(apps) / 500)        # this side is one Python
    flows = [Flow(app, number, pause) for number, app in enumerate(apps)]
    print(f"    {len(apps)} links of {processes} processes", flush=True)
    for number in NUMBERS:
        hub = fleet.hubs[number]
        hub.run("drain", "--until-empty")
        there = {each["client"] for client in clients for each in client.agent.connections()
                 if each["peer"] == f"hub-{number}"}
        mine = [flow for flow in flows if "%s:%d" % flow.sock.getsockname() in there]
        fresh = []
        for flow in mine:                     # a well-behaved application makes its next one
            client, link = clients[flow.number // links], flow.number % links
            sock = client.dial(port=6000 + link)
            flow.stop()
            flow.sock.close()
            fresh.append(Flow(sock, flow.number, pause))
        flows = [flow for flow in flows if flow not in mine] + fresh
        if hub.process.wait(120) != 0:
            raise Missed(f"hub-{number} ended with {hub.process.returncode}")
        hub.start()
        wait_until(lambda: hub.run("ready").returncode == 0, 60, "the hub is back")
        print(f"    hub-{number} restarted, {len(mine)} links had been there", flush=True)
        time.sleep(1.5)                       # until the balancer has seen it
    for flow in flows:
        flow.stop()
    ended = [line for client in clients for line in client.agent.events("connection_closed")
             if "cause=client_fin" not in line and "cause=target_fin" not in line]
    print(f"    {sum(flow.rounds for flow in flows)} rounds, connections that ended by force: {len(ended)}")
    if ended:
        raise Missed(ended[0])


def herd(make, short):
    processes, links = (4, 16) if short else (16, 32)
    fleet = make(clients=processes, hub=tables(links), services=links, client_links=links + 40,
                 hubs=(1,), link={"heartbeat": "1s", "dead_after": "15s"})
    clients, apps = many(fleet, processes, links)
    hub = fleet.hubs[1]
    before = hub.metric("holdfast_carriers_accepted_total")
    used = cpu_seconds(hub.pid)
    fleet.stop_balancer()
    time.sleep(3)
    with Throttle(hub.pid, 0.1) as throttle:
        start = time.monotonic()
        fleet.start_balancer()
        pending = set(range(len(apps)))
        for app in apps:
            app.sendall(b"h")
            app.setblocking(False)
        while pending and time.monotonic() - start < 60:
            for each in list(pending):
                try:
                    if apps[each].recv(1) == b"h":
                        pending.discard(each)
                except BlockingIOError:
                    pass
            time.sleep(0.02)
        took = time.monotonic() - start
    handshakes = hub.metric("holdfast_carriers_accepted_total") - before
    used = cpu_seconds(hub.pid) - used
    print(f"    {len(apps)} links, the server at 10 % of a core ({throttle.kind}): {took:.2f} s, {used:.2f} s of "
          f"its CPU, {handshakes / len(apps):.2f} handshakes a link", flush=True)
    if pending:
        raise Missed(f"{len(pending)} links did not come back in 60 s")
    reach("all are back", took, 6)
    reach("handshakes a link, counted at the server", handshakes / len(apps), 2, "")


def sizes(make, short):
    processes, links, each_has = (2, 16, 4) if short else (8, 32, 20)
    fleet = make(clients=processes, hub=tables(links), services=links, client_links=links + 40,
                 hubs=(1,), link={"heartbeat": "1s", "dead_after": "15s"})
    hub = fleet.hubs[1]
    empty = memory_bytes(hub.pid)
    clients, apps = many(fleet, processes, links)
    for app in apps:
        app.close()
    wait_until(lambda: not hub.connections(), 30, "no connection")
    time.sleep(3)
    count = processes * links
    with_links = memory_bytes(hub.pid)
    print(f"    a link: {(with_links - empty) / count / 1024:.0f} KiB of server memory")
    idle = cpu_of(hub)
    print(f"    an idle link: {1e6 * idle / count:.0f} us of server CPU a second (heartbeat 1 s)")
    more = [client.dial(port=6000 + link) for client in clients for link in range(links)
            for _ in range(each_has)]
    for app in more:
        echo(app)
    time.sleep(2)
    with_connections = memory_bytes(hub.pid)
    print(f"    an idle connection: {(with_connections - with_links) / len(more) / 1024:.1f} KiB")
    busy = cpu_of(hub) - idle
    print(f"    {len(more)} idle connections: {1e6 * busy / len(more):.1f} us of CPU a second each")


def cpu_of(hub, seconds=10):
    before = cpu_seconds(hub.pid)
    time.sleep(seconds)
    return (cpu_seconds(hub.pid) - before) / seconds


SCENARIOS = [resume, death, drain, rename, checks, rolling, herd, sizes]
ONCE = {"herd", "sizes"}                      # they are about the server


def run(scenario, balancer, short):
    folder = tempfile.mkdtemp(prefix="holdfast-fleet-")
    made = []

    def make(**options):
        made.append(Fleet(folder, balancer, **options))
        return made[-1].__enter__()
    print(f"{scenario.__name__}, {balancer}", flush=True)
    try:
        scenario(make, short)
        return True
    except (Missed, AssertionError, OSError, subprocess.TimeoutExpired) as error:
        print(f"    FAILED: {error}")
        for fleet in made:
            fleet.print_logs(15)
        return False
    finally:
        for fleet in made:
            fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--balancer", choices=["haproxy", "nginx"])
    parser.add_argument("scenarios", nargs="*")
    words = parser.parse_args()
    die_on_signals()
    os.environ.setdefault("HOLDFAST_E2E_TIMESCALE", "1")
    balancers = [words.balancer] if words.balancer else ["haproxy", "nginx"]
    wanted = [each for each in SCENARIOS if not words.scenarios or each.__name__ in words.scenarios]
    passed = failed = 0
    for balancer in balancers:
        reason = fleets.why_unavailable(balancer)
        if reason:
            print(f"SKIPPED: {reason}")
            continue
        for scenario in wanted:
            if scenario.__name__ in ONCE and balancer != balancers[0]:
                continue
            if run(scenario, balancer, words.short):
                passed += 1
            else:
                failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
