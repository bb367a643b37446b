"""docs/guide/mqtt.md, the part on AMQP, tried with Debian's RabbitMQ and pika."""
import threading
import time

import pika
import pytest

from services import RabbitMQ, end_outage, hold
from streams import wait_until


def connect(port, heartbeat=None):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, heartbeat=heartbeat))


@pytest.mark.parametrize("heartbeat, seconds, lives", [(60, 30, True), (5, 20, False)])
def test_heartbeats_stay_in_force(programs, start, make_pair, heartbeat, seconds, lives):
    broker = start(RabbitMQ, {"heartbeat": heartbeat})
    pair = make_pair(broker.target)
    consumer = connect(pair.listens["raw"][1])
    channel, received, ended = consumer.channel(), [], []
    channel.queue_declare("news")

    def take(channel, method, _properties, body):
        received.append(body)
        channel.basic_ack(method.delivery_tag)

    def consume():
        try:
            channel.start_consuming()
        except pika.exceptions.AMQPError as error:
            ended.append(error)
    channel.basic_consume("news", take)
    thread = threading.Thread(target=consume)
    thread.start()
    hold(1)
    pair.relay.freeze()
    begun = time.monotonic()
    beside = connect(broker.port, heartbeat=0)
    queue = beside.channel()
    for number in range(100):
        queue.basic_publish("", "news", b"%d" % number)
    hold(seconds - (time.monotonic() - begun))
    end_outage(pair)
    if lives:
        wait_until(lambda: len(received) == 100, 5, f"100 messages, not {len(received)}")
        assert received == [b"%d" % number for number in range(100)]
        consumer.add_callback_threadsafe(channel.stop_consuming)
    else:
        wait_until(lambda: ended, 5, "the consumer's end")
        wait_until(lambda: "missed heartbeats from client" in broker.said(), 5, "the broker's word")
        left = queue.queue_declare("news", passive=True).method.message_count
        assert left + len(received) == 100
    thread.join(30)
    beside.close()
    if lives:
        consumer.close()
