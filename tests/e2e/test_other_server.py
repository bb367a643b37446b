"""A server that comes back under another name, or another server that answers: what becomes of old
connections, and that new ones do not wait."""
import pytest

from pair import TIMESCALE, Agent, free_port
from stopwatch import Stopwatch
from streams import RST, ping, read_end, wait_until

GRACE = 6


def start_as(pair, name):
    pair.server.write_config({**pair.server.settings, "name": name})
    pair.server.start()


@pytest.fixture
def pair_of(make_pair):
    def make(**client):
        return make_pair(services={"raw": {}}, server={"name": "hub-1", "link": {"grace": f"{GRACE}s"}},
                         client=client)
    return make


def open_one(pair):
    app = pair.dial()
    back = pair.backends["raw"].accept()
    ping(app, back)
    return app, back


def wait_for_live_links(pair, count):
    wait_until(lambda: sum(link["state"] == "live" for link in pair.client.json("links")) == count,
               5 * TIMESCALE, f"{count} links are live")


def new_connection_within(pair, seconds):
    watch = Stopwatch()
    app = pair.dial()
    app.sendall(b"early")
    back = pair.backends["raw"].accept(20 * TIMESCALE)
    took = watch.seconds()
    assert back.recv(5) == b"early"
    ping(app, back)
    assert took < seconds * TIMESCALE
    return app, back


@pytest.mark.sanitized
def test_without_connections_another_name_changes_nothing(pair_of):
    pair = pair_of()
    app, back = open_one(pair)
    app.close()
    back.close()
    wait_until(lambda: not pair.client.json("connections"), 5 * TIMESCALE, "it is over")
    pair.server.kill()
    start_as(pair, "hub-2")
    new_connection_within(pair, 2)
    assert len(pair.client.json("links")) == 1


@pytest.mark.sanitized
@pytest.mark.parametrize("threads", [1, 3])
def test_new_connections_go_over_a_second_link_while_old_ones_wait(pair_of, threads):
    pair = pair_of(threads=threads)
    app, back = open_one(pair)
    wait_for_live_links(pair, threads)
    pair.server.kill()
    watch = Stopwatch()
    wait_for_live_links(pair, 0)              # else its OPEN may be on the wire, and holds it to hub-1
    waited = pair.dial()                      # while nobody answers
    waited.sendall(b"waited")
    start_as(pair, "hub-2")
    assert pair.backends["raw"].accept(20 * TIMESCALE).recv(6) == b"waited"
    assert watch.seconds() < 2 * TIMESCALE
    new = [new_connection_within(pair, 2) for _ in range(3)]
    wait_until(lambda: len(pair.client.json("links")) == threads + 1, 5 * TIMESCALE,
               "a lane for each thread, and the old one once it was answered")
    assert read_end(app, 3 * GRACE * TIMESCALE)[0] == RST
    assert watch.elapsed() > GRACE - 1
    pair.client.wait_event("connection_closed", cause="grace_expired")
    wait_until(lambda: len(pair.client.json("links")) == threads, 5 * TIMESCALE, "the old link is gone")
    for one in new:
        ping(*one)


@pytest.fixture
def second_server(tmp_path):
    """A server of another name, for the same client and services, as behind one balancer."""
    agents = []

    def make(pair):
        folder = tmp_path / "second"
        folder.mkdir()
        port = free_port()
        settings = pair.server.settings
        admin = {"socket": str(folder / "server.sock"), "metrics": f"127.0.0.1:{free_port()}"}
        config = {**settings, "name": "hub-2", "admin": admin,
                  "link": {**settings["link"], "listen": [f"127.0.0.1:{port}"]}}
        agents.append(Agent("server", str(folder), config).start())
        agents[-1].wait_event("started")
        return ("127.0.0.1", port)
    yield make
    for agent in agents:
        agent.terminate()


@pytest.mark.sanitized
def test_the_old_link_goes_on_with_its_own_server(pair_of, second_server):
    pair = pair_of()
    app, back = open_one(pair)
    home, elsewhere = pair.relay.target, second_server(pair)
    pair.relay.target = elsewhere
    pair.relay.cut()
    new = new_connection_within(pair, 2)
    pair.relay.target = home                  # for dials; the new link's carrier stands
    ping(app, back)
    ping(*new)
    assert [link["state"] for link in pair.client.json("links")] == ["live", "live"]
    more = new_connection_within(pair, 2)     # not over the old one, which ends when it is empty
    app.close()
    back.close()
    wait_until(lambda: len(pair.client.json("links")) == 1, 5 * TIMESCALE, "the old link is gone")
    ping(*new)
    ping(*more)


def test_no_stray_answer_ends_a_connection(pair_of, second_server):
    pair = pair_of()
    app, back = open_one(pair)
    home, elsewhere = pair.relay.target, second_server(pair)
    for _ in range(5):
        pair.relay.target = elsewhere
        pair.relay.cut()
        pair.client.wait_event("link_refused", cause="other_server")
        pair.relay.target = home
        ping(app, back)
