"""A restart of a unit keeps its connections; a stop ends them."""
import threading

import pytest

from lab import (CLIENT, SERVER, dial, exchange, main_pid, show, systemctl, wait_status, wait_until)

both_units = pytest.mark.parametrize("unit", [CLIENT, SERVER])


@both_units
def test_connections_outlive_a_restart(agents, unit):
    agents.start()
    connections = [agents.connect() for _ in range(20)]
    for connection in connections:
        exchange(connection)
    for _ in range(3):
        pid = main_pid(unit)
        systemctl("restart", unit)
        assert main_pid(unit) != pid and show(unit, "ActiveState") == "active"
        for connection in connections:
            exchange(connection)
        # The service manager holds nothing of it any more.
        wait_until(lambda: show(unit, "NFileDescriptorStore") == "0", "an empty store")
    wait_until(lambda: agents.journal.text(unit).count("reason=parked links=1 connections=20") == 3, "recoveries")
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
