"""Services whose targets lead back to the client agent: found without interception, and ended."""
import contextlib
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time
import uuid

import pytest

import netns
from pair import Backend, EchoBackend, TIMESCALE, free_port, merge
from rawlink import GOODBYE, PING, PONG, RawLink, frame, parameter
from streams import FIN, RST, is_open, read_end, read_exactly, wait_until

ORIGIN, MARK_KEY = 31, 25
LIMIT = {"limits": {"connections": 2000}}


@pytest.fixture
def looped(make_pair):
    """Each service of `names` has the next one's listener as its target, and the last one the first's;
    "raw" is a good one."""
    def make(*names, **client):
        listens = {name: f"127.0.0.1:{free_port()}" for name in names}
        services = {name: {"listen": listens[name], "target": listens[names[(at + 1) % len(names)]]}
                    for at, name in enumerate(names)}
        return make_pair(services={**services, "raw": {}}, client=merged(LIMIT, client), server=LIMIT)
    return make


def merged(*tables):
    result = {}
    for table in tables:
        merge(result, table)
    return result


def exchange(app, back):
    app.sendall(b"there")
    assert read_exactly(back, 5) == b"there"
    back.sendall(b"back")
    assert read_exactly(app, 4) == b"back"


def opened(pair):
    return len(pair.server.events("connection_open"))


def ends_with_reset(pair, service):
    assert pair.dial_in_vain(service, 5 * TIMESCALE)[0] == RST


def refused(pair, count):
    wait_until(lambda: len(pair.client.events("application_refused", cause="loop")) >= count,
               5 * TIMESCALE, f"{count} refused")


def no_loop(pair):
    assert not pair.client.events("loop_found")
    for agent in (pair.client, pair.server):
        assert not agent.events("connection_closed", cause="loop")
    assert not pair.client.events("application_refused")


@pytest.mark.sanitized
@pytest.mark.parametrize("threads", [1, 3])
def test_a_loop_through_the_clients_own_listener_is_found_and_ended(looped, threads):
    pair = looped("web", threads=threads)
    ends_with_reset(pair, "web")
    pair.client.wait_event("loop_found", 5, services="web -> web")
    pair.wait_empty()                        # while the application still holds its socket
    pair.wait_descriptors()
    assert opened(pair) < 100
    # While it lasts nobody comes in, and is told why; the others do not notice.
    before = opened(pair)
    for _ in range(5):
        ends_with_reset(pair, "web")
    refused(pair, 5)
    assert opened(pair) == before
    exchange(*pair.connect())
    assert len(pair.client.events("loop_found")) == 1


@pytest.mark.parametrize("act", ["close", "shutdown", "write"])
def test_an_application_that_has_gone_leaves_nothing_behind(looped, act):
    pair = looped("web")
    for _ in range(3):
        with contextlib.suppress(OSError):   # the loop may have been found before
            app = pair.dial("web")
            if act == "write":
                app.sendall(b"x" * 1000)
            if act == "shutdown":
                app.shutdown(socket.SHUT_WR)
            else:
                app.close()
    pair.client.wait_event("loop_found", 5)
    pair.wait_empty()
    pair.wait_descriptors()


def test_a_loop_of_two_services_is_found_and_ended(looped):
    pair = looped("web", "db")
    ends_with_reset(pair, "web")
    pair.wait_empty()
    line, = pair.client.wait_event("loop_found")
    assert "web -> db -> web" in line or "db -> web -> db" in line
    for service in ("web", "db"):
        ends_with_reset(pair, service)
    refused(pair, 2)
    assert opened(pair) < 100
    exchange(*pair.connect())


def test_a_loop_over_two_links_is_found(make_pair):
    """The two links of one client agent, to one server, with a service each."""
    listens = {name: f"127.0.0.1:{free_port()}" for name in ("web", "db")}
    pair = make_pair(services={"web": {"listen": listens["web"], "target": listens["db"]},
                               "db": {"listen": listens["db"], "target": listens["web"]}, "raw": {}},
                     client=LIMIT, server=LIMIT)
    config = pair.client.settings
    link = config.pop("link")
    config["links"] = {"one": link, "two": dict(link)}
    for name, service in config["services"].items():
        service["link"] = "two" if name == "db" else "one"
    pair.client.terminate()
    pair.client.write_config(config)
    pair.client.start()
    pair.wait_ready()
    wait_until(lambda: len(pair.client.status()["links"]) == 2, 5 * TIMESCALE, "two links")
    ends_with_reset(pair, "web")
    pair.client.wait_event("loop_found")
    pair.wait_empty()
    pair.note_descriptors()


def test_a_service_works_again_after_its_target_was_mended(looped):
    pair = looped("web")
    ends_with_reset(pair, "web")
    pair.client.wait_event("loop_found")
    config = pair.server.settings
    config["services"]["web"]["target"] = pair.backends["raw"].target
    pair.server.write_config(config)
    assert pair.server.run("reload").returncode == 0

    def served():
        try:
            app = pair.dial("web")
            app.sendall(b"x")
            read_exactly(pair.backends["raw"].accept(1), 1)
            return app
        except (AssertionError, ConnectionError):
            return None
    wait_until(served, 15 * TIMESCALE, "the service takes connections again")
    assert len(pair.client.events("loop_found")) == 1


def test_connections_of_before_the_target_led_back_stay(make_pair):
    listen = f"127.0.0.1:{free_port()}"
    pair = make_pair(services={"web": {"listen": listen}, "raw": {}}, client=LIMIT, server=LIMIT)
    good = [pair.connect("web") for _ in range(5)]
    config = pair.server.settings
    config["services"]["web"]["target"] = listen
    pair.server.write_config(config)
    assert pair.server.run("reload").returncode == 0
    ends_with_reset(pair, "web")
    pair.client.wait_event("loop_found")
    wait_until(lambda: len(pair.client.connections()) == len(good), 10 * TIMESCALE, "the loop is over")
    for app, back in good:
        exchange(app, back)


def test_a_loop_that_is_not_mended_is_found_again_and_told_once_a_minute(looped):
    pair = looped("web")
    ends_with_reset(pair, "web")
    pair.client.wait_event("loop_found")
    before = opened(pair)

    def tried():
        ends_with_reset(pair, "web")
        return opened(pair) > before
    wait_until(tried, 15 * TIMESCALE, "a try")
    pair.wait_empty()
    assert opened(pair) < before + 100
    assert len(pair.client.events("loop_found")) == 1


def test_a_chain_of_services_that_ends_is_no_loop(make_pair):
    """web's target is db's listener, whose target is a service: many connections, short and long."""
    echo = EchoBackend()
    listens = {name: f"127.0.0.1:{free_port()}" for name in ("web", "db")}
    pair = make_pair(services={"web": {"listen": listens["web"], "target": listens["db"]},
                               "db": {"listen": listens["db"], "target": echo}})
    kept = []
    for number in range(120):
        app = pair.dial("web" if number % 3 else "db")
        app.sendall(b"hello")
        assert read_exactly(app, 5) == b"hello"
        if number % 4:
            app.close()
        else:
            kept.append(app)
    together = [pair.dial("web") for _ in range(40)]
    for app in together:
        app.sendall(b"hello")
    for app in together + kept:
        if app in kept:
            app.sendall(b"again")
        assert len(read_exactly(app, 5)) == 5
        app.shutdown(socket.SHUT_WR)
        assert read_end(app)[0] == FIN
    no_loop(pair)


def test_applications_on_one_host_with_their_service_are_no_loop(make_pair):
    pair = make_pair(services={"raw": {"target": EchoBackend()}})
    for _ in range(200):
        app = pair.dial()
        app.sendall(b"x")
        assert read_exactly(app, 1) == b"x"
        app.close()
    no_loop(pair)


@pytest.fixture
def lab(namespaces):
    lab = netns.Lab()
    yield lab
    lab.remove()


@pytest.mark.parametrize("source, listener", [("127.0.0.1", "127.0.0.1"), ("10.99.0.1", "10.99.0.1"),
                                              ("10.99.0.2", "10.99.0.1")])
def test_two_hosts_with_the_same_addresses_and_ports_have_no_loop(make_pair, lab, source, listener):
    """The client agent listens where the service is, on another host, and applications come from the
    address from which the server agent connects. Where both addresses are one host's by themselves, from
    the same ports, too: the server has those that the second half of the applications has, and the first
    half's connections get them, when the second half is there already: the server stands still so long.
    Of a private network, where only chance keeps them apart, ports are what the kernels draw."""
    by_itself = source == listener
    for space in (lab.client, lab.server):
        for address in {source, listener} - {"127.0.0.1"}:
            space.run("ip", "address", "add", f"{address}/32", "dev", "lo")
        if not by_itself:                    # as if it were another host of the network
            space.run("ip", "route", "replace", "local", listener, "dev", "lo", "table", "local",
                      "src", source)
    if by_itself:
        lab.server.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40040 40079")
    port = free_port()
    echo = EchoBackend((listener, port), space=lab.server)
    pair = make_pair(lab=lab, services={"raw": {"target": echo, "listen": f"{listener}:{port}"}})
    for _ in range(4):
        apps = []
        pair.server.freeze()
        for own in range(40000, 40080, 2):
            if own == 40040:
                time.sleep(0.05)
            with lab.client.enter():
                app = socket.socket()
            app.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            app.bind((source, own if by_itself else 0))
            app.settimeout(10)
            app.connect((listener, port))
            apps.append(app)
        pair.server.go_on()
        for app in apps:
            app.sendall(b"hello")
        for app in apps:
            assert read_exactly(app, 5) == b"hello"
            assert is_open(app)
        for app in apps:                     # without TIME_WAIT: the ports are used again
            app.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            app.close()
        pair.wait_empty()
    no_loop(pair)


def mark_of(key, source, target, scope=b""):
    """By docs/PROTOCOL.md."""
    def end(address):
        ip = ipaddress.ip_address(address[0])
        packed = ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed
        return packed + struct.pack(">H", address[1])
    return hmac.new(key, end(source) + end(target) + scope, hashlib.sha256).digest()[:8]


def test_a_mark_is_what_the_protocol_says_and_told_only_to_who_gave_a_key(make_pair):
    backend = Backend()
    pair = make_pair(link="plain", services={"raw": {"target": backend}},
                     server={"clients": {name: {"services": ["raw"]} for name in ("new", "old")}})
    boot_id = uuid.UUID(open("/proc/sys/kernel/random/boot_id").read().strip()).bytes
    namespace = os.stat(f"/proc/{pair.server.pid}/ns/net").st_ino
    key = os.urandom(16)
    raw = RawLink(pair.link_port, name="new")
    raw.greet(extra=parameter(MARK_KEY, key))
    raw.open(1, "raw")
    origin = raw.read_until(ORIGIN)
    back = backend.accept()
    assert origin == struct.pack(">Q", 1) + mark_of(key, back.getpeername(), back.getsockname(),
                                                    boot_id + struct.pack(">Q", namespace))
    raw.send(frame(GOODBYE, struct.pack(">H", 14)))
    old = RawLink(pair.link_port, name="old")
    old.greet()
    old.open(1, "raw")
    old.send(frame(PING, bytes(8)))          # what was to follow OPENED comes before the answer
    kinds = [old.read()[0]]
    while kinds[-1] != PONG:
        kinds.append(old.read()[0])
    assert ORIGIN not in kinds
    old.send(frame(GOODBYE, struct.pack(">H", 14)))
    assert raw.ended() and old.ended()
