"""docs/guide/redis.md: each sentence with a number in it, tried with Debian's Redis."""
import re
import socket
import subprocess
import threading
import time

import pytest

from services import Redis, Talk, end_outage, hold, outage, unplug
from streams import wait_until


def cli(programs, port, *words):
    return Talk(programs, ["redis-cli", "-p", port, *words])


def tell(redis, *words):
    """A command on a connection of its own, beside the link."""
    return subprocess.run(["redis-cli", "-p", str(redis.port), *words], capture_output=True, text=True,
                          check=True).stdout.strip()


def subscriber(programs, pair, channel="news"):
    talk = cli(programs, pair.listens["raw"][1], "SUBSCRIBE", channel)
    talk.expect(channel)
    return talk


@pytest.mark.parametrize("seconds", [5, 30])
def test_commands_and_subscriptions_go_through_an_outage(programs, start, make_pair, seconds):
    redis = start(Redis, {"tcp-keepalive": 1})
    pair = make_pair(redis.target)
    listener = subscriber(programs, pair)
    client = cli(programs, pair.listens["raw"][1])
    client.type("INCR n")
    client.expect("1\n")
    pair.relay.freeze()
    begun = time.monotonic()
    client.type("INCR n")
    for number in range(200):
        tell(redis, "PUBLISH", "news", f"message-{number}")
    hold(max(0, seconds - (time.monotonic() - begun)))
    end_outage(pair)
    client.expect("2\n", 3)
    listener.expect("message-199", 3)
    assert re.findall(r"message-(\d+)", listener.text) == [str(n) for n in range(200)]
    assert tell(redis, "GET", "n") == "2"


def test_beyond_the_grace_the_connection_is_reset_and_redis_cli_connects_anew(programs, start,
                                                                            make_pair):
    redis = start(Redis)
    pair = make_pair(redis.target, grace="4s")
    client = cli(programs, pair.listens["raw"][1])
    client.type("PING")
    client.expect("PONG")
    unplug(pair)
    wait_until(lambda: pair.client.connections() == [], 10, "the end of the grace")
    end_outage(pair)
    client.type("INCR n")
    client.expect("Connection reset by peer", 5)
    client.type("INCR n")
    client.type("ECHO anew")
    client.expect("anew", 5)
    assert tell(redis, "GET", "n") == "1", "the command that met the reset was done too"


def test_timeout_ends_idle_clients_in_an_outage_but_no_subscribers(programs, start, make_pair):
    redis = start(Redis, {"timeout": 3})
    pair = make_pair(redis.target)
    listener = subscriber(programs, pair)
    with socket.create_connection(pair.listens["raw"]) as client:
        client.sendall(b"PING\r\n")
        client.settimeout(10)
        assert client.recv(100) == b"+PONG\r\n"
        outage(pair, 7)
        assert client.recv(100) == b"", "Redis closed it"
    pair.client.wait_event("connection_closed", cause="target_fin")
    tell(redis, "PUBLISH", "news", "still there")
    listener.expect("still there", 3)


@pytest.mark.parametrize("limit, lives", [("pubsub 8mb 0 0", False), ("pubsub 0 0 0", True)])
def test_client_output_buffer_limit_ends_a_subscriber_once_the_agent_is_full(programs, start, make_pair,
                                                                           limit, lives):
    redis = start(Redis, {"client-output-buffer-limit": limit})
    pair = make_pair(redis.target)
    with socket.create_connection(pair.listens["raw"]) as listener:
        listener.sendall(b"SUBSCRIBE news\r\n")
        listener.settimeout(10)
        listener.recv(100)
        pair.relay.freeze()
        with socket.create_connection(("127.0.0.1", redis.port)) as publisher:
            sent = 0
            for _ in range(100):
                publisher.sendall(b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$1000000\r\n"
                                  + b"x" * 1_000_000 + b"\r\n")
                if publisher.recv(100) == b":0\r\n":
                    break
                sent += 1
        end_outage(pair)
        assert (sent == 100) == lives
        total = 0
        try:
            while total < 100_000_000 and (data := listener.recv(1 << 20)):
                total += len(data)
        except ConnectionResetError:
            pass
        assert (total >= 100_000_000) == lives


@pytest.mark.parametrize("socket_timeout, lives", [(3, False), (None, True)])
def test_the_socket_timeout_of_a_library_stays_in_force(start, make_pair, socket_timeout, lives):
    from redis import Redis as Library, TimeoutError as Waited
    redis = start(Redis)
    pair = make_pair(redis.target)
    client = Library(port=pair.listens["raw"][1], socket_timeout=socket_timeout)
    client.incr("n")
    pair.relay.freeze()
    answers = []

    def ask():
        try:
            answers.append(client.incr("n"))
        except Waited as error:
            answers.append(error)
    asking = threading.Thread(target=ask)
    asking.start()
    hold(6)
    end_outage(pair)
    asking.join(30)
    client.close()
    assert (answers == [2]) == lives
    assert lives or isinstance(answers[0], Waited)


@pytest.mark.parametrize("limit, lives", [(4, False), (60, True)])
def test_repl_timeout_stays_in_force(programs, start, make_pair, limit, lives):
    redis = start(Redis, {"repl-timeout": limit, "repl-ping-replica-period": 1})
    pair = make_pair(redis.target)
    replica = start(Redis, {"repl-timeout": limit, "repl-ping-replica-period": 1, "replicaof":
                            f"127.0.0.1 {pair.listens['raw'][1]}"})
    wait_until(lambda: "master_link_status:up" in tell(replica, "INFO", "replication"), 15, "a replica")
    tell(redis, "SET", "before", "1")
    outage(pair, 10)
    tell(redis, "SET", "after", "1")
    wait_until(lambda: tell(replica, "GET", "after") == "1", 15, "the replica has caught up")
    lost = "MASTER timeout" in replica.said() or "Disconnecting timedout replica" in redis.said()
    assert lost != lives
