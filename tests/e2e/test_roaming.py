"""The pair on two hosts with a router between them: the kernel's own outages, default settings."""

import pytest

import netns
from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import Flow, ping, wait_until
from test_liveness import PACE, hold, next_byte_after

# kind: (what begins the outage, what ends it)
FAULTS = {
    "drop both ways": (lambda lab: lab.drop(), lambda lab: lab.heal()),
    "drop up": (lambda lab: lab.drop("up"), lambda lab: lab.heal()),
    "drop down": (lambda lab: lab.drop("down"), lambda lab: lab.heal()),
    "reject": (lambda lab: lab.reject(), lambda lab: lab.heal()),
    "link down": (lambda lab: lab.link_down(), lambda lab: lab.link_up()),
    "route removed": (lambda lab: lab.remove_route(), lambda lab: lab.restore_route()),
    "drop, then another address": (lambda lab: lab.drop(),
                                   lambda lab: (lab.change_address(), lab.heal())),
}


@pytest.fixture
def make_lab(namespaces):
    labs = []

    def make():
        labs.append(netns.Lab())
        return labs[-1]
    yield make
    for lab in labs:
        lab.remove()


@pytest.mark.parametrize("duration", [
    2, 5, pytest.param(12, marks=pytest.mark.slow), pytest.param(30, marks=pytest.mark.slow)])
def test_between_hosts_the_next_byte_flows_within_a_second_of_the_paths_return(
        make_lab, make_pair, duration):
    runs = {}
    for kind in FAULTS:
        for ways in ("up", "down", "both"):
            lab = make_lab()
            pair = make_pair(lab=lab, fast=False)
            app, back = pair.connect()
            flows = []
            if ways != "down":
                flows.append(Flow(app, back, 1, pace=PACE))
            if ways != "up":
                flows.append(Flow(back, app, 2, pace=PACE))
            runs[kind, ways] = (lab, flows)
    for _, flows in runs.values():
        for flow in flows:
            flow.wait_progress(10)
    for (kind, _), (lab, _) in runs.items():
        FAULTS[kind][0](lab)
    hold(duration)
    healed = {}
    for (kind, ways), (lab, _) in runs.items():
        FAULTS[kind][1](lab)
        healed[kind, ways] = Stopwatch()
    late = {}
    for key, (_, flows) in runs.items():
        for number, flow in enumerate(flows):
            seconds = next_byte_after(flow, healed[key])
            if seconds >= 1 * TIMESCALE:
                late[" / ".join([*key, str(number)])] = round(seconds, 2)
    for _, flows in runs.values():
        for flow in flows:
            flow.stop()
    assert not late, f"seconds from the path's return: {late}"
    for _, flows in runs.values():
        for flow in flows:
            flow.wait()


@pytest.mark.parametrize("ways", ["up", "down", "both", "idle"])
def test_a_changed_address_costs_less_than_a_second(make_lab, make_pair, ways):
    lab = make_lab()
    pair = make_pair(lab=lab, fast=False)
    app, back = pair.connect()
    flows = []
    if ways in ("up", "both"):
        flows.append(Flow(app, back, 1, pace=PACE))
    if ways in ("down", "both"):
        flows.append(Flow(back, app, 2, pace=PACE))
    for flow in flows:
        flow.wait_progress(10)
    for _ in range(3):
        before = pair.reconnects()
        lab.change_address()
        watch = Stopwatch()
        for flow in flows:
            assert next_byte_after(flow, watch) < 1 * TIMESCALE
        if not flows:
            assert ping(app, back) < 1 * TIMESCALE
        wait_until(lambda: pair.reconnects() > before, 3 * TIMESCALE, "a reconnect counted")
    for flow in flows:
        flow.stop()
    for flow in flows:
        flow.wait()
    if flows:
        assert pair.client.replayed() + pair.server.replayed() > 0


def wait_unacked(host, port, byte_count):
    """The host's carrier holds so many bytes that the other's kernel has not confirmed."""
    def standing():
        lines = host.run("ss", "-tnH", "state", "established", f"( sport = {port} or dport = {port} )")
        return any(int(line.split()[1]) >= byte_count for line in lines.stdout.splitlines())
    wait_until(standing, 5 * TIMESCALE, f"{byte_count} bytes on their way")


def test_bulk_between_hosts_survives_silence_and_roaming_exactly(make_lab, make_pair):
    lab = make_lab()
    pair = make_pair(lab=lab)
    for way, host, sender in (("up", lab.client, pair.client), ("down", lab.server, pair.server)):
        app, back = pair.connect()
        flow = Flow(*((app, back) if way == "up" else (back, app)), 1)
        flow.wait_progress(10)
        before = sender.replayed()
        lab.drop(way)                        # credit still comes the other way
        wait_unacked(host, pair.link_port, 64 << 10)
        lab.change_address()                 # what is on its way is lost with the address
        lab.heal()
        flow.wait_progress(10)
        flow.stop()
        flow.wait(60)
        assert sender.replayed() - before >= 32 << 10
    app, back = pair.connect()
    flows = [Flow(app, back, 2), Flow(back, app, 3)]
    for fault in (lab.drop, lab.heal, lab.change_address, lab.link_down, lab.link_up, lab.reject,
                  lab.heal):
        hold(0.4)
        fault()
    for flow in flows:
        flow.wait_progress(5)
        flow.stop()
    for flow in flows:
        flow.wait(60)


def test_large_packets_that_begin_to_vanish_are_noticed_while_the_peer_talks(make_lab, make_pair):
    """Its bytes keep a carrier alive. That ours do not get through shows by a question."""
    lab = make_lab()
    pair = make_pair(lab=lab, server={"link": {"heartbeat": "1s", "dead_after": "60s"}})
    app, back = pair.connect()
    up = Flow(app, back, 1, size=200_000, finish=False)
    up.wait()
    down = Flow(back, app, 2, pace=20_000)
    down.wait_progress(5)
    lab.drop_large(1000, "up")
    watch = Stopwatch()
    up = Flow(app, back, 1, size=200_000)
    up.wait()
    assert watch.seconds() < 10 * TIMESCALE
    assert lab.packets_hit() > 0
    assert 0 < pair.client.status()["totals"]["outage_total_s"] < watch.elapsed()
    down.stop()
    down.wait()
