"""An admitted client that breaks every rule hurts only itself: beside it another one's ping-pong goes
on, the server's memory stays bounded, and the log names the cause.

The misbehaving one is rawlink.py, on a plaintext link or, with HOLDFAST_E2E_LINK=psk, over TLS with a
certificate of its own; the rules are the same."""
import contextlib
import os
import select
import socket
import struct
import time

import pytest

import rawlink
from pair import LINK, NAME, TIMESCALE, EchoBackend, merge
from pki import HOST, make_certificates, tls, tls_context
from pingpong import PingPong
from rawlink import Ended, RawLink
from stopwatch import Stopwatch
from streams import wait_until

EVIL_CONNECTIONS = 200
P99_S = 0.25                       # beside an attack, on a busy machine
GROWN_BYTES = 48 << 20
HUGE = (1 << 64) - 1


def swallow(sock):
    """Reads what is there and throws it away; False at the end."""
    while (LINK == "psk" and sock.pending()) or select.select([sock], [], [], 0)[0]:
        if not sock.recv(1 << 20):
            return False
    return True


class Scene:
    """A pair with a ping-pong of ten on it, and a second client's name for whoever attacks."""

    def __init__(self, make_pair, folder):
        self.backend = EchoBackend()
        server = {"link": {"handshake_timeout": "2s", "grace": "2s"}, "limits": {"memory": "64MiB"},
                  "clients": {"evil": {"services": ["echo", "raw"], "links": 4,
                                       "connections": EVIL_CONNECTIONS}}}
        if LINK == "psk":
            made = make_certificates(folder / "pki", HOST, "evil")
            self.context = tls_context(made, "evil")
            merge(server, {"link": {"tls": tls(made, "server")}})
        self.pair = make_pair(
            link=LINK, relay="process", server=server,
            services={"echo": {"target": self.backend}, "raw": {}})
        self.server = self.pair.server
        self.game = PingPong([self.pair.dial("echo") for _ in range(10)])
        self.game.wait_round()
        self.game.round_trips.clear()
        self.before = self.server.resident_bytes()
        self._raws = []

    def raw(self, **options):
        sock = socket.create_connection((HOST, self.pair.link_port), timeout=30)
        if LINK == "psk":
            sock = self.context.wrap_socket(sock)
        raw = RawLink(self.pair.link_port, sock=sock, **options)
        self._raws.append(raw)
        return raw

    def greeted(self, **options):
        raw = self.raw(**options)
        assert raw.greet()[0] == rawlink.NEW
        return raw

    def check(self):
        self.game.wait_round()
        self.game.stop()
        for raw in self._raws:
            raw.close()
        assert self.game.percentile(0.99) < P99_S * TIMESCALE
        if TIMESCALE == 1:
            grown = self.server.resident_bytes() - self.before
            assert grown < GROWN_BYTES, f"the server grew by {grown >> 20} MiB"
        assert self.pair.reconnects() == 0
        for sock in self.pair._sockets:
            sock.close()


@pytest.fixture
def scene(make_pair, tmp_path):
    return Scene(make_pair, tmp_path)


# -- frames that break the protocol: the link ends, with its reason --------------------------------

def opened(raw, stream=1):
    raw.open(stream, "echo")
    return raw


VIOLATIONS = {
    "an id of zero": lambda raw: raw.send(rawlink.open_stream(0, "echo")),
    "an id twice": lambda raw: opened(raw).send(rawlink.open_stream(1, "echo")),
    "ids that fall": lambda raw: opened(raw, 5).send(rawlink.open_stream(4, "echo")),
    "data for a stream that never was": lambda raw: raw.send(rawlink.data(9, 0, b"x")),
    "data at an absurd offset": lambda raw: opened(raw).send(rawlink.data(1, HUGE - 1, b"x")),
    "data that leaves a gap": lambda raw: opened(raw).send(rawlink.data(1, 1, b"x")),
    "data beyond the limit": lambda raw: opened(raw).send(rawlink.data(1, 0, bytes(65_536))),
    "an ack of what was never sent": lambda raw: opened(raw).send(rawlink.ack((1, 1 << 40, 4096))),
    "an ack that carries the largest number": lambda raw: opened(raw).send(
        rawlink.ack((1, HUGE, 4096))),
    "a limit beyond every limit": lambda raw: opened(raw).send(rawlink.ack((1, 0, HUGE))),
    "a limit that shrinks": lambda raw: opened(raw).send(rawlink.ack((1, 0, 1))),
    "an empty ack": lambda raw: raw.send(rawlink.frame(rawlink.ACK)),
    "an end at an absurd offset": lambda raw: opened(raw).send(rawlink.fin(1, 1 << 62)),
    "two ends": lambda raw: opened(raw).send(rawlink.fin(1, 0), rawlink.fin(1, 1)),
    "an abort that leaves a gap": lambda raw: opened(raw).send(rawlink.abort(1, 77)),
    "a reset of the future": lambda raw: raw.send(rawlink.reset(1 << 50)),
    "a server's frame": lambda raw: raw.send(rawlink.frame(rawlink.OPENED, bytes(8))),
    "an unknown frame that matters": lambda raw: raw.send(rawlink.frame(200)),
    "a second hello": lambda raw: raw.say_hello(attempt=2),
    "a table out of place": lambda raw: raw.send(rawlink.table()),
    "a control frame of 16 MiB": lambda raw: raw.send(rawlink.frame(rawlink.PING, length=0xffffff)),
    "data of 16 MiB": lambda raw: raw.send(rawlink.frame(rawlink.DATA, bytes(64), length=0xffffff)),
    "a ping cut short": lambda raw: raw.send(rawlink.frame(rawlink.PING, bytes(7))),
    "a service name beyond its frame": lambda raw: raw.send(
        rawlink.frame(rawlink.OPEN, struct.pack(">QQBBB", 1, 4096, 0, 0, 200) + b"echo")),
    "an address family that is none": lambda raw: raw.send(
        rawlink.frame(rawlink.OPEN, struct.pack(">QQBBB", 1, 4096, 77, 0, 4) + b"echo")),
}


@pytest.mark.sanitized
def test_each_violation_ends_the_link_with_its_cause(scene):
    for number, (what, attack) in enumerate(VIOLATIONS.items()):
        raw = scene.greeted()
        attack(raw)
        assert raw.goodbye_code() == rawlink.PROTOCOL, what
        raw.close()
        ended = scene.server.wait_event("link_ended", cause="protocol", link=raw.link.hex()[:8])
        assert "detail=" in ended[0] and 'detail=""' not in ended[0], f"{what}: {ended}"
        wait_until(lambda: scene.server.metric("holdfast_link_up") == 1, 5, f"{number}: {what}")
    scene.check()


# -- hello and table ---------------------------------------------------------------------------------

def test_a_name_that_is_not_there_is_refused_and_named_in_the_log(scene):
    assert scene.raw(name="nobody").greet()[:2] == (rawlink.REFUSED, rawlink.AUTH)
    scene.server.wait_event("carrier_rejected", cause="auth", reason="unknown client nobody" if LINK == "plain" else
                            "evil says that it is nobody")
    scene.check()


def test_a_stolen_link_id_is_worth_nothing_to_another_client(scene):
    """Even with the right instance and a higher attempt: whose link it is decides."""
    victim = scene.greeted()
    victim.open(1, "echo")
    thief = scene.raw(name=NAME, link=victim.link)
    assert thief.greet(attempt=99, instance=victim.welcome[2])[:2] == (
        rawlink.REFUSED, rawlink.AUTH)
    scene.server.wait_event("carrier_rejected", cause="auth")
    victim.send(rawlink.data(1, 0, b"still mine"))
    assert victim.read_until(rawlink.DATA)[32:] == b"still mine"
    scene.check()


def test_a_replayed_hello_displaces_nothing_and_is_not_answered(scene):
    victim = scene.greeted()
    victim.open(1, "echo")
    for attempt in (1, 0):
        replay = scene.raw(link=victim.link, start_id=victim.start_id)
        for instance in (0, victim.welcome[2]):
            replay = scene.raw(link=victim.link, start_id=victim.start_id)
            replay.say_hello(attempt=attempt, instance=instance)
            with pytest.raises(Ended):
                replay.read()
    scene.server.wait_event("carrier_rejected", cause="stale")
    victim.send(rawlink.data(1, 0, b"still mine"))
    assert victim.read_until(rawlink.DATA)[32:] == b"still mine"
    scene.check()


def test_reordered_hellos_leave_the_highest_attempt_in_place(scene):
    """The overtaken HELLO, whole or only its head when the newer one comes, changes nothing."""
    first = scene.greeted()
    instance = first.welcome[2]
    first.open(1, "echo")
    listed = [rawlink.entry(1)]
    late, newer = (scene.raw(link=first.link, start_id=first.start_id) for _ in range(2))
    whole = rawlink.hello("evil", first.link, 2, instance, start_id=first.start_id)
    late.send(whole[:-3])
    newer.say_hello(attempt=3, instance=instance, entries=listed, highest=1)
    assert newer.read_welcome()[0] == rawlink.RESUMED
    late.send(whole[-3:], rawlink.table(listed, 1))
    with pytest.raises(Ended):
        late.read()
    newer.send(rawlink.data(1, 0, b"mine now"))
    assert newer.read_until(rawlink.DATA)[32:] == b"mine now"
    scene.check()


def test_an_unknown_instance_is_unknown_and_the_link_stays(scene):
    victim = scene.greeted()
    other = scene.raw(link=victim.link, start_id=victim.start_id)
    assert other.greet(attempt=5, instance=12345)[0] == rawlink.UNKNOWN
    victim.open(1, "echo")
    scene.check()


TABLES = {
    "a million entries": [rawlink.table([rawlink.entry(i) for i in range(n, n + 495)], 1 << 40, False)
                          for n in range(1, 1_000_000, 495)],
    "ids that fall": [rawlink.table([rawlink.entry(2), rawlink.entry(1)], 2)],
    "an id of zero": [rawlink.table([rawlink.entry(0)], 2)],
    "chunks without entries": [rawlink.table([], 2, False)] * 100,
    "half an entry": [rawlink.frame(rawlink.TABLE, struct.pack(">BQ", 1, 9) + bytes(20))],
    "a length of 16 MiB": [rawlink.frame(rawlink.TABLE, bytes(100), length=0xffffff)],
    "more after the last": [rawlink.table(), rawlink.frame(rawlink.PING, bytes(8))],
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_out_of_bounds_is_dropped(scene, kind):
    raw = scene.raw()
    with contextlib.suppress(Ended):
        raw.send(rawlink.hello("evil", raw.link, start_id=raw.start_id), *TABLES[kind])
    assert raw.ended()
    scene.server.wait_event("carrier_rejected", cause="protocol")
    scene.check()


@pytest.mark.parametrize("entries", [
    [rawlink.entry(1, received=1 << 50)], [rawlink.entry(1, delivered=1 << 50, received=1 << 50)],
    [rawlink.entry(1, delivered=9, received=3)], [rawlink.entry(1, limit=0)],
    [rawlink.entry(1, limit=HUGE)]],
    ids=["received", "delivered", "unordered", "shrunk", "limit"])
def test_absurd_offsets_in_a_resume_end_the_link(scene, entries):
    raw = scene.greeted()
    raw.open(1, "echo")
    again = scene.raw(link=raw.link, start_id=raw.start_id)
    again.say_hello(attempt=2, instance=raw.welcome[2], entries=entries, highest=1)
    assert again.ended()
    scene.server.wait_event("link_ended", cause="protocol")
    scene.check()


# -- floods ------------------------------------------------------------------------------------------

def test_thousands_of_opens_get_what_the_client_may_have_and_no_more(scene):
    raw = scene.greeted()
    raw.send(*(rawlink.open_stream(n, "echo") for n in range(1, 5001)))
    refused = 0
    while refused < 5000 - EVIL_CONNECTIONS:
        stream, code = struct.unpack(">QH", raw.read_until(rawlink.RESET))
        assert code == rawlink.LIMIT and stream > EVIL_CONNECTIONS
        refused += 1
    assert len(scene.server.connections()) == EVIL_CONNECTIONS + 10
    scene.server.wait_event("connection_refused", cause="limit")
    scene.check()


def test_opens_of_what_it_may_not_have_look_like_what_is_not_there(scene):
    raw = scene.greeted()
    for number in range(1, 2001):
        raw.send(rawlink.open_stream(number, "secret" if number % 2 else "nowhere"))
    codes = {raw.read_until(rawlink.RESET)[8:] for _ in range(2000)}
    assert codes == {struct.pack(">H", rawlink.UNKNOWN_SERVICE)}
    scene.server.wait_event("connection_refused", cause="unknown_service")
    scene.check()


@pytest.mark.sanitized
def test_opening_and_resetting_for_ever_leaks_nothing(scene):
    raw = scene.greeted()
    for number in range(1, 3001):
        raw.send(rawlink.open_stream(number, "echo"), rawlink.reset(number))
    raw.send(rawlink.frame(rawlink.PING, b"are you?"))
    assert raw.read_until(rawlink.PONG) == b"are you?"
    wait_until(lambda: len(scene.server.connections()) == 10, 10 * TIMESCALE, "only the good ones")
    wait_until(lambda: scene.backend.open == 10, 10 * TIMESCALE, "only the good ones at the backend")
    raw.send(*[rawlink.reset(1)] * 100_000)
    raw.send(rawlink.frame(rawlink.PING, b"are you?"))
    assert raw.read_until(rawlink.PONG) == b"are you?"
    scene.check()


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "not-reading"])
def test_a_flood_of_pings_costs_a_bounded_memory(scene, reads):
    raw = scene.greeted()
    flood = b"".join([rawlink.frame(rawlink.PING, bytes(8))] * 20_000)
    deadline = time.monotonic() + 3
    raw.sock.settimeout(0.5)
    sent = 0
    while time.monotonic() < deadline and sent < 4_000_000:
        try:
            sent += raw.sock.send(flood)
        except TimeoutError:
            break                          # the server reads no more of it
        except OSError:
            break                          # or has ended it
        if reads:
            swallow(raw.sock)
    scene.check()


def test_a_client_that_never_reads_holds_its_own_share_of_memory(scene):
    """Everything it asks for is echoed back at it, and it takes none of it."""
    raw = scene.greeted()
    raw.sock.settimeout(1)
    raw.send(*(rawlink.open_stream(n, "echo", rawlink.MAX_LIMIT) for n in range(1, 101)))
    with contextlib.suppress(TimeoutError, OSError):
        for offset in range(0, 4096, 1024):
            for stream in range(1, 101):
                raw.sock.sendall(rawlink.data(stream, offset, bytes(1024), limit=rawlink.MAX_LIMIT))
    time.sleep(1)
    scene.check()


def test_a_client_that_never_acks_holds_its_own_share_of_memory(scene):
    """It grants credit for everything, reads everything, and says that nothing was delivered."""
    raw = scene.greeted()
    raw.send(rawlink.open_stream(1, "raw", rawlink.MAX_LIMIT))
    back = scene.pair.backends["raw"].accept()
    back.settimeout(0.5)
    taken = 0
    with contextlib.suppress(TimeoutError):
        while taken < 256 << 20:
            taken += back.send(bytes(1 << 20))
            raw.send(rawlink.frame(rawlink.PING, bytes(8)))
            assert swallow(raw.sock)
    assert taken < 128 << 20, f"{taken >> 20} MiB were taken from a backend for a client without acks"
    scene.check()


# -- sockets that come to nothing ----------------------------------------------------------------------

def test_half_open_and_dripping_carriers_end_within_the_handshake_timeout(scene):
    whole = rawlink.hello("evil", os.urandom(16)) + rawlink.table([rawlink.entry(1)] * 400, 1)
    raws = [scene.raw() for _ in range(30)]        # fewer than one client has seats
    watch = Stopwatch()
    for at in range(0, 30):
        for number, raw in enumerate(raws):
            if number % 2:
                with contextlib.suppress(OSError):
                    raw.sock.send(whole[at:at + 1])
        time.sleep(0.02)
    for raw in raws:
        assert raw.ended(5 * TIMESCALE)
    assert watch.seconds() < 4 * TIMESCALE
    scene.server.wait_event("carrier_rejected", cause="handshake_timeout")
    scene.check()


def test_a_peer_that_stops_in_the_middle_of_a_frame_is_a_dead_peer(scene):
    raw = scene.greeted()
    raw.send(rawlink.frame(rawlink.PING, bytes(3), length=8))
    scene.server.wait_event("link_down", cause="carrier_silent", peer="evil", seconds=10)
    scene.check()


def test_more_links_than_it_may_have_are_refused(scene):
    codes = []
    for link in range(8):
        raw = scene.raw(start_id=77)
        codes.append(raw.greet(slot=16 * link)[:2])       # the last four bits are a lane's
    assert codes[:4] == [(rawlink.NEW, 0)] * 4
    assert codes[4:] == [(rawlink.REFUSED, rawlink.LIMIT)] * 4
    scene.check()
