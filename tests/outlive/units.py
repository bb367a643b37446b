"""Connections outlive what is done to the units: restarts, killed keepers, packages. Within tests/systemd/inside; see
scripts/check-outlive. Writes its figures to standard output, as one line of JSON."""
import argparse
import json
import os
import random
import re
import signal
import sys
import time

import lab
from load import Broken, Connector, Load, figures
from pair import EchoBackend

ADDRESS = ("127.0.0.1", lab.SERVICE_PORT)
SETTLE_S = 60
GOODBYE_S, EXIT_S = 1, 2


class Units(lab.Agents):
    """As a fresh host has them: the link's default settings, logs in the journal."""

    def __init__(self):
        super().__init__()
        self.echo.close()
        self.echo = EchoBackend()
        self.echo.port = self.echo.listener.getsockname()[1]
        self.configure_client(link={"server": [f"127.0.0.1:{lab.LINK_PORT}"], "psk_file": f"{lab.ETC}/edge-1.psk"})
        self.configure_server()

    def recovered(self, unit):
        """What its processes went on with: [connections, lost] of each."""
        found = self.journal.events(unit, HOLDFAST_EVENT="recovered")
        return [[int(each["HOLDFAST_CONNECTIONS"]), int(each["HOLDFAST_LOST"])] for each in found]


class Disturbed:
    """Connections that are watched while something is done to the agents, again and again."""

    def __init__(self, options, units):
        self.options, self.units = options, units
        self.random = random.Random(options.seed)
        self.pauses, self.took = [], []

    def measured(self, times, action):
        load = Load(ADDRESS, self.options.connections, self.options.seed)
        connector = Connector(ADDRESS)
        try:
            for turn in range(times):
                time.sleep(self.random.uniform(0.1, 0.4))
                load.watch()
                begun = time.monotonic()
                action(turn)
                self.took.append(time.monotonic() - begun)
                load.mark()
                lab.wait_until(load.settled, "every connection gone on", SETTLE_S)
                self.pauses += load.watched()
        finally:
            connector.close()
            load.close()
        if connector.failures:
            raise Broken(f"{len(connector.failures)} connects failed: {connector.failures[0]}")
        found = {unit: self.units.recovered(unit) for unit in (lab.SERVER, lab.CLIENT)}
        lost = sum(each[1] for all_of_unit in found.values() for each in all_of_unit)
        if lost:
            raise Broken(f"{lost} connections closed with state_lost")
        return {"kills": times, "recoveries": sum(map(len, found.values())), "exchanges": sum(load.exchanges),
                "new_connections": connector.served, **figures(self.pauses), "took_ms": 1000 * max(self.took)}


def unit_of(turn):
    return (lab.SERVER, lab.CLIENT)[turn % 2]


def restart(options, units):
    """`systemctl restart`, as needrestart does it as well; of each unit as often as is said."""
    return Disturbed(options, units).measured(2 * options.kills, lambda turn: lab.systemctl("restart", unit_of(turn)))


def keeper(options, units):
    """`kill -9 $MAINPID`."""
    def action(turn):
        pid = lab.kill(unit_of(turn))
        lab.wait_restarted(unit_of(turn), pid)
    return Disturbed(options, units).measured(2 * options.kills, action)


def storm(options, units):
    """`kill -9 $MAINPID`, and soon after it twice of the agent that follows: while it takes up what was parked, while it
    recovers, or just after that. A third one that died before it served would give the state up."""
    def action(turn):
        unit, chance = unit_of(turn), random.Random(options.seed + turn)
        pid = lab.kill(unit)
        agent = None
        for _ in range(2):
            agent = lab.wait_until(lambda known=agent: lab.kept_agent(unit, pid, known), "the next agent", step=0.0005)
            time.sleep(chance.uniform(0, 0.04))
            os.kill(agent, signal.SIGKILL)
        lab.wait_restarted(unit, pid)
    return Disturbed(options, units).measured(2 * options.kills, action)


def stop(options, units):
    """`systemctl stop`: when the other end has the goodbye, and how long the command takes. The pause is the latter."""
    goodbyes, took = [], []
    for turn in range(max(2, options.kills // 5)):
        unit, other = unit_of(turn), unit_of(turn + 1)
        connection = units.connect()
        heard = len(units.journal.events(other, HOLDFAST_EVENT="link_ended"))
        begun = time.time()
        lab.systemctl("stop", unit)
        took.append(time.time() - begun)
        ended = lab.wait_until(lambda: units.journal.events(other, HOLDFAST_EVENT="link_ended")[heard:], "the goodbye")
        if ended[0]["HOLDFAST_CAUSE"] != ("shutdown" if unit == lab.SERVER else "goodbye"):
            raise Broken(f"the peer of a stopped unit says {ended[0]['HOLDFAST_CAUSE']}")
        goodbyes.append(int(ended[0]["__REALTIME_TIMESTAMP"]) / 1e6 - begun)
        try:
            if connection.recv(1) == b"":
                raise Broken("a stop ended a connection cleanly")
        except ConnectionResetError:
            pass
        lab.systemctl("start", unit)
        lab.wait_status(lab.CLIENT, "^link up")
    if max(goodbyes) > GOODBYE_S or max(took) > EXIT_S:
        raise Broken(f"goodbye within {max(goodbyes):.2f} s, exit within {max(took):.2f} s")
    return {"kills": len(took), "recoveries": 0, "exchanges": 0, "new_connections": 0, **figures(took),
            "goodbye_ms": 1000 * max(goodbyes)}


def packages(options, units):
    """`dpkg -i` of another version over the one that runs, which restarts both units at once; then `dpkg -r`, which says
    goodbye. Installed are the programs and units of the package, as it is shipped."""
    def action(turn):
        before = [lab.main_pid(lab.SERVER), lab.main_pid(lab.CLIENT)]
        lab.run("dpkg", "-i", VERSIONS[turn % 2])
        for unit, pid in zip((lab.SERVER, lab.CLIENT), before):
            now = lab.wait_until(lambda u=unit: lab.agent_pid(u), "an agent")
            if lab.main_pid(unit) == pid or os.readlink(f"/proc/{now}/exe") != f"/usr/bin/{unit}":
                raise Broken(f"{unit} does not run the program that was installed")
    row = Disturbed(options, units).measured(options.kills, action)
    if row["recoveries"] != 2 * options.kills:
        raise Broken(f"{row['recoveries']} recoveries of {2 * options.kills}")
    connection = units.connect()
    begun = time.time()
    lab.run("dpkg", "-r", "holdfast")
    row["removal_ms"] = 1000 * (time.time() - begun)
    try:
        if connection.recv(1) == b"":
            raise Broken("the removal ended a connection cleanly")
    except ConnectionResetError:
        pass
    for unit in (lab.SERVER, lab.CLIENT):
        if len(units.journal.events(unit, HOLDFAST_EVENT="stopping")) != 1:
            raise Broken(f"the removal did not stop {unit} as `systemctl stop` does")
    return row


VERSIONS = ["/var/tmp/holdfast-2.deb", "/var/tmp/holdfast-1.deb"]


def install_package(package):
    """The first of two later versions. Their programs differ by a byte behind all that is used."""
    tree = "/var/tmp/holdfast-package"
    lab.run("dpkg-deb", "-R", package, tree)
    control = f"{tree}/DEBIAN/control"
    with open(control) as file:
        text = file.read()
    for number, path in ((2, VERSIONS[0]), (1, VERSIONS[1])):
        with open(control, "w") as file:
            file.write(re.sub(r"(?m)^(Version: .*)$", rf"\1+{number}", text))
        for unit in (lab.SERVER, lab.CLIENT):
            with open(f"{tree}/usr/bin/{unit}", "ab") as file:
                file.write(b"\0")
        lab.run("dpkg-deb", "-Zgzip", "-z1", "-b", tree, path)
    lab.run("dpkg", "-i", VERSIONS[1])


NAMES = {"systemd": restart, "keeper": keeper, "storm": storm, "stop": stop, "packages": packages}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=NAMES)
    parser.add_argument("--package")
    for name in ("kills", "connections", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    if options.scenario == "packages":
        install_package(options.package)
    else:
        lab.run("systemd-sysusers", f"{lab.CONFIG}/sysusers.d/holdfast.conf")
        lab.install_units()
        lab.systemctl("daemon-reload")
    units = Units()
    try:
        units.start()
        print(json.dumps(NAMES[options.scenario](options, units)))
    except (Broken, AssertionError, OSError) as error:
        for unit in (lab.SERVER, lab.CLIENT):
            print(units.journal.text(unit)[-6000:], file=sys.stderr)
        print(json.dumps({"error": str(error)}))
    finally:
        units.tidy_up()


if __name__ == "__main__":
    main()
