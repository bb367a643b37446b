"""Several loop threads: links are spread over them, and nothing else is different."""
import os

import pytest

from pair import Pair
from streams import Flow, ping, wait_until
from test_parallel import counts, wait_links
from test_reload import change, reload

THREE = {"client": {"threads": 3, "link": {"parallel": 3}}, "server": {"threads": 3}}


def loops(agent):
    """How often each loop thread but the first has been given a core (schedstat, the third number)."""
    turns = []
    for task in os.listdir(f"/proc/{agent.pid}/task"):
        with open(f"/proc/{agent.pid}/task/{task}/comm") as file:
            name = file.read().strip()
        if name == "loop":
            with open(f"/proc/{agent.pid}/task/{task}/schedstat") as file:
                turns.append(int(file.read().split()[2]))
    return turns


def transfer(src, dst, size):
    flow = Flow(src, dst, seed=size, size=size, finish=False)
    flow.wait_received(size)


@pytest.mark.sanitized
def test_links_are_on_threads_of_their_own_and_survive(tmp_path):
    with Pair(tmp_path, **THREE) as pair:
        wait_links(pair, 3)
        before = {agent: loops(agent) for agent in (pair.client, pair.server)}
        assert len(before[pair.client]) == len(before[pair.server]) == 2
        talks = [pair.connect() for _ in range(6)]
        assert set(counts(pair.client).values()) == {2}
        for app, back in talks:
            transfer(app, back, 2_000_000)
        for _ in range(3):
            pair.relay.cut()
            for app, back in talks:
                ping(app, back)
        for app, back in talks:
            transfer(back, app, 2_000_000)
        # Every one of them had bytes to carry, not only the timers of an idle link.
        for agent, turns in before.items():
            assert all(now > then + 50 for now, then in zip(loops(agent), turns))


@pytest.mark.sanitized
def test_they_are_looked_at_changed_and_ended_while_bytes_flow(tmp_path):
    with Pair(tmp_path, **THREE) as pair:
        wait_links(pair, 3)
        talks = [pair.connect() for _ in range(6)]
        for number in range(10):
            for app, back in talks[1:]:
                transfer(app, back, 200_000)
            assert len(pair.client.connections()) == len(pair.server.connections()) == 6
            pair.client.run("status", "--json")
            if number == 3:
                assert pair.client.run("link", "down", "default#2").returncode == 0
                pair.client.wait_event("link_down", cause="held_down")
                assert pair.client.run("link", "up", "default#2").returncode == 0
            if number == 6:
                assert pair.client.run("reconnect").returncode == 0
        killed = pair.client.connections()[0]["id"]
        assert pair.client.run("kill", killed).returncode == 0
        wait_until(lambda: len(pair.server.connections()) == 5, 10, "the killed one is gone")


def test_a_link_s_lanes_are_one_of_those_a_client_may_have_on_all_threads_together(tmp_path):
    with Pair(tmp_path, client=THREE["client"],
              server={"threads": 3, "clients": {"edge-1": {"links": 1}}}) as pair:
        wait_links(pair, 3)
        for app, back in [pair.connect() for _ in range(6)]:
            ping(app, back)


def test_a_thread_without_room_makes_the_others_take_more(tmp_path):
    with Pair(tmp_path, client={**THREE["client"], "limits": {"connections": 6}},
              server={"threads": 3}) as pair:
        wait_links(pair, 3)
        talks = [pair.connect() for _ in range(6)]
        assert set(counts(pair.client).values()) == {2}
        app = pair.dial()
        ping(*talks[0])
        talks[5][0].close()
        talks[5][1].close()
        back = pair.backends["raw"].accept()
        ping(app, back)


def test_a_reload_spreads_more_links_beside_live_connections(tmp_path):
    with Pair(tmp_path, client={"threads": 2, "link": {"parallel": 1}}, server={"threads": 2}) as pair:
        app, back = pair.connect()
        change(pair.client, "link", "parallel", value=2)
        reload(pair.client)
        wait_links(pair, 2)
        second, second_back = pair.connect()
        assert counts(pair.client) == {"default": 1, "default#2": 1}
        change(pair.client, "link", "parallel", value=1)
        reload(pair.client)
        second.close()
        second_back.close()
        wait_until(lambda: list(counts(pair.client)) == ["default"], 10,
                   "the link goes with its last connection")
        ping(app, back)


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_drain_ends_with_the_last_connection_of_any_thread(tmp_path, role):
    with Pair(tmp_path, **THREE) as pair:
        wait_links(pair, 3)
        talks = [pair.connect() for _ in range(3)]
        agent = getattr(pair, role)
        assert agent.run("drain").returncode == 0
        for app, back in talks:
            ping(app, back)
            assert agent.running
            app.close()
            back.close()
        wait_until(lambda: not agent.running, 10, "the drained agent has gone")
        assert agent.process.returncode == 0
        pair.failed = True      # nothing else to check: one of them is gone
