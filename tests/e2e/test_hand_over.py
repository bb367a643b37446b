"""`restart` and `upgrade`: the agent starts anew in the same process, or stays as it is."""
import os
import shutil
import socket
import subprocess

import pytest

from pair import TIMESCALE
from streams import ping, wait_until

both_roles = pytest.mark.parametrize("role", ["client", "server"])
OK, FAILED, UNREACHABLE, CONFIG = 0, 1, 69, 78


def write_program(path, text):
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return str(path)


def serves(pair):
    pair.wait_ready()
    ping(*pair.connect())
    pair.note_descriptors()


@both_roles
def test_a_restart_keeps_the_process_that_was_started(pair, role):
    agent = getattr(pair, role)
    pid = agent.pid
    done = agent.run("restart")
    assert done.returncode == OK, done.stderr
    status = agent.status()
    assert status["keeper_pid"] == agent.keeper_pid and status["pid"] == agent.pid != pid
    assert status["start_reason"] == "restart"
    assert f"(pid {pid}) handed over to" in done.stdout and f"(pid {agent.pid})" in done.stdout
    assert agent.events("handing_over") and agent.events("handed_over") and not agent.events("stopping")
    serves(pair)


def test_an_upgrade_executes_the_other_program_and_later_restarts_do_too(pair, tmp_path):
    program = str(tmp_path / "holdfast-server")
    shutil.copy(pair.server.program, program)
    done = pair.server.run("upgrade", program)
    assert done.returncode == OK, done.stderr
    status = pair.server.status()
    assert (status["program"], status["start_reason"]) == (program, "upgrade")
    for pid in (pair.server.pid, pair.server.keeper_pid):
        assert os.readlink(f"/proc/{pid}/exe") == program
    serves(pair)
    assert pair.server.run("restart").returncode == OK
    assert os.readlink(f"/proc/{pair.server.pid}/exe") == program
    serves(pair)


def test_a_program_that_cannot_go_on_is_refused_and_nothing_is_lost(pair, tmp_path):
    app, back = pair.connect()
    pid = pair.server.pid
    program = write_program(tmp_path / "holdfast-server", "exit 1\n")
    done = pair.server.run("upgrade", program)
    assert done.returncode == FAILED and "cannot go on with what runs here" in done.stderr
    assert pair.server.run("upgrade", "/nowhere/holdfast-server").returncode == FAILED
    ping(app, back)
    assert pair.server.pid == pid


def test_a_program_that_others_can_change_or_of_another_name_is_refused(pair, tmp_path):
    pid = pair.server.pid
    folder = tmp_path / "open"
    folder.mkdir()
    shutil.copy(pair.server.program, folder)
    folder.chmod(0o777)
    done = pair.server.run("upgrade", str(folder / "holdfast-server"))
    assert done.returncode == FAILED and "can be changed by others" in done.stderr
    done = pair.server.run("upgrade", write_program(tmp_path / "other", "exit 0\n"))
    assert done.returncode == FAILED and "not called holdfast-server" in done.stderr
    assert pair.server.pid == pid


def test_a_config_with_a_mistake_is_told_and_nothing_is_lost(pair):
    app, back = pair.connect()
    pid = pair.client.pid
    with open(pair.client.config, "a") as file:
        file.write("nonsense = 1\n")
    done = pair.client.run("restart")
    assert done.returncode == CONFIG and "nonsense" in done.stderr and "nothing has changed" in done.stderr
    ping(app, back)
    assert pair.client.pid == pid
    pair.client.write_config(pair.client.settings)


def test_an_agent_whose_config_names_another_admin_socket_answers_there(pair, tmp_path):
    app, back = pair.connect()
    before = pair.client.settings["admin"]["socket"]
    pair.client.write_config({**pair.client.settings, "admin": {
        **pair.client.settings["admin"], "socket": str(tmp_path / "moved.sock")}})
    restart = subprocess.run([pair.client.program, "restart", "--socket", before], capture_output=True, text=True,
                             timeout=60)
    assert restart.returncode == 0, restart.stderr
    assert pair.client.status()["pid"] == pair.client.pid
    ping(app, back)


def test_a_program_that_cannot_be_executed_is_rolled_back(pair, tmp_path):
    """It said that it can go on, and is gone when it is to."""
    program = str(tmp_path / "holdfast-server")
    write_program(program, f"""
case $1 in
  --can-read) if [ -e {tmp_path}/asked ]; then chmod -x {program}; fi; touch {tmp_path}/asked ;;
esac
""")
    pid = pair.server.pid
    done = pair.server.run("upgrade", program)
    assert done.returncode == FAILED and "the old program goes on" in done.stderr
    pair.server.wait_event("hand_over_failed", program=program)
    assert pair.server.pid != pid
    assert pair.server.status()["program"] == pair.server.program
    serves(pair)
    assert pair.server.run("restart").returncode == OK
    serves(pair)


def test_an_agent_that_goes_before_it_answers_is_told_and_not_fatal(pair, tmp_path):
    path = str(tmp_path / "gone.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        asking = subprocess.Popen([pair.client.program, "status", "--socket", path], stderr=subprocess.PIPE, text=True)
        listener.settimeout(10)
        with listener.accept()[0] as sock:
            sock.recv(4096)
        said = asking.communicate(timeout=10)[1]
    assert asking.returncode == UNREACHABLE and "closed the connection" in said


def test_a_kill_amid_a_hand_over_is_a_kill(pair):
    for _ in range(3):
        pair.server.kill_agent()
        wait_until(lambda: pair.server.run("status").returncode == OK, 10 * TIMESCALE, "an agent again")
        assert pair.server.run("restart").returncode == OK
    serves(pair)
