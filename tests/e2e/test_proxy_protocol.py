"""The PROXY protocol both ways: services are told whose a connection is, and balancers tell the client
agent. Real nginx and haproxy are the other side."""
import socket
import struct
import time

import pytest

from pair import TIMESCALE, free_port
from receivers import Receiver, ask, installed
from streams import RST, Flow, is_open, ping, read_end, read_exactly, wait_until

pytestmark = pytest.mark.sanitized
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture
def receiver(tmp_path):
    """receiver(kind, options): a Receiver at a free port; stopped at the end."""
    running = []

    def make(kind, options, host="127.0.0.1"):
        if not installed(kind):
            print(f"SKIPPED: {kind} is not installed")
            pytest.skip(f"{kind} is not installed")
        running.append(Receiver(kind, tmp_path / f"{kind}-{len(running)}", [(host, free_port(host))],
                                options))
        return running[-1]
    yield make
    for each in running:
        each.stop()


def told_by(version, back):
    """(source, destination, unique id) of the header at the connection's beginning."""
    if version == "v1":
        line = b""
        while not line.endswith(b"\r\n"):
            line += read_exactly(back, 1)
        words = line.decode().split()
        assert words[:2] == ["PROXY", "TCP4"], words
        return (words[2], int(words[4])), (words[3], int(words[5])), None
    head = read_exactly(back, 16)
    assert head[:14] == SIGNATURE + b"\x21\x11", head
    body = read_exactly(back, struct.unpack("!H", head[14:])[0])
    source, destination = socket.inet_ntoa(body[:4]), socket.inet_ntoa(body[4:8])
    ports = struct.unpack("!HH", body[8:12])
    kind, size = struct.unpack("!BH", body[12:15])
    assert kind == 5 and len(body) == 15 + size
    return (source, ports[0]), (destination, ports[1]), body[15:].decode()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_service_is_told_whose_connection_it_is_before_its_first_byte(make_pair, version):
    pair = make_pair(services={"raw": {"send_proxy": version}})
    app, back = pair.connect()
    app.sendall(b"first")
    source, destination, connection = told_by(version, back)
    assert source == app.getsockname()
    assert destination == pair.backends["raw"].address
    assert read_exactly(back, 5) == b"first"
    if version == "v2":
        assert connection == pair.client.connections()[0]["id"]
    back.sendall(b"answer")
    assert read_exactly(app, 6) == b"answer"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_is_sent_once_and_is_no_part_of_the_stream(make_pair, version):
    pair = make_pair(services={"raw": {"send_proxy": version}})
    app, back = pair.connect()
    told_by(version, back)
    flow = Flow(app, back, 5, size=4 << 20)
    flow.wait_received(1 << 20)
    pair.relay.cut()
    flow.wait()
    assert pair.server.connections()[0]["bytes_up"] == 4 << 20


@pytest.mark.parametrize("lost", ["the question", "the answer"])
def test_an_opening_that_is_lost_with_its_carrier_reaches_the_service_once_and_by_one_id(make_pair, lost):
    """OPEN is written again on the next carrier where the server has not seen it, and only there."""
    pair = make_pair(services={"raw": {"send_proxy": "v2"}})
    first, back = pair.connect()
    told_by("v2", back)
    pair.relay.blackhole("up" if lost == "the question" else "down")
    app = pair.dial()
    app.sendall(b"x")
    back = pair.backends["raw"].accept() if lost == "the answer" else None
    assert pair.backends["raw"].quiet(0.5)
    known = {each["id"] for each in pair.client.connections()}
    pair.relay.cut()
    pair.relay.thaw()
    back = back or pair.backends["raw"].accept(20 * TIMESCALE)
    source, _, connection = told_by("v2", back)
    assert source == app.getsockname() and connection in known
    assert read_exactly(back, 1) == b"x"
    ping(app, back)
    assert pair.backends["raw"].quiet(0.5)
    for agent in (pair.client, pair.server):
        assert {each["id"] for each in agent.connections()} == known
    first.close()


def test_one_that_waited_while_the_server_restarted_is_told_once_by_the_id_that_both_agents_have(make_pair):
    pair = make_pair(services={"raw": {"send_proxy": "v2"}})
    pair.wait_ready()
    pair.server.kill()
    pair.client.wait_event("link_down", 30)   # else its OPEN may be on the wire, and is told server_restarted
    app = pair.dial()
    app.sendall(b"x")
    pair.server.start()
    back = pair.backends["raw"].accept(30 * TIMESCALE)
    _, _, connection = told_by("v2", back)
    assert read_exactly(back, 1) == b"x"
    for agent in (pair.client, pair.server):
        assert [each["id"] for each in agent.connections()] == [connection]
    assert pair.backends["raw"].quiet(0.5)


def test_who_tries_again_has_another_connection_and_another_id(make_pair):
    """The server connects, the application gives up, and comes again: two headers, two ids."""
    pair = make_pair(services={"raw": {"send_proxy": "v2"}})
    told = []
    for _ in range(2):
        app, back = pair.connect()
        told.append(told_by("v2", back))
        app.close()
        back.close()
    assert told[0][2] != told[1][2]
    for _, _, connection in told:
        assert pair.server.events("connection_open", id=connection)


def test_real_nginx_takes_both_versions(make_pair, receiver):
    nginx = receiver("nginx", "proxy_protocol")
    target = "%s:%d" % nginx.addresses[0]
    pair = make_pair(services={"v1": {"target": target, "send_proxy": "v1"},
                               "v2": {"target": target, "send_proxy": "v2"}})
    for service in ("v1", "v2"):
        app = pair.dial(service)
        told = "%s:%d" % app.getsockname()
        assert ask(app)["told"] == told
        pair.relay.cut()
        seen = ask(app)                      # the same connection, after an outage
        assert seen["told"] == told and seen["server"] == target


def test_real_haproxy_takes_both_versions_and_the_connections_id(make_pair, receiver):
    haproxy = receiver("haproxy", "accept-proxy")
    target = "%s:%d" % haproxy.addresses[0]
    pair = make_pair(services={"v1": {"target": target, "send_proxy": "v1"},
                               "v2": {"target": target, "send_proxy": "v2"}})
    for service in ("v1", "v2"):
        app = pair.dial(service)
        seen = ask(app)
        assert seen["told"] == "%s:%d" % app.getsockname()
        assert seen["server"] == target
        connection = next(each["id"] for each in pair.client.connections()
                          if each["service"] == service)
        assert seen["id"] == ("" if service == "v1" else connection)


def test_a_source_that_the_client_may_not_name_is_refused(make_pair):
    pair = make_pair(services={"raw": {"send_proxy": "v2"}},
                     server={"clients": {"edge-1": {"sources": ["192.0.2.0/24"]}}})
    assert pair.dial_in_vain() == (RST, b"")
    pair.server.wait_event("connection_closed", cause="not_allowed")
    pair.client.wait_event("connection_closed", cause="not_allowed")
    assert pair.backends["raw"].quiet()


# --- accept_proxy -----------------------------------------------------------------------------

BALANCED = {"services": {"raw": {"accept_proxy": True, "accept_proxy_from": ["127.0.0.1"]}}}


def v2(source, destination, extra=b""):
    body = (socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) +
            struct.pack("!HH", source[1], destination[1]) + extra)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


SOURCE, DESTINATION = ("192.0.2.7", 51000), ("203.0.113.9", 443)
HEADERS = {"v1": b"PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n", "v2": v2(SOURCE, DESTINATION)}


@pytest.mark.parametrize("version", HEADERS)
@pytest.mark.parametrize("chunk", [1, 1000])
def test_a_balancers_header_says_whose_the_connection_is(make_pair, version, chunk):
    pair = make_pair(client=BALANCED, services={"raw": {"send_proxy": "v2"}})
    app = pair.dial()
    data = HEADERS[version] + b"hello"
    for start in range(0, len(data), chunk):
        app.sendall(data[start:start + chunk])
        if chunk == 1:
            time.sleep(0.002)                # so that the bytes come one by one
    back = pair.backends["raw"].accept()
    assert told_by("v2", back)[:2] == (SOURCE, DESTINATION)
    assert read_exactly(back, 5) == b"hello"
    ping(app, back)
    for agent in (pair.client, pair.server):
        shown = agent.connections()[0]
        assert (shown["client"], shown["destination"]) == ("192.0.2.7:51000", "203.0.113.9:443")
        opened = agent.wait_event("connection_open", client="192.0.2.7:51000")
        assert "destination=203.0.113.9:443" in opened[0]


def test_a_balancer_that_speaks_for_itself_is_the_client(make_pair):
    pair = make_pair(client=BALANCED)
    app = pair.dial()
    app.sendall(SIGNATURE + b"\x20\x00\x00\x00")
    back = pair.backends["raw"].accept()
    ping(app, back)
    assert pair.server.connections()[0]["client"] == "%s:%d" % app.getsockname()


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.0\r\n\r\n", b"PROXY TCP4 1.2.3.4\r\n",
                                  SIGNATURE + b"\x21\x11\xff\xff"])
def test_what_is_no_header_is_reset_and_reaches_nobody(make_pair, sent):
    pair = make_pair(client=BALANCED)
    app = pair.dial()
    app.sendall(sent)
    assert read_end(app) == (RST, b"")
    pair.client.wait_event("application_refused", cause="protocol")
    assert pair.backends["raw"].quiet()


def test_who_ends_or_says_nothing_is_let_go(make_pair):
    pair = make_pair(client=BALANCED)
    silent, gone = pair.dial(), pair.dial()
    gone.sendall(b"PROXY TCP4 192.0")
    gone.shutdown(socket.SHUT_WR)
    assert read_end(gone)[0] == RST
    assert is_open(silent)
    assert read_end(silent, 10)[0] == RST    # after 5 s
    wait_until(lambda: len(pair.client.events("application_refused")) == 2, 5 * TIMESCALE,
               "the log tells of both")
    assert pair.backends["raw"].quiet()


def test_who_is_no_balancer_is_reset_before_a_word(make_pair):
    allowed = {"services": {"raw": {"accept_proxy": True, "accept_proxy_from": ["10.0.0.0/8"]}}}
    pair = make_pair(client=allowed)
    assert pair.dial_in_vain() == (RST, b"")
    pair.client.wait_event("application_refused", cause="not_allowed")


def test_an_ipv6_balancer_is_known_by_its_network(make_pair):
    listen = f"[::1]:{free_port('::1')}"
    allowed = {"services": {"raw": {"accept_proxy": True, "accept_proxy_from": ["::/120"]}}}
    pair = make_pair(client=allowed, services={"raw": {"listen": listen}})
    app = pair.dial()
    app.sendall(b"PROXY TCP6 2001:db8::7 2001:db8::9 51000 443\r\n")
    back = pair.backends["raw"].accept()
    ping(app, back)
    assert pair.server.connections()[0]["client"] == "[2001:db8::7]:51000"


def test_while_there_is_no_room_announced_connections_wait(make_pair):
    pair = make_pair(client={**BALANCED, "limits": {"connections": 1}})
    first, second = pair.dial(), pair.dial()
    for app in (first, second):
        app.sendall(HEADERS["v1"])
    back = pair.backends["raw"].accept()
    assert pair.backends["raw"].quiet()
    first.close()
    read_end(back)
    back.close()
    ping(second, pair.backends["raw"].accept())


def test_a_real_haproxy_in_front_of_the_client_agent(make_pair, tmp_path):
    """application - haproxy (send-proxy-v2) - client agent - server agent - nginx (proxy_protocol)"""
    for program in ("haproxy", "nginx"):
        if not installed(program):
            pytest.skip(f"{program} is not installed")
    front = free_port()
    nginx = Receiver("nginx", tmp_path / "nginx", [("127.0.0.1", free_port())], "proxy_protocol")
    listen = free_port()
    haproxy = Receiver("haproxy", tmp_path / "front", [("127.0.0.1", front)], config=f"""
defaults
  mode tcp
  timeout client 60s
  timeout server 60s
  timeout connect 5s
listen front
  bind 127.0.0.1:{front}
  server agent 127.0.0.1:{listen} send-proxy-v2
""")
    try:
        make_pair(client=BALANCED, services={"raw": {
            "target": "%s:%d" % nginx.addresses[0], "listen": f"127.0.0.1:{listen}",
            "send_proxy": "v1"}})
        with socket.create_connection(("127.0.0.1", front), 5) as app:
            seen = ask(app)
            assert seen["told"] == "%s:%d" % app.getsockname()
            assert seen["server"] == f"127.0.0.1:{front}"
    finally:
        haproxy.stop()
        nginx.stop()
