"""Three server agents behind a real HAProxy and a real nginx, with config/balancer as it stands there."""
import os
import socket
import statistics
import subprocess
import threading
import time

import pytest

import fleet as fleets
from fleet import NUMBERS, Fleet, home_of
from pair import BIN, TIMESCALE
from stopwatch import Stopwatch
from streams import RST, read_end, wait_until

BALANCERS = ["haproxy", "nginx"]
HTTP_CHECK = b"OPTIONS / HTTP/1.0\r\n\r\n"
# A hello of TLS 1.2 that offers one suite and has no extension, as a check sends it.
TLS_CHECK = bytes.fromhex("160301002d010000290303") + bytes(32) + bytes.fromhex("000002c02f0100")
SSL3_CHECK = bytes.fromhex("160300002b010000270300") + bytes(32) + bytes.fromhex("00000200050100")


@pytest.fixture
def make_fleet(tmp_path, namespaces, request):
    made = []

    def make(balancer, **options):
        reason = fleets.why_unavailable(balancer)
        if reason:
            pytest.skip(reason)
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Fleet(folder, balancer, **options))
        return made[-1].__enter__()
    yield make
    failed = getattr(request.node, "scenario_failed", False)
    for fleet in made:
        fleet.__exit__(AssertionError if failed else None, None, None)


def echo(sock, word=b"hello"):
    sock.sendall(word)
    got = b""
    while len(got) < len(word):
        chunk = sock.recv(len(word) - len(got))
        assert chunk, "the connection ended"
        got += chunk
    assert got == word


def new_one_within(client, seconds):
    watch = Stopwatch()
    app = client.dial()
    echo(app)
    assert watch.seconds() < seconds * TIMESCALE
    return app


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_link_comes_home(make_fleet, balancer):
    fleet = make_fleet(balancer, clients=3)
    clients = [fleet.client() for _ in range(3)]
    apps = [client.dial() for client in clients]
    for app in apps:
        echo(app)
    homes = [client.hub_of(app) for client, app in zip(clients, apps)]
    for client, home in zip(clients, homes):
        assert client.links()[0]["home"] == home_of(home)
    took = []
    for _ in range(5):
        for client, app in zip(clients, apps):
            fleet.cut(client)
            watch = Stopwatch()
            echo(app)
            took.append(watch.seconds())
    assert statistics.median(took) < 0.1 * TIMESCALE
    assert [client.hub_of(app) for client, app in zip(clients, apps)] == homes
    for client in clients:
        assert len(client.links()) == 1           # no stray answer made a second one
        assert not client.agent.events("link_refused")


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_dead_home_holds_up_no_new_connection(make_fleet, balancer):
    fleet = make_fleet(balancer, link={"grace": "5s"})
    client = fleet.client()
    old = client.dial()
    echo(old)
    fleet.hubs[client.hub_of(old)].kill()
    client.agent.wait_event("link_down")          # else its OPEN may be on the wire, and holds it there
    new = new_one_within(client, 2)
    assert read_end(old, 20 * TIMESCALE)[0] == RST
    client.agent.wait_event("connection_closed", cause="grace_expired")
    echo(new)


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_drain_moves_new_connections_and_keeps_old_ones(make_fleet, balancer):
    fleet = make_fleet(balancer)
    client = fleet.client()
    old = client.dial()
    echo(old)
    home = client.hub_of(old)
    hub = fleet.hubs[home]
    assert hub.run("drain", "--until-empty").returncode == 0
    client.agent.wait_event("link_draining")
    new = new_one_within(client, 1)
    assert client.hub_of(new) != home
    for _ in range(3):
        fleet.cut(client)
        echo(old)
        echo(new)
    assert client.hub_of(old) == home
    old.close()
    hub.process.wait(20 * TIMESCALE)
    assert hub.process.returncode == 0
    echo(new)


def test_a_drain_may_be_taken_back(make_fleet):
    fleet = make_fleet("haproxy")
    client = fleet.client()
    old = client.dial()
    echo(old)
    home = client.hub_of(old)
    hub = fleet.hubs[home]
    assert hub.run("drain").returncode == 0
    client.agent.wait_event("link_draining")      # an OPEN that is on its way is taken by the old hub
    new = new_one_within(client, 1)
    assert hub.run("undrain").returncode == 0
    assert hub.json("status")["ready"]
    echo(old)
    for number in NUMBERS:                        # nobody else takes new links now
        if number != home:
            fleet.hubs[number].run("drain", "--until-empty")
    # One that left before the client heard of the last drain is that hub's still.
    wait_until(lambda: client.hub_of(new_one_within(client, 5)) == home, 5 * TIMESCALE,
               "a new one is at the first hub again")
    echo(new)


def test_what_is_left_at_the_timeout_of_a_drain_is_reset(make_fleet):
    fleet = make_fleet("haproxy", hub={"shutdown_timeout": "2s"})
    client = fleet.client()
    old = client.dial()
    echo(old)
    hub = fleet.hubs[client.hub_of(old)]
    assert hub.run("drain").returncode == 0
    client.agent.wait_event("link_draining")      # an OPEN that is on its way is taken by the old hub
    new = new_one_within(client, 1)
    assert read_end(old, 10 * TIMESCALE)[0] == RST
    client.agent.wait_event("connection_closed", cause="shutdown")
    assert hub.process.wait(10 * TIMESCALE) == 0
    echo(new)


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_hub_under_another_name_is_another_server(make_fleet, balancer):
    fleet = make_fleet(balancer, link={"grace": "5s"})
    client = fleet.client()
    old = client.dial()
    echo(old)
    home = client.hub_of(old)
    hub = fleet.hubs[home]
    hub.kill()
    client.agent.wait_event("link_down")
    hub.write_config({**hub.settings, "name": f"host-{home}"})
    hub.start()
    new = new_one_within(client, 2)
    assert read_end(old, 20 * TIMESCALE)[0] == RST
    client.agent.wait_event("connection_closed", cause="grace_expired")
    echo(new)


def test_a_rolling_restart_loses_nothing(make_fleet):
    fleet = make_fleet("haproxy", clients=3)
    clients = [fleet.client() for _ in range(3)]
    for number in NUMBERS:
        apps = [client.dial() for client in clients]
        for app in apps:
            echo(app)
        fleet.hubs[number].run("drain", "--until-empty")
        for client, app in zip(clients, apps):    # those of before live, and new ones come
            echo(app)
            echo(client.dial())
        for sock in list(fleet.sockets):
            sock.close()
        assert fleet.hubs[number].process.wait(20 * TIMESCALE) == 0
        fleet.hubs[number].start()
        hub = fleet.hubs[number]
        wait_until(lambda: hub.run("ready").returncode == 0, 20 * TIMESCALE, "the hub is back")


@pytest.mark.parametrize("balancer", BALANCERS)
def test_the_client_has_its_own_address_behind_a_balancer(make_fleet, balancer):
    fleet = make_fleet(balancer)
    client = fleet.client()
    app = client.dial()
    echo(app)
    (link,) = fleet.hubs[client.hub_of(app)].json("links")
    assert link["carrier"].startswith(fleets.CLIENTS + ":")
    assert link["balancer"].startswith("192.0.2.10:")
    assert link["home"] == home_of(client.hub_of(app))
    assert client.links()[0]["balancer"] == "192.0.2.10:7443"


@pytest.mark.parametrize("proxy", [True, False])
def test_checks_of_balancers_leave_no_warning_and_no_seat(make_fleet, proxy):
    fleet = make_fleet("haproxy", proxy=proxy)
    hub = fleet.hubs[1]
    before = hub.log()
    for _ in range(3):
        for words in (b"", HTTP_CHECK, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", TLS_CHECK, SSL3_CHECK,
                      b"PROXY UNKNOWN\r\n" if proxy else b""):
            fleet.probe(words, to=1)
    time.sleep(0.3)
    fresh = hub.log()[len(before):]
    assert " warn " not in fresh, fresh
    wait_until(lambda: hub.metric("holdfast_health_checks_total") >= 12, 5 * TIMESCALE, "they are counted")


def test_who_comes_past_the_balancer_is_not_let_in(make_fleet):
    fleet = make_fleet("haproxy", link={"accept_proxy_from": ["198.51.100.1"]})
    client = fleet.client(wait=False)
    wait_until(lambda: any(hub.events("carrier_rejected", cause="not_allowed") for hub in fleet.hubs.values()),
               10 * TIMESCALE, "it is turned away")
    assert not client.ready()


def test_clients_of_a_static_list_spread(make_fleet):
    servers = [f"192.0.2.{10 + number}:7443" for number in NUMBERS]
    fleet = make_fleet("haproxy", clients=12, homes=False, proxy=False)
    clients = [fleet.client(link={"server": servers, "balance": "random"}) for _ in range(12)]
    at = {client.links()[0]["peer"] for client in clients}
    assert len(at) > 1                            # all at one: once in 3 ** 11


class Names:
    """A balancer that passes everything on to one hub, and notes the server name of each hello."""

    def __init__(self, fleet):
        self.fleet, self.heard, self.over = fleet, [], False
        with fleet.space.enter():
            self.listener = socket.create_server(("127.0.0.1", 9999))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self.over:
            try:
                come = self.listener.accept()[0]
            except OSError:
                return
            hello = come.recv(65536)
            self.heard.append(server_name(hello))
            come.close()


def server_name(hello):
    """Of a TLS record with a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3); None without one."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 2
    while at < end:
        kind, size = int.from_bytes(hello[at:at + 2], "big"), int.from_bytes(hello[at + 2:at + 4], "big")
        if kind == 0:
            return hello[at + 9:at + 4 + size].decode()
        at += 4 + size
    return None


@pytest.fixture
def heard_at(make_fleet):
    """The names that a client's hellos have: of a new link, and of one that hub-1 has."""
    def heard(**link):
        fleet = make_fleet("haproxy", proxy=False)
        names = Names(fleet)
        client = fleet.client(link={"server": ["192.0.2.11:7443"], **link})
        echo(client.dial())
        client.agent.write_config({**client.agent.settings, "link": {**client.agent.settings["link"],
                                                                      "server": ["127.0.0.1:9999"]}})
        assert client.agent.run("reload").returncode == 0
        client.agent.run("reconnect")
        wait_until(lambda: len(names.heard) >= 1, 10 * TIMESCALE, "a hello")
        resumed = names.heard[0]
        client.agent.terminate()
        names.heard.clear()
        client.agent.start()
        wait_until(lambda: len(names.heard) >= 1, 10 * TIMESCALE, "another hello")
        names.over = True
        names.listener.close()
        return names.heard[0], resumed
    return heard


def test_no_name_is_said_in_clear_unless_a_server_has_a_home(heard_at):
    assert heard_at() == (None, home_of(1))


def test_a_name_of_the_operators_is_said_before_a_server_has_the_link(heard_at):
    assert heard_at(sni="hub.example.org") == ("hub.example.org", home_of(1))


def test_no_name_is_said_in_clear_where_that_is_off(heard_at):
    assert heard_at(sni="off") == (None, None)


def test_the_homes_own_address_is_found_without_names(make_fleet):
    fleet = make_fleet("haproxy", proxy=False, homes=False,
                       config=os.path.join(os.path.dirname(__file__), "..", "lib", "roundrobin.cfg"))
    for number, hub in fleet.hubs.items():
        hub.kill()
        link = {**hub.settings["link"], "home_address": f"192.0.2.{10 + number}:7443"}
        hub.write_config({**hub.settings, "link": link})
        hub.start()
    client = fleet.client()
    app = client.dial()
    echo(app)
    home = client.hub_of(app)
    for _ in range(10):
        fleet.cut(client)
        watch = Stopwatch()
        echo(app)
        assert watch.seconds() < 1 * TIMESCALE
    assert client.hub_of(app) == home
    assert len(client.links()) == 1


def test_without_homes_no_new_connection_waits_for_the_luck_of_a_dial(make_fleet):
    fleet = make_fleet("haproxy", proxy=False, homes=False,
                       config=os.path.join(os.path.dirname(__file__), "..", "lib", "roundrobin.cfg"))
    client = fleet.client()
    old = client.dial()
    echo(old)
    for _ in range(3):
        fleet.cut(client)
        client.agent.wait_event("link_down")
        echo(new_one_within(client, 2))
        echo(old)


def test_manifests_that_are_not_run_are_well_formed(tmp_path):
    yaml = pytest.importorskip("yaml")
    with open(os.path.join(fleets.CONFIGS, "envoy.yaml")) as file:
        envoy = yaml.safe_load(file)["static_resources"]
    (listener,) = envoy["listeners"]
    led = {name: chain["filters"][0]["typed_config"]["cluster"] for chain in listener["filter_chains"]
           for name in chain.get("filter_chain_match", {}).get("server_names", ["*"])}
    assert led == {"*": "hubs", **{home_of(each): f"hub-{each}" for each in NUMBERS}}
    assert set(led.values()) == {cluster["name"] for cluster in envoy["clusters"]}
    with open(os.path.join(fleets.CONFIGS, "kubernetes.yaml")) as file:
        objects = [each for each in yaml.safe_load_all(file)]
    services = {each["metadata"]["name"] for each in objects if each["kind"] == "Service"}
    routes = {each["spec"]["hostnames"][0]: each["spec"]["rules"][0]["backendRefs"][0]["name"]
              for each in objects if each["kind"] == "TLSRoute"}
    assert routes == {"hub.example.org": "hub", **{f"hub-{each}.hub.example.org": f"hub-{each}" for each in range(3)}}
    assert set(routes.values()) == services
    (config,) = [each["data"] for each in objects if each["kind"] == "ConfigMap"]
    for name, text in config.items():            # each is a config, but for its key
        text = text.replace("credential:edge-1", str(tmp_path / "key"))
        (tmp_path / name).write_text(text.replace("/run/holdfast/", f"{tmp_path}/"))
        with open(tmp_path / "key", "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True,
                                      text=True, check=True).stdout)
        checked = subprocess.run([os.path.join(BIN, "holdfast-server"), "check", "-c", tmp_path / name],
                                 capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert f'home = "{name.removesuffix(".toml")}.hub.example.org"' in text
