"""The process that was started is killed: under a service manager that keeps descriptors the next one goes on with all
connections. Here that is a few lines; tests/systemd has the real one."""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from pair import TIMESCALE, is_over
from streams import RST, ping, read_end, wait_until

PATIENCE = 20 * TIMESCALE
both_roles = pytest.mark.parametrize("role", ["client", "server"])


class Manager:
    """Listens as systemd does (sd_notify(3)) and stores what it is given, where it has a store."""

    def __init__(self, path, monkeypatch, room=True):
        self.room, self.stored, self.heard = room, [], []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.delenv("SYSTEMD_EXEC_PID", raising=False)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            text, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 8)
            lines = text.decode().splitlines()
            keeps = self.room and "FDSTORE=1" in lines
            for each in descriptors:
                if keeps:
                    self.stored.append(each)
                else:
                    os.close(each)
            self.heard.append(lines)

    def start(self, agent):
        """As systemd starts a unit with one stored descriptor."""
        [parked] = self.stored
        script = f"exec 3<&{parked} {parked}<&-; export LISTEN_FDS=1 LISTEN_FDNAMES=parked LISTEN_PID=$$; exec \"$@\""
        with open(agent.log_path, "a") as log:
            agent.process = subprocess.Popen(["bash", "-c", script, "bash", agent.program, "-c", agent.config],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(parked,))
        os.close(parked)
        self.stored.clear()


@pytest.fixture
def manage(make_pair, tmp_path, monkeypatch):
    def make(**options):
        manager = Manager(str(tmp_path / "notify"), monkeypatch, **options)
        return manager, make_pair()
    return make


def kill_keeper(agent, *more):
    """The pid of the agent that has none any more."""
    pid = agent.pid
    agent.process.kill()
    agent.process.wait()
    for number in more:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    wait_until(lambda: is_over(pid), PATIENCE, f"the end of the {agent.role} agent")
    return pid


def goes_on(pair, agent, connections, count):
    agent.wait_event("recovered", PATIENCE, reason="orphaned", connections=count, lost=0)
    pair.wait_ready()
    for connection in connections:
        ping(*connection)


@both_roles
def test_an_agent_whose_keeper_is_killed_leaves_everything_for_the_next_one(manage, role):
    manager, pair = manage()
    agent = getattr(pair, role)
    connections = [pair.connect() for _ in range(5)]
    for _ in range(3):
        keeper = agent.keeper_pid
        # The service manager tells it to end as well, once the main process is gone.
        kill_keeper(agent, signal.SIGTERM)
        manager.start(agent)
        goes_on(pair, agent, connections, 5)
        assert agent.events("keeper_died", died_pid=keeper)
        assert agent.status()["start_reason"] == "orphaned"
    assert not agent.events("stopping")
    assert agent.metric("holdfast_recoveries_total", reason="orphaned") == 3
    wait_until(lambda: manager.heard[-1] != ["BARRIER=1"], PATIENCE, "that it is told to forget")
    assert ["FDSTOREREMOVE=1", "FDNAME=parked"] in manager.heard
    ping(*pair.connect())
    pair.note_descriptors()


@both_roles
def test_a_keeper_that_is_killed_while_its_next_agent_begins_loses_nothing(manage, role):
    manager, pair = manage()
    agent = getattr(pair, role)
    connections = [pair.connect() for _ in range(5)]
    first = agent.pid
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: agent.pid != first and agent.pid, PATIENCE, "the next agent")
    kill_keeper(agent, signal.SIGTERM)
    assert not agent.events("stopping") and second != first
    manager.start(agent)
    goes_on(pair, agent, connections, 5)
    pair.note_descriptors()


@both_roles
def test_what_the_service_manager_does_not_keep_is_reset_at_once(manage, role):
    manager, pair = manage(room=False)
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    kill_keeper(agent)
    assert read_end(app if role == "client" else back, 5 * TIMESCALE) == (RST, b"")
    assert "FileDescriptorStoreMax" in agent.events("hand_over_failed")[-1]
    agent.start()
    pair.wait_ready()


def test_a_keeper_that_no_service_manager_started_parks_nothing(manage, monkeypatch):
    manager, pair = manage()
    pair.client.terminate()
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))     # a script's, say
    pair.client.start()
    pair.wait_ready()
    app, back = pair.connect()
    ping(app, back)
    pair.client.kill()
    assert read_end(app, 5 * TIMESCALE) == (RST, b"")
    assert not manager.stored
    pair.client.start()
    pair.wait_ready()


def test_a_config_that_was_broken_meanwhile_does_not_count(manage):
    manager, pair = manage()
    connections = [pair.connect()]
    with open(pair.client.config, "a") as file:
        file.write("nonsense = 1\n")
    kill_keeper(pair.client)
    manager.start(pair.client)
    goes_on(pair, pair.client, connections, 1)
    pair.client.write_config(pair.client.settings)


@both_roles
def test_a_goodbye_is_a_goodbye_while_the_keeper_lives(manage, role):
    manager, pair = manage()
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    agent.terminate()
    assert agent.events("stopping") and not manager.stored
    assert read_end(app, 5 * TIMESCALE) == (RST, b"")
    agent.start()
    pair.wait_ready()


def test_what_another_program_has_parked_is_ended_and_not_kept(manage):
    manager, pair = manage()
    pair.client.terminate()
    queue, filled = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    filled.send(b"some other format")
    socket.send_fds(filled, [struct.pack("i", 300)], [theirs.fileno()])
    filled.close()
    theirs.close()
    manager.stored.append(queue.detach())
    manager.start(pair.client)
    assert read_end(ours, 5 * TIMESCALE)[1] == b""
    pair.wait_ready()
    assert "what was parked is not ours" in pair.client.log()
    ping(*pair.connect())
