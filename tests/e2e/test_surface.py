"""What users and their scripts see of the real agents, beside tests/golden/surface: the fields of every
JSON, metrics with their types and labels, what events log. Names that only the code knows
(causes, events that are rare) are tests/rules/surface_test.py's."""
import http.client
import json
import re

import pytest

from pair import TIMESCALE, toml
from streams import ping, wait_until
from surface import by_path, same_as_golden, shape

ROLES = ("client", "server")
# Logged by some runs and not by others.
BY_CHANCE = {"dial_failed"}


def get(agent, path):
    client = http.client.HTTPConnection("127.0.0.1", agent.metrics_port, timeout=5)
    client.request("GET", path, headers={"Connection": "close"})
    response = client.getresponse()
    text = response.read().decode()
    client.close()
    assert response.status in (200, 503), text
    return text


def seen(agent):
    """{path: look} of everything that can be asked of an agent as it is now."""
    connections = agent.connections()
    page = json.loads(get(agent, "/status.json?top=5"))
    # Rows of numbers, of which there are none before the first second, or minute, is over.
    page["history"].pop("recent")
    page["history"].pop("older")
    answers = {"status": agent.status(), "links": agent.json("links"), "connections": connections,
               "page": page}
    if connections:
        answers["connection ID"] = agent.json("connection", connections[0]["id"])
    ready = agent.run("ready", "--json")
    answers["ready"] = json.loads(ready.stdout)
    found = {"ready, exit code": str(ready.returncode)}
    for name, answer in answers.items():
        found.update({f"{name}{path}": look for path, look in shape(answer).items()})
    return found


def metrics(agents):
    """{name: type and labels} of what the agents expose, {} for none."""
    found = {}
    for agent in agents:
        kinds = {}
        for line in get(agent, "/metrics").splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                kinds[name] = kind
            elif not line.startswith("#"):
                name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()
                family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
                entry = found.setdefault(family, {"type": kinds[family], "labels": set(), "agents": set()})
                entry["labels"] |= set(re.findall(r'(\w+)="', labels or "")) - {"le"}
                entry["agents"].add(agent.role)
    return {name: {part: sorted(value) if isinstance(value, set) else value for part, value in entry.items()}
            for name, entry in found.items()}


def logged(agent):
    """{event: keys} of its log, which is JSON."""
    events = {}
    for line in agent.log().splitlines():
        fields = json.loads(line)
        events.setdefault(fields["event"], set()).update(fields.keys() - {"time", "level", "event"})
    return {event: sorted(keys) for event, keys in events.items() if event not in BY_CHANCE}


def settle(pair, count, state):
    """Both agents list so many connections, all in the state."""
    for agent in (pair.client, pair.server):
        wait_until(lambda: [c["state"] for c in agent.connections()] == [state] * count, 10 * TIMESCALE,
                   f"{count} connections {state} at the {agent.role}")


@pytest.fixture
def surface_pair(make_pair):
    client = {"log": {"level": "debug", "format": "json"}, "threads": None}
    # The default heartbeat: nothing is suspected for a machine that is slow for a moment.
    return make_pair(client=client, server={**client, "name": "home"}, fast=False, relay=None, link="psk")


def test_json_metrics_and_log_keys_are_what_they_were(surface_pair):
    pair = surface_pair
    agents = (pair.client, pair.server)
    states, events = {role: [] for role in ROLES}, {}

    def note(state):
        for agent in agents:
            states[agent.role].append((state, seen(agent)))
    note("idle")
    app, back = pair.connect()
    ping(app, back)
    settle(pair, 1, "open")
    note("a connection")
    assert pair.client.run("link", "down").returncode == 0
    settle(pair, 1, "detached")
    note("link down")
    assert pair.client.run("link", "up").returncode == 0
    settle(pair, 1, "open")
    ping(app, back)
    note("resumed")
    assert pair.client.run("kill", pair.client.connections()[0]["id"]).returncode == 0
    pair.wait_empty()
    app, back = pair.connect()
    ping(app, back)
    settle(pair, 1, "open")
    note("one was killed")
    names = metrics(agents)
    assert pair.server.run("drain").returncode == 0
    pair.client.wait_event("link_draining")
    note("the server drains")
    assert pair.client.run("drain").returncode == 0
    note("both drain")
    app.close()
    back.close()
    for agent in agents:
        assert agent.process.wait(10 * TIMESCALE) == 0
        events[agent.role] = logged(agent)
        agent.start()
    same_as_golden("metrics", names)
    for role in ROLES:
        same_as_golden(role, by_path(states[role]))
    same_as_golden("log", events)


def outcome(agent, *words, config=None):
    done = agent.run(*words, "--json", config=config)
    return {"exit code": done.returncode, **shape(json.loads(done.stdout))}


def test_check_and_reload_say_what_they_said(surface_pair):
    found = {}
    for agent in (surface_pair.client, surface_pair.server):
        good = json.loads(json.dumps(agent.settings))
        path = f"{agent.folder}/other-{agent.role}.toml"

        def write(change):
            settings = json.loads(json.dumps(good))
            change(settings)
            with open(path, "w") as file:
                file.write(toml(settings))
        said = found[agent.role] = {"check, good": outcome(agent, "check")}
        write(lambda s: s["link"].update(heartbeat="2 parsecs", graze="1m"))
        said["check, bad"] = outcome(agent, "check", config=path)
        write(lambda s: s["log"].update(level="info"))
        with open(path) as file:
            changed = file.read()
        with open(agent.config, "w") as file:
            file.write(changed)
        said["reload, dry"] = outcome(agent, "reload", "--dry-run")
        said["reload"] = outcome(agent, "reload")
        said["reload, nothing new"] = outcome(agent, "reload")
        with open(agent.config, "w") as file:
            file.write(changed + "[nonsense]\n")
        said["reload, refused"] = outcome(agent, "reload")
        agent.write_config(good)
    same_as_golden("config", found)
