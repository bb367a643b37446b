"""The laboratory of namespaces does what it says, with plain sockets."""
import os
import socket
import subprocess
import threading
import time

import pytest

import netns
from stopwatch import Stopwatch
from streams import RST, is_open, read_end, read_exactly, wait_until


@pytest.fixture
def lab(namespaces):
    lab = netns.Lab()
    yield lab
    lab.remove()


def dial(lab, port, seconds=2):
    with lab.client.enter():
        return socket.create_connection((netns.SERVER_ADDRESS, port), timeout=seconds)


def connect(lab):
    with lab.server.enter():
        listener = socket.create_server((netns.SERVER_ADDRESS, 0))
    client = dial(lab, listener.getsockname()[1])
    return listener, client, listener.accept()[0]


def test_the_hosts_reach_each_other_and_nothing_of_it_is_left(lab):
    _, client, server = connect(lab)
    client.sendall(b"x")
    assert read_exactly(server, 1) == b"x"
    names = [lab.client.name, lab.router.name, lab.server.name]
    lab.remove()
    left = netns.run("ip", "netns", "list").stdout
    assert not [name for name in names if name in left]


@pytest.mark.parametrize("direction", ["both", "up", "down"])
def test_drop_is_silence_and_heals(lab, direction):
    listener, client, server = connect(lab)
    lab.drop(direction)
    with pytest.raises(TimeoutError):
        dial(lab, listener.getsockname()[1], 0.3)
    client.sendall(b"x")
    assert lab.packets_hit() > 0
    if direction != "down":
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.recv(1)
    lab.heal()
    assert read_exactly(server, 1) == b"x"


def test_reject_resets_at_the_next_packet(lab):
    listener, client, _ = connect(lab)
    lab.reject()
    client.sendall(b"x")
    assert read_end(client) == (RST, b"")
    with pytest.raises(ConnectionRefusedError):
        dial(lab, listener.getsockname()[1], 1)
    lab.heal()
    dial(lab, listener.getsockname()[1])


def test_a_route_removed_or_a_link_down_makes_dialling_fail_until_restored(lab):
    listener, _, _ = connect(lab)
    port = listener.getsockname()[1]
    for fault, repair in ((lab.remove_route, lab.restore_route), (lab.link_down, lab.link_up)):
        fault()
        with pytest.raises(OSError, match="unreachable|timed out"):
            dial(lab, port, 0.5)
        repair()
        dial(lab, port)


def test_roaming_silences_the_old_connection_and_lets_new_ones_through(lab):
    listener, client, server = connect(lab)
    lab.change_address()
    server.sendall(b"x")
    assert is_open(client)
    fresh = dial(lab, listener.getsockname()[1])
    assert fresh.getsockname()[0] == f"{netns.CLIENT_NET}.3"


def test_what_was_left_running_inside_can_be_ended(lab):
    inside = subprocess.Popen([*lab.server.prefix, "sleep", "60"])
    beside = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: str(inside.pid) in netns.run("ip", "netns", "pids", lab.server.name).stdout.split(),
                   5, "a program inside")
        lab.server.kill_all()
        assert inside.wait(60) == -9
        assert beside.poll() is None
    finally:
        for process in (inside, beside):
            process.kill()
            process.wait()


def test_leaving_a_namespace_comes_home(lab):
    home = os.readlink("/proc/thread-self/ns/net")
    with lab.client.enter():
        assert os.readlink("/proc/thread-self/ns/net") != home
    assert os.readlink("/proc/thread-self/ns/net") == home


def test_lost_packets_are_lost_by_chance(lab):
    _, client, server = connect(lab)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lab.lose(20)
    for number in range(60):
        client.sendall(b"%02d" % number)
        time.sleep(0.002)                    # a segment of its own
    assert read_exactly(server, 120) == b"".join(b"%02d" % number for number in range(60))
    counted = lab.client.run("cat", "/proc/net/snmp").stdout
    names, values = (line.split() for line in counted.splitlines() if line.startswith("Tcp:"))
    assert int(values[names.index("RetransSegs")]) > 0


def test_a_limited_path_carries_no_more(lab):
    _, client, server = connect(lab)
    lab.limit_rate(8)
    sender = threading.Thread(target=client.sendall, args=(bytes(1_000_000),))
    watch = Stopwatch()
    sender.start()
    read_exactly(server, 1_000_000)
    sender.join()
    assert watch.elapsed() > 0.7 and watch.seconds() < 5
