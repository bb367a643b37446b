"""The process that was started keeps an agent: what follows when either ends."""
import errno
import os
import platform
import pty
import shutil
import signal
import subprocess
import sys

import pytest

from pair import TIMESCALE, Agent, agent_of, children_of, free_port, name_of
from streams import RST, ping, read_end, wait_until

both_roles = pytest.mark.parametrize("role", ["client", "server"])
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making a pid namespace takes root")
CONFIG = 78


def wait_next_agent(agent, dead):
    return wait_until(lambda: agent.pid != dead and agent.pid, 10 * TIMESCALE, "the next agent")


def wait_gone(pid):
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10 * TIMESCALE, f"process {pid} gone")


def died(agent, pid, **fields):
    return agent.wait_event("agent_died", 10, died_pid=pid, **fields)


@both_roles
def test_a_killed_agent_is_followed_by_another_one_and_new_connections_come_through(pair, role):
    agent = getattr(pair, role)
    keeper, dead = agent.keeper_pid, agent.kill_agent()
    pid = wait_next_agent(agent, dead)
    died(agent, dead, signal="Killed")
    pair.wait_ready()
    assert agent.running and agent.keeper_pid == keeper
    status = agent.status()
    assert (status["pid"], status["keeper_pid"]) == (pid, keeper)
    ping(*pair.connect())
    pair.note_descriptors()


def test_the_names_of_keeper_and_agent_meet_who_looks_for_the_agent(pair):
    with open(f"/proc/{pair.server.keeper_pid}/cmdline", "rb") as file:
        assert file.read().rstrip(b"\0") == b"hf-keeper"
    assert name_of(pair.server.keeper_pid) == "hf-keeper"

    def check_agent():
        with open(f"/proc/{pair.server.pid}/cmdline", "rb") as file:
            assert file.read().split(b"\0")[:3] == [os.fsencode(pair.server.program), b"-c",
                                                    os.fsencode(pair.server.config)]
        assert name_of(pair.server.pid) == "holdfast-server"
    check_agent()
    wait_next_agent(pair.server, pair.server.kill_agent())
    check_agent()
    pair.wait_ready()


@both_roles
def test_kill_9_of_the_process_that_was_started_resets_its_connections_at_once(pair, role):
    app, back = pair.connect()
    ping(app, back)
    agent = getattr(pair, role)
    pid = agent.pid
    agent.kill()
    assert read_end(app if role == "client" else back, 5 * TIMESCALE) == (RST, b"")
    wait_gone(pid)
    agent.start()
    pair.wait_ready()


def test_a_crashed_agent_is_followed_by_one_of_another_layout_in_the_same_keeper(pair):
    def layout(pid):
        with open(f"/proc/{pid}/maps") as file:
            return file.readline().partition("-")[0]
    keeper, before, pid = pair.server.keeper_pid, layout(pair.server.pid), pair.server.pid
    wait_next_agent(pair.server, pair.server.kill_agent())
    pair.server.wait_event("agent_died", died_pid=pid)
    assert layout(pair.server.pid) == before        # a kill brings no other one
    pair.wait_ready()
    pid = pair.server.pid
    os.kill(pid, signal.SIGSEGV)
    died(pair.server, pid, signal="Segmentation fault")
    pair.wait_ready()
    assert pair.server.keeper_pid == keeper and name_of(keeper) == "hf-keeper"
    assert layout(pair.server.pid) != before
    ping(*pair.connect())
    pair.note_descriptors()


def test_a_crash_with_no_program_left_to_execute_is_followed_by_the_one_in_memory(make_pair, tmp_path):
    pair = make_pair()
    program = tmp_path / "holdfast-server"
    shutil.copy(pair.server.program, program)
    pair.server.terminate()
    pair.server.program = str(program)
    pair.server.start()
    pair.wait_ready()
    program.unlink()
    pid = pair.server.pid
    os.kill(pid, signal.SIGABRT)
    wait_next_agent(pair.server, pid)
    pair.server.program = pair.client.program.replace("client", "server")
    pair.wait_ready()
    ping(*pair.connect())
    pair.note_descriptors()


def test_an_agent_that_ends_by_itself_is_not_started_again(pair, tmp_path):
    config = dict(pair.server.settings, admin={**pair.server.settings["admin"], "nonsense": 1})
    agent = Agent("server", str(tmp_path), config).start()
    assert agent.process.wait(10 * TIMESCALE) == CONFIG
    assert agent.log().count("nonsense") == 1


def test_an_agent_that_is_told_to_end_ends_its_keeper(pair):
    os.kill(pair.client.pid, signal.SIGTERM)
    assert pair.client.process.wait(5 * TIMESCALE) == 0
    assert len(pair.client.events("stopping")) == 1
    pair.client.start()
    pair.wait_ready()


def test_ctrl_c_in_a_terminal_ends_both_once(pair):
    pair.client.terminate()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(pair.client.program, [pair.client.program, "-c", pair.client.config])
    wait_until(lambda: pair.client.run("ready").returncode == 0, 10 * TIMESCALE, "the client ready")
    agent = agent_of(pid)
    os.write(terminal, b"\x03")
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    wait_gone(agent)
    assert said.count(b"event=stopping") == 1, said
    pair.client.start()
    pair.wait_ready()


def test_an_agent_that_stands_still_is_replaced_by_its_keeper(pair, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    pair.server.terminate()
    pair.server.start()
    pair.wait_ready()
    pid = pair.server.pid
    pair.server.freeze()
    died(pair.server, pid)
    assert "stood still" in pair.server.events("agent_died")[-1]
    pair.wait_ready()
    pair.note_descriptors()


def test_a_hangup_reaches_the_agent_through_its_keeper(pair):
    pair.client.signal(signal.SIGHUP)
    pair.client.wait_event("config_reloaded")
    ping(*pair.connect())


def fork_orphan(first):
    """A process in there whose parent ends before it does."""
    subprocess.run(["nsenter", "-p", "-m", "-t", str(first), "sh", "-c", "sleep 0.1 >/dev/null 2>&1 &"], check=True)


@needs_root
def test_as_process_1_of_a_container_it_keeps_connections_and_reaps(make_pair):
    pair = make_pair(contained=True)
    app, back = pair.connect()
    for agent in (pair.client, pair.server):
        first = agent.keeper_pid
        assert agent.status()["keeper_pid"] == 1
        for _ in range(3):
            fork_orphan(first)
            wait_next_agent(agent, agent.kill_agent())
            ping(app, back)
        wait_until(lambda: children_of(first) == [agent.pid], 10 * TIMESCALE, "no child but the agent")
        assert agent.keeper_pid == first
    pair.wait_ready()
    ping(*pair.connect())
    pair.note_descriptors()


@needs_root
@both_roles
def test_sigterm_to_process_1_of_a_container_is_a_goodbye_and_its_kill_a_reset(make_pair, role):
    pair = make_pair(contained=True)
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    agent.terminate()
    assert agent.events("stopping") and agent.events("connection_closed")
    for sock in (app, back):
        assert read_end(sock, 5 * TIMESCALE) == (RST, b"")
    agent.start()
    pair.wait_ready()
    app, back = pair.connect()
    ping(app, back)
    pid = agent.pid
    agent.signal(signal.SIGKILL)
    assert read_end(app if role == "client" else back, 5 * TIMESCALE) == (RST, b"")
    wait_gone(pid)
    agent.process.wait(5 * TIMESCALE)
    assert len(agent.events("stopping")) == 1
    agent.start()
    pair.wait_ready()


def test_subcommands_have_no_keeper(pair):
    watch = subprocess.Popen([pair.server.program, "status", "--watch", "-c", pair.server.config],
                             stdout=subprocess.PIPE, text=True)
    try:
        assert watch.stdout.readline()
        assert name_of(watch.pid) == "holdfast-server"
    finally:
        watch.kill()
        watch.wait()


def test_without_a_keeper_the_agent_is_the_process_that_was_started(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_KEEPER", "no")
    config = dict(pair.client.settings, admin={"socket": str(tmp_path / "own.sock"),
                                               "metrics": f"127.0.0.1:{free_port()}"})
    config["services"] = {"raw": {"listen": f"127.0.0.1:{free_port()}"}}
    agent = Agent("client", str(tmp_path), config).start()
    agent.wait_event("started", pid=agent.process.pid)
    assert agent.status()["keeper_pid"] == 0
    agent.terminate()


# Runs what its arguments say where clone(2) with CLONE_FILES and without CLONE_VM fails with the errno of the
# first one, as under qemu-user: a filter of seccomp(2), in BPF.
REFUSING = """
import ctypes, os, struct, sys
def step(code, value, yes=0, no=0): return struct.pack("<HBBI", code, yes, no, value)
LOAD, SAME, ALL_OF, RETURN = 0x20, 0x15, 0x45, 0x06
program = b"".join([
    step(LOAD, 0), step(SAME, 56, 0, 4),           # x86_64's clone
    step(LOAD, 16), step(ALL_OF, 0x100, 2, 0),     # its flags: CLONE_VM
    step(ALL_OF, 0x400, 0, 1),                     # CLONE_FILES
    step(RETURN, 0x50000 | int(sys.argv[1])),      # SECCOMP_RET_ERRNO
    step(RETURN, 0x7fff0000)])                     # SECCOMP_RET_ALLOW
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0             # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a filter of system calls by number")
@pytest.mark.parametrize("error", [errno.EINVAL, errno.EPERM])
def test_on_a_host_without_such_processes_the_agent_runs_alone_and_says_so(pair, tmp_path, error):
    config = dict(pair.client.settings, admin={"socket": str(tmp_path / "own.sock"),
                                               "metrics": f"127.0.0.1:{free_port()}"})
    config["services"] = {"raw": {"listen": f"127.0.0.1:{free_port()}"}}
    agent = Agent("client", str(tmp_path), config)
    with open(agent.log_path, "w") as log:
        agent.process = subprocess.Popen([sys.executable, "-c", REFUSING, str(error), agent.program, "-c",
                                          agent.config], stdout=log, stderr=log)
    try:
        agent.wait_event("no_keeper")
        agent.wait_event("started", pid=agent.process.pid)
        assert agent.status()["keeper_pid"] == 0
        agent.terminate()
    finally:
        agent.kill()


def test_an_agent_that_was_started_with_closed_standard_descriptors_outlives_its_kills(pair):
    agent = pair.client
    agent.terminate()
    agent.write_config({**agent.settings, "log": {"level": "debug", "file": agent.log_path}})
    closed = 'exec "$@" <&- >&- 2>&-'
    agent.process = subprocess.Popen(["sh", "-c", closed, "sh", agent.program, "-c", agent.config])
    pair.wait_ready()
    pair.note_descriptors()
    app, back = pair.connect()
    for _ in range(3):                               # the second one had no admin socket, and ended all
        wait_next_agent(agent, agent.kill_agent())
        ping(app, back)
        pair.wait_ready()
