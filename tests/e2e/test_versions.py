"""Releases and this tree: recorded handshakes are answered, and two versions live side by side, each way round.

HOLDFAST_E2E_OTHER is a folder with agents of another version, by which an end is replaced (scripts/check-interop);
without it that is by the same version.
"""
import os
import re
import socket

import pytest

import handshake
import outages
import rawlink
from handshake import AFTER, BEFORE, exchange
from pair import BIN, REPOSITORY, Pair, free_port, has_keeper
from streams import RST, ping, read_end, read_exactly, wait_until

OTHER = os.environ.get("HOLDFAST_E2E_OTHER") or BIN
HANDSHAKES = os.path.join(REPOSITORY, "tests", "golden", "handshakes")
RELEASES = sorted(os.listdir(HANDSHAKES))
NEW, RESUMED = handshake.CARRIERS
each_release = pytest.mark.parametrize("release", RELEASES)
both_roles = pytest.mark.parametrize("role", ["client", "server"])


def test_every_release_has_its_handshake():
    with open(os.path.join(REPOSITORY, "packaging", "debian", "changelog")) as file:
        released = re.findall(r"(?m)^holdfast \(([^)@-]+)", file.read())
    assert released and sorted(released) == RELEASES


# -- What a release's agent once said -------------------------------------------------------------


def join(frames):
    return b"".join(frame for _, frame in frames)


def greeting_and_rest(frames):
    """Nothing more is said before the other end has answered."""
    greeting = [frame for frame in frames if frame[0] in (rawlink.HELLO, rawlink.WELCOME, rawlink.TABLE)]
    return greeting, frames[len(greeting):]


@each_release
def test_a_releases_client_is_answered_and_resumed(tmp_path, release):
    first, second = (handshake.load(f"{HANDSHAKES}/{release}", carrier, "client") for carrier in (NEW, RESUMED))
    pair = Pair(tmp_path, relay=None, link="plain")
    try:
        pair.server.start()
        wait_until(lambda: pair.server.run("status").returncode == 0, 10, "the server agent")
        greeting, rest = greeting_and_rest(first)
        carrier = rawlink.RawLink(pair.link_port)
        carrier.send(join(greeting))
        verdict, _, instance = carrier.read_welcome()
        assert verdict == rawlink.NEW
        carrier.send(join(rest))
        back = pair.backends["raw"].accept()
        assert read_exactly(back, len(BEFORE[0])) == BEFORE[0]
        back.sendall(BEFORE[1])
        assert carrier.read_until(rawlink.DATA).endswith(BEFORE[1])
        carrier.close()

        # The server that answers is another one than the recorded.
        greeting, rest = greeting_and_rest(second)
        hello = bytearray(greeting[0][1])
        hello[handshake.INSTANCE] = instance.to_bytes(8, "big")
        carrier = rawlink.RawLink(pair.link_port)
        carrier.send(bytes(hello), join(greeting[1:]))
        assert carrier.read_welcome()[0] == rawlink.RESUMED
        carrier.send(join(rest))
        assert read_exactly(back, len(AFTER[0])) == AFTER[0]
        back.sendall(AFTER[1])
        assert carrier.read_until(rawlink.DATA).endswith(AFTER[1])
        carrier.close()
    finally:
        pair.stop()


class RecordedServer:
    """Says on a carrier what a release's server said: its greeting, and the rest when it has the application's bytes."""

    def __init__(self, listener, frames):
        self.link = rawlink.RawLink(None, sock=listener.accept()[0])
        self.greeting, self.rest = greeting_and_rest(frames)

    def greet(self):
        self.link.read_until(rawlink.HELLO)
        self.link.send(join(self.greeting))

    def answer(self, question):
        assert self.link.read_until(rawlink.DATA).endswith(question)
        self.link.send(join(self.rest))


@each_release
def test_a_releases_server_is_understood_and_resumed(tmp_path, release):
    first, second = (handshake.load(f"{HANDSHAKES}/{release}", carrier, "server") for carrier in (NEW, RESUMED))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        pair = Pair(tmp_path, relay=None, link="plain", fast=False,
                    client={"link": {"server": ["127.0.0.1:%d" % listener.getsockname()[1]]}})
        try:
            pair.client.start()
            server = RecordedServer(listener, first)
            server.greet()
            app = pair.dial()
            app.sendall(BEFORE[0])
            server.answer(BEFORE[0])
            assert read_exactly(app, len(BEFORE[1])) == BEFORE[1]
            server.link.close()
            app.sendall(AFTER[0])
            server = RecordedServer(listener, second)
            server.greet()
            server.answer(AFTER[0])
            assert read_exactly(app, len(AFTER[1])) == AFTER[1]
            assert pair.reconnects() == 1
        finally:
            pair.stop()


# -- Two versions side by side ---------------------------------------------------------------------


def reload(agent):
    result = agent.run("reload")
    assert result.returncode == 0, result.stdout + result.stderr


def test_reloads_of_both_ends_keep_connections_and_add_a_service(pair):
    live = pair.connect()
    settings = {agent: agent.settings for agent in (pair.client, pair.server)}
    port = free_port()
    settings[pair.server]["services"]["late"] = {"target": pair.backends["raw"].target}
    settings[pair.server]["clients"]["edge-1"]["services"] = ["raw", "late"]
    settings[pair.client]["services"]["late"] = {"listen": f"127.0.0.1:{port}"}
    for agent in (pair.server, pair.client):
        agent.write_config(settings[agent])
        reload(agent)
    pair.listens["late"], pair.backends["late"] = ("127.0.0.1", port), pair.backends["raw"]
    exchange(*live, BEFORE)
    outages.run(pair, "reset")
    exchange(*live, AFTER)
    ping(*pair.connect("late"))


@both_roles
def test_a_restart_of_an_end_that_can_keeps_connections(pair, role):
    agent = getattr(pair, role)
    if not has_keeper(agent.program):
        pytest.skip(f"this {role} is of a release before there were restarts")
    live = pair.connect()
    exchange(*live, BEFORE)
    done = agent.run("restart")
    assert done.returncode == 0, done.stderr
    exchange(*live, AFTER)
    pair.wait_ready()
    outages.run(pair, "reset")
    ping(*live)
    pair.note_descriptors()


@both_roles
def test_an_upgrade_goes_on_with_connections_or_is_refused_before_they_are_let_go(pair, role):
    agent, other = getattr(pair, role), os.path.join(OTHER, f"holdfast-{role}")
    if not has_keeper(agent.program):
        pytest.skip(f"this {role} is of a release before there were upgrades")
    live = pair.connect()
    exchange(*live, BEFORE)
    done = agent.run("upgrade", other)
    if has_keeper(other):
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and "cannot go on with what runs here" in done.stderr
    exchange(*live, AFTER)
    pair.wait_ready()
    pair.note_descriptors()


@both_roles
def test_an_end_that_is_stopped_and_started_as_another_version_serves_the_same_peer(pair, role):
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    agent.terminate()
    for sock in (app, back):
        assert read_end(sock) == (RST, b"")
    agent.program = os.path.join(OTHER, f"holdfast-{role}")
    agent.start()
    pair.wait_ready()
    pair.note_descriptors()
    live = pair.connect()
    exchange(*live, BEFORE)
    outages.run(pair, "reset")
    exchange(*live, AFTER)
