"""Neither side is told: between five hosts, applications connect to the service's own address and the
service sees the application's. See transparent.py for the hosts."""
import contextlib

import pytest

import transparent
from pair import TIMESCALE
from receivers import Receiver, ask, installed
from stopwatch import Stopwatch
from streams import RST, Flow, ping, read_end, wait_until
from transparent import AGENT, APP, BACKEND, PORT, SERVER, TransparentPair, service

MODES = ("redirect", "tproxy")
WHERE = ("app", "agent")                     # forwarded, and made on the agent's own host
ADDRESS = {"app": APP, "agent": AGENT}


@pytest.fixture
def lab(namespaces):
    made = transparent.Lab()
    yield made
    made.remove()


@pytest.fixture
def make(lab, tmp_path, request):
    """make(**options): a running TransparentPair with its rules applied."""
    pairs = []

    def start(**options):
        pairs.append(TransparentPair(lab, tmp_path, **options).apply().start())
        return pairs[-1]
    yield start
    for pair in pairs:
        if getattr(request.node, "scenario_failed", False):
            for agent in (pair.client, pair.server):
                print(f"---- {agent.role}\n{agent.log()[-4000:]}")
            print(lab["agent"].run("nft", "list", "ruleset").stdout)
        running = [agent for agent in (pair.client, pair.server) if agent.running]
        for agent in running:
            agent.terminate()
        pair.stop()


@contextlib.contextmanager
def receiver(lab, kind, folder, options=""):
    if not installed(kind):
        print(f"SKIPPED: {kind} is not installed")
        pytest.skip(f"{kind} is not installed")
    made = Receiver(kind, folder, [(BACKEND[4], PORT), (BACKEND[6], PORT)], options,
                    space=lab["backend"])
    try:
        yield made
    finally:
        made.stop()


def travelling(source="agent"):
    """Options: the destination travels, and the server lets it."""
    return {"client": {"travel": True},
            "services": {"server": {"clients": {"edge-1": {
                "services": ["db"], "sources": ["10.203.1.0/24", "fd03:1::/64"], "source": source,
                "allow": [f"{BACKEND[4]}:{PORT}", f"[{BACKEND[6]}]:{PORT}"]}}}}}


# --- Interception -----------------------------------------------------------------------------

@pytest.mark.parametrize("mode", MODES)
def test_an_application_that_connects_to_the_service_itself_gets_it_through_the_pair(
        lab, make, mode):
    """v4 and v6, forwarded and local; through an outage and another address of the agent's host."""
    lab.keep_source()
    pair = make(mode=mode, **travelling())
    ends = {}
    with service(lab, 4) as four, service(lab, 6) as six:
        for where in WHERE:
            for family, listener in ((4, four), (6, six)):
                app = pair.dial(where, family)
                back, source = listener.accept()
                back.settimeout(10)
                ping(app, back)
                assert app.getpeername()[:2] == (BACKEND[family], PORT)
                # It comes from the server agent's host, on its way through the pair.
                assert source[0] == {4: transparent.v4(4, 1), 6: transparent.v6(4, 1)}[family]
                shown = transparent_connection(pair, app)
                assert shown["destination"] == f"{text(BACKEND[family])}:{PORT}"
                assert shown["target"] == shown["destination"]
                ends[where, family] = (app, back)
    lab.drop()
    watch = Stopwatch()
    wait_until(lambda: pair.client.events("link_down"), 10 * TIMESCALE, "the outage is noticed")
    for app, _ in ends.values():
        app.sendall(b"into the outage")
    lab.roam()
    lab.heal()
    for app, back in ends.values():
        assert back.recv(100, 0) == b"into the outage"
        ping(app, back)
    assert watch.seconds() < 20 * TIMESCALE
    # And both ends still end as they should.
    for app, back in ends.values():
        back.sendall(b"last")
        app.shutdown(1)
        assert read_end(back) == ("fin", b"")
        back.close()
        assert read_end(app) == ("fin", b"last")


def text(address):
    return f"[{address}]" if ":" in address else address


def transparent_connection(pair, app):
    """The server's view of the connection with this application's socket."""
    host, port = app.getsockname()[:2]
    client = f"{text(host)}:{port}"
    found = [each for each in pair.server.connections() if each["client"] == client]
    assert len(found) == 1, (client, pair.server.connections())
    return found[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_match_names_a_configured_service(lab, make, mode):
    pair = make(mode=mode)
    with service(lab) as listener:
        app = pair.dial()
        back, _ = listener.accept()
        ping(app, back)
        shown = transparent_connection(pair, app)
        assert shown["service"] == "db" and shown["client"] == "%s:%d" % app.getsockname()
        assert shown["destination"] == f"{BACKEND[4]}:{PORT}"
        back.close()


def test_services_may_share_a_listener_and_the_narrowest_match_wins(lab, make):
    wide = {"mode": "redirect", "listen": "*:15001", "match": ["10.203.4.0/24:1000-60000"]}
    narrow = {**wide, "match": [f"{BACKEND[4]}:{PORT}"]}
    pair = make(services={
        "client": {"services": {"wide": wide, "db": narrow}},
        "server": {"services": {"wide": {"target": f"{BACKEND[4]}:8080"},
                                "db": {"target": f"{BACKEND[4]}:{PORT}"}},
                   "clients": {"edge-1": {"services": ["db", "wide"]}}}})
    with service(lab) as db, service(lab, port=8080) as wide_one:
        app, other = pair.dial(), pair.dial(port=9999)
        back, other_back = db.accept()[0], wide_one.accept()[0]
        ping(app, back)
        ping(other, other_back)
        assert {each["service"] for each in pair.client.connections()} == {"db", "wide"}


def test_a_destination_that_the_server_does_not_allow_is_reset(lab, make):
    options = travelling()
    options["client"]["match"] = ["10.203.4.0/24:*"]
    pair = make(**options)
    with service(lab, port=8080) as listener:
        assert pair.refused(port=8080) == "reset"
        pair.server.wait_event("connection_closed", cause="not_allowed")
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_nothing_travels_for_a_client_without_an_allow_list(lab, make):
    pair = make(client={"travel": True})
    assert pair.refused() == "reset"
    pair.client.wait_event("connection_closed", cause="unknown_service")


# --- Loops ------------------------------------------------------------------------------------

def test_who_connects_to_the_listener_itself_is_reset(lab, make):
    pair = make()
    assert pair.refused(address=AGENT[4], port=15001) == "reset"
    pair.client.wait_event("application_refused")
    assert pair.client.connections() == []


def test_who_connects_to_a_tproxy_listener_itself_is_reset_as_a_loop(lab, make):
    pair = make(mode="tproxy", client={"match": ["10.203.0.0/16:*"], "travel": True})
    assert pair.refused(address=AGENT[4], port=15001) == "reset"
    pair.client.wait_event("application_refused", cause="loop")
    assert pair.client.connections() == []


def test_the_agents_own_link_is_never_caught_by_its_rules(lab, make):
    """Rules that cover the link's own address: without their exceptions it could not come up."""
    pair = make(client={"match": ["10.203.0.0/16:*"], "travel": True})
    assert pair.client.status()["ready"]


def test_a_link_that_is_caught_nevertheless_is_refused_as_a_loop(lab, make):
    pair = make()
    link = f"{SERVER[4]}:{transparent.LINK_PORT}"
    lab["agent"].run("nft", "insert", "rule", "inet", "holdfast_client", "redirect_local",
                     f"ip daddr {SERVER[4]} tcp dport {transparent.LINK_PORT} redirect to :15001")
    pair.client.run("reconnect")
    line = pair.client.wait_event("application_refused", cause="loop")[0]
    assert f"destination={link}" in line
    pair.apply()                             # the right rules again: the link comes back
    wait_until(lambda: pair.client.run("ready").returncode == 0, 10, "the link is back")


def test_a_destination_that_is_the_server_agents_own_link_is_refused_as_a_loop(lab, make):
    options = travelling()
    options["client"]["match"] = ["10.203.4.1:*"]
    clients = options["services"]["server"]["clients"]["edge-1"]
    clients["allow"] = ["10.203.0.0/16:*"]
    options["services"]["server"]["link"] = {"listen": [f"0.0.0.0:{transparent.LINK_PORT}"]}
    pair = make(**options)
    assert pair.refused(address="10.203.4.1", port=transparent.LINK_PORT) == "reset"
    pair.server.wait_event("connection_closed", cause="loop")


# --- The rules --------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", MODES)
def test_rules_are_applied_and_removed_twice_and_nothing_is_left(lab, tmp_path, mode):
    agent = lab["agent"]

    def state():
        # The kernel's own routes come when an interface is ready, whoever waits for them.
        return [[line for line in agent.run(*words, check=False).stdout.splitlines()
                 if "proto kernel" not in line] for words in (
            ("nft", "list", "ruleset"), ("ip", "rule"), ("ip", "-6", "rule"),
            ("ip", "route", "show", "table", "all"), ("ip", "-6", "route", "show", "table", "all"))]
    agent.run("nft", "add", "table", "inet", "somebody_elses")
    clean = state()
    pair = TransparentPair(lab, tmp_path, mode=mode)
    for _ in range(2):
        pair.nft(pair.client, "--apply")
        applied = state()
        pair.nft(pair.client, "--apply")
        assert state() == applied            # applied twice is applied once
        assert applied != clean
        pair.nft(pair.client, "--remove")
        assert state() == clean
        pair.nft(pair.client, "--remove")    # removed twice is removed once
        assert state() == clean


def test_what_is_printed_is_what_is_applied(lab, make):
    pair = make(mode="tproxy")
    printed = pair.nft(pair.client).stdout
    lines = [line.strip() for line in printed.splitlines()]
    assert "# ip -4 rule add fwmark 18502 table 18502" in lines
    pair.nft(pair.client, "--remove")
    lab["agent"].run("nft", "-f", "-", text=printed)
    for line in lines:
        if line.startswith("# ip "):
            lab["agent"].run(*line[2:].split())
    with service(lab) as listener:
        app = pair.dial()
        ping(app, listener.accept()[0])
        transparent_connection(pair, app)


@pytest.mark.parametrize("mode", MODES)
def test_after_a_crash_connections_are_refused_until_the_agent_is_back(lab, make, mode):
    pair = make(mode=mode)
    with service(lab) as listener:
        app = pair.dial()
        back = listener.accept()[0]          # kept: its end would be the application's
        ping(app, back)
        pair.client.kill()
        assert read_end(app)[0] == RST
        for where in WHERE:
            assert pair.refused(where=where) == "refused"
        pair.client.start()
        wait_until(lambda: pair.client.run("ready").returncode == 0, 10, "ready")
        again = pair.dial()
        ping(again, listener.accept()[0])
        pair.client.kill()
        pair.nft(pair.client, "--remove")    # also after a crash
        direct = pair.dial()
        _, source = listener.accept()
        assert source == direct.getsockname()


# --- The real source --------------------------------------------------------------------------

def test_the_service_is_reached_from_the_applications_own_address(lab, make, tmp_path):
    """What a real nginx logs, v4 and v6; through an outage and another address of the agent's host."""
    with receiver(lab, "nginx", tmp_path / "nginx") as nginx:
        pair = make(**travelling(source="client"))
        apps = {family: pair.dial(family=family) for family in (4, 6)}
        for family, app in apps.items():
            assert ask(app)["socket"].rpartition(":")[0] == APP[family]
        lab.drop()
        wait_until(lambda: pair.client.events("link_down"), 10 * TIMESCALE, "the outage is noticed")
        lab.roam()
        lab.heal()
        for family, app in apps.items():
            assert ask(app)["socket"].rpartition(":")[0] == APP[family]
        # nginx writes its line after the answer.
        wait_until(lambda: len(nginx.access_log()) >= 4, 5 * TIMESCALE, "nginx logs all four requests")
        logged = nginx.access_log()
        assert sum(APP[4] in line for line in logged) == 2
        assert sum(APP[6] in line for line in logged) == 2
        assert not any(transparent.v4(4, 1) in line for line in logged)


@pytest.mark.parametrize("mode", MODES)
def test_redirected_to_a_named_service_that_sees_the_application(lab, make, tmp_path, mode):
    with receiver(lab, "nginx", tmp_path / "nginx") as nginx:
        pair = make(mode=mode, server={"source": "client"})
        app = pair.dial()
        assert ask(app)["socket"].rpartition(":")[0] == APP[4]
        wait_until(lambda: any(APP[4] in line for line in nginx.access_log()), 5 * TIMESCALE,
                   "nginx logs the application's address")
        # An address of another family cannot be that of a socket to this target.
        assert pair.refused(family=6) == "reset"
        pair.server.wait_event("connection_closed", cause="source_failed")


def test_a_source_that_is_not_granted_is_never_taken(lab, make):
    pair = make(server={"source": "client"}, services={"server": {"clients": {"edge-1": {
        "services": ["db"], "sources": ["192.0.2.0/24"]}}}})
    with service(lab) as listener:
        assert pair.refused() == "reset"
        pair.server.wait_event("connection_closed", cause="not_allowed")
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_real_receivers_are_told_of_intercepted_connections(lab, make, tmp_path, kind, version):
    options = {"nginx": "proxy_protocol", "haproxy": "accept-proxy"}[kind]
    with receiver(lab, kind, tmp_path / kind, options):
        pair = make(server={"send_proxy": version})
        for family in (4, 6):
            app = pair.dial(family=family)
            for _ in range(2):
                seen = ask(app)
                assert seen["told"] == "%s:%d" % app.getsockname()[:2]
                assert seen["server"] == f"{BACKEND[family]}:{PORT}"
                lab.drop()
                wait_until(lambda: pair.client.status()["ready"] is False, 10 * TIMESCALE,
                           "the outage is noticed")
                lab.heal()


# --- mirror -----------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["explicit", *MODES])
def test_a_refused_backend_looks_refused(lab, make, mode):
    client = {"mirror": True}
    if mode == "explicit":
        client.update({"mode": "explicit", "listen": "0.0.0.0:15001", "match": None})
    pair = make(mode=mode, client=client, server={"mirror": True, "check_interval": "200ms"})
    dial = {"address": AGENT[4], "port": 15001} if mode == "explicit" else {}
    where = "app"

    def refused():
        return pair.refused(where=where, **dial) == "refused"
    wait_until(refused, 10 * TIMESCALE, "nobody listens at the backend, and so it looks")
    assert pair.refused(where=where, **dial) == "refused"
    with service(lab) as listener:
        app = wait_until(lambda: try_dial(pair, where, dial), 10 * TIMESCALE, "it is back")
        back = wait_until(lambda: accept_ours(listener, app), 10, "the application's own connection")
        ping(app, back)
        flow = Flow(app, back, 1, size=1 << 20)
        flow.wait()
        back.close()
    wait_until(refused, 10 * TIMESCALE, "it is down again")
    assert pair.client.running


def try_dial(pair, where, dial):
    try:
        app = pair.dial(where, **dial)
        app.settimeout(0.3)
        try:
            app.recv(1)
            return None
        except TimeoutError:
            app.settimeout(5)
            return app
    except (ConnectionRefusedError, ConnectionResetError):
        return None


def accept_ours(listener, app):
    """Checks connect and end at once; the application's connection stays."""
    back, _ = listener.accept()
    back.settimeout(0.2)
    try:
        back.recv(1)
    except TimeoutError:
        back.settimeout(10)
        return back
    back.close()
    return None


def test_the_listener_stays_closed_through_an_outage_and_opens_with_the_news(lab, make):
    pair = make(client={"mirror": True}, server={"mirror": True, "check_interval": "200ms"})
    wait_until(lambda: pair.refused() == "refused", 10 * TIMESCALE, "refused")
    lab.drop()
    wait_until(lambda: pair.client.events("link_down"), 10 * TIMESCALE, "the outage is noticed")
    with service(lab):
        assert pair.refused() == "refused"
        lab.heal()
        wait_until(lambda: try_dial(pair, "app", {}), 10 * TIMESCALE, "the news came with the link")


def test_without_mirror_at_the_server_the_listener_is_open(lab, make):
    pair = make(client={"mirror": True})
    assert pair.refused() == "reset"
    pair.client.wait_event("connection_closed", cause="target_refused")
