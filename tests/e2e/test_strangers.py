"""Whatever strangers send to the link port costs them their socket and nobody else anything."""
import os
import random
import socket
import struct

import pytest

from pair import TIMESCALE, EchoBackend
from pingpong import PingPong
from stopwatch import Stopwatch
from streams import ping, read_end, wait_until

CLIENT_HELLO = bytes.fromhex(
    "16030100a5010000a10303") + bytes(range(32)) + bytes.fromhex(
    "20") + bytes(32) + bytes.fromhex("00081302130313010 0ff".replace(" ", "")) + bytes.fromhex(
    "0100") + bytes(80)
MAGIC = b"HFST"


def frame(kind, payload, length=None):
    return bytes([kind]) + struct.pack(">I", len(payload) if length is None else length)[1:] + payload


GARBAGE = {
    "nothing": b"",
    "random bytes": random.Random(1).randbytes(4096),
    "zeros": bytes(70_000),
    "http": b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
    "tls client hello": CLIENT_HELLO,
    "hello of a huge declared length": frame(2, MAGIC + bytes(10), 0xffffff),
    "hello cut short": frame(2, MAGIC + b"\0\1"),
    "hello of noise": frame(2, MAGIC + random.Random(2).randbytes(500)),
    "data before hello": frame(12, bytes(100)),
    "goodbye before hello": frame(28, b"\0\1"),
    "unknown even frame": frame(200, bytes(10)),
    "skippable frames for ever": frame(201, bytes(16_000)) * 200,
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}
STRICT = {"link": {"handshake_timeout": "1s"}}


def stranger(pair):
    return socket.create_connection(("127.0.0.1", pair.link_port), timeout=30)


def wait_dropped(sock, seconds):
    """The agent ends the stranger's socket, in whatever way, saying at most a few bytes."""
    heard = len(read_end(sock, seconds)[1])
    assert heard < 4096, f"{heard} bytes for a stranger"


def throw(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_dropped_within_the_handshake_timeout(make_pair, kind):
    pair = make_pair(server=STRICT)
    app, back = pair.connect()
    watch = Stopwatch()
    sock = stranger(pair)
    throw(sock, GARBAGE[kind])
    wait_dropped(sock, 2.5 * TIMESCALE)
    assert watch.seconds() < 2 * TIMESCALE
    sock.close()
    assert ping(app, back) < 0.2 * TIMESCALE
    assert pair.reconnects() == 0


@pytest.mark.parametrize("data", [frame(2, MAGIC + bytes(200)), random.Random(3).randbytes(200)],
                         ids=["hello", "noise"])
def test_a_slow_dripping_stranger_is_dropped_too(make_pair, data):
    pair = make_pair(server=STRICT)
    sock = stranger(pair)
    sock.settimeout(0.1)                     # one byte each 100 ms
    watch = Stopwatch()
    dropped = False
    for byte in data:
        try:
            sock.send(bytes([byte]))
            dropped = sock.recv(100) == b""
        except TimeoutError:
            pass
        except OSError:
            dropped = True
        if dropped or watch.seconds() > 4 * TIMESCALE:
            break
    assert dropped
    assert watch.seconds() < 2 * TIMESCALE
    sock.close()


def test_a_crowd_of_strangers_disturbs_neither_ping_pong_nor_memory(make_pair):
    pair = make_pair(server=STRICT, services={"echo": {"target": EchoBackend()}}, relay="process")
    game = PingPong([pair.dial("echo") for _ in range(10)])
    game.wait_round()
    before = pair.server.resident_bytes()
    rng = random.Random(4)
    crowd = []
    for number in range(300):
        sock = stranger(pair)
        crowd.append(sock)
        kind = rng.choice(list(GARBAGE))
        throw(sock, GARBAGE[kind][:rng.randrange(1, 70_000)])
        if number % 50 == 0:
            game.wait_round()
    grown = pair.server.resident_bytes() - before
    for sock in crowd:
        wait_dropped(sock, 4 * TIMESCALE)
        sock.close()
    game.wait_round()
    game.stop()
    if TIMESCALE == 1:
        assert grown < 32 << 20, f"{grown} bytes for 300 strangers"
    slow = game.percentile(0.99)
    assert slow < 0.1 * TIMESCALE, f"p99 {slow:.3f} s"
    assert pair.reconnects() == 0
    wait_until(lambda: pair.server.metric("holdfast_link_up") >= 1, 5, "link up")


def test_strangers_do_not_flood_the_log(make_pair):
    pair = make_pair(server={**STRICT, "log": {"level": "info"}})
    before = len(pair.server.log())
    for _ in range(1000):
        sock = stranger(pair)
        throw(sock, b"GET / HTTP/1.0\r\n\r\n")
        sock.close()
    ping(*pair.connect())
    assert len(pair.server.log()) - before < 64 << 10


def test_strangers_at_the_applications_listener_are_just_applications(pair):
    app, back = pair.connect()
    noise = os.urandom(10_000)
    app.sendall(noise)
    from streams import read_exactly
    assert read_exactly(back, len(noise)) == noise


@pytest.mark.sanitized
def test_a_client_whose_server_answers_garbage_keeps_trying(make_pair):
    pair = make_pair(wait_ready=False)
    pair.server.kill()
    impostor = socket.create_server(("127.0.0.1", pair.link_port))
    impostor.settimeout(30)
    for kind in ("http", "random bytes", "hello of a huge declared length"):
        sock, _ = impostor.accept()
        throw(sock, GARBAGE[kind])
        sock.close()
    impostor.close()
    pair.server.start()
    pair.wait_ready()
    ping(*pair.connect())
