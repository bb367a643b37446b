"""Every byte once and in order, through every kind of outage; and it was the replay that did it."""
import socket

import pytest

import outages
from pair import TIMESCALE, EchoBackend
from pingpong import PingPong
from streams import FIN, RST, Flow, payload, ping, read_end, read_exactly, wait_until

RATE = 16_000_000


def start_flows(app, back, ways, size):
    flows = {}
    if ways in ("up", "both"):
        flows["up"] = Flow(app, back, 101, size)
    if ways in ("down", "both"):
        flows["down"] = Flow(back, app, 202, size)
    return flows


def assert_replayed(pair, ways):
    if len(ways) == 2:
        # One of the ways may stand empty: its credit waits behind the other's bytes, or it is done.
        assert pair.client.replayed() + pair.server.replayed() > 0, "nobody resent anything"
        return
    for way in ways:
        sender = pair.client if way == "up" else pair.server
        assert sender.replayed() > 0, f"the {sender.role} resent nothing"


def test_urgent_bytes_arrive_in_their_place(make_pair):
    """As ordinary ones: that they were urgent is not carried."""
    pair = make_pair()
    app, back = pair.connect()
    for src, dst in ((app, back), (back, app)):
        for number in range(20):
            src.sendall(b"before%02d" % number)
            src.send(b"!", socket.MSG_OOB)
            src.sendall(b"after")
            assert read_exactly(dst, 14) == b"before%02d!after" % number
    pair.relay.refuse()
    pair.relay.cut()
    pair.client.wait_event("link_down")
    app.sendall(b"in the outage")
    app.send(b"!", socket.MSG_OOB)
    app.sendall(b"all the same")
    pair.relay.accept()
    assert read_exactly(back, 26) == b"in the outage!all the same"


@pytest.mark.parametrize("ways", ["up", "down", "both"])
def test_without_a_fault_the_digests_are_equal_and_nothing_is_resent(pair, ways):
    app, back = pair.connect()
    for flow in start_flows(app, back, ways, 32 << 20).values():
        flow.wait()
    assert pair.client.replayed() == pair.server.replayed() == 0
    assert pair.reconnects() == 0


# Only what the outage swallows must be sent again: one-way silence spares the other way's bytes.
@pytest.mark.parametrize("kind, ways", [
    (kind, ways) for kind in outages.OUTAGES for ways in ("up", "down", "both")
    if outages.loses(kind, ways)])
def test_an_outage_while_bytes_flow_loses_and_doubles_nothing(pair, kind, ways):
    app, back = pair.connect()
    pair.relay.rate(RATE)
    flows = start_flows(app, back, ways, None)
    for flow in flows.values():
        flow.wait_received(6 << 20)     # windows have grown: there is always something on its way
    outages.run(pair, kind)
    pair.relay.rate(0)
    for flow in flows.values():
        flow.stop()
    for flow in flows.values():
        flow.wait()
    assert_replayed(pair, outages.loses(kind, ways))


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", ["reset", "orderly-close"])
def test_eight_mebibytes_both_ways_at_once_pass_through_many_cuts(pair, kind):
    app, back = pair.connect()
    pair.relay.rate(RATE)
    flows = start_flows(app, back, "both", 8 << 20)
    for step in range(1, 8):
        for flow in flows.values():
            flow.wait_received(step << 20)
        outages.run(pair, kind)
    pair.relay.rate(0)
    for flow in flows.values():
        flow.wait()
    assert_replayed(pair, flows)
    assert pair.reconnects() >= 7


@pytest.mark.parametrize("direction", ["up", "down"])
def test_cuts_at_awkward_byte_offsets_lose_nothing(pair, direction):
    app, back = pair.connect()
    flows = start_flows(app, back, "both", None)
    for offset in (1, 3, 4, 5, 31, 36, 37, 100, 1000, 16_384, 65_540, 65_573, 262_144):
        before = pair.relay.stats()["cuts"]
        pair.relay.cut_after(offset, direction)
        wait_until(lambda: pair.relay.stats()["cuts"] > before, 5 * TIMESCALE,
                   f"the cut {offset} bytes further {direction}")
    for flow in flows.values():
        flow.stop()
    for flow in flows.values():
        flow.wait()
    assert_replayed(pair, flows)


def test_tiny_segments_change_nothing(pair):
    pair.relay.chunk(7)
    app, back = pair.connect()
    flows = start_flows(app, back, "both", 100_000)
    for flow in flows.values():
        flow.wait()
    pair.relay.cut()
    app2, back2 = pair.connect()
    ping(app2, back2)


@pytest.mark.sanitized
@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_was_on_its_way_when_the_carrier_fell_is_resent(pair, direction):
    app, back = pair.connect()
    ping(app, back)
    source, sink = (app, back) if direction == "up" else (back, app)
    sender = pair.client if direction == "up" else pair.server
    data = payload(303, 50_000)
    pair.relay.freeze()
    source.sendall(data)
    outages.lose_bytes_in_flight(pair, direction, len(data))
    assert read_exactly(sink, len(data)) == data
    assert sender.replayed() >= len(data)


@pytest.mark.sanitized
def test_bytes_written_while_the_link_is_down_arrive_after_it(pair):
    app, back = pair.connect()
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    app.sendall(b"from the application")
    back.sendall(b"from the backend")
    outages.end(pair)
    assert read_exactly(back, 20) == b"from the application"
    assert read_exactly(app, 16) == b"from the backend"


def test_a_writer_is_held_back_by_a_long_outage_and_not_dropped(make_pair):
    limits = {"limits": {"memory": "16MiB", "connections": 100}}
    pair = make_pair(client=limits, server=limits)
    app, back = pair.connect()
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    flows = start_flows(app, back, "both", 48 << 20)
    stalled = {}
    for name, flow in flows.items():
        sizes = []

        def unchanged():
            sizes.append(flow.sent)
            return len(sizes) > 60 and sizes[-1] == sizes[-60]
        wait_until(unchanged, 15 * TIMESCALE, "the writer held back")
        stalled[name] = flow.sent
        assert flow.sent < 48 << 20
    outages.end(pair)
    for flow in flows.values():
        flow.wait()


def test_a_thousand_connections_play_ping_pong_through_twenty_cuts(make_pair):
    pair = make_pair(services={"echo": {"target": EchoBackend()}})
    game = PingPong([pair.dial("echo") for _ in range(1000)])
    for _ in range(20):
        game.wait_round()
        pair.relay.cut()
    game.wait_round()
    game.stop()
    assert pair.client.replayed() > 0
    assert pair.server.replayed() > 0
    assert pair.reconnects() >= 20
    assert len(pair.client.connections()) == 1000


def test_many_rounds_of_connections_and_cuts_leave_exactly_as_many_descriptors(pair):
    def round_of_connections():
        connections = [pair.connect() for _ in range(50)]
        for cut in range(3):
            for app, back in connections[cut::3]:
                ping(app, back)
            outages.run(pair, "reset")
        for number, (app, back) in enumerate(connections):
            first, second = (app, back) if number % 2 else (back, app)
            first.close()
            assert read_end(second) == (FIN, b"")
            second.close()
        pair.wait_empty()
    round_of_connections()
    pair.wait_descriptors()
    pair.note_descriptors()
    for _ in range(3):
        round_of_connections()
    pair.wait_descriptors(slack=0)


def test_a_broken_stream_does_not_pass_for_a_clean_end(pair):
    """The oracle of this suite: RST and FIN are told apart through the pair without any fault."""
    app, back = pair.connect()
    back.sendall(b"tail")
    back.close()
    assert read_end(app) == (FIN, b"tail")
    app, back = pair.connect()
    back.sendall(b"tail")
    assert read_exactly(app, 4) == b"tail"
    back.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
    back.close()
    assert read_end(app) == (RST, b"")
