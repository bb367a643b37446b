"""`kill -9` of an agent: the next one goes on with its connections, and nobody notices but by a pause."""
import contextlib
import json
import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import threading
import urllib.request

import pytest

from pair import TIMESCALE, Backend
from streams import FIN, RST, Flow, is_open, payload, ping, read_end, read_exactly, reset, wait_until

PATIENCE = 20 * TIMESCALE


def recoveries(agent):
    return len(agent.events("recovered"))


def die(*agents):
    """Kills them with SIGKILL, all at once, and waits until the next ones have taken over."""
    before = [recoveries(agent) for agent in agents]
    for agent in agents:
        os.kill(wait_until(lambda a=agent: a.pid, PATIENCE, "a process"), signal.SIGKILL)
    for agent, count in zip(agents, before):
        wait_until(lambda a=agent, c=count: recoveries(a) > c, PATIENCE,
                   f"a recovery of the {agent.role}")


def told(agent):
    """The numbers of its last recovery."""
    line = agent.events("recovered")[-1]
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?!\w)", line)}


def lost(agent):
    return sum(told_one["lost"] for told_one in
               ({k: int(v) for k, v in re.findall(r"(\w+)=(\d+)(?!\w)", line)}
                for line in agent.events("recovered")))


@contextlib.contextmanager
def states_of(agent, magic):
    """What the agent would leave, writable: each of its memfds that begins so."""
    found = []
    folder = f"/proc/{agent.keeper_pid}/fd"
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if "memfd:holdfast-state" not in os.readlink(path):
                continue
            with open(path, "r+b") as file:
                memory = mmap.mmap(file.fileno(), 0)
            if memory[:8] == magic:
                found.append(memory)
    assert found, f"no {magic} in {folder}"
    try:
        yield found
    finally:
        for memory in found:
            memory.close()


def records(region):
    """Where the stream records with an id begin."""
    _, chunk_size, record_size, _, _, chunks, _, _ = struct.unpack_from("<8I", region, 16)
    _, chunks_at = struct.unpack_from("<2Q", region, 48)
    for chunk in range(min(chunks, 1000)):
        begin = chunks_at + chunk * chunk_size
        if not struct.unpack_from("<I", region, begin)[0]:
            continue
        for at in range(begin + 8, begin + chunk_size - record_size + 1, record_size):
            if struct.unpack_from("<Q", region, at + 8)[0]:
                yield at


def busy(pair, count, pace=400_000):
    """Connections with a byte-exact stream each way."""
    flows = []
    for number in range(count):
        app, back = pair.connect()
        flows.append(Flow(app, back, 2 * number, pace=pace))
        flows.append(Flow(back, app, 2 * number + 1, pace=pace))
    return flows


def moved(flows):
    """Each of them has received something from now on."""
    before = [flow.received for flow in flows]

    def all_moved():
        for flow in flows:
            if flow.error:
                raise flow.error
            assert flow.end is None, f"a connection ended ({flow.end}) after {flow.received} bytes"
        return all(flow.received > was for flow, was in zip(flows, before))
    wait_until(all_moved, PATIENCE, "bytes on each connection")


def finish(flows):
    for flow in flows:
        flow.stop()
    for flow in flows:
        flow.wait(PATIENCE)


@pytest.mark.parametrize("role", ["client", "server"])
def test_busy_connections_go_on_byte_exact_when_an_agent_is_killed_again_and_again(pair, role):
    agent = getattr(pair, role)
    flows = busy(pair, 4)
    for _ in range(5):
        moved(flows)
        die(agent)
    moved(flows)
    finish(flows)
    assert lost(agent) == 0
    assert told(agent)["connections"] == 4


def test_both_agents_at_once(pair):
    flows = busy(pair, 4)
    for _ in range(3):
        moved(flows)
        die(pair.client, pair.server)
    moved(flows)
    finish(flows)
    assert lost(pair.client) == lost(pair.server) == 0


def test_twice_before_the_link_is_resumed(pair):
    flows = busy(pair, 3)
    moved(flows)
    for cut in (False, True):
        if cut:
            pair.relay.freeze()
        for agent in (pair.server, pair.client):
            die(agent)
            die(agent)
        if cut:
            pair.relay.thaw()
        moved(flows)
    finish(flows)


@pytest.mark.parametrize("role", ["client", "server"])
def test_during_an_outage(pair, role):
    app, back = pair.connect()
    ping(app, back)
    pair.relay.freeze()
    app.sendall(payload(1, 50_000))
    back.sendall(payload(2, 50_000))
    die(getattr(pair, role))
    pair.relay.thaw()
    assert read_exactly(back, 50_000, PATIENCE) == payload(1, 50_000)
    assert read_exactly(app, 50_000, PATIENCE) == payload(2, 50_000)
    ping(app, back)


@pytest.mark.parametrize("role", ["client", "server"])
def test_half_closed_connections_stay_half_closed(pair, role):
    app, back = pair.connect()
    app.sendall(b"the question")
    app.shutdown(socket.SHUT_WR)
    assert read_end(back, PATIENCE) == (FIN, b"the question")
    other_app, other_back = pair.connect()
    other_back.sendall(b"greeting")
    other_back.shutdown(socket.SHUT_WR)
    assert read_end(other_app, PATIENCE) == (FIN, b"greeting")
    die(getattr(pair, role))
    back.sendall(b"the answer")
    assert read_exactly(app, 10, PATIENCE) == b"the answer"
    other_app.sendall(b"request")
    assert read_exactly(other_back, 7, PATIENCE) == b"request"
    die(getattr(pair, role))
    back.close()
    assert read_end(app, PATIENCE) == (FIN, b"")
    other_app.close()
    assert read_end(other_back, PATIENCE) == (FIN, b"")


@pytest.mark.parametrize("role", ["client", "server"])
def test_what_a_slow_reader_has_not_read_comes_once(pair, role):
    app, back = pair.connect()
    down = payload(7, 3_000_000)
    sent = 0
    back.setblocking(False)
    for _ in range(3):
        try:
            while sent < len(down):
                sent += back.send(down[sent:sent + 65536])
        except BlockingIOError:
            pass
        die(getattr(pair, role))
    back.setblocking(True)
    got = b""
    while len(got) < len(down):
        got += read_exactly(app, min(100_000, sent - len(got)) or 1, PATIENCE)
        if sent < len(down):
            back.sendall(down[sent:sent + 100_000])
            sent = min(len(down), sent + 100_000)
    assert got == down
    back.close()
    assert read_end(app, PATIENCE)[0] == FIN


@pytest.mark.parametrize("role", ["client", "server"])
def test_idle_connections_and_a_new_one(pair, role):
    pairs = [pair.connect() for _ in range(50)]
    for app, back in pairs:
        ping(app, back)
    die(getattr(pair, role))
    for app, back in pairs:
        assert is_open(app) and is_open(back)
        ping(app, back, seconds=PATIENCE)
    ping(*pair.connect())
    assert told(getattr(pair, role))["connections"] == 50


@pytest.mark.parametrize("role", ["client", "server"])
def test_resets_are_resets_and_ends_are_ends_while_an_agent_is_gone(pair, role):
    ended, reset_ = pair.connect(), pair.connect()
    for app, back in (ended, reset_):
        ping(app, back)
    agent = getattr(pair, role)
    pid = agent.pid
    os.kill(pid, signal.SIGSTOP)
    mine, theirs = (0, 1) if role == "client" else (1, 0)
    ended[mine].sendall(b"last words")
    ended[mine].shutdown(socket.SHUT_WR)
    reset(reset_[mine])
    die(agent)
    assert read_end(ended[theirs], PATIENCE) == (FIN, b"last words")
    assert read_end(reset_[theirs], PATIENCE)[0] == RST


@pytest.mark.parametrize("role", ["client", "server"])
def test_unix_sockets(make_pair, tmp_path, role):
    pair = make_pair(services={"raw": {"target": Backend(str(tmp_path / "target")),
                                       "listen": f"unix:{tmp_path}/service"}})
    app, back = pair.connect()
    ping(app, back)
    up, down = Flow(app, back, 1, pace=300_000), Flow(back, app, 2, pace=300_000)
    moved([up, down])
    up.stop(), down.stop()
    wait_until(lambda: up.received == up.size and down.received == down.size, PATIENCE, "all bytes")
    idle_app, idle_back = pair.connect()
    ping(idle_app, idle_back)
    die(getattr(pair, role))
    ping(idle_app, idle_back, seconds=PATIENCE)
    ping(*pair.connect())


def test_proxy_headers_are_not_the_streams(make_pair):
    pair = make_pair(client={"services": {"raw": {"accept_proxy": True,
                                                  "accept_proxy_from": ["127.0.0.1"]}}},
                     server={"services": {"raw": {"send_proxy": "v1"}}})
    app = pair.dial()
    app.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\nhello")
    back = pair.backends["raw"].accept()
    line = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\n"
    assert read_exactly(back, len(line) + 5, PATIENCE) == line + b"hello"
    for agent in (pair.client, pair.server):
        die(agent)
        ping(app, back, seconds=PATIENCE)
        assert lost(agent) == 0


def test_a_proxy_header_that_was_there_in_part_is_read_by_the_next_process(make_pair):
    pair = make_pair(client={"services": {"raw": {"accept_proxy": True, "accept_proxy_from": ["127.0.0.1"]}}},
                     server={"services": {"raw": {"send_proxy": "v1"}}})
    line = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\n"
    before = pair.client.descriptors()
    app = pair.dial()
    app.sendall(line[:9])
    wait_until(lambda: pair.client.descriptors() > before, PATIENCE, "the agent's socket")
    die(pair.client)
    app.sendall(line[9:] + b"hello")
    back = pair.backends["raw"].accept()
    assert read_exactly(back, len(line) + 5, PATIENCE) == line + b"hello"
    ping(app, back, seconds=PATIENCE)


def test_several_loops(make_pair):
    pair = make_pair(client={"threads": 4}, server={"threads": 4})
    flows = busy(pair, 8, pace=200_000)
    for agent in (pair.client, pair.server, pair.client):
        moved(flows)
        die(agent)
    moved(flows)
    finish(flows)
    assert lost(pair.client) == lost(pair.server) == 0


def test_a_config_that_was_broken_meanwhile_is_not_applied(pair):
    app, back = pair.connect()
    ping(app, back)
    for agent in (pair.client, pair.server):
        with open(agent.config, "a") as file:
            file.write("\nthis is no toml [\n")
        die(agent)
        ping(app, back, seconds=PATIENCE)
        agent.write_config(agent.settings)
    ping(*pair.connect())


@pytest.mark.parametrize("role", ["client", "server"])
def test_connections_wait_for_a_key_that_cannot_be_read(make_pair, role):
    pair = make_pair(link="psk")
    flows = busy(pair, 2)
    moved(flows)
    agent = getattr(pair, role)
    key, = pathlib.Path(pair.folder).glob("*.psk")
    away = key.rename(key.with_suffix(".away"))
    os.kill(agent.pid, signal.SIGKILL)
    assert str(key) in agent.wait_event("key_unreadable", PATIENCE)[-1]
    assert not agent.events("recovered")
    away.rename(key)
    wait_until(lambda: agent.events("recovered"), PATIENCE, "a recovery")
    assert lost(agent) == 0
    finish(flows)


def test_who_is_told_to_end_does_not_wait_for_a_key(make_pair):
    pair = make_pair(link="psk")
    app, _back = pair.connect()
    key, = pathlib.Path(pair.folder).glob("*.psk")
    away = key.rename(key.with_suffix(".away"))
    os.kill(pair.client.pid, signal.SIGKILL)
    pair.client.wait_event("key_unreadable", PATIENCE)
    pair.client.process.terminate()
    pair.client.process.wait(PATIENCE)
    assert read_end(app, PATIENCE) == (RST, b"")
    away.rename(key)
    pair.client.start()
    pair.wait_ready()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_damaged_record_costs_its_own_connection_alone(pair, role):
    agent = getattr(pair, role)
    pairs = [pair.connect() for _ in range(5)]
    for app, back in pairs:
        ping(app, back)
    with states_of(agent, b"hf-stat1") as regions:
        os.kill(agent.pid, signal.SIGSTOP)
        at = [(region, place) for region in regions for place in records(region)]
        assert len(at) == 5
        region, place = sorted(at, key=lambda each: struct.unpack_from("<Q", each[0], each[1] + 8))[2]
        struct.pack_into("<I", region, place, 99)     # its version
    die(agent)
    assert told(agent)["lost"] == 1
    assert agent.events("connection_lost", cause="state_lost")
    assert read_end(pairs[2][0], PATIENCE) == (RST, b"")
    assert read_end(pairs[2][1], PATIENCE) == (RST, b"")
    for app, back in pairs[:2] + pairs[3:]:
        ping(app, back, seconds=PATIENCE)


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_foreign_state_is_discarded_loudly(pair, role):
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    pid = agent.pid
    with states_of(agent, b"hf-root1") as (root,):
        os.kill(pid, signal.SIGSTOP)
        root[8] += 1                                  # its format
        os.kill(pid, signal.SIGKILL)
        agent.wait_event("state_discarded", PATIENCE)
    assert read_end(app, PATIENCE)[0] == RST
    assert read_end(back, PATIENCE)[0] == RST
    pair.wait_ready()
    ping(*pair.connect())


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_drain_goes_on_until_it_is_taken_back_or_all_is_over(pair, role):
    agent = getattr(pair, role)
    app, back = pair.connect()
    ping(app, back)
    assert agent.run("drain", "--until-empty").returncode == 0
    die(agent)
    assert agent.status()["draining"]
    ping(app, back)
    assert agent.run("undrain").returncode == 0
    die(agent)
    assert not agent.status()["draining"]
    ping(app, back)
    others = pair.connect()
    ping(*others)
    assert agent.run("drain", "--until-empty").returncode == 0
    die(agent)
    assert agent.run("restart").returncode == 0   # a planned one is a new beginning
    assert not agent.status()["draining"]
    assert agent.run("drain", "--until-empty").returncode == 0
    die(agent)
    ping(app, back)
    for sock in (app, back, *others):
        sock.close()
    assert agent.process.wait(PATIENCE) == 0
    agent.start()
    pair.wait_ready()


def test_a_link_that_is_held_down_and_a_log_level_stay_so_until_a_restart(pair):
    app, back = pair.connect()
    agent = pair.client
    agent.run("link", "down")
    agent.run("log-level", "trace")
    for _ in range(2):
        die(agent)
        link, = agent.status()["links"]
        assert link["held_down"] and link["state"] != "live"
        assert agent.run("log-level").stdout == "trace\n"
    app.sendall(b"meanwhile")
    agent.run("link", "up")
    assert read_exactly(back, 9) == b"meanwhile"
    die(agent)
    ping(app, back)
    agent.run("link", "down")
    assert agent.run("restart").returncode == 0
    ping(app, back)
    assert agent.run("log-level").stdout == "debug\n"        # the config's


def test_nobody_is_refused_while_an_agent_is_gone(pair):
    pid = pair.client.pid
    os.kill(pid, signal.SIGSTOP)
    apps = [pair.dial() for _ in range(20)]
    for number, app in enumerate(apps):
        app.sendall(b"%04d" % number)
    die(pair.client)
    seen = {read_exactly(pair.backends["raw"].accept(), 4, PATIENCE) for _ in apps}
    assert seen == {b"%04d" % number for number in range(20)}


def test_the_status_tells_of_it(pair):
    ping(*pair.connect())
    die(pair.client)
    status = pair.client.status()
    assert status["recovery"]["reason"] == "killed"
    assert status["recovery"]["connections"] == 1
    assert pair.client.metric("holdfast_recoveries_total", reason="killed") == 1
    assert pair.client.metric("holdfast_connections_recovered_total") == 1


def history(agent):
    url = f"http://{agent.metrics_host}:{agent.metrics_port}/status.json"
    return wait_until(lambda: json.loads(urllib.request.urlopen(url).read())["history"]["recent"], PATIENCE,
                      "samples")


@pytest.mark.parametrize("role", ["client", "server"])
def test_what_a_process_counts_begins_with_it_and_not_with_its_connections(pair, role):
    agent = getattr(pair, role)
    ended, ended_back = pair.connect()
    app, back = pair.connect()
    for source, sink in ((ended, ended_back), (app, back)):
        sender = threading.Thread(target=source.sendall, args=(payload(1, 5_000_000),))
        sender.start()
        assert read_exactly(sink, 5_000_000, PATIENCE) == payload(1, 5_000_000)
        sender.join()
    ended.close()
    ended_back.close()
    wait_until(lambda: len(agent.connections()) == 1, PATIENCE, "one connection left")
    die(agent)
    ping(app, back)

    def counts():
        return [agent.metric("holdfast_bytes_total", direction="up"),
                agent.metric("holdfast_connections_opened_total"),
                sum(sample[2] for sample in history(agent))]
    assert counts() == [4, 0, 4], "else each death is 5 MB and a connection in every rate"
    assert agent.connections()[0]["bytes_up"] == 5_000_004
    ping(*pair.connect())
    app.close()
    back.close()
    wait_until(lambda: len(agent.connections()) == 1, PATIENCE, "one connection left")
    assert counts()[:2] == [8, 1]
