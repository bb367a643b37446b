"""What keys do that no other scenario sees, and from when on a reload makes them count."""
import pytest
from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import ping
from test_reload import change, reload


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_drain_waits_for_the_shutdown_timeout_in_force(make_pair, role):
    pair = make_pair(**{role: {"shutdown_timeout": "1h"}})
    agent = getattr(pair, role)
    app, back = pair.connect()
    change(agent, "shutdown_timeout", value="2s")
    assert "shutdown_timeout: 1h -> 2s" in reload(agent)
    watch = Stopwatch()
    assert agent.run("drain").returncode == 0
    ping(app, back)
    assert agent.process.wait(20 * TIMESCALE) == 0
    assert watch.elapsed() > 1.8
    agent.start()
    pair.wait_ready()


def test_few_lines_about_connections_are_logged_as_soon_as_a_reload_says_so(make_pair):
    pair = make_pair()
    change(pair.server, "log", "connection_lines", value=1)
    assert "log.connection_lines: 1000 -> 1" in reload(pair.server)
    watch = Stopwatch()
    count = 40
    for _ in range(count):
        app, back = pair.connect()
        app.close()
        back.close()
    pair.wait_empty()
    lines = len(pair.server.events("connection_open")) + len(pair.server.events("connection_closed"))
    # One a second of each kind of event, and one for a second that had begun.
    assert 0 < lines <= 2 * (watch.elapsed() + 2), f"{lines} lines for {count} connections"


RESTART = {"threads": 2, "admin.group": "root", "limits.memory": "64MiB", "limits.connections": 77,
           "log.format": "json", "log.trace_file": "trace"}


@pytest.mark.parametrize("role", ["client", "server"])
def test_what_needs_a_restart_is_said_until_it_comes(make_pair, role):
    pair = make_pair()
    agent = getattr(pair, role)
    limit = agent.metric("holdfast_connections_limit")
    for key, value in RESTART.items():
        change(agent, *key.split("."), value=value)
    for _ in range(2):
        told = reload(agent)
        for key in RESTART:
            assert any(f"{key}: " in line and "needs a restart" in line
                       for line in told.splitlines()), f"{key} in {told}"
    ping(*pair.connect())
    assert agent.metric("holdfast_connections_limit") == limit
