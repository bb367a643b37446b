"""The status page without a browser (tests/browser has one): what it is served with, and that its
script and the JSON that it polls know the same names."""
import http.client
import json
import re

import pytest

from pair import TIMESCALE
from streams import ping, wait_until

both_roles = pytest.mark.parametrize("role", ["client", "server"])


def ask(agent, path, host="127.0.0.1"):
    """(status, headers, text) of a GET at the metrics address."""
    client = http.client.HTTPConnection("127.0.0.1", agent.metrics_port, timeout=30)
    client.request("GET", path, headers={"Host": host})
    response = client.getresponse()
    text = response.read().decode()
    client.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, text


def status(agent, query=""):
    code, _, text = ask(agent, "/status.json" + query)
    assert code == 200, text
    return json.loads(text)


def keys(value):
    """Every member's name, at any depth; not those that are values (causes, states)."""
    found = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= {key} if key in ("reconnects", "closed", "by_state") else {key} | keys(inner)
    elif isinstance(value, list):
        found = set().union(*(keys(inner) for inner in value))
    return found


def full_status(pair, role):
    """With one of everything: a connection, an outage, an unusual end."""
    app, back = pair.connect()
    ping(app, back)
    pair.client.run("reconnect")
    pair.client.wait_event("link_resumed")
    pair.client.run("kill", pair.client.connections()[0]["id"])
    pair.server.wait_event("connection_closed", cause="admin_kill")
    ping(*pair.connect())
    agent = getattr(pair, role)
    return wait_until(lambda: (d := status(agent, "?top=5"))["history"]["recent"] and d, 5 * TIMESCALE,
                      "a sample")


@both_roles
@pytest.mark.sanitized
def test_the_json_has_what_the_pages_script_asks_for_and_nothing_that_it_does_not(pair, role):
    data = full_status(pair, role)
    page = ask(getattr(pair, role), "/")[2]
    script = page[page.index("<script>"):]
    known = keys(data)
    asked = set(re.findall(r"[.?]\.?([a-z]+(?:_[a-z]+)+)\b(?!\()", script))
    assert len(asked) > 20
    assert asked - known == set()
    unused = {key for key in known if not re.search(rf"\b{key}\b", script)}
    assert unused == set(), "sent for nobody"


@both_roles
def test_the_page_is_served_with_a_policy_that_lets_it_load_nothing_but_its_json(pair, role):
    agent = getattr(pair, role)
    for path in ("/", "/status"):
        code, headers, page = ask(agent, path)
        assert code == 200
        assert 10_000 < len(page) < 64 * 1024
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "connect-src 'self'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    for path in ("/status/", "/index.html", "/status.json/x", "/favicon.ico"):
        assert ask(agent, path)[0] == 404


@both_roles
def test_an_outage_and_an_unusual_end_are_remembered_with_their_causes(pair, role):
    data = full_status(pair, role)
    (outage,) = data["history"]["outages"]
    assert outage["result"] == "resumed"
    assert (outage["connections"], outage["resumed"]) == (1, 1)
    assert 0 <= outage["began"] <= outage["ended"] <= data["uptime_s"]
    if role == "client":
        assert outage["cause"] == "reconnect"
    (ending,) = data["history"]["endings"]
    assert ending["cause"] == "admin_kill"
    assert ending["service"] == "raw"
    assert len(data["connections"]["top"]) == 1


def test_rates_are_live_and_only_new_samples_are_sent_again(pair):
    app, back = pair.connect()
    first = status(pair.client)
    app.sendall(b"x" * 50000)
    received = 0
    while received < 50000:
        received += len(back.recv(65536))
    seen = []

    def arrived():
        data = status(pair.client, f"?since={first['uptime_s']}")
        seen[:] = data["history"]["recent"]
        return sum(sample[2] for sample in seen) == 50000
    wait_until(arrived, 5 * TIMESCALE, "the bytes in the samples")
    assert all(sample[0] > first["uptime_s"] for sample in seen)
    assert seen[-1][4] == 1
    assert status(pair.client, f"?since={first['uptime_s'] + 3600}")["history"]["recent"] == []


def test_a_name_that_was_made_to_lead_here_sees_nothing_of_the_page(pair):
    for path in ("/", "/status", "/status.json"):
        code, _, text = ask(pair.client, path, host="rebound.example:9465")
        assert code == 403
        assert "open it as http://ADDRESS:PORT/" in text
        assert "edge-1" not in text
        assert ask(pair.client, path, host="localhost:9465")[0] == 200
    assert ask(pair.client, "/metrics", host="monitor.example")[0] == 200


def test_the_page_is_read_only(pair):
    for method in ("POST", "PUT", "DELETE"):
        client = http.client.HTTPConnection("127.0.0.1", pair.client.metrics_port, timeout=30)
        client.request(method, "/status.json", body=b"{}")
        assert client.getresponse().status in (400, 404, 405)
        client.close()
