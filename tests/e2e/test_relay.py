"""The relay does what it says: each fault against plain sockets, without the agents."""
import os
import socket
import subprocess
import sys
import threading

import pytest

import relay as relay_module
from relay import Relay, RemoteRelay
from stopwatch import Stopwatch
from streams import (FIN, RST, Flow, is_open, payload, ping, read_end, read_exactly,
                     wait_until)


class Path:
    """client socket -> relay -> server socket."""

    def __init__(self, **options):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.relay = Relay(self.listener.getsockname(), **options).start()

    def dial(self, seconds=5):
        return socket.create_connection(("127.0.0.1", self.relay.port), timeout=seconds)

    def pair(self):
        client = self.dial()
        server, _ = self.listener.accept()
        server.settimeout(30)
        return client, server


@pytest.fixture
def path():
    path = Path()
    yield path
    path.relay.stop()
    path.listener.close()


def test_bytes_pass_exactly_both_ways_at_once(path):
    client, server = path.pair()
    flows = [Flow(client, server, 1, 8 << 20), Flow(server, client, 2, 8 << 20)]
    for flow in flows:
        flow.wait()
    stats = path.relay.stats()
    assert stats["bytes_up"] == stats["bytes_down"] == 8 << 20
    assert stats["accepted"] == 1
    wait_until(lambda: path.relay.stats()["carriers"] == 0, 2, "the finished carrier is forgotten")


def test_without_faults_it_forwards_more_than_100_megabytes_a_second(path):
    client, server = path.pair()
    size = 256 << 20

    def send():
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
    watch = Stopwatch()
    threading.Thread(target=send, daemon=True).start()
    buffer, total = bytearray(1 << 20), 0
    while count := server.recv_into(buffer):
        total += count
    speed = total / watch.seconds() / 1e6
    assert total == size
    assert speed > 100, f"{speed:.0f} MB/s"


def test_half_close_passes(path):
    client, server = path.pair()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_end(server) == (FIN, b"question")
    server.sendall(b"answer")
    server.close()
    assert read_end(client) == (FIN, b"answer")


def test_an_endpoints_reset_passes_as_a_reset(path):
    client, server = path.pair()
    relay_module.reset_close(client)
    assert read_end(server) == (RST, b"")


def test_cut_resets_both_sides(path):
    client, server = path.pair()
    path.relay.cut()
    assert read_end(client) == (RST, b"")
    assert read_end(server) == (RST, b"")
    path.pair()


def test_cut_fin_ends_both_sides_cleanly(path):
    client, server = path.pair()
    path.relay.cut_fin()
    assert read_end(client) == (FIN, b"")
    assert read_end(server) == (FIN, b"")


def test_freeze_is_silence_and_thaw_goes_on(path):
    client, server = path.pair()
    path.relay.freeze()
    client.sendall(b"up")
    server.sendall(b"down")
    with pytest.raises(TimeoutError):
        path.dial(seconds=0.3)
    assert is_open(client) and is_open(server)
    path.relay.thaw()
    assert read_exactly(server, 2) == b"up"
    assert read_exactly(client, 4) == b"down"
    path.pair()


def test_a_connect_begun_in_silence_stands_after_the_thaw(path):
    path.relay.freeze()
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", path.relay.port))
    with pytest.raises(TimeoutError):
        path.dial(seconds=0.2)
    path.relay.thaw()
    sock.settimeout(30)
    sock.sendall(b"x")
    assert read_exactly(path.listener.accept()[0], 1) == b"x"


def test_freeze_with_void_accepts_and_answers_nothing_until_the_thaw(path):
    path.relay.freeze("both", "void")
    client = path.dial()
    client.sendall(b"late")
    path.listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        path.listener.accept()
    path.relay.thaw()
    path.listener.settimeout(30)
    assert read_exactly(path.listener.accept()[0], 4) == b"late"


def test_freeze_of_one_way_leaves_the_other(path):
    client, server = path.pair()
    path.relay.freeze("up")
    client.sendall(b"up")
    server.sendall(b"down")
    assert read_exactly(client, 4) == b"down"
    assert is_open(server)
    path.relay.thaw()
    assert read_exactly(server, 2) == b"up"


def test_a_frozen_path_hides_ends_until_the_thaw(path):
    client, server = path.pair()
    path.relay.freeze()
    relay_module.reset_close(client)
    server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.recv(1)
    path.relay.thaw()
    assert read_end(server)[0] == RST


def test_blackhole_throws_away_one_way_and_resets_on_healing(path):
    client, server = path.pair()
    path.relay.blackhole("up")
    client.sendall(bytes(100_000))
    server.sendall(b"down")
    assert read_exactly(client, 4) == b"down"
    assert is_open(server)
    path.relay.thaw()
    assert read_end(server) == (RST, b"")
    assert read_end(client)[0] == RST


def test_blackhole_that_met_no_byte_resets_nothing(path):
    client, server = path.pair()
    path.relay.blackhole("down")
    path.relay.thaw()
    client.sendall(b"x")
    assert read_exactly(server, 1) == b"x"


def test_refuse_then_accept_on_the_same_port(path):
    client, server = path.pair()
    path.relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        path.dial()
    client.sendall(b"x")
    assert read_exactly(server, 1) == b"x"
    path.relay.accept()
    path.pair()


def test_refusal_by_the_target_is_a_reset(path):
    path.listener.close()
    try:
        end = read_end(path.dial())
    except ConnectionResetError:  # it came before connect() returned
        return
    assert end == (RST, b"")


def test_delay_holds_each_way(path):
    client, server = path.pair()
    path.relay.delay(100)
    watch = Stopwatch()
    client.sendall(b"a")
    read_exactly(server, 1)
    assert watch.elapsed() > 0.095 and watch.seconds() < 0.3
    server.sendall(b"b")
    read_exactly(client, 1)
    assert watch.elapsed() > 0.19 and watch.seconds() < 0.6


def test_delay_does_not_limit_the_rate(path):
    client, server = path.pair()
    path.relay.delay(50)
    watch = Stopwatch()
    Flow(client, server, 3, 16 << 20).wait()
    assert watch.seconds() < 2


def test_rate_limits_each_direction(path):
    client, server = path.pair()
    path.relay.rate(4_000_000)
    watch = Stopwatch()
    flows = [Flow(client, server, 4, 2 << 20), Flow(server, client, 5, 2 << 20)]
    for flow in flows:
        flow.wait()
    assert watch.elapsed() > 0.45 and watch.seconds() < 1.2


def test_a_busy_carrier_does_not_starve_another_of_the_rate(path):
    client, server = path.pair()
    other_client, other_server = path.pair()
    path.relay.rate(300_000)
    bulk = Flow(client, server, 4, 900_000)
    bulk.wait_received(100_000)
    watch = Stopwatch()
    for _ in range(20):
        ping(other_client, other_server)
    assert watch.seconds() < 2
    assert bulk.received < bulk.size
    bulk.wait()


def test_chunks_are_small_and_the_bytes_the_same(path):
    client, server = path.pair()
    path.relay.chunk(3)
    client.sendall(payload(6, 5000))
    server.settimeout(30)
    assert len(server.recv(1)) == 1
    assert payload(6, 1)[:1] + read_exactly(server, 4999) == payload(6, 5000)


@pytest.mark.parametrize("offset", [1, 17, 1000, 65536, 300_001])
def test_cut_after_is_exact(path, offset):
    client, server = path.pair()
    path.relay.cut_after(offset, "up")
    threading.Thread(target=lambda: _send_ignoring(client, payload(7, 1 << 20)),
                     daemon=True).start()
    assert read_end(server) == (RST, payload(7, offset))


def _send_ignoring(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


def test_faults_while_bytes_flow_never_corrupt_what_arrives(path):
    client, server = path.pair()
    flow = Flow(client, server, 8, 24 << 20)
    for fault in (lambda r: r.freeze(), lambda r: r.thaw(), lambda r: r.delay(5),
                  lambda r: r.freeze("up"), lambda r: r.delay(0), lambda r: r.thaw(),
                  lambda r: r.rate(50e6), lambda r: r.chunk(1000), lambda r: r.chunk(0),
                  lambda r: r.rate(0)):
        before = flow.received
        fault(path.relay)
        try:
            wait_until(lambda: flow.received > before + 500_000, 0.1, "progress")
        except AssertionError:
            pass
    flow.wait()


def test_as_a_program_it_obeys_its_control_socket(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    control = str(tmp_path / "relay.sock")
    program = subprocess.Popen(
        [sys.executable, relay_module.__file__, "--control", control, "--target",
         "127.0.0.1:%d" % listener.getsockname()[1]], stdout=subprocess.PIPE, text=True)
    try:
        address = program.stdout.readline().strip()
        wait_until(lambda: os.path.exists(control), 5, "control socket")
        remote = RemoteRelay(control)
        assert address == f"127.0.0.1:{remote.port}"
        client = socket.create_connection(("127.0.0.1", remote.port))
        server, _ = listener.accept()
        client.sendall(b"abc")
        assert read_exactly(server, 3) == b"abc"
        assert remote.stats()["bytes_up"] == 3
        remote.freeze("up", "void")
        remote.thaw()
        with pytest.raises(ValueError):
            remote.command("freeze sideways")
        with pytest.raises(ValueError):
            remote.command("explode")
        ctl = subprocess.run([sys.executable, relay_module.__file__, "ctl", control, "cut"],
                             capture_output=True, text=True, check=True)
        assert ctl.stdout.strip() == "null"
        assert read_end(client) == (RST, b"")
        remote.close()
    finally:
        program.terminate()
        program.wait(60)
        program.stdout.close()


def test_the_checking_flow_notices_a_wrong_byte(path):
    client, server = path.pair()
    client.sendall(b"wrong")
    flow = Flow(client, server, 9, 100)
    with pytest.raises(AssertionError, match="wrong byte at offset 0"):
        flow.wait(5)


@pytest.mark.parametrize("fault", ["cut", "cut_fin"])
def test_the_checking_flow_notices_an_early_end(path, fault):
    client, server = path.pair()
    path.relay.rate(1_000_000)
    flow = Flow(client, server, 9, 8 << 20)
    flow.wait_received(10_000)
    getattr(path.relay, fault)()
    with pytest.raises(AssertionError, match="broken|ended by|bytes"):
        flow.wait(5)


def test_read_end_tells_a_reset_from_a_clean_end(path):
    for ender, expected in ((lambda s: s.close(), FIN), (relay_module.reset_close, RST)):
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        server.sendall(b"tail")
        assert read_exactly(client, 4) == b"tail"
        ender(server)
        assert read_end(client) == (expected, b"")
