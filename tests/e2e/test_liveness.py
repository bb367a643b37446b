"""How soon an outage is noticed, and how soon bytes flow again after it."""
import time

import pytest

import outages
from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import Flow, ping, read_exactly, wait_until

PACE = 200_000


def hold(seconds):
    """Real time is the subject here."""
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start >= seconds, seconds + 1, "time")


# -- detection -------------------------------------------------------------------------------------

@pytest.mark.parametrize("traffic", ["idle", "up", "down", "both"])
@pytest.mark.parametrize("kind", ["silence", "silence-up", "silence-down"])
def test_a_silent_path_is_noticed_within_a_second_and_a_half(pair, kind, traffic):
    app, back = pair.connect()
    flows = []
    if traffic in ("up", "both"):
        flows.append(Flow(app, back, 1, pace=PACE))
    if traffic in ("down", "both"):
        flows.append(Flow(back, app, 2, pace=PACE))
    for flow in flows:
        flow.wait_progress(5)
    watch = Stopwatch()
    outages.begin(pair, kind)
    noticed = wait_until(
        lambda: pair.client.events("link_down") or pair.server.events("link_down"), 3 * TIMESCALE,
        "link_down in a log")
    assert noticed and watch.seconds() <= 1.5 * TIMESCALE
    outages.wait_link_down(pair)
    assert watch.seconds() <= 2 * TIMESCALE
    outages.end(pair)
    for flow in flows:
        flow.wait_progress(2)
        flow.stop()
    for flow in flows:
        flow.wait()


def test_a_healthy_idle_link_is_never_flapped(pair):
    app, back = pair.connect()
    hold(3)
    ping(app, back)
    # A machine that stalls for half a second may cost the dial of a standby, never the carrier.
    assert pair.reconnects() == 0
    assert pair.server.events("link_down") == pair.client.events("link_down") == []


def test_a_path_of_300_milliseconds_keeps_its_carrier(pair):
    pair.relay.delay(150)
    app, back = pair.connect()
    flows = [Flow(app, back, 1, pace=PACE), Flow(back, app, 2, pace=PACE)]
    hold(3)
    assert pair.reconnects() == 0
    for flow in flows:
        flow.stop()
    for flow in flows:
        flow.wait()


def test_a_path_of_600_milliseconds_can_still_connect_and_resume(make_pair):
    pair = make_pair(fast=False)
    pair.relay.delay(300)
    app, back = pair.connect()
    assert ping(app, back) < 1.5 * TIMESCALE
    pair.relay.cut()
    assert ping(app, back) < 4 * TIMESCALE


def test_a_slow_path_that_still_moves_is_not_taken_for_dead(pair):
    app, back = pair.connect()
    pair.relay.rate(300_000)
    flows = [Flow(app, back, 1, 900_000), Flow(back, app, 2, 900_000)]
    for flow in flows:
        flow.wait(30)
    assert pair.reconnects() == 0


# -- stopped processes -----------------------------------------------------------------------------

def test_agents_stopped_together_longer_than_dead_after_keep_their_carrier(pair):
    app, back = pair.connect()
    ping(app, back)
    for agent in (pair.client, pair.server):
        agent.freeze()
    hold(2.5)
    for agent in (pair.client, pair.server):
        agent.go_on()
    assert ping(app, back) < 1 * TIMESCALE
    hold(1.5)
    assert pair.reconnects() == 0
    ping(app, back)


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_agent_stopped_longer_than_dead_after_does_not_lose_its_link(pair, role):
    """The other agent rightly notices the silence; the link and its connections live on."""
    app, back = pair.connect()
    ping(app, back)
    agent = getattr(pair, role)
    agent.freeze()
    app.sendall(b"to")
    back.sendall(b"fro")
    hold(2.5)
    watch = Stopwatch()
    agent.go_on()
    assert read_exactly(back, 2) == b"to"
    assert read_exactly(app, 3) == b"fro"
    assert watch.seconds() < 1.5 * TIMESCALE
    ping(app, back)


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_stop_that_the_other_agent_tolerates_costs_no_carrier(make_pair, role):
    """Stopped for most of dead_after: the stopped agent must not call the others dead on waking. The
    client moves on to a standby only when one stands, and in plaintext a stopped server's kernel is
    enough for that."""
    pair = make_pair(client={"link": {"heartbeat": "1s", "dead_after": "3s"}},
                     server={"link": {"heartbeat": "1s", "dead_after": "3s"}})
    app, back = pair.connect()
    ping(app, back)
    agent = getattr(pair, role)
    link = pair.client.json("links")[0]["id"]
    agent.freeze()
    hold(2.2)
    agent.go_on()
    assert ping(app, back) < 1 * TIMESCALE
    hold(1)
    assert pair.client.json("links")[0]["id"] == link
    assert len(pair.server.json("links")) == 1
    ping(app, back)
    if role == "client" or pair.link_kind != "plain":
        assert pair.reconnects() == 0


# -- resuming --------------------------------------------------------------------------------------

def outage_at_once(make_pair, duration):
    """Every kind of outage with data up, down and both ways, all pairs at the same time, with the
    default settings. Returns {what: seconds from the path's return to the next byte} and the runs."""
    kinds = [kind for kind in outages.OUTAGES if kind not in outages.MOMENTARY]
    runs = []
    for kind in kinds:
        for ways in ("up", "down", "both"):
            pair = make_pair(fast=False)
            app, back = pair.connect()
            flows = {}
            if ways != "down":
                flows["up"] = Flow(app, back, 1, pace=PACE)
            if ways != "up":
                flows["down"] = Flow(back, app, 2, pace=PACE)
            runs.append((kind, ways, pair, flows))
    for *_, flows in runs:
        for flow in flows.values():
            flow.wait_progress(10)
    for kind, _, pair, _ in runs:
        outages.begin(pair, kind)
    hold(duration)
    healed = {}
    for kind, ways, pair, _ in runs:
        outages.end(pair)
        healed[kind, ways] = Stopwatch()
    taken = {(kind, ways, way): next_byte_after(flow, healed[kind, ways])
             for kind, ways, _, flows in runs for way, flow in flows.items()}
    for *_, flows in runs:
        for flow in flows.values():
            flow.stop()
    return taken, runs


def next_byte_after(flow, watch, seconds=10):
    """Seconds from the stopwatch's start to the next byte; infinite when none comes or the flow broke."""
    def flowing():
        flow.check()
        return flow.arrivals and flow.arrivals[-1][0] > watch.start
    try:
        wait_until(flowing, max(0.0, seconds - watch.seconds()), "the next byte")
        return watch.seconds(flow.arrived_after(watch.start) - watch.start)
    except AssertionError:
        return float("inf")


@pytest.mark.parametrize("duration", [
    2, 5, pytest.param(12, marks=pytest.mark.slow), pytest.param(30, marks=pytest.mark.slow)])
def test_the_next_byte_flows_within_a_second_of_the_paths_return(make_pair, duration):
    taken, runs = outage_at_once(make_pair, duration)
    late = {" ".join(what): round(seconds, 2) for what, seconds in taken.items()
            if seconds >= 1 * TIMESCALE}
    assert not late, f"seconds from the path's return: {late}"
    for kind, _, pair, flows in runs:
        for way, flow in flows.items():
            flow.wait()
            if kind == f"loss-{way}":
                sender = pair.client if way == "up" else pair.server
                assert sender.replayed() > 0, f"{kind}: the {sender.role} resent nothing"


@pytest.mark.parametrize("kind", outages.MOMENTARY)
def test_after_a_mere_cut_the_next_byte_flows_at_once(make_pair, kind):
    pair = make_pair(fast=False)
    app, back = pair.connect()
    for _ in range(5):
        ping(app, back)
        outages.begin(pair, kind)
        assert ping(app, back) < 0.5 * TIMESCALE


@pytest.mark.parametrize("connects", ["void", "pass"])
def test_a_silent_path_that_accepts_connects_is_left_within_a_second_too(make_pair, connects):
    """A middlebox answers the SYN and nothing else."""
    pair = make_pair(fast=False)
    app, back = pair.connect()
    flow = Flow(app, back, 1, pace=PACE)
    flow.wait_progress(5)
    pair.relay.freeze("both", connects)
    hold(3)
    pair.relay.thaw()
    assert flow.wait_progress(5) < 1 * TIMESCALE
    flow.stop()
    flow.wait()


@pytest.mark.sanitized
def test_a_carrier_that_falls_in_its_handshake_is_replaced(make_pair):
    pair = make_pair(fast=False)
    app, back = pair.connect()
    ping(app, back)
    for offset in (1, 10, 40, 90):
        for direction in ("up", "down"):
            pair.relay.cut_after(offset, direction)
            pair.relay.cut()
            assert ping(app, back) < 3 * TIMESCALE
