"""The drop-ins for transparent use: rules come and go with the unit, and a capability only where it is
needed."""
import re
import socket
import threading

import pytest

from lab import (BIN, CLIENT, CONFIG, ETC, SERVER, UNITS, agent_pid, exchange, kill, run, show, systemctl,
                 wait_restarted, wait_state, wait_status, wait_until, write)

SERVICE = ("10.99.0.1", 5432)                # an address of this host that nobody listens at
CAP_NET_RAW = 1 << 13


@pytest.fixture
def address():
    if run("nft", "list", "ruleset", check=False).returncode != 0:
        pytest.skip("nftables is not available here")
    run("ip", "address", "add", f"{SERVICE[0]}/32", "dev", "lo")
    yield
    run("nft", "flush", "ruleset")
    run("ip", "address", "del", f"{SERVICE[0]}/32", "dev", "lo")


def install(unit, name):
    with open(f"{CONFIG}/systemd/examples/{name}.conf") as file:
        text = file.read()
    write(f"{UNITS}/{unit}.service.d/transparent.conf",
          text.replace("/usr/bin/holdfast-", f"{BIN}/holdfast-"))
    systemctl("daemon-reload")


def configure(agents, mode):
    agents.configure_client(services={"postgres": {
        "mode": mode, "listen": "*:15001", "match": "%s:%d" % SERVICE}})


def table_stands():
    return run("nft", "list", "table", "inet", "holdfast_client", check=False).returncode == 0


def capabilities(pid):
    with open(f"/proc/{pid}/status") as file:
        text = file.read()
    return {name: int(re.search(rf"(?m)^{name}:\s*(\w+)", text)[1], 16)
            for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")}


def connect(agents):
    sock = socket.create_connection(SERVICE, timeout=10)
    agents.sockets.append(sock)
    exchange(sock)
    return sock


class Watch:
    """Looks for the table all the time, from a thread of its own."""

    def __init__(self):
        self.looks, self.missing, self.over = 0, 0, False
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.over:
            self.missing += not table_stands()
            self.looks += 1

    def stop(self):
        self.over = True
        self.thread.join()
        assert self.looks > 5
        return self.missing


def test_the_rules_come_with_the_unit_outlive_its_restart_and_go_when_it_stops(agents, address):
    configure(agents, "redirect")
    install(CLIENT, "holdfast-client-redirect")
    assert not table_stands()
    agents.start()
    assert capabilities(agent_pid(CLIENT)) == dict.fromkeys(("CapEff", "CapPrm", "CapBnd", "CapAmb"), 0)
    connect(agents)
    watch = Watch()
    systemctl("restart", CLIENT)
    wait_status(CLIENT, "^link up to hub-1")
    connect(agents)
    pid = kill(CLIENT)
    wait_restarted(CLIENT, pid)
    wait_status(CLIENT, "^link up to hub-1")
    connect(agents)
    systemctl("reload", CLIENT)
    assert watch.stop() == 0
    systemctl("stop", CLIENT)
    assert not table_stands()


def test_a_tproxy_agent_has_one_capability_and_without_it_says_which(agents, address):
    configure(agents, "tproxy")
    systemctl("start", SERVER)
    systemctl("start", CLIENT, check=False)
    wait_state(CLIENT, "failed")
    assert show(CLIENT, "ExecMainStatus") == "77"
    assert "AmbientCapabilities=CAP_NET_RAW" in agents.journal.text(CLIENT)
    told = run("setpriv", "--reuid", "holdfast", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
               f"{BIN}/holdfast-client", "check", "-c", f"{ETC}/client.toml", check=False)
    assert told.returncode == 0 and "AmbientCapabilities=CAP_NET_RAW" in told.stdout
    systemctl("reset-failed", CLIENT)
    install(CLIENT, "holdfast-client-tproxy")
    agents.start()
    caps = capabilities(agent_pid(CLIENT))
    assert caps["CapEff"] == caps["CapBnd"] == CAP_NET_RAW
    connect(agents)
    rules = run("ip", "rule").stdout
    assert "lookup 18502" in rules
    systemctl("stop", CLIENT)
    assert not table_stands() and run("ip", "rule").stdout != rules


def test_the_servers_drop_in_brings_the_answers_rules(agents, address):
    agents.configure_server(
        clients={"edge-1": {"psk_file": f"{ETC}/edge-1.psk", "services": ["postgres"],
                            "sources": ["10.0.0.0/8"]}},
        services={"postgres": {"target": f"{SERVICE[0]}:5433", "source": "client"}})
    install(SERVER, "holdfast-server-source")
    agents.start()
    assert capabilities(agent_pid(SERVER))["CapEff"] == CAP_NET_RAW
    listing = run("nft", "list", "table", "inet", "holdfast_server").stdout
    assert "socket transparent 1" in listing
    systemctl("stop", SERVER)
    wait_until(lambda: run("nft", "list", "table", "inet", "holdfast_server",
                           check=False).returncode != 0, "the table is gone")
