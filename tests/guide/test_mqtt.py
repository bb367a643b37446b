"""docs/guide/mqtt.md: each sentence with a number in it, tried with Debian's Mosquitto."""
import re
import subprocess
import time

import pytest

from services import Mosquitto, Talk, end_outage, hold, unplug
from streams import wait_until


def subscribe(programs, pair, *options, topic="news/#"):
    """mosquitto_sub -d: what it does and gets, a line each."""
    talk = Talk(programs, ["stdbuf", "-oL", "mosquitto_sub", "-d", "-p", pair.listens["raw"][1], "-t",
                           topic, "-i", "listener", *options])
    talk.expect("SUBACK")
    return talk


def publish(broker, lines, *options):
    """Beside the link, all on one connection."""
    subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-t", "news/x", "-l", *options], check=True,
                   input="".join(f"message-{line}\n" for line in lines), text=True)


def received(talk):
    return [int(n) for n in re.findall(r"^message-(\d+)", talk.text, re.M)]


@pytest.mark.parametrize("seconds", [5, 30])
def test_a_subscriber_with_the_default_keepalive_gets_everything(programs, start, make_pair, seconds):
    broker = start(Mosquitto)
    pair = make_pair(broker.target)
    listener = subscribe(programs, pair, "-q", "0")
    pair.relay.freeze()
    publish(broker, range(100))
    hold(seconds)
    end_outage(pair)
    listener.expect("message-99", 3)
    assert received(listener) == list(range(100))
    assert listener.text.count("CONNACK") == 1


def test_a_keepalive_of_5_s_ends_the_connection_in_an_outage_of_20_s(programs, start, make_pair):
    broker = start(Mosquitto)
    pair = make_pair(broker.target)
    listener = subscribe(programs, pair, "-k", "5", "-q", "1", "-c", "--will-topic", "will",
                         "--will-payload", "gone")
    watcher = Talk(programs, ["mosquitto_sub", "-p", str(broker.port), "-t", "will"])
    hold(1)
    pair.relay.freeze()
    begun = time.monotonic()
    wait_until(lambda: "exceeded timeout" in broker.said(), 25, "the broker's patience")
    watcher.expect("gone", 3)
    publish(broker, range(50), "-q", "1")
    hold(max(0, 20 - (time.monotonic() - begun)))
    end_outage(pair)
    listener.expect("message-49", 10)
    assert received(listener) == list(range(50))
    assert listener.text.count("CONNACK") == 2


@pytest.mark.parametrize("quality", ["0", "1"])
@pytest.mark.parametrize("limit, all_arrive", [(1000, False), (0, True)])
def test_max_queued_messages_decides_what_a_long_queue_loses(programs, start, make_pair, limit,
                                                           all_arrive, quality):
    broker = start(Mosquitto, max_queued_messages=limit)
    pair = make_pair(broker.target)
    listener = subscribe(programs, pair, "-q", quality)
    pair.relay.freeze()
    publish(broker, range(5000), "-q", "1")
    hold(3)
    end_outage(pair)
    wait_until(lambda: received(listener), 5, "messages")
    if all_arrive or quality == "0":             # the agent takes what fits its window
        wait_until(lambda: len(received(listener)) >= 5000, 20, "all messages")
    hold(3)
    if quality == "1":
        assert (len(received(listener)) == 5000) == all_arrive
    else:
        assert received(listener) == list(range(5000))


def test_beyond_the_grace_the_broker_sees_a_reset_and_the_client_connects_anew(programs, start,
                                                                             make_pair):
    broker = start(Mosquitto)
    pair = make_pair(broker.target, grace="4s")
    listener = subscribe(programs, pair, "-q", "1", "-c")
    unplug(pair)
    wait_until(lambda: pair.client.connections() == [], 10, "the end of the grace")
    end_outage(pair)
    publish(broker, range(3), "-q", "1")
    listener.expect("message-2", 10)
    assert listener.text.count("CONNACK") == 2
