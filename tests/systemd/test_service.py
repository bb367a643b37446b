"""The life of both services: start, status, reload, stop, and coming back."""
import glob
import os
import re
import signal
import socket
import time

import pytest

from lab import (BIN, CLIENT, CONFIG, ETC, SERVER, Standstill, agent_pid, drop_in, exchange,
                 kill, main_pid, run, show, status_text, systemctl, wait_next_agent, wait_restarted,
                 wait_state, wait_status, wait_until, write)

MOST_EXPOSURE = 2.0


@pytest.mark.parametrize("path", sorted(glob.glob(f"{CONFIG}/systemd/*.service")), ids=os.path.basename)
def test_a_unit_is_little_exposed(path):
    report = run("systemd-analyze", "security", "--offline=true", path, "--no-pager", check=False).stdout
    exposure = float(re.search(r"Overall exposure level.*: ([\d.]+)", report)[1])
    assert exposure <= MOST_EXPOSURE, report


def test_units_have_no_mistake_that_systemd_finds(units):
    for unit in (CLIENT, SERVER, f"{CLIENT}@west", f"{SERVER}@west"):
        said = run("systemd-analyze", "verify", "--man=no", f"{unit}.service", check=False).stderr
        assert "holdfast" not in said, said


def test_a_client_starts_with_its_link_down_and_its_status_follows_the_link(agents):
    systemctl("start", CLIENT)
    assert show(CLIENT, "ActiveState") == "active"
    wait_status(CLIENT, "^link down, retrying: 127.0.0.1:7443: ")
    systemctl("start", SERVER)
    wait_status(CLIENT, "^link up to hub-1$")
    wait_status(SERVER, "^link up to edge-1$")
    connection = agents.connect()
    wait_status(CLIENT, "^link up to hub-1, 1 connection$")
    run(f"{BIN}/holdfast-client", "reconnect", "-c", f"{ETC}/client.toml")
    wait_status(CLIENT, "^link up to hub-1, 1 connection, resumed 1 time$")
    exchange(connection)
    pid = agent_pid(SERVER)
    os.kill(pid, signal.SIGSTOP)
    wait_status(CLIENT, r"^link down, retrying; 1 connection safe for \dm\d\ds")
    os.kill(pid, signal.SIGCONT)
    wait_status(CLIENT, "^link up to hub-1, 1 connection, resumed [2-9] times$")
    exchange(connection)


def test_the_agents_run_as_their_own_user_with_no_privilege(agents):
    agents.start()
    for pid in (main_pid(CLIENT), agent_pid(CLIENT), main_pid(SERVER), agent_pid(SERVER)):
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert status["Uid"].split()[0] != "0"
        for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0, kind
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_a_reload_checks_first_and_a_bad_file_changes_nothing(agents):
    agents.start()
    connection = agents.connect()
    pid = main_pid(CLIENT)
    agents.configure_client(services={"postgres": {"listen": "127.0.0.1:5433"}})
    systemctl("reload", CLIENT)    # over when it is applied
    agents.connect(5433)
    write(f"{ETC}/client.toml", "name = 3\n")
    assert systemctl("reload", CLIENT, check=False).returncode != 0
    assert "client.toml:1: name:" in agents.journal.text(CLIENT)
    assert main_pid(CLIENT) == pid and show(CLIENT, "ActiveState") == "active"
    exchange(connection)


def test_a_reload_that_the_agent_refuses_stays_in_the_status_until_one_succeeds(agents):
    agents.start()
    with socket.create_server(("127.0.0.1", 5433)):
        agents.configure_client(services={"postgres": {"listen": "127.0.0.1:5433"}})
        assert systemctl("reload", CLIENT, check=False).returncode != 0
        wait_status(CLIENT, "^link up to hub-1; the last reload failed, .*127.0.0.1:5433")
    assert show(CLIENT, "ActiveState") == "active"
    agents.connect()
    os.kill(main_pid(CLIENT), signal.SIGHUP)
    wait_status(CLIENT, "^link up to hub-1, 1 connection$")
    agents.connect(5433)


def test_a_stop_says_goodbye_before_systemd_would_kill(agents):
    agents.start()
    connection = agents.connect()
    systemctl("stop", CLIENT)
    assert show(CLIENT, "Result") == "success"    # not "timeout", which is TimeoutStopSec=5
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    ended = wait_until(lambda: agents.journal.events(SERVER, HOLDFAST_EVENT="link_ended"), "the goodbye")
    assert ended[-1]["HOLDFAST_CAUSE"] == "goodbye"
    wait_status(SERVER, "^no link, waiting for clients$")


def test_a_killed_agent_is_back_at_once_however_often_and_systemd_does_not_hear_of_it(agents):
    agents.start()
    keeper = main_pid(CLIENT)
    for _ in range(7):
        pid = agent_pid(CLIENT)
        os.kill(pid, signal.SIGKILL)
        wait_next_agent(CLIENT, pid)
        wait_until(lambda: agents.journal.events(CLIENT, HOLDFAST_EVENT="started",
                                                 _PID=agent_pid(CLIENT)), "the next agent started")
    assert main_pid(CLIENT) == keeper and show(CLIENT, "NRestarts") == "0"
    died = agents.journal.events(CLIENT, HOLDFAST_EVENT="agent_died")
    assert len(died) == 7 and died[-1]["HOLDFAST_DIED_PID"] == str(pid)
    wait_status(CLIENT, "^link up to hub-1")
    agents.connect()


def test_a_killed_keeper_is_back_at_once_however_often(agents):
    agents.start()
    for _ in range(7):             # more often than systemd's default limit allows
        wait_restarted(CLIENT, kill(CLIENT))
    assert int(show(CLIENT, "NRestarts")) == 7
    wait_status(CLIENT, "^link up to hub-1")
    agents.connect()


def test_a_stopped_agent_is_found_by_its_keeper_and_replaced(agents):
    drop_in(CLIENT, "[Service]\nWatchdogSec=2\n")
    agents.start()
    pid = agent_pid(CLIENT)
    time_of_two_timeouts = time.monotonic() + 4
    wait_until(lambda: time.monotonic() > time_of_two_timeouts, "an idle agent living on")
    assert agent_pid(CLIENT) == pid
    os.kill(pid, signal.SIGSTOP)
    wait_next_agent(CLIENT, pid)
    wait_until(lambda: agents.journal.events(CLIENT, HOLDFAST_EVENT="agent_died"), "the death told")
    assert "stood still" in agents.journal.text(CLIENT)
    wait_status(CLIENT, "^link up to hub-1")
    agents.connect()
    assert show(CLIENT, "NRestarts") == "0"


def test_a_stopped_keeper_is_no_harm_and_a_stopped_pair_is_found_by_the_watchdog(agents):
    drop_in(CLIENT, "[Service]\nWatchdogSec=2\n")
    agents.start()
    keeper = kill(CLIENT, signal.SIGSTOP)
    time_of_two_timeouts = time.monotonic() + 4
    wait_until(lambda: time.monotonic() > time_of_two_timeouts, "an agent living on")
    agents.connect()
    assert main_pid(CLIENT) == keeper
    os.kill(agent_pid(CLIENT), signal.SIGSTOP)
    wait_restarted(CLIENT, keeper)
    assert "watchdog" in agents.journal.text(CLIENT).lower()
    wait_status(CLIENT, "^link up to hub-1")


def test_a_stuck_loop_is_found_though_other_threads_live(agents):
    drop_in(CLIENT, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=500ms\n")
    agents.start()
    pid = agent_pid(CLIENT)
    loop = Standstill(pid)         # the main thread is the loop's
    loop.wait_killed()
    wait_next_agent(CLIENT, pid)
    wait_status(CLIENT, "^link up to hub-1")
    assert show(CLIENT, "NRestarts") == "0"


def test_a_config_with_a_mistake_fails_the_unit_and_is_not_tried_again(agents):
    write(f"{ETC}/client.toml", "nam = \"edge-1\"\n")
    assert systemctl("start", CLIENT, check=False).returncode != 0
    wait_state(CLIENT, "failed")
    assert show(CLIENT, "ExecMainStatus") == "78" and show(CLIENT, "NRestarts") == "0"
    assert "did you mean" in agents.journal.text(CLIENT)


def test_a_drained_agent_ends_when_its_last_connection_does_and_starts_afresh(agents):
    agents.start()
    pid = main_pid(CLIENT)
    connection = agents.connect()
    run(f"{BIN}/holdfast-client", "drain", "-c", f"{ETC}/client.toml")
    wait_status(CLIENT, "^draining, 1 connection left")
    exchange(connection)
    connection.close()
    wait_restarted(CLIENT, pid)
    assert "draining" not in status_text(CLIENT)
