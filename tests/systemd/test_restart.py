"""A restart of a unit keeps its connections; a stop ends them."""
import os
import shutil
import signal
import threading
import time

import pytest

from lab import (CLIENT, SERVER, Standstill, agent_pid, dial, drop_in, exchange, kill, main_pid, run, show, systemctl,
                 wait_restarted, wait_status, wait_until)

both_units = pytest.mark.parametrize("unit", [CLIENT, SERVER])


RESTARTS = (["systemctl", "restart"],                  # what needrestart calls as well
            ["systemctl", "try-restart"], ["deb-systemd-invoke", "restart"],     # what packages do
            ["systemctl", "restart", "--no-block"])


@both_units
def test_connections_outlive_a_restart_however_it_is_asked_for(agents, unit):
    agents.start()
    connections = [agents.connect() for _ in range(20)]
    for connection in connections:
        exchange(connection)
    known = [words for words in RESTARTS if shutil.which(words[0])]
    for words in known:
        pid = main_pid(unit)
        run(*words, unit)
        wait_restarted(unit, pid)
        for connection in connections:
            exchange(connection)
        # The service manager holds nothing of it any more.
        wait_until(lambda: show(unit, "NFileDescriptorStore") == "0", "an empty store")
    wait_until(lambda: agents.journal.text(unit).count("reason=parked links=1 connections=20") == len(known), "recoveries")
    exchange(agents.connect())


def test_nobody_is_refused_while_the_client_restarts(agents):
    agents.start()
    exchange(agents.connect())
    over, refused, served = threading.Event(), [], []

    def connect():
        while not over.is_set():
            try:
                with dial() as one:
                    exchange(one)
                    served.append(one)
            except OSError as error:
                refused.append(error)

    busy = threading.Thread(target=connect)
    busy.start()
    try:
        for _ in range(3):
            systemctl("restart", CLIENT)
    finally:
        over.set()
        busy.join()
    assert served and not refused


@both_units
def test_a_stop_ends_connections_and_leaves_nothing_with_the_service_manager(agents, unit):
    agents.start()
    connection = agents.connect()
    exchange(connection)
    systemctl("stop", unit)
    assert show(unit, "Result") == "success"
    connection.settimeout(10)
    with pytest.raises(ConnectionResetError):
        assert connection.recv(1) != b""
    assert show(unit, "NFileDescriptorStore") == "0"
    systemctl("start", unit)
    wait_status(unit, "^link up")
    assert "reason=parked" not in agents.journal.text(unit)
    exchange(agents.connect())


@both_units
def test_connections_outlive_a_killed_keeper(agents, unit):
    agents.start()
    connections = [agents.connect() for _ in range(20)]
    for _ in range(3):
        keeper = kill(unit)
        wait_restarted(unit, keeper)
        for connection in connections:
            exchange(connection)
        wait_until(lambda: show(unit, "NFileDescriptorStore") == "0", "an empty store")
    wait_until(lambda: agents.journal.text(unit).count("reason=orphaned links=1 connections=20") == 3, "recoveries")
    died = agents.journal.events(unit, HOLDFAST_EVENT="keeper_died")
    assert len(died) == 3 and died[-1]["HOLDFAST_DIED_PID"] == str(keeper)
    assert not agents.journal.events(unit, HOLDFAST_EVENT="stopping")
    exchange(agents.connect())


def reset_within(connection, seconds):
    begun = time.monotonic()
    connection.settimeout(seconds)
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    return time.monotonic() - begun


def test_keeper_and_agent_killed_at_once_are_a_reset(agents):
    agents.start()
    connection = agents.connect()
    keeper = main_pid(CLIENT)
    systemctl("kill", "-s", "KILL", CLIENT)
    reset_within(connection, 10)
    wait_restarted(CLIENT, keeper)
    wait_status(CLIENT, "^link up")
    exchange(agents.connect())


def test_a_stopped_agent_is_woken_when_its_keeper_is_killed_and_a_stuck_one_ends(agents):
    agents.start()
    connection = agents.connect()
    os.kill(agent_pid(CLIENT), signal.SIGSTOP)
    wait_restarted(CLIENT, kill(CLIENT))
    exchange(connection)
    loop = Standstill(agent_pid(CLIENT))
    keeper = kill(CLIENT)
    loop.wait_killed()                 # TimeoutStopSec=5
    reset_within(connection, 10)
    wait_restarted(CLIENT, keeper)
    wait_status(CLIENT, "^link up")


def test_a_unit_that_stores_nothing_says_so_and_ends_connections_as_a_stop_does(agents):
    drop_in(SERVER, "[Service]\nFileDescriptorStoreMax=0\n")
    agents.start()
    connection = agents.connect()
    systemctl("restart", SERVER)
    reset_within(connection, 10)
    assert agents.journal.events(SERVER, HOLDFAST_EVENT="stopping")
    assert "FileDescriptorStoreMax" in agents.journal.text(SERVER)
    wait_status(CLIENT, "^link up")
    connection = agents.connect()
    keeper = kill(SERVER)
    reset_within(connection, 10)
    wait_restarted(SERVER, keeper)
    assert agents.journal.events(SERVER, HOLDFAST_EVENT="hand_over_failed", HOLDFAST_FOLLOWS="its connections are reset")
