"""A killed agent's next process lacks something that the first one had: connections go on, or wait for it."""
import os
import re
import resource
import shutil
import subprocess

import pytest

from pair import TIMESCALE
from streams import ping, read_exactly, wait_until

PATIENCE = 20 * TIMESCALE
both_roles = pytest.mark.parametrize("role", ["client", "server"])


def kill(agent):
    """Its next process has recovered."""
    before = len(agent.events("recovered"))
    agent.kill_agent()
    wait_until(lambda: len(agent.events("recovered")) > before, PATIENCE, "a recovery")


def told(agent):
    """The numbers of its last recovery."""
    line = agent.events("recovered")[-1]
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?!\w)", line)}


@both_roles
def test_the_folder_of_the_admin_socket_is_gone(make_pair, tmp_path, role):
    folder = tmp_path / "run"
    folder.mkdir()
    pair = make_pair(**{role: {"admin": {"socket": str(folder / "agent.sock")}}})
    agent = getattr(pair, role)
    app, back = pair.connect()
    shutil.rmtree(folder)
    kill(agent)
    agent.wait_event("listen_failed", address=str(folder / "agent.sock"))
    ping(app, back)
    assert agent.run("status").returncode == 69
    folder.mkdir()
    agent.wait_event("listening", PATIENCE, address=str(folder / "agent.sock"))
    assert agent.status()["recovery"]["connections"] == 1
    agent.metrics()
    kill(agent)
    ping(app, back)


def test_the_file_of_a_unix_listener_is_gone(make_pair, tmp_path):
    path = str(tmp_path / "app.sock")
    pair = make_pair(services={"raw": {"listen": f"unix:{path}"}})
    app, back = pair.connect()
    os.unlink(path)
    kill(pair.client)
    ping(app, back)
    ping(*pair.connect())


def test_the_folders_of_log_and_trace_are_gone(make_pair, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    files = {"level": "debug", "file": str(folder / "agent.log"), "trace_file": str(folder / "trace")}
    pair = make_pair(client={"log": files})
    app, back = pair.connect()
    shutil.rmtree(folder)
    kill(pair.client)                              # it says so to standard error
    for file in ("log", "trace"):
        assert str(folder) in pair.client.wait_event("log_reopen_failed", file=file)[-1]
    ping(app, back)
    folder.mkdir()
    assert pair.client.run("reload").returncode == 0
    wait_until(lambda: "log_reopened" in (folder / "agent.log").read_text(), PATIENCE, "a line in the new file")
    ping(app, back)


@both_roles
def test_connections_wait_for_memory_that_the_host_refuses(pair, role):
    agent = getattr(pair, role)
    app, back = pair.connect()
    app.sendall(b"before")
    least = 64 << 20
    resource.prlimit(agent.keeper_pid, resource.RLIMIT_AS, (least, resource.RLIM_INFINITY))
    agent.kill_agent()
    wait_until(lambda: "the host refuses" in agent.log(), PATIENCE, "a process that cannot begin")
    app.sendall(b" and meanwhile")
    assert agent.running and not agent.events("recovered")
    resource.prlimit(agent.keeper_pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    wait_until(lambda: agent.events("recovered", lost=0), PATIENCE, "a recovery")
    assert read_exactly(back, len(b"before and meanwhile")) == b"before and meanwhile"
    ping(app, back)


@both_roles
def test_limits_of_connections_that_were_lowered_end_none_of_them(pair, role):
    agent = getattr(pair, role)
    pairs = [pair.connect() for _ in range(10)]
    fewer = {**agent.settings, "limits": {"connections": 3}}
    agent.write_config(fewer)
    assert agent.run("restart").returncode == 0
    kill(agent)
    for app, back in pairs:
        ping(app, back)
    assert told(agent)["connections"] == 10 and told(agent)["lost"] == 0
    for app, back in pairs[2:]:
        app.close()
        back.close()
    wait_until(lambda: len(agent.connections()) == 2, PATIENCE, "two connections")
    ping(*pair.connect())


def test_a_clients_limit_that_a_reload_lowered_ends_none_of_its_connections(pair):
    pairs = [pair.connect() for _ in range(10)]
    client, = pair.server.settings["clients"]
    pair.server.settings["clients"][client]["connections"] = 3
    pair.server.write_config(pair.server.settings)
    assert pair.server.run("reload").returncode == 0
    kill(pair.server)
    for app, back in pairs:
        ping(app, back)
    assert told(pair.server)["lost"] == 0


@both_roles
def test_an_agent_that_can_leave_nothing_says_so_at_its_start(pair, role):
    agent = getattr(pair, role)
    assert not agent.events("nothing_kept")
    agent.terminate()
    limit = ["prlimit", f"--fsize={16 << 20}", agent.program, "-c", agent.config]
    with open(agent.log_path, "a") as log:
        agent.process = subprocess.Popen(limit, stdout=log, stderr=log)
    pair.wait_ready()
    pair.note_descriptors()
    assert "File too large" in agent.wait_event("nothing_kept")[-1]
    app, _back = pair.connect()
    ping(app, _back)
    agent.kill_agent()
    with pytest.raises(ConnectionResetError):
        app.recv(1)
    pair.wait_ready()
    ping(*pair.connect())


def test_who_is_told_to_end_does_not_try_again(pair):
    app, _back = pair.connect()
    resource.prlimit(pair.client.keeper_pid, resource.RLIMIT_AS, (64 << 20, resource.RLIM_INFINITY))
    pair.client.kill_agent()
    wait_until(lambda: "the host refuses" in pair.client.log(), PATIENCE, "a process that cannot begin")
    pair.client.process.terminate()
    assert pair.client.process.wait(5 * TIMESCALE) != 0
    with pytest.raises(ConnectionResetError):
        app.recv(1)
    pair.client.start()
    pair.wait_ready()
    assert os.path.exists(pair.client.settings["admin"]["socket"])
