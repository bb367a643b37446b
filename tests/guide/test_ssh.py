"""docs/guide/ssh.md: each sentence with a number in it, tried with Debian's OpenSSH."""
import getpass
import hashlib
import os
import socket

import pytest

from services import Sshd, Talk, end_outage, hold, outage, unplug
from stopwatch import Stopwatch
from streams import read_end, read_exactly, wait_until


def login(programs, sshd, pair, *command, **options):
    """A shell, or whatever the command is, without a terminal."""
    port = pair.listens["raw"][1]
    return Talk(programs, ["ssh", *sshd.options(port, **options), f"{getpass.getuser()}@127.0.0.1",
                           *(command or ["sh"])])


@pytest.fixture
def session(programs, start, make_pair):
    def begin(server=None, grace="5m", **options):
        sshd = start(Sshd, **(server or {}))
        pair = make_pair(sshd.target, grace=grace)
        talk = login(programs, sshd, pair, **options)
        talk.type("echo logged-$((1 + 1))")
        talk.expect("logged-2", 30)
        return sshd, pair, talk
    return begin


def test_a_proxy_command_is_all_that_ssh_needs(programs, start, make_pair):
    sshd = start(Sshd)
    pair = make_pair(sshd.target)
    proxy = f"{pair.client.program} connect raw -c {pair.client.config}"
    talk = Talk(programs, ["ssh", *sshd.options(1, ProxyCommand=proxy), f"{getpass.getuser()}@hub", "sh"])
    talk.type("echo logged-$((1 + 1))")
    talk.expect("logged-2", 30)
    outage(pair, 3)
    talk.type("echo typed-$((2 + 2)); exit 7")
    talk.expect("typed-4", 5)
    talk.expect_end(10)
    assert talk.process.returncode == 7


@pytest.mark.parametrize("seconds", [5, 30])
def test_a_session_with_the_defaults_goes_through_an_outage(session, seconds):
    _, pair, talk = session(TCPKeepAlive="yes")
    pair.relay.freeze()
    talk.type("echo typed-$((2 + 2))")
    hold(seconds)
    end_outage(pair)
    talk.expect("typed-4", 2)


def test_server_alive_messages_end_a_session_that_is_out_for_longer(session):
    _, pair, talk = session(ServerAliveInterval=5, ServerAliveCountMax=3)
    pair.relay.freeze()
    watch = Stopwatch()
    talk.expect_end(40)
    assert "not responding" in talk.text
    assert watch.elapsed() > 14 and watch.seconds() < 26
    end_outage(pair)
    pair.client.wait_event("connection_closed")


def test_a_shorter_outage_costs_server_alive_messages_nothing(session):
    _, pair, talk = session(ServerAliveInterval=5, ServerAliveCountMax=3)
    outage(pair, 12)
    talk.type("echo typed-$((2 + 2))")
    talk.expect("typed-4", 2)


def test_client_alive_messages_end_a_session_that_is_out_for_longer(session):
    sshd, pair, talk = session({"ClientAliveInterval": 3, "ClientAliveCountMax": 2})
    outage(pair, 4)
    talk.type("echo typed-$((2 + 2))")
    talk.expect("typed-4", 2)
    pair.relay.freeze()
    watch = Stopwatch()
    wait_until(lambda: "Timeout, client not responding" in sshd.said(), 40, "sshd's patience")
    assert watch.elapsed() > 8 and watch.seconds() < 25     # 18 s with OpenSSH 9.2
    end_outage(pair)
    talk.expect_end(5)
    assert "closed by remote host" in talk.text


def test_connect_timeout_covers_the_wait_for_the_banner(programs, start, make_pair):
    sshd = start(Sshd)
    pair = make_pair(sshd.target)
    pair.relay.freeze()
    hold(3)
    short = login(programs, sshd, pair, "true", ConnectTimeout=3)
    patient = login(programs, sshd, pair, "echo in-$((1 + 1))")
    short.expect_end()
    assert "timed out during banner exchange" in short.text
    end_outage(pair)
    patient.expect("in-2", 3)


def test_login_grace_time_runs_during_an_outage(start, make_pair):
    sshd = start(Sshd, LoginGraceTime=4)
    pair = make_pair(sshd.target)
    with socket.create_connection(pair.listens["raw"]) as half_in:
        assert read_exactly(half_in, 4) == b"SSH-"
        outage(pair, 8)
        read_end(half_in, 5)
    pair.client.wait_event("connection_closed")


def test_a_copy_arrives_whole_through_an_outage(programs, start, make_pair, tmp_path):
    sshd = start(Sshd)
    pair = make_pair(sshd.target)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(200_000_000))
    pair.relay.rate(40_000_000)
    scp = Talk(programs, ["scp", *sshd.options(pair.listens["raw"][1]), str(source),
                          f"{getpass.getuser()}@127.0.0.1:{copy}"])
    wait_until(lambda: copy.exists() and copy.stat().st_size > 20_000_000, 20, "a copy under way")
    outage(pair, 10)
    scp.expect_end(60)
    assert scp.process.returncode == 0, scp.text
    same = [hashlib.sha256(path.read_bytes()).digest() for path in (source, copy)]
    assert same[0] == same[1]
    assert pair.client.replayed() > 0


def test_beyond_the_grace_the_session_ends(session):
    sshd, pair, talk = session(grace="4s")
    unplug(pair)
    talk.expect_end()
    assert talk.process.returncode == 255
    end_outage(pair)
