"""Names: of servers, of services, of listeners; and name servers that say nothing."""
import contextlib
import copy
import socket
import threading

import pytest

import names
from pair import TIMESCALE, Backend, free_port
from relay import Relay
from stopwatch import Stopwatch
from streams import RST, ping, read_end, wait_until


@pytest.fixture
def etc(tmp_path):
    """Names of their own for agents; skips, with the reason, where they cannot be had."""
    reason = names.why_unavailable()
    if reason:
        print(f"SKIPPED: {reason}")
        pytest.skip(reason)
    own = names.Names(tmp_path / "etc")
    yield own
    own.close()


def again(agent, etc, change=None):
    """Starts the agent again, with the names of `etc`."""
    agent.terminate()
    agent.space = etc
    config = copy.deepcopy(agent.settings)
    if change:
        change(config)
    agent.write_config(config)
    agent.start()


@contextlib.contextmanager
def deaf(port, host="127.0.0.1"):
    """An address that says nothing: its queue is full, and the kernel drops further SYNs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield


class Typist:
    """A byte there and back, again and again, on one connection; `worst` is the longest of them."""

    def __init__(self, pair):
        self.worst, self._stop = 0.0, threading.Event()
        self._app, self._back = pair.connect()
        self._thread = threading.Thread(target=self._type, daemon=True)
        self._thread.start()

    def _type(self):
        while not self._stop.wait(0.02):
            self.worst = max(self.worst, ping(self._app, self._back))

    def stop(self):
        self._stop.set()
        self._thread.join()


# --- The server's name ------------------------------------------------------------------------

def test_a_client_that_starts_before_its_servers_name_can_be_resolved_dials_once_it_can(make_pair, etc):
    pair = make_pair()
    port = pair.client.settings["link"]["server"][0].rpartition(":")[2]
    again(pair.client, etc, lambda config: config["link"].update(server=[f"hub.example:{port}"]))
    pair.client.wait_event("dial_failed", 20, reason="hub.example")  # the system's own patience: two of 5 s
    app = wait_until(lambda: dialled(pair.listens["raw"]), 10 * TIMESCALE, "it listens")
    assert pair.backends["raw"].quiet(1)
    etc.hosts(("hub.example", "127.0.0.1"))
    watch = Stopwatch()
    back = pair.backends["raw"].accept(10 * TIMESCALE)
    assert watch.seconds() < 2.5 * TIMESCALE
    ping(app, back)
    pair.wait_ready()
    app.close()
    back.close()


def test_a_server_whose_name_has_moved_is_found_within_two_seconds(make_pair, etc):
    pair = make_pair(fast=False)
    etc.hosts(("hub.example", "127.0.0.1"))
    port = pair.relay.port
    again(pair.client, etc, lambda config: config["link"].update(server=[f"hub.example:{port}"]))
    pair.wait_ready()
    app, back = pair.connect()
    ping(app, back)
    moved = Relay(pair.relay.target, listen=("127.0.0.2", port)).start()
    try:
        etc.hosts(("hub.example", "127.0.0.2"))
        pair.relay.freeze()                                   # and the old address says nothing
        watch = Stopwatch()
        ping(app, back)
        assert watch.seconds() < 2 * TIMESCALE
    finally:
        pair.relay.cut()
        pair.relay.thaw()
        etc.hosts(("hub.example", "127.0.0.1"))
        moved.stop()
    pair.client.wait_event("link_resumed", address=f"127.0.0.1:{port}")
    ping(app, back)
    app.close()
    back.close()


# --- The names of services --------------------------------------------------------------------

def services(**targets):
    return {name: {"target": target, "connect_timeout": "4s"} for name, target in targets.items()}


def test_names_that_nobody_answers_hold_up_no_other_and_are_told_as_unresolved(make_pair, etc):
    backend = Backend()
    port = backend.target.rpartition(":")[2]
    dead = {f"dead{i}": f"dead{i}.example:{port}" for i in range(8)}
    pair = make_pair(services={"raw": {"target": backend},
                               **services(good=f"good.example:{port}", **dead)})
    etc.hosts(("good.example", "127.0.0.1"))
    again(pair.server, etc)
    pair.wait_ready()
    waiting = [socket.create_connection(pair.listens[name]) for name in dead]
    wait_until(lambda: len(dead) <= len(etc.server.asked), 10 * TIMESCALE, "all are looked up")
    for service in ("good", "raw", "good"):
        watch = Stopwatch()
        app = socket.create_connection(pair.listens[service])
        back = backend.accept(10 * TIMESCALE)
        ping(app, back)
        assert watch.seconds() < 1 * TIMESCALE, service
        app.close()
        back.close()
    for app in waiting:
        assert read_end(app, 8 * TIMESCALE) == (RST, b"")
    for name in dead:
        pair.server.wait_event("connection_closed", service=name, cause="target_unresolved")


def test_a_service_is_reached_at_its_last_good_address_while_its_name_server_is_silent(make_pair, etc):
    backend = Backend()
    port = backend.target.rpartition(":")[2]
    pair = make_pair(services={"raw": {"target": backend}, **services(db=f"db.example:{port}")})
    again(pair.server, etc)
    pair.wait_ready()
    etc.server.addresses["db.example"] = "127.0.0.1"
    for silent in (False, True, True):
        if silent:
            etc.server.addresses.clear()
        watch = Stopwatch()
        app = socket.create_connection(pair.listens["db"])
        back = backend.accept(10 * TIMESCALE)
        ping(app, back)
        assert watch.seconds() < 1 * TIMESCALE
        app.close()
        back.close()


def test_a_changed_resolv_conf_is_noticed_though_a_look_up_hangs(make_pair, etc):
    backend = Backend()
    port = backend.target.rpartition(":")[2]
    pair = make_pair(services={"raw": {"target": backend},
                               "db": {"target": f"db.example:{port}", "connect_timeout": "30s"}})
    again(pair.server, etc)
    pair.wait_ready()
    app = socket.create_connection(pair.listens["db"])       # its look-up asks a server that is silent
    wait_until(lambda: "db.example" in etc.server.asked, 10 * TIMESCALE, "a question")
    other = names.NameServer()
    try:
        other.addresses["db.example"] = "127.0.0.1"
        etc.ask(other)
        watch = Stopwatch()
        back = backend.accept(10 * TIMESCALE)
        ping(app, back)
        assert watch.seconds() < 4 * TIMESCALE
        app.close()
        back.close()
    finally:
        other.close()


def test_a_dead_first_address_of_a_service_costs_little_and_only_once(make_pair, etc):
    port = free_port()
    pair = make_pair(services={"raw": {}, **services(db=f"db.example:{port}")})
    etc.hosts(("db.example", "127.0.0.1"), ("db.example", "127.0.0.2"))
    again(pair.server, etc)
    pair.wait_ready()
    backend = Backend(("127.0.0.2", port))
    with deaf(port):
        for number in range(3):
            watch = Stopwatch()
            app = socket.create_connection(pair.listens["db"])
            back = backend.accept(10 * TIMESCALE)
            ping(app, back)
            took = watch.seconds()
            assert took < (1 if number == 0 else 0.25) * TIMESCALE, (number, took)
            app.close()
            back.close()
    backend.close()


def test_a_look_up_that_hangs_does_not_hold_up_the_end(make_pair, etc):
    pair = make_pair(services={"raw": {}, **services(dead="dead.example:1")})
    again(pair.server, etc)
    pair.wait_ready()
    app = socket.create_connection(pair.listens["dead"])
    wait_until(lambda: "dead.example" in etc.server.asked, 10 * TIMESCALE, "a question")
    pair.server.terminate()                                   # within two seconds, with 0
    app.close()
    pair.server.start()


# --- The names of listeners, and ports that are taken -----------------------------------------

def dialled(address):
    with contextlib.suppress(OSError):
        return socket.create_connection(address, 1)
    return None


def answers(address):
    try:
        socket.create_connection(address, 1).close()
        return True
    except OSError:
        return False


MIRRORED = {"mirror": True, "check_interval": "200ms"}


def test_a_listeners_name_that_nobody_answers_holds_up_nobody(make_pair, etc):
    service = Backend()
    port = free_port()
    pair = make_pair(services={"raw": {}, "gw": {"target": service.target, **MIRRORED}},
                     client={"services": {"gw": {"mirror": True}}})
    etc.server.addresses["gw.example"] = "127.0.0.1"

    def change(config):
        config["services"]["gw"]["listen"] = f"gw.example:{port}"
    again(pair.client, etc, change)
    pair.wait_ready()
    wait_until(lambda: answers(("127.0.0.1", port)), 10 * TIMESCALE, "it listens")
    # From now on nobody answers for a name; one that is known is listened on at once.
    etc.server.addresses.clear()
    typist = Typist(pair)
    where = ("127.0.0.1", int(service.target.rpartition(":")[2]))
    service.close()
    wait_until(lambda: not answers(("127.0.0.1", port)), 10 * TIMESCALE, "it is down, and looks it")
    service = Backend(where)
    wait_until(lambda: answers(("127.0.0.1", port)), 10 * TIMESCALE, "it is back")
    # A reload with a name that nobody has heard of is refused; it waits on a thread of its own.
    pair.client.settings["services"]["gw"]["listen"] = f"other.example:{port}"
    pair.client.write_config(pair.client.settings)
    refused = pair.client.run("reload")
    assert refused.returncode != 0 and "other.example" in refused.stdout + refused.stderr
    typist.stop()
    assert typist.worst < 1 * TIMESCALE
    service.close()


def test_a_start_does_not_wait_for_a_listeners_name(make_pair, etc):
    port = free_port()
    pair = make_pair(services={"raw": {}, "gw": {}})

    def change(config):
        config["services"]["gw"]["listen"] = f"gw.example:{port}"
    again(pair.client, etc, change)
    pair.wait_ready()
    ping(*pair.connect())
    (failure,) = pair.client.status()["not_listening"]
    assert failure["address"] == f"gw.example:{port}"
    etc.hosts(("gw.example", "127.0.0.1"))
    app = wait_until(lambda: dialled(("127.0.0.1", port)), 30 * TIMESCALE, "it listens")
    ping(app, pair.backends["gw"].accept(10 * TIMESCALE))
    assert pair.client.status()["not_listening"] == []
    app.close()


def test_a_mirrored_services_port_that_is_taken_holds_up_no_other_and_no_reload(make_pair):
    first, second = Backend(), Backend()
    pair = make_pair(services={"raw": {}, "a": {"target": first.target, **MIRRORED},
                               "b": {"target": second.target, **MIRRORED}},
                     client={"services": {"a": {"mirror": True}, "b": {"mirror": True}}})
    a, b = pair.listens["a"], pair.listens["b"]
    wait_until(lambda: answers(a) and answers(b), 10 * TIMESCALE, "both listen")
    addresses = [("127.0.0.1", int(each.target.rpartition(":")[2])) for each in (first, second)]
    first.close()
    second.close()
    wait_until(lambda: not answers(a) and not answers(b), 10 * TIMESCALE, "both are down")
    with contextlib.closing(socket.create_server(a)):
        first, second = (Backend(address) for address in addresses)
        wait_until(lambda: answers(b), 10 * TIMESCALE, "b is back")
        pair.client.wait_event("listen_failed")
        assert pair.client.run("reload").returncode == 0
        assert answers(b)
        assert [each["address"] for each in pair.client.status()["not_listening"]] == [
            f"127.0.0.1:{a[1]}"]
    pair.client.wait_event("listening", seconds=20 * TIMESCALE)
    assert pair.client.status()["not_listening"] == []
    first.close()
    second.close()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_port_that_is_taken_at_the_start_is_told_and_had_once_it_is_free(make_pair, role):
    pair = make_pair(services={"raw": {}, "other": {}})
    agent = getattr(pair, role)
    agent.terminate()
    taken = pair.listens["other"]
    if role == "server":
        taken = ("127.0.0.1", free_port())
        agent.settings["link"]["listen"].append(f"127.0.0.1:{taken[1]}")
        agent.write_config(agent.settings)
    name = f"127.0.0.1:{taken[1]}"
    with contextlib.closing(socket.create_server(taken)):
        agent.start()
        pair.wait_ready()
        ping(*pair.connect())                                 # what it can it serves
        agent.wait_event("listen_failed", address=name)
        (failure,) = agent.status()["not_listening"]
        assert failure["address"] == name and "Address already in use" in failure["reason"]
        assert f"cannot listen on {name}" in agent.run("status").stdout
        assert agent.metric("holdfast_listening", address=name) == 0
    agent.wait_event("listening", address=name, seconds=20 * TIMESCALE)
    assert agent.status()["not_listening"] == []
    assert agent.metric("holdfast_listening", address=name) == 1
    with contextlib.closing(dialled(taken)) as app:
        if role == "client":
            ping(app, pair.backends["other"].accept(10 * TIMESCALE))
