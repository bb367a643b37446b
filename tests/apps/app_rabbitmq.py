"""RabbitMQ: a publisher with confirms and a consumer that acks, with the broker's heartbeat of 60 s."""
import threading

import pika

from application import Application
from run import Lost, expect
from services import RabbitMQ


class App(Application):
    title = "RabbitMQ"
    packages = ["rabbitmq-server", "python3-pika"]

    def start(self, programs):
        self.service = RabbitMQ(programs, {"loopback_users": "none"})
        return self.service.port

    def workloads(self):
        return {"publish and consume": self.publish_and_consume}

    def publish_and_consume(self, run):
        queue, received, ended = f"news-{run.way}", [], []
        consumer, publisher = self._connect(run), self._connect(run)
        taking, telling = consumer.channel(), publisher.channel()
        taking.queue_declare(queue)
        telling.confirm_delivery()

        def take(channel, method, _properties, body):
            received.append((int(body), method.redelivered))
            channel.basic_ack(method.delivery_tag)

        def consume():
            try:
                taking.start_consuming()
            except pika.exceptions.AMQPError as error:
                ended.append(error)
        taking.basic_consume(queue, take)
        consuming = threading.Thread(target=consume, daemon=True)
        consuming.start()

        def step(number):
            telling.basic_publish("", queue, b"%d" % number, mandatory=True)
            run.wait(lambda: len(received) > number or ended, 120, f"message {number}")
            if ended:
                raise Lost(f"the consumer: {ended[0]!r}")
        count = run.steadily(step)
        consumer.add_callback_threadsafe(taking.stop_consuming)
        consuming.join()
        for connection in (consumer, publisher):
            connection.close()
        expect(received == [(number, False) for number in range(count)], "messages lost or come again")

    @staticmethod
    def _connect(run):
        return pika.BlockingConnection(pika.ConnectionParameters(run.host, run.port))
