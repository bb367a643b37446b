"""Parallel links: connections are shared out, each link lives and waits for itself."""
import contextlib

import pytest

from pair import EchoBackend, Pair
from streams import ping, read_exactly, wait_until
from test_reload import change, reload

NAMES = ["default", "default#2", "default#3"]


def counts(agent):
    """Connections by link."""
    return {link["name"]: link["connections"] for link in agent.json("links")}


def wait_links(pair, count):
    for agent in (pair.server, pair.client):
        wait_until(lambda: [link["state"] for link in agent.json("links")] == ["live"] * count, 10,
                   f"{count} live links at the {agent.role}")


def test_connections_are_shared_out_and_survive_the_cut_of_all(tmp_path):
    with Pair(tmp_path, client={"link": {"parallel": 3}}) as pair:
        wait_links(pair, 3)
        talks = [pair.connect() for _ in range(6)]
        assert counts(pair.client) == dict.fromkeys(NAMES, 2)
        pair.relay.cut()
        for app, back in talks:
            ping(app, back)


def test_new_connections_avoid_a_link_that_is_down(tmp_path):
    with Pair(tmp_path, client={"link": {"parallel": 3}}) as pair:
        wait_links(pair, 3)
        talks = [pair.connect() for _ in range(3)]
        assert pair.client.run("link", "down", "default#2").returncode == 0
        pair.client.wait_event("link_down", cause="held_down")
        talks += [pair.connect() for _ in range(4)]
        assert counts(pair.client) == {"default": 3, "default#2": 1, "default#3": 3}
        assert pair.client.run("link", "up", "default#2").returncode == 0
        for app, back in talks:
            ping(app, back)
        # The config's name means all of them.
        assert pair.client.run("link", "down", "default").returncode == 0
        wait_until(lambda: all(link["held_down"] for link in pair.client.json("links")), 5, "all held")
        assert pair.client.run("link", "up", "default").returncode == 0
        for app, back in talks:
            ping(app, back)


def test_a_reload_changes_their_number_beside_live_connections(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        change(pair.client, "link", "parallel", value=2)
        assert "link.parallel: auto -> 2" in reload(pair.client)
        wait_links(pair, 2)
        second, second_back = pair.connect()
        assert counts(pair.client) == {"default": 1, "default#2": 1}
        change(pair.client, "link", "parallel", value=1)
        reload(pair.client)
        third, third_back = pair.connect()
        assert counts(pair.client) == {"default": 2, "default#2": 1}
        for ends in ((app, back), (second, second_back), (third, third_back)):
            ping(*ends)
        second.close()
        second_back.close()
        wait_until(lambda: list(counts(pair.client)) == ["default"], 10,
                   "the link goes with its last connection")
        ping(app, back)


def test_the_lanes_of_a_link_are_one_of_those_the_client_may_have(tmp_path):
    with Pair(tmp_path, client={"link": {"parallel": 3}},
              server={"clients": {"edge-1": {"links": 1}}}) as pair:
        wait_links(pair, 3)


def test_more_than_the_client_may_have_are_refused_and_the_others_carry(tmp_path):
    pair = Pair(tmp_path, services={"raw": {}, "other": {}, "third": {}},
                server={"clients": {"edge-1": {"links": 2}}}, wait_ready=False)
    settings = pair.client.settings
    one = settings.pop("link")
    settings["links"] = {name: one for name in settings["services"]}
    for name, service in settings["services"].items():
        service["link"] = name
    pair.client.write_config(settings)
    with pair:
        pair.client.wait_event("link_refused", cause="limit")
        wait_until(lambda: len(pair.server.json("links")) == 2, 10, "two links at the server")
        live = [link["name"] for link in pair.client.json("links") if link["state"] == "live"]
        assert len(live) == 2
        for name in live:
            ping(*pair.connect(name))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_clients_limit_of_connections_is_one_for_all_its_lanes(tmp_path, threads):
    echo = EchoBackend()
    with Pair(tmp_path, services={"raw": {"target": echo}}, client={"link": {"parallel": 3}},
              server={"threads": threads, "clients": {"edge-1": {"connections": 5}}}) as pair:
        wait_links(pair, 3)

        def served(count):
            """Of so many applications those that are not reset."""
            apps, found = [], []
            for _ in range(count):
                with contextlib.suppress(ConnectionError):
                    apps.append(pair.dial())
            for app in apps:
                with contextlib.suppress(ConnectionError):
                    app.sendall(b"x")
                    if read_exactly(app, 1) == b"x":
                        found.append(app)
            return found
        live = served(9)
        assert len(live) == 5
        pair.client.wait_event("connection_closed", cause="limit")
        live.pop().close()
        wait_until(lambda: len(pair.server.connections()) == 4, 10, "one has ended")
        live += served(1)
        assert len(live) == 5 and not served(1)
