"""What the rules of `nft --apply` catch and what they leave alone: connections that run already, who is
excluded, and what an earlier config left behind."""
import os
import shutil
import subprocess
import sys

import pytest

from pair import TIMESCALE
from streams import RST, is_open, ping, read_end, wait_until
from test_transparent import WHERE, lab, make, travelling  # noqa: F401  fixtures
from transparent import APP, BACKEND, PORT, TransparentPair, service

DIAL = ("import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); "
        "s.sendall(b'direct'); s.settimeout(5); s.recv(1)")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("where", WHERE)
def test_a_connection_that_runs_directly_goes_on_when_redirect_is_applied(lab, tmp_path, where, family):
    """Also where nothing tracked connections before, so that its next packet looks like a first one."""
    pair = TransparentPair(lab, tmp_path, server={"target": f"{BACKEND[4]}:{PORT}"}).start()
    try:
        with service(lab, family) as listener:
            app = pair.dial(where, family)
            back = listener.accept()[0]
            ping(app, back)
            pair.nft(pair.client, "--apply")
            for _ in range(3):
                ping(app, back)
            assert pair.client.connections() == []
    finally:
        pair.stop()


def comes_directly(pair, listener, *command):
    """Whether the program, on the client agent's host, reaches the service beside the pair."""
    child = subprocess.Popen([*pair.lab["agent"].prefix, *command, sys.executable, "-c", DIAL,
                              BACKEND[4], str(PORT)])
    try:
        back = listener.accept()[0]
        assert back.recv(6) == b"direct"
        through = bool(pair.client.connections())
        back.close()
        child.wait(60)
    finally:
        child.kill()
        child.wait()
    wait_until(lambda: not pair.client.connections(), 10 * TIMESCALE, "it is over")
    return not through


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_a_users_own_connections_are_left_alone(lab, make, mode):
    if shutil.which("setpriv") is None:
        print("SKIPPED: setpriv is not installed")
        pytest.skip("setpriv is not installed")
    pair = make(mode=mode, nft={"exclude": ["mark:18503", "uid:41234"]})
    with service(lab) as listener:
        assert comes_directly(pair, listener, "setpriv", "--reuid=41234", "--clear-groups")
        assert not comes_directly(pair, listener, "setpriv", "--reuid=41235", "--clear-groups")


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_a_control_groups_connections_are_left_alone(lab, make, mode):
    name = f"holdfast-test-{os.getpid()}"
    group = f"/sys/fs/cgroup/{name}"
    try:
        assert os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        os.mkdir(group)
    except (AssertionError, OSError) as error:
        print(f"SKIPPED: no control group of version 2 can be made here ({error})")
        pytest.skip("no control group of version 2 can be made here")
    try:
        pair = make(mode=mode, nft={"exclude": ["mark:18503", f"cgroup:{name}"]})
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        with service(lab) as listener:
            assert comes_directly(pair, listener, "sh", "-c", enter, "sh")
            assert not comes_directly(pair, listener)
    finally:
        os.rmdir(group)


def test_what_tproxy_needed_goes_when_redirect_takes_its_place(lab, tmp_path):
    def routing():
        return [lab["agent"].run("ip", family, *words, check=False).stdout
                for family in ("-4", "-6") for words in (("rule",), ("route", "show", "table", "18502"))]
    clean = routing()
    before = TransparentPair(lab, tmp_path, mode="tproxy")
    before.nft(before.client, "--apply")
    assert routing() != clean
    after = TransparentPair(lab, tmp_path, mode="redirect")
    after.nft(after.client, "--apply")
    assert routing() == clean
    assert "redirect to :15001" in lab["agent"].run("nft", "list", "ruleset").stdout


def test_one_applications_address_does_not_close_the_service_to_others(lab, make):
    """mirror: the service refuses one source address alone, which says nothing of the target."""
    other = "10.203.1.3"
    with service(lab) as listener:           # before the first check, of which there is but one
        pair = make(client={"mirror": True},
                    server={"mirror": True, "check_interval": "1h", "source": "client"})
        lab["backend"].run("nft", "-f", "-", text="table inet picky {\nchain in {\ntype filter hook "
                           "input priority 0;\nip saddr " + APP[4] + " tcp flags syn reject with tcp reset\n}\n}\n")
        lab["app"].run("ip", "address", "add", f"{other}/24", "dev", "to-agent")
        wait_until(lambda: pair.refused() == "reset", 10 * TIMESCALE, "its source is refused")
        pair.server.wait_event("connection_closed", cause="target_refused")
        assert pair.refused() == "reset"     # not "refused": the listener stands
        lab["app"].run("ip", "route", "replace", "default", "via", "10.203.1.1", "src", other)
        app = pair.dial()
        while True:
            back, source = listener.accept()
            if source[0] == other:
                break
            back.close()
        ping(app, back)
        assert is_open(app)


@pytest.mark.parametrize("left", [[f"{BACKEND[4]}:{PORT}"], []])
def test_a_connection_to_where_a_client_may_not_go_any_more_ends_when_it_is_revoked(lab, make, left):
    options = travelling()
    options["client"]["match"] = ["10.203.4.0/24:*"]
    client = options["services"]["server"]["clients"]["edge-1"]
    client["allow"] = [f"{BACKEND[4]}:{PORT}", f"{BACKEND[4]}:8080"]
    pair = make(**options)
    with service(lab) as first, service(lab, port=8080) as second:
        ends = {}
        for port, listener in ((PORT, first), (8080, second)):
            ends[port] = pair.dial(port=port), listener.accept()[0]
            ping(*ends[port])
        client["allow"] = left
        pair.server.write_config(pair.server_config)
        assert pair.server.run("reload").returncode == 0
        for app, back in ends.values():
            ping(app, back)                  # what runs goes on
        assert pair.refused(port=8080) == "reset"
        assert pair.server.run("reload", "--revoke").returncode == 0
        for port, (app, back) in ends.items():
            if f"{BACKEND[4]}:{port}" in left:
                ping(app, back)
            else:
                assert read_end(app)[0] == RST and read_end(back)[0] == RST
        for agent in (pair.client, pair.server):
            assert len(agent.wait_event("connection_closed", cause="revoked")) == 2 - len(left)
