"""Hosts that vanish, connections that are silent or half closed: who holds a seat, and for how long."""
import json
import socket

import pytest

import netns
from pair import TIMESCALE, Backend, free_port
from stopwatch import Stopwatch
from streams import RST, is_open, ping, read_end, read_exactly, wait_until
from test_reload import change, reload

CLIENT = f"{netns.CLIENT_NET}.2"
AT_SERVER = f"{netns.SERVER_NET}.1"         # the router, as the server sees it


class Away:
    """Applications and a service on a host of their own, which can vanish from the network."""

    def __init__(self, make_pair, client=None, server=None, window="16MiB"):
        self.lab = netns.Lab()
        self.port = free_port()
        self.backend = Backend((AT_SERVER, 0), space=self.lab.router)
        self.pair = make_pair(lab=self.lab, services={
            "raw": {"listen": f"{CLIENT}:{self.port}", "target": self.backend.target, **(server or {})}},
            client={"services": {"raw": client or {}}, "link": {"max_window": window}})

    def connect(self, receive_buffer=None):
        with self.lab.router.enter():
            app = socket.socket()
        if receive_buffer:
            app.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        app.settimeout(30)
        app.connect((CLIENT, self.port))
        back = self.backend.accept()
        ping(app, back)
        return app, back

    def vanish(self, port):
        """Nothing comes from there any more, nor goes there; what is forwarded goes on."""
        run = self.lab.router.run
        run("nft", "add", "table", "inet", "gone")
        for hook in ("input", "output"):
            run("nft", f"add chain inet gone {hook} {{ type filter hook {hook} priority 0; }}")
            for end in ("sport", "dport"):
                run("nft", "add", "rule", "inet", "gone", hook, "tcp", end, str(port), "drop")

    def back_again(self):
        self.lab.router.run("nft", "delete", "table", "inet", "gone")


@pytest.fixture
def make_away(namespaces, make_pair):
    made = []

    def make(**options):
        made.append(Away(make_pair, **options))
        return made[-1]
    yield make
    for each in made:
        each.backend.close()
        each.lab.remove()


def send_now(sock, data):
    """How many bytes of it the kernel takes without waiting."""
    sock.setblocking(False)
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
    finally:
        sock.settimeout(30)


def closed(agent, cause, seconds):
    return agent.wait_event("connection_closed", cause=cause, seconds=seconds)


@pytest.mark.parametrize("sent", [False, True], ids=["silent", "with bytes under way"])
def test_an_applications_host_that_vanishes_is_found_and_both_ends_say_so(make_away, sent):
    away = make_away(client={"keepalive": "3s"})
    app, back = away.connect()
    away.vanish(away.port)
    if sent:
        back.sendall(b"are you there?")
    watch = Stopwatch()
    closed(away.pair.client, "client_vanished", 15 * TIMESCALE)
    assert watch.elapsed() > 2
    closed(away.pair.server, "client_vanished", 5 * TIMESCALE)
    assert read_end(back)[0] == RST
    assert away.pair.client.metric("holdfast_connections", state="open") == 0
    away.back_again()
    app.close()


def test_a_targets_host_that_vanishes_is_found_and_the_application_is_reset(make_away):
    away = make_away(server={"keepalive": "3s"})
    app, _ = away.connect()
    away.vanish(away.backend.address[1])
    closed(away.pair.server, "target_vanished", 15 * TIMESCALE)
    closed(away.pair.client, "target_vanished", 5 * TIMESCALE)
    assert read_end(app)[0] == RST
    away.back_again()


def test_an_application_that_does_not_read_is_no_vanished_one(make_away):
    away = make_away(client={"keepalive": "2s"}, server={"keepalive": "2s"}, window="64KiB")
    app, back = away.connect(receive_buffer=65536)
    other, other_back = away.connect()
    back.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sent = 0
    while taken := send_now(back, bytes(65536)):
        sent += taken
    watch = Stopwatch()
    while watch.elapsed() < 12:
        ping(other, other_back)
        assert is_open(back)
        sent += send_now(back, bytes(65536))
        netns.run("sleep", "0.2")
    back.shutdown(socket.SHUT_WR)
    assert len(read_exactly(app, sent)) == sent
    assert not away.pair.client.events("connection_closed")
    for sock in (app, back, other, other_back):
        sock.close()


def test_a_shorter_keepalive_after_a_reload_finds_who_has_vanished_before(make_away):
    away = make_away()
    app, back = away.connect()
    away.vanish(away.port)
    (connection,) = away.pair.client.connections()
    assert connection["keepalive_s"] == 900
    change(away.pair.client, "services", "raw", "keepalive", value="2s")
    assert "services.raw.keepalive" in reload(away.pair.client)
    closed(away.pair.client, "client_vanished", 15 * TIMESCALE)
    assert read_end(back)[0] == RST
    away.back_again()
    app.close()


def test_a_connection_says_how_long_it_is_waited_for(make_pair):
    pair = make_pair(server={"link": {"grace": "2h"}},
                     client={"services": {"raw": {"idle_timeout": "3h", "half_close_timeout": "90s"}}})
    pair.connect()
    (connection,) = pair.client.connections()
    # Never sooner than the grace, unless a key says so.
    assert connection["keepalive_s"] == 7200
    assert connection["idle_timeout_s"] == 10800 and connection["half_close_timeout_s"] == 90
    story = pair.client.run("connection", connection["id"]).stdout
    assert "keepalive  2h00m: " in story
    assert "idle       ends after 3h00m without a byte" in story
    assert "half-close ends after 1m30s without a byte" in story
    at_server = json.loads(pair.server.run("connection", connection["id"], "--json").stdout)
    assert at_server["idle_timeout_s"] is None and at_server["half_close_timeout_s"] is None


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_silent_connection_is_reset_at_both_ends_where_a_key_says_so(make_pair, role):
    pair = make_pair(**{role: {"services": {"raw": {"idle_timeout": "2s"}}}})
    app, back = pair.connect()
    busy, busy_back = pair.connect()
    watch = Stopwatch()
    while not pair.client.events("connection_closed", cause="idle_timeout"):
        ping(busy, busy_back)
        assert watch.elapsed() < 20 * TIMESCALE
        netns.run("sleep", "0.2")
    assert watch.elapsed() > 1.5
    closed(pair.server, "idle_timeout", 5 * TIMESCALE)
    assert read_end(app)[0] == RST and read_end(back)[0] == RST
    ping(busy, busy_back)
    # One that a reload shortens counts for who lives already.
    change(getattr(pair, role), "services", "raw", "idle_timeout", value="1s")
    reload(getattr(pair, role))
    assert read_end(busy)[0] == RST


def test_applications_that_went_away_leave_their_seats_where_a_key_says_so(make_pair):
    pair = make_pair(client={"limits": {"connections": 5},
                             "services": {"raw": {"half_close_timeout": "1s"}}})
    backs = []
    for _ in range(5):
        app, back = pair.connect()
        ping(app, back)
        app.close()                            # a clean end; its service neither writes nor closes
        backs.append(back)
    late = pair.dial()                         # it waits for a seat
    late_back = pair.backends["raw"].accept(20 * TIMESCALE)
    ping(late, late_back)
    for agent in (pair.client, pair.server):
        wait_until(lambda: len(agent.events("connection_closed", cause="half_close_timeout")) == 5,
                   10 * TIMESCALE, "five ends by that cause")
    for back in backs:
        with pytest.raises(ConnectionError):   # it had read the end before; now there is nobody
            back.sendall(b"x")
    ping(late, late_back)                      # whole and silent for a while: nothing ends it
