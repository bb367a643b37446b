"""What keys do that no other scenario sees, and from when on a reload makes them count.

tests/rules/key_effects.py names for every key the tests that see what it does.
"""
import json
import re
import socket
import time

import pytest

import outages
from pair import NAME, TIMESCALE, Backend, Pair, free_port, merge
from stopwatch import Stopwatch
from streams import RST, Flow, ping, read_end, wait_until
from test_reload import change, reload

both_roles = pytest.mark.parametrize("role", ["client", "server"])


# -- the top, [log] and [limits] -------------------------------------------------------------------

@both_roles
def test_a_drain_waits_for_the_shutdown_timeout_in_force(make_pair, role):
    pair = make_pair(**{role: {"shutdown_timeout": "1h"}})
    agent = getattr(pair, role)
    app, back = pair.connect()
    change(agent, "shutdown_timeout", value="2s")
    assert "shutdown_timeout: 1h -> 2s" in reload(agent)
    watch = Stopwatch()
    assert agent.run("drain").returncode == 0
    ping(app, back)
    assert agent.process.wait(20 * TIMESCALE) == 0
    assert watch.elapsed() > 1.8
    agent.start()
    pair.wait_ready()


@both_roles
def test_few_lines_about_connections_are_logged_as_soon_as_a_reload_says_so(make_pair, role):
    pair = make_pair()
    agent = getattr(pair, role)
    change(agent, "log", "connection_lines", value=1)
    assert "log.connection_lines: 1000 -> 1" in reload(agent)
    watch = Stopwatch()
    count = 40
    for _ in range(count):
        app, back = pair.connect()
        app.close()
        back.close()
    pair.wait_empty()
    lines = len(agent.events("connection_open")) + len(agent.events("connection_closed"))
    # One a second of both together, and one for the seconds that had begun and had not ended.
    assert 0 < lines <= watch.elapsed() + 2, f"{lines} lines for {count} connections"


RESTART = {"threads": 2, "limits.memory": "64MiB", "limits.connections": 77,
           "log.format": "json", "log.trace_file": "trace"}


@both_roles
def test_what_needs_a_restart_is_said_until_it_comes(make_pair, role):
    pair = make_pair()
    agent = getattr(pair, role)
    limit = agent.metric("holdfast_connections_limit")
    for key, value in RESTART.items():
        change(agent, *key.split("."), value=value)
    for _ in range(2):
        told = reload(agent)
        for key in RESTART:
            assert any(f"{key}: " in line and "needs a restart" in line
                       for line in told.splitlines()), f"{key} in {told}"
    ping(*pair.connect())
    assert agent.metric("holdfast_connections_limit") == limit


@both_roles
def test_the_log_has_the_level_in_force(make_pair, role):
    pair = make_pair(**{role: {"log": {"level": "error"}}})
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    assert not agent.events("link_up") and not agent.events("connection_open")
    change(agent, "log", "level", value="debug")
    assert "log.level: error -> debug" in reload(agent)
    ping(*pair.connect())
    outages.run(pair, "reset")
    agent.wait_event("connection_open")
    agent.wait_event("connection_resumed")   # of level debug
    ping(app, back)


def test_clients_know_a_server_by_its_name_or_by_one_of_its_own(make_pair):
    pair = make_pair()
    assert re.fullmatch("server-[0-9a-f]{16}", pair.client.json("links")[0]["peer"])
    pair = make_pair(server={"name": "home-1"})
    assert pair.client.json("links")[0]["peer"] == "home-1"


def held(pair, role, count):
    """Bytes that the agent keeps of so many writers while its link is down, once all are held back."""
    ends = [pair.connect() for _ in range(count)]
    for app, back in ends:
        ping(app, back)
    agent = getattr(pair, role)
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    pair.server.wait_event("link_down")
    writers = [end[role == "server"] for end in ends]
    return writers, fill(agent, writers)


def fill(agent, writers):
    """Writes until nobody takes anything for half a second; what the agent's only link keeps then."""
    quiet = time.monotonic() + 0.5
    while time.monotonic() < quiet:
        for writer in writers:
            writer.setblocking(False)
            try:
                if writer.send(bytes(262144)):
                    quiet = time.monotonic() + 0.5
            except BlockingIOError:
                pass
        time.sleep(0.01)
    link, = agent.json("links")
    return link["send_log_bytes"]


@both_roles
@pytest.mark.parametrize("memory, least, most", [("16MiB", 1, 4), ("256MiB", 5, 8)])
def test_what_is_kept_of_writers_is_bounded_by_the_memory(make_pair, role, memory, least, most):
    """A hundred writers with a first window each: 6.4 MB, if there is the memory."""
    pair = make_pair(**{role: {"limits": {"memory": memory}}})
    _, kept = held(pair, role, 100)
    assert least << 20 <= kept <= most << 20
    outages.end(pair)


# -- [link] ----------------------------------------------------------------------------------------

def pings(path):
    """How many PINGs the agent of the trace has sent."""
    with open(path) as file:
        return sum(1 for event in map(json.loads, file)
                   if event["event"] == "send" and event.get("frame") == "PING")


@pytest.mark.parametrize("client, server, asks", [
    ("100ms", None, True), ("1h", None, False), ("100ms", "1h", False), ("1h", "100ms", True)])
def test_silence_is_questioned_after_the_heartbeat_and_the_servers_wins(make_pair, tmp_path, client,
                                                                        server, asks):
    trace = str(tmp_path / "trace.jsonl")
    pair = make_pair(client={"link": {"heartbeat": client, "dead_after": "2h"}, "log": {"trace_file": trace}},
                     server={"link": {"heartbeat": server, "dead_after": server and "2h"}})
    ping(*pair.connect())
    if asks:
        start = pings(trace)
        wait_until(lambda: pings(trace) >= start + 5, 10 * TIMESCALE, "five questions")
    else:
        time.sleep(1)                        # whatever the connection brought is answered
        start = pings(trace)
        time.sleep(2)
        assert pings(trace) == start, "a silent path was questioned"


@pytest.mark.parametrize("client, server, dies", [
    ("1s", None, True), ("1h", None, False), ("1s", "1h", False), ("1h", "1s", True)])
def test_a_silent_path_is_dead_after_dead_after_and_the_servers_wins(make_pair, client, server, dies):
    pair = make_pair(client={"link": {"heartbeat": "200ms", "dead_after": client}},
                     server={"link": {"heartbeat": server and "200ms", "dead_after": server}})
    app, back = pair.connect()
    ping(app, back)
    pair.relay.freeze()
    if dies:
        pair.client.wait_event("link_down", 10, cause="carrier_silent")
    else:
        time.sleep(3)
        assert not pair.client.events("link_down") and not pair.server.events("link_down")
    pair.relay.thaw()
    ping(app, back)


@pytest.mark.parametrize("link", ["plain", "psk"])
def test_a_client_gives_a_handshake_as_long_as_it_was_told(make_pair, link):
    mute = Backend()                         # the kernel connects, and nobody says a word
    pair = make_pair(client={"link": {"server": [mute.target], "handshake_timeout": "500ms"}},
                     wait_ready=False, link=link)

    def given_up(address):
        return [line for line in pair.client.events("dial_failed", address=address)
                if "handshake timeout" in line]
    wait_until(lambda: given_up(mute.target), 8 * TIMESCALE, "a handshake given up, which by default takes 10 s")
    other = Backend()                        # what fails equally is told once a minute
    merge(pair.client.settings, {"link": {"server": [other.target], "handshake_timeout": "1h"}})
    pair.client.write_config(pair.client.settings)
    assert "link.handshake_timeout: 500ms -> 1h" in reload(pair.client)
    other.accept()
    time.sleep(3)
    assert given_up(other.target) == []
    other.close()
    mute.close()


def widest(pair, role, seconds=20):
    """The widest window of the only connection while 16 MiB come to that agent over 40 ms."""
    app, back = pair.connect()
    source, sink = (app, back) if role == "server" else (back, app)
    pair.relay.delay(20)
    flow = Flow(source, sink, seed=1, size=16 << 20, finish=False)
    agent, seen = getattr(pair, role), 0
    end = Stopwatch()
    while flow.received < 16 << 20 and end.seconds() < seconds * TIMESCALE:
        seen = max([seen, *(each["window_bytes"] for each in agent.connections())])
    flow.wait(seconds * TIMESCALE)
    pair.relay.delay(0)
    app.close()
    back.close()
    pair.wait_empty()
    return seen


@both_roles
def test_a_window_grows_to_max_window_and_no_further(make_pair, role):
    pair = make_pair(**{role: {"link": {"max_window": "256KiB"}}})
    assert widest(pair, role) == 256 << 10
    change(getattr(pair, role), "link", "max_window", value="512KiB")
    assert "link.max_window: 256KiB -> 512KiB" in reload(getattr(pair, role))
    assert widest(pair, role) == 512 << 10


@both_roles
def test_a_small_max_window_bounds_what_is_under_way_from_the_first_byte_on(make_pair, role):
    pair = make_pair(**{role: {"link": {"max_window": "16KiB"}}})
    agent = getattr(pair, role)
    writer, reader = pair.connect() if role == "server" else reversed(pair.connect())
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.setblocking(False)

    def full():
        try:
            writer.send(bytes(65536))
        except BlockingIOError:
            pass
        return agent.connections()[0]["queued_bytes"]
    wait_until(lambda: full() > 8192, 10 * TIMESCALE, "bytes that wait for their reader")
    end = Stopwatch()
    while end.elapsed() < 1:
        assert full() <= 16384
    assert agent.connections()[0]["window_bytes"] == 16384


@both_roles
def test_a_window_that_has_grown_shrinks_when_a_reload_lowers_max_window(make_pair, role):
    pair = make_pair()
    agent = getattr(pair, role)
    app, back = pair.connect()
    source, sink = (app, back) if role == "server" else (back, app)
    pair.relay.delay(20)

    def window():
        return agent.connections()[0]["window_bytes"]
    flow = Flow(source, sink, seed=1, finish=False)
    wait_until(lambda: window() > 256 << 10, 20 * TIMESCALE, "a window that has grown")
    change(agent, "link", "max_window", value="128KiB")
    assert "link.max_window: 16MiB -> 128KiB" in reload(agent)
    assert window() <= 128 << 10
    flow.stop()
    flow.wait(30 * TIMESCALE)
    pair.relay.delay(0)


def test_who_waits_for_the_link_is_reset_after_the_open_timeout_in_force(make_pair):
    pair = make_pair(client={"link": {"open_timeout": "10m"}})
    app, back = pair.connect()               # its deadline, ten minutes away, stays behind
    app.close()
    back.close()
    pair.wait_empty()
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    early = pair.dial()
    change(pair.client, "link", "open_timeout", value="1s")
    assert "link.open_timeout: 10m -> 1s" in reload(pair.client)
    late = pair.dial()
    watch = Stopwatch()
    assert read_end(early, 10 * TIMESCALE)[0] == RST
    assert read_end(late, 10 * TIMESCALE)[0] == RST
    assert watch.elapsed() > 0.8
    outages.end(pair)


@both_roles
def test_an_address_that_the_host_has_not_is_bound_where_freebind_says_so(make_pair, role):
    with open("/proc/sys/net/ipv4/ip_nonlocal_bind") as file:
        if file.read().strip() != "0":
            pytest.skip("this host binds whatever address it is asked to")
    pair = make_pair(services={"raw": {}, "far": {}})
    agent = getattr(pair, role)
    address = f"192.0.2.77:{free_port()}"    # TEST-NET-1: nobody's
    if role == "client":
        table = ("services", "far")
        change(agent, *table, "listen", value=address)
    else:
        table = ("link",)
        change(agent, *table, "listen", value=[*agent.settings["link"]["listen"], address])
    agent.terminate()
    agent.start()
    pair.wait_ready()
    agent.wait_event("listen_failed", address=address)
    assert agent.metric("holdfast_listening", address=address) == 0
    change(agent, *table, "freebind", value=True)
    assert "freebind: false -> true" in reload(agent)
    wait_until(lambda: agent.metric("holdfast_listening", address=address) == 1, 10 * TIMESCALE,
               "it is bound")
    ping(*pair.connect())


# -- [clients.NAME] and [services.NAME] ------------------------------------------------------------

def test_a_client_has_the_links_that_it_may_as_soon_as_a_reload_says_so(tmp_path):
    pair = Pair(tmp_path, services={"raw": {}, "other": {}, "third": {}},
                server={"clients": {NAME: {"links": 2}}}, wait_ready=False)
    settings = pair.client.settings
    one = settings.pop("link")
    settings["links"] = {name: one for name in settings["services"]}
    for name, service in settings["services"].items():
        service["link"] = name
    pair.client.write_config(settings)

    def live():
        return sum(1 for link in pair.server.json("links") if link["state"] == "live")
    with pair:
        pair.client.wait_event("link_refused", cause="limit")
        assert live() == 2
        change(pair.server, "clients", NAME, "links", value=3)
        assert f"clients.{NAME}.links: 2 -> 3" in reload(pair.server)
        wait_until(lambda: live() == 3, 30 * TIMESCALE, "the third link")
        change(pair.server, "clients", NAME, "links", value=None)
        assert f"clients.{NAME}.links: 3 -> 16" in reload(pair.server, "--dry-run")


def test_a_clients_memory_bounds_its_link_and_counts_as_soon_as_a_reload_says_so(make_pair):
    pair = make_pair(server={"clients": {NAME: {"memory": "2MiB"}}})
    backs, kept = held(pair, "server", 100)
    assert 1 << 20 <= kept <= 2 << 20        # half of it, and what each owns in any case
    change(pair.server, "clients", NAME, "memory", value="64MiB")
    assert f"clients.{NAME}.memory: 2MiB -> 64MiB" in reload(pair.server)
    assert fill(pair.server, backs) > 5 << 20
    outages.end(pair)


def test_a_target_is_asked_every_check_interval_from_a_reload_on(make_pair):
    service = Backend()
    pair = make_pair(services={"raw": {}, "gw": {"target": service.target, "mirror": True,
                                                 "check_interval": "1h"}},
                     client={"services": {"gw": {"mirror": True}}})
    name = "%s:%d" % pair.listens["gw"]
    assert pair.client.metric("holdfast_listening", address=name) == 1
    service.close()
    time.sleep(2)
    assert pair.client.metric("holdfast_listening", address=name) == 1, "asked within the hour"
    change(pair.server, "services", "gw", "check_interval", value="200ms")
    assert "services.gw.check_interval: 1h -> 200ms" in reload(pair.server)

    def listening():
        series = pair.client.metrics()["holdfast_listening"]
        return sum(value for labels, value in series if labels["address"] == name)
    wait_until(lambda: not listening(), 10 * TIMESCALE, "it is down, and looks it")


# -- [nft] -----------------------------------------------------------------------------------------

@both_roles
def test_the_rules_have_the_table_the_mark_and_the_routes_that_the_config_names(make_pair, role):
    pair = make_pair()
    agent = getattr(pair, role)
    change(agent, "nft", value={"table": "mine", "mark": 77, "route_table": 3000})
    if role == "client":
        change(agent, "services", "raw", value={"listen": "*:15001", "mode": "tproxy",
                                                "match": ["10.0.5.7:5432"]})
    else:
        change(agent, "clients", NAME, "sources", value=["10.0.0.0/8"])
        change(agent, "services", "raw", "source", value="client")
    printed = agent.run("nft").stdout
    assert "table inet mine {" in printed and "meta mark set 77" in printed
    assert "# ip -4 rule add fwmark 77 table 3000" in printed
    assert "# ip -4 route replace local default dev lo table 3000" in printed
