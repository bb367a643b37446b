"""How a connection begins: addresses of all kinds, backends that cannot be had, a link that is down."""
import os
import socket

import pytest

import outages
from pair import TIMESCALE, Backend, EchoBackend, free_port
from stopwatch import Stopwatch
from streams import FIN, RST, Flow, is_open, ping, read_end, read_exactly, wait_until


class DeafListener:
    """A port whose SYNs the kernel drops: its accept queue is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(8):
            filler = socket.socket()
            self.fillers.append(filler)
            filler.settimeout(0.1)
            try:
                filler.connect(self.listener.getsockname())
            except TimeoutError:
                return
        raise RuntimeError("the accept queue does not fill")

    def close(self):
        for sock in [self.listener, *self.fillers]:
            sock.close()


@pytest.mark.sanitized
def test_applications_that_connect_while_the_link_is_down_wait_and_then_work(pair):
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    apps = [pair.dial() for _ in range(20)]
    for number, app in enumerate(apps):
        app.sendall(b"early %02d" % number)
    assert pair.backends["raw"].quiet()
    assert all(is_open(app) for app in apps)
    outages.end(pair)
    seen = set()
    for _ in apps:
        back = pair.backends["raw"].accept()
        text = read_exactly(back, 8)
        back.sendall(text)
        seen.add(text)
    assert len(seen) == 20
    for number, app in enumerate(apps):
        assert read_exactly(app, 8) == b"early %02d" % number


def test_before_the_first_link_applications_wait_too(make_pair):
    pair = make_pair(wait_ready=False)
    pair.relay.refuse()
    pair.client.kill()
    pair.client.start()
    app = wait_until(lambda: dial_or_none(pair), 5 * TIMESCALE, "the client agent listens")
    app.sendall(b"first")
    assert is_open(app)
    pair.relay.accept()
    assert read_exactly(pair.backends["raw"].accept(), 5) == b"first"
    pair.wait_ready()


def dial_or_none(pair):
    try:
        return pair.dial()
    except OSError:
        return None


def test_an_application_that_waited_for_open_timeout_is_reset(make_pair):
    pair = make_pair(client={"link": {"open_timeout": "1s"}})
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    watch = Stopwatch()
    app = pair.dial()
    assert read_end(app, 4 * TIMESCALE)[0] == RST
    assert watch.elapsed() > 0.9 and watch.seconds() < 2.5 * TIMESCALE
    pair.client.wait_event("connection_closed", cause="open_timeout")
    outages.end(pair)
    assert pair.backends["raw"].quiet(), "the backend was dialled for an application long gone"


def test_an_application_that_left_while_waiting_is_not_opened_needlessly(pair):
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    app = pair.dial()
    app.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    app.close()
    wait_until(lambda: pair.client.connections() == [], 5 * TIMESCALE, "the connection forgotten")
    outages.end(pair)
    pair.wait_ready()
    assert pair.backends["raw"].quiet()


@pytest.mark.sanitized
def test_a_backend_that_refuses_resets_the_application(make_pair):
    pair = make_pair(services={"raw": {"target": f"127.0.0.1:{free_port()}"}})
    assert pair.dial_in_vain(seconds=5) == (RST, b"")
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="target_refused")


def test_a_backend_that_does_not_answer_resets_the_application_after_connect_timeout(make_pair):
    deaf = DeafListener()
    pair = make_pair(services={"raw": {"target": f"127.0.0.1:{deaf.port}",
                                       "connect_timeout": "700ms"}})
    watch = Stopwatch()
    assert pair.dial_in_vain(seconds=5) == (RST, b"")
    assert watch.elapsed() > 0.6 and watch.seconds() < 2.5 * TIMESCALE
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="target_timeout")
    deaf.close()


def test_a_backend_whose_name_cannot_be_resolved_resets_the_application(make_pair):
    pair = make_pair(services={"raw": {"target": "no-such-host.invalid:1", "connect_timeout": "8s"}})
    assert pair.dial_in_vain(seconds=15) == (RST, b"")
    # A machine without any resolver may take longer to say no than the connect timeout.
    wait_until(lambda: [line for agent in (pair.client, pair.server)
                        for cause in ("target_unresolved", "target_timeout")
                        for line in agent.events("connection_closed", cause=cause)],
               5, "the cause in a log")


def test_a_service_that_the_server_does_not_grant_resets_the_application(make_pair):
    pair = make_pair(services={"raw": {}, "secret": {}},
                     server={"clients": {"edge-1": {"services": ["raw"]}}})
    assert pair.dial_in_vain("secret", seconds=5) == (RST, b"")
    assert pair.backends["secret"].quiet()
    pair.client.wait_event("connection_closed", cause="unknown_service")
    ping(*pair.connect("raw"))


def test_backends_on_localhost_by_name_are_found(make_pair):
    backend = Backend()
    pair = make_pair(services={"raw": {"target": f"localhost:{backend.address[1]}"}})
    app = pair.dial()
    ping(app, backend.accept())
    backend.close()


@pytest.mark.sanitized
def test_unix_sockets_serve_as_listener_and_as_target(make_pair, tmp_path):
    backend = Backend(str(tmp_path / "b.sock"))
    pair = make_pair(services={"raw": {"target": backend,
                                       "listen": f"unix:{tmp_path}/l.sock"}})
    app, back = pair.connect()
    ping(app, back)
    flows = [Flow(app, back, 1, 4 << 20), Flow(back, app, 2, 4 << 20)]
    outages.run(pair, "reset")
    for flow in flows:
        flow.wait()
    app.close()
    back.close()
    pair.wait_empty()


def test_a_unix_listener_left_by_a_killed_agent_is_replaced(make_pair, tmp_path):
    pair = make_pair(services={"raw": {"listen": f"unix:{tmp_path}/l.sock"}})
    pair.client.kill()
    assert os.path.exists(tmp_path / "l.sock")
    pair.client.start()
    pair.wait_ready()
    ping(*pair.connect())


def test_ipv6_works_for_listener_target_and_half_close(make_pair):
    try:
        port = free_port("::1")
    except RuntimeError:
        print("SKIPPED: no IPv6 loopback")
        pytest.skip("no IPv6 loopback")
    pair = make_pair(services={"raw": {"target": Backend(("::1", 0)), "listen": f"[::1]:{port}"}})
    app, back = pair.connect()
    ping(app, back)
    app.shutdown(socket.SHUT_WR)
    assert read_end(back) == (FIN, b"")
    back.sendall(b"answer")
    back.close()
    assert read_end(app) == (FIN, b"answer")


def test_the_link_itself_runs_over_ipv6(make_pair):
    pair = make_pair(relay=None, wait_ready=False)
    pair.client.kill()
    pair.server.kill()
    port = free_port("::1")
    pair.server.settings["link"]["listen"] = [f"[::1]:{port}"]
    pair.client.settings["link"]["server"] = [f"[::1]:{port}"]
    for agent in (pair.server, pair.client):
        agent.write_config(agent.settings)
        agent.start()
    pair.wait_ready()
    ping(*pair.connect())


@pytest.mark.parametrize("first", ["refusing", "silent", "unresolvable"])
def test_a_dead_first_address_of_the_server_costs_little(make_pair, first):
    deaf = DeafListener()
    dead = {"refusing": f"127.0.0.1:{free_port()}", "silent": f"127.0.0.1:{deaf.port}",
            "unresolvable": "no-such-host.invalid:7443"}[first]
    pair = make_pair(wait_ready=False)
    pair.client.kill()
    pair.client.settings["link"]["server"].insert(0, dead)
    pair.client.write_config(pair.client.settings)
    watch = Stopwatch()
    pair.client.start()
    pair.wait_ready(5)
    assert watch.seconds() < 3 * TIMESCALE
    app, back = pair.connect()
    ping(app, back)
    pair.relay.cut()
    assert ping(app, back) < 1.5 * TIMESCALE
    deaf.close()


def test_two_clients_with_the_same_services_live_side_by_side_on_one_server(make_pair):
    import copy
    from pair import Agent
    pair = make_pair(server={"clients": {"edge-2": {"services": ["raw"]}}}, link="plain")
    config = copy.deepcopy(pair.client.settings)
    folder = os.path.join(pair.folder, "second")
    os.mkdir(folder)
    port = free_port()
    config.update(name="edge-2", services={"raw": {"listen": f"127.0.0.1:{port}"}})
    config["admin"] = {"socket": os.path.join(folder, "c.sock"),
                       "metrics": f"127.0.0.1:{free_port()}"}
    second = Agent("client", folder, config).start()
    try:
        wait_until(lambda: second.run("ready").returncode == 0, 5 * TIMESCALE, "the second ready")
        one = pair.connect()
        app = socket.create_connection(("127.0.0.1", port))
        back = pair.backends["raw"].accept()
        ping(app, back)
        ping(*one)
        assert {c["peer"] for c in pair.server.connections()} == {"edge-1", "edge-2"}
        second.terminate()
        assert read_end(back, 2)[0] == RST
        ping(*one)
    finally:
        second.kill()


@pytest.mark.sanitized
def test_a_large_fan_of_services_works(make_pair):
    echo = EchoBackend()
    names = [f"service-{number}" for number in range(120)]
    pair = make_pair(services={name: {"target": echo} for name in names})
    apps = {name: pair.dial(name) for name in names}
    for name, app in apps.items():
        app.sendall(name.encode())
    for name, app in apps.items():
        assert read_exactly(app, len(name)) == name.encode()
    assert {c["service"] for c in pair.client.connections()} == set(names)
