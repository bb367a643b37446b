"""Silence is a state: from the first suspicion on every surface tells it, and an outage counts from
the last byte heard, whether the carrier outlives it or not."""
import json
import urllib.request

import pytest

import outages
from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import ping, wait_until

LIVENESS = {"link": {"heartbeat": "1s", "dead_after": "15s"}}
IMPATIENT = {"link": {"heartbeat": "1s", "dead_after": "3s"}}
CUT_S = 4.5


def page(agent):
    with urllib.request.urlopen(f"http://127.0.0.1:{agent.metrics_port}/status.json", timeout=30) as answer:
        return json.load(answer)


def outage_told(agent):
    """In seconds, by every place that sums it up."""
    return {"totals": agent.status()["totals"]["outage_total_s"],
            "link": agent.json("links")[0]["outage_total_s"],
            "metric": agent.metric("holdfast_link_outage_seconds_total"),
            "page": sum((outage["ended"] or 0) - outage["began"]
                        for outage in page(agent)["history"]["outages"])}


def says_silent(agent):
    link, = agent.json("links")
    return (link["state"] == "silent" and link["silent_for_s"] > 0
            and agent.metric("holdfast_link_silent_seconds") > 0
            and " silent for " in agent.run("status").stdout
            and agent.events("link_silent"))


def begin_silence(pair):
    app, back = pair.connect()
    ping(app, back)
    assert pair.client.metric("holdfast_link_silent_seconds") == 0
    watch = Stopwatch()
    outages.begin(pair, "silence")
    return app, back, watch


@pytest.mark.parametrize("liveness", [LIVENESS, IMPATIENT], ids=["shorter", "longer"])
def test_a_silence_is_told_at_once_and_counted_from_the_last_byte_heard(make_pair, liveness):
    pair = make_pair(link="psk", client=liveness, server=liveness)
    app, back, watch = begin_silence(pair)
    for agent in (pair.client, pair.server):
        wait_until(lambda: says_silent(agent), 2.5 * TIMESCALE, f"the {agent.role} says so")
    ready = pair.client.run("ready")
    assert ready.returncode == 75 and "nothing heard for " in ready.stderr
    assert pair.server.run("ready").returncode == 0, "one dead edge does not empty a balancer"
    wait_until(lambda: watch.seconds() >= CUT_S, 2 * CUT_S * TIMESCALE, "the cut's length")
    outages.end(pair)
    lasted = watch.elapsed()
    wait_until(lambda: pair.client.run("ready").returncode == 0, 5 * TIMESCALE, "the client is ready")
    ping(app, back)
    lives = liveness is LIVENESS
    assert (pair.reconnects() == 0) == lives
    for agent in (pair.client, pair.server):
        agent.wait_event("link_heard" if lives else "link_resumed")
        assert agent.metric("holdfast_link_silent_seconds") == 0
        told = outage_told(agent)
        # From the last byte heard, at most a heartbeat before the cut, to the first one after it.
        assert all(lasted - 0.5 <= each <= lasted + 1.5 * TIMESCALE for each in told.values()), told


def test_a_link_that_never_stood_is_not_called_detached(make_pair):
    pair = make_pair(wait_ready=False, relay=None, client={"link": {"server": ["127.0.0.1:1"]}})
    pair.client.wait_event("dial_failed")
    app = pair.dial()
    wait_until(lambda: pair.client.connections(), 5, "the application waits")
    assert pair.client.json("links")[0]["state"] in ("waiting", "greeting")
    app.close()


def test_an_outage_of_several_lanes_is_one(make_pair):
    pair = make_pair(client={"link": {**LIVENESS["link"], "parallel": 3}}, server=LIVENESS)
    wait_until(lambda: len(pair.client.json("links")) == 3, 10 * TIMESCALE, "three lanes")
    connections = [pair.connect() for _ in range(6)]
    for app, back in connections:
        ping(app, back)
    watch = Stopwatch()
    pair.relay.refuse()
    pair.relay.cut()
    wait_until(lambda: watch.seconds() >= 2, 10, "the cut's length")
    running = {agent: agent.status()["totals"]["outage_total_s"] for agent in (pair.client, pair.server)}
    longest = watch.elapsed() + 1   # from the last byte heard on; three times as long is not
    pair.relay.accept()
    for app, back in connections:
        ping(app, back)
    most = watch.elapsed() + 1
    for agent, told in running.items():
        assert 1.5 < told <= longest, agent.role
        assert told <= agent.status()["totals"]["outage_total_s"] <= most, agent.role
