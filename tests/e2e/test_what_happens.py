"""Rows of docs/guide/what-happens-if.md that no other file shows."""
import os
import socket

import pytest

import outages
from pair import NAME, TIMESCALE, Agent, free_port
from streams import FIN, RST, ping, read_end, wait_until


def pinged(pair):
    app, back = pair.connect()
    ping(app, back)
    return app, back


def test_a_server_host_that_was_switched_off_resets_the_old_connections_once_it_is_back(pair):
    app, _ = pinged(pair)
    pair.relay.freeze()                      # a host without power says nothing
    pair.server.kill()
    pair.server.start()
    pair.relay.cut()
    pair.relay.thaw()
    assert read_end(app, 5 * TIMESCALE) == (RST, b"")
    pair.client.wait_event("connection_closed", cause="server_restarted")
    pair.wait_ready()
    pinged(pair)


@pytest.mark.parametrize("grace, lives", [("30s", True), ("1s", False)])
def test_a_laptop_that_sleeps_keeps_its_connections_for_the_grace(make_pair, grace, lives):
    pair = make_pair(server={"link": {"grace": grace}})
    app, back = pinged(pair)
    pair.client.freeze()
    pair.relay.freeze()                      # its kernel sleeps, too
    pair.server.wait_event("link_down", cause="carrier_silent")
    if not lives:
        assert read_end(back, 5 * TIMESCALE) == (RST, b"")
        pair.server.wait_event("connection_closed", cause="grace_expired")
    pair.relay.cut()
    pair.relay.thaw()
    pair.client.go_on()
    if lives:
        ping(app, back)
    else:
        assert read_end(app, 5 * TIMESCALE) == (RST, b"")
    pair.wait_ready()
    pinged(pair)


def test_a_disk_full_of_logs_ends_nothing_and_is_counted(make_pair):
    pair = make_pair(client={"log": {"file": "/dev/full", "level": "debug"}})
    app, back = pinged(pair)
    outages.run(pair, "reset")
    ping(app, back)
    wait_until(lambda: pair.client.metric("holdfast_log_lines_dropped_total") > 0, 5 * TIMESCALE,
               "dropped lines counted")


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_log_file_in_a_folder_that_is_missing_is_said_at_the_start(pair, tmp_path, role):
    config = dict(getattr(pair, role).settings, log={"file": "missing/agent.log"})
    folder = tmp_path / "other"
    folder.mkdir()
    agent = Agent(role, str(folder), config).start()
    assert agent.process.wait(60) == 1
    line, = agent.log().splitlines()
    assert "missing/agent.log" in line and "No such file or directory; create its folder" in line


def test_a_client_that_drains_refuses_the_next_and_ends_with_its_last_connection(pair):
    app, back = pinged(pair)
    assert pair.client.run("drain").returncode == 0
    assert pair.client.run("ready").returncode == 75
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(pair.listens["raw"], timeout=30)
    ping(app, back)
    app.close()
    assert read_end(back, 5)[0] == FIN
    back.close()
    assert pair.client.process.wait(60) == 0
    pair.client.start()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_drain_of_an_agent_without_connections_is_answered_before_it_ends(pair, role):
    agent = getattr(pair, role)
    for _ in range(3):
        wait_until(lambda: agent.run("status").returncode == 0, 30, "the agent answers")
        drained = agent.run("drain")
        assert drained.returncode == 0, drained.stderr
        assert "draining" in drained.stdout
        assert agent.process.wait(60) == 0
        agent.wait_event("draining", connections=0)
        agent.start()


def test_a_server_that_drains_keeps_the_old_and_ends_with_the_last_connection(pair):
    app, back = pinged(pair)
    assert pair.server.run("drain").returncode == 0
    pair.client.wait_event("link_draining")
    ping(app, back)
    app.close()
    assert read_end(back, 5)[0] == FIN
    back.close()
    assert pair.server.process.wait(60) == 0
    pair.server.start()


def test_a_service_that_restarts_ends_its_connections_and_gets_the_next_ones(pair):
    app, back = pinged(pair)
    service = pair.backends["raw"]
    address = service.address
    back.close()
    service.listener.close()
    assert read_end(app, 2) == (FIN, b"")
    app.close()
    pair.client.wait_event("connection_closed", cause="target_fin")
    assert pair.dial_in_vain() == (RST, b"")
    pair.client.wait_event("connection_closed", cause="target_refused")
    service.listener = socket.create_server(address)
    pinged(pair)


def test_a_service_that_is_slow_slows_only_its_own_connection(pair):
    slow_app, _ = pinged(pair)
    app, back = pinged(pair)
    slow_app.setblocking(False)
    try:
        while slow_app.send(bytes(1 << 16)):
            pass
    except BlockingIOError:
        pass
    assert ping(app, back) < 1 * TIMESCALE
    assert len(pair.client.connections()) == 2


def test_a_client_name_that_the_server_does_not_list_is_refused_with_its_cause(make_pair):
    pair = make_pair(wait_ready=False, client={"name": "edge-2"}, link="plain")
    pair.server.wait_event("carrier_rejected", cause="auth")
    assert "edge-2" in pair.server.log()
    assert pair.client.run("ready").returncode == 75
    pair.client.wait_event("link_refused", cause="auth")


def test_a_name_server_that_is_down_does_not_keep_a_client_from_an_address(make_pair):
    pair = make_pair()
    folder = os.path.join(pair.folder, "again")
    os.mkdir(folder)
    config = dict(pair.client.settings, name=NAME)
    config["link"] = dict(config["link"], server=["no-such-host.invalid:7443",
                                                  *pair.client.settings["link"]["server"]])
    config["services"] = {"raw": {"listen": f"127.0.0.1:{free_port()}"}}
    config["admin"] = {"socket": os.path.join(folder, "c.sock"),
                       "metrics": f"127.0.0.1:{free_port()}"}
    pair.client.terminate()
    other = Agent("client", folder, config).start()
    try:
        wait_until(lambda: other.run("ready").returncode == 0, 5 * TIMESCALE, "a link")
        other.wait_event("dial_failed")
    finally:
        other.terminate()
    pair.client.start()
