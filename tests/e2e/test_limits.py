"""What many, stalled, or idle connections may cost."""
import os
import re
import resource
import select
import socket
import subprocess
import threading
import time

import pytest

import outages
from pair import TIMESCALE, Backend, EchoBackend
from pingpong import PingPong
from stopwatch import Stopwatch
from streams import RST, is_open, ping, read_end, read_exactly, wait_until

TRIMMED_S = 8                        # memory that a burst left behind goes back within seconds
OVERHEAD_BYTES = 48 << 20            # an agent without any connection, and its kernel-independent rest


@pytest.fixture(autouse=True, scope="module")
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class FloodBackend(Backend):
    """Writes to everyone who connects, for ever."""

    def __init__(self):
        super().__init__()
        self.written = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        poll, sockets, block = select.epoll(), {}, bytes(65536)
        poll.register(self.listener, select.EPOLLIN)
        while not self._stop.is_set():
            for fd, _ in poll.poll(0.05):
                if fd == self.listener.fileno():
                    sock, _ = self.listener.accept()
                    sock.setblocking(False)
                    sockets[sock.fileno()] = sock
                    poll.register(sock, select.EPOLLOUT)
                    continue
                try:
                    self.written += sockets[fd].send(block)
                except BlockingIOError:
                    pass
                except OSError:
                    poll.unregister(fd)
                    sockets.pop(fd).close()
        for sock in sockets.values():
            sock.close()
        poll.close()

    def close(self):
        self._stop.set()
        self._thread.join(5)
        super().close()


def test_200_applications_that_never_read_disturb_nobody_and_no_memory(make_pair):
    limits = {"limits": {"memory": "64MiB", "connections": 1000}}
    flood = FloodBackend()
    pair = make_pair(services={"flood": {"target": flood}, "echo": {"target": EchoBackend()}},
                     client=limits, server=limits, relay="process")
    game = PingPong([pair.dial("echo")])
    game.wait_round()
    peak = {"client": 0, "server": 0}

    def sample():
        for agent in (pair.client, pair.server):
            peak[agent.role] = max(peak[agent.role], agent.resident_bytes())
    for _ in range(200):
        pair.dial("flood", receive_buffer=4096)
        sample()
    seen = []

    def stalled():
        sample()
        seen.append((time.monotonic(), flood.written))
        return any(t < seen[-1][0] - 1 and w == flood.written for t, w in seen)
    wait_until(stalled, 30 * TIMESCALE, "the flood held back")
    start = len(game.round_trips)
    wait_until(lambda: len(game.round_trips) > start + 500, 20 * TIMESCALE, "500 round trips")
    pair.relay.cut()
    game.wait_round()
    wait_until(lambda: len(game.round_trips) > start + 1500, 20 * TIMESCALE, "1500 round trips")
    sample()
    game.stop()
    assert game.percentile(0.99) < 0.05 * TIMESCALE
    if TIMESCALE == 1:
        for role, rss in peak.items():
            assert rss < (64 << 20) + OVERHEAD_BYTES, f"{role}: {rss >> 20} MiB"


def kernel_holds(agent, port):
    """Bytes that the kernel charges to the sockets of the agent's own port, accepted ones (ss -tm)."""
    text = subprocess.run(["ss", "-tmnH", "sport", "=", f":{port}"], check=True, text=True,
                          capture_output=True).stdout
    queues = [dict(re.findall(r"([a-z]+)(\d+)", found)) for found in re.findall(r"skmem:\((.*?)\)", text)]
    assert queues, f"ss knows no socket of port {port}"
    return len(queues), sum(int(queue["r"]) + int(queue["w"]) for queue in queues)


@pytest.mark.parametrize("fast_bytes", [0, 1 << 20], ids=["never read", "fast before they stalled"])
def test_the_kernel_holds_little_for_200_stalled_readers(make_pair, fast_bytes):
    pair = make_pair(services={"flood": {"target": FloodBackend()}},
                     client={"limits": {"memory": "64MiB"}}, server={"limits": {"memory": "64MiB"}})
    for _ in range(200):
        app = pair.dial("flood")
        if fast_bytes:
            read_exactly(app, fast_bytes, 30)
    seen = []

    def at_rest():
        seen.append(kernel_holds(pair.client, pair.listens["flood"][1]))
        return len(seen) > 10 and seen[-1] == seen[-10]
    wait_until(at_rest, 30 * TIMESCALE, "what the kernel holds at rest")
    sockets, held = seen[-1]
    assert sockets == 200
    print(f"{held / (1 << 20):.1f} MiB")
    assert held < 64 << 20


@pytest.mark.sanitized
def test_a_stalled_reader_goes_on_exactly_where_it_stopped(make_pair):
    from streams import Flow
    pair = make_pair()
    app, back = pair.connect()
    other = pair.connect()
    back.setblocking(False)
    sent = 0
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.5:
        try:
            sent += back.send(bytes(65536))
            quiet_since = time.monotonic()
        except BlockingIOError:
            select.select([], [back], [], 0.05)
    ping(*other)
    outages.run(pair, "reset")
    ping(*other)
    back.setblocking(True)
    thread = threading.Thread(target=lambda: (back.sendall(b"end"), back.close()), daemon=True)
    thread.start()
    data = read_exactly(app, sent + 3, 20)
    assert data.count(0) == sent and data.endswith(b"end")
    Flow(*other, 5, 1 << 20).wait()


def raise_or_skip(count):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count:
        print(f"SKIPPED: needs {count} descriptors")
        pytest.skip(f"needs {count} descriptors")


def idle_connections(make_pair, count):
    pair = make_pair(services={"echo": {"target": EchoBackend()}}, relay="process")
    warm = [pair.dial("echo") for _ in range(50)]
    for sock in warm:
        sock.sendall(b"x")
        read_exactly(sock, 1)
    before = {agent.role: agent.resident_bytes() for agent in (pair.client, pair.server)}
    socks = [pair.dial("echo") for _ in range(count)]
    for sock in socks:
        sock.sendall(b"x")
    for sock in socks:
        assert read_exactly(sock, 1) == b"x"
    wait_until(lambda: len(pair.server.connections()) == count + 50, 20 * TIMESCALE, "all open")
    return pair, socks, before


def assert_small(pair, before, count):
    if TIMESCALE != 1:
        return
    for agent in (pair.client, pair.server):
        try:
            wait_until(lambda: agent.resident_bytes() - before[agent.role] <= 4096 * count,
                       TRIMMED_S, "small")
        except AssertionError:
            each = (agent.resident_bytes() - before[agent.role]) / count
            raise AssertionError(f"{agent.role}: {each:.0f} bytes per idle connection") from None


@pytest.mark.parametrize("count", [1500, pytest.param(8000, marks=pytest.mark.slow)])
def test_idle_connections_are_cheap_and_survive_a_cut(make_pair, count):
    raise_or_skip(2 * count + 1000)
    pair, socks, before = idle_connections(make_pair, count)
    assert_small(pair, before, count)
    pair.relay.cut()
    watch = Stopwatch()
    socks[-1].sendall(b"y")
    assert read_exactly(socks[-1], 1) == b"y"
    assert watch.seconds() < 1 * TIMESCALE
    for sock in socks:
        sock.sendall(b"z")
    for sock in socks:
        assert read_exactly(sock, 1) == b"z"


def test_short_connections_one_after_another_leave_no_memory_behind(make_pair):
    pair = make_pair(services={"echo": {"target": EchoBackend()}})

    def many(count):
        for _ in range(count):
            sock = socket.create_connection(pair.listens["echo"])
            sock.sendall(b"hello")
            assert read_exactly(sock, 5) == b"hello"
            sock.close()
        pair.wait_empty()
    many(500)
    before = {agent.role: agent.resident_bytes() for agent in (pair.client, pair.server)}
    many(2000)
    if TIMESCALE == 1:
        for agent in (pair.client, pair.server):
            grown = agent.resident_bytes() - before[agent.role]
            assert grown < 2 << 20, f"{agent.role} grew by {grown} bytes"


def test_a_client_out_of_descriptors_waits_without_spinning_and_recovers(make_pair):
    pair = make_pair(services={"echo": {"target": EchoBackend()}}, descriptors={"client": 64})
    apps = [pair.dial("echo") for _ in range(100)]
    for number, app in enumerate(apps):
        app.sendall(b"%03d" % number)
    answered = set()

    def count():
        ready = select.select([a for a in apps if a not in answered], [], [], 0)[0]
        answered.update(ready)
        return len(answered)
    wait_until(lambda: count() >= 20, 5 * TIMESCALE, "some of the applications served")
    assert_not_spinning(pair.client)
    assert count() < 100, "the descriptors were not scarce"
    while len(answered) < 100:
        for app in [a for a in apps if a in answered and a.fileno() >= 0]:
            assert read_exactly(app, 3) == b"%03d" % apps.index(app)
            app.close()
        rest = [a for a in apps if a not in answered]
        if not rest:
            break
        ready = select.select(rest, [], [], 10)[0]
        assert ready, f"{len(rest)} applications are never served"
        answered.update(ready)
    for app in apps:
        app.close()
    pair.wait_empty()


@pytest.mark.sanitized
def test_a_server_out_of_descriptors_does_not_spin_and_recovers(make_pair):
    pair = make_pair(services={"echo": {"target": EchoBackend()}}, descriptors={"server": 64})
    apps = [pair.dial("echo") for _ in range(100)]
    game = PingPong(apps[:20])
    game.wait_round()
    game.stop()
    assert_not_spinning(pair.server)
    for app in apps:
        app.close()
    pair.wait_empty()
    fresh = pair.dial("echo")
    fresh.sendall(b"x")
    assert read_exactly(fresh, 1) == b"x"


def assert_not_spinning(agent):
    start, cpu = time.monotonic(), agent.cpu_seconds()
    wait_until(lambda: time.monotonic() - start > 1.5, 3, "a while")
    share = (agent.cpu_seconds() - cpu) / (time.monotonic() - start)
    assert share < 0.2, f"the {agent.role} uses {share:.0%} of a core"


def test_idle_agents_use_no_cpu_to_speak_of_even_with_the_link_down(pair):
    for _ in range(50):
        pair.connect()
    assert_not_spinning(pair.client)
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    assert_not_spinning(pair.client)
    assert_not_spinning(pair.server)
    outages.end(pair)


def test_a_client_over_its_limit_of_connections_is_told_and_the_others_live(make_pair):
    few = {"limits": {"memory": "16MiB", "connections": 10}}
    pair = make_pair(client=few, server=few, services={"echo": {"target": EchoBackend()}})
    apps = [pair.dial("echo") for _ in range(10)]
    for app in apps:
        app.sendall(b"x")
        assert read_exactly(app, 1) == b"x"
    extra = pair.dial("echo")
    held_back = is_open(extra)               # left in the backlog, or reset: both are allowed
    if not held_back:
        assert read_end(extra, 2)[0] == RST
    for app in apps:
        app.sendall(b"y")
        assert read_exactly(app, 1) == b"y"
    apps.pop().close()
    wait_until(lambda: len(pair.server.connections()) < 10 or held_back, 5, "a place is free")
    late = extra if held_back and is_open(extra) else pair.dial("echo")
    late.sendall(b"z")
    assert read_exactly(late, 1) == b"z"


def test_rlimit_nofile_is_raised_to_what_is_allowed(pair):
    with open(f"/proc/{pair.client.pid}/limits") as file:
        line = next(line for line in file if line.startswith("Max open files"))
    soft, hard = line.split()[3:5]
    assert soft == hard
    assert os.path.exists(f"/proc/{pair.server.pid}")
