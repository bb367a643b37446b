"""Mosquitto: a publisher and a subscriber of QoS 2, both over the path, by one connection each."""
import re

from application import Application
from run import expect, last_line
from services import Mosquitto, Talk


class App(Application):
    title = "Mosquitto"
    packages = ["mosquitto", "mosquitto-clients"]

    def start(self, programs):
        self.service = Mosquitto(programs)
        return self.service.port

    def workloads(self):
        return {"QoS 2": self.exactly_once}

    def exactly_once(self, run):
        topic = f"news-{run.way}"
        listener = Talk(run.programs, ["stdbuf", "-oL", "mosquitto_sub", "-d", "-q", "2", "-h", run.host,
                                       "-p", run.port, "-t", topic, "-i", f"listener-{run.way}"])
        listener.expect("SUBACK", 20)
        teller = Talk(run.programs, ["stdbuf", "-oL", "mosquitto_pub", "-d", "-q", "2", "-h", run.host,
                                     "-p", run.port, "-t", topic, "-i", f"teller-{run.way}", "-l"])
        teller.expect("CONNACK", 20)

        def received():
            return [int(n) for n in re.findall(r"^message-(\d+)", listener.text, re.M)]

        def step(number):
            if teller.running:
                teller.type(f"message-{number}")
            run.wait(lambda: len(received()) > number or not (listener.running and teller.running)
                     or (run.broken.is_set() and not run.healed.is_set()), 90, f"message {number}")
            for talk in (listener, teller):
                expect(talk.running, last_line(talk.text))
        count = run.steadily(step)
        run.wait(lambda: len(received()) >= count, 20, f"{count} messages; {len(received())} came")
        expect(received() == list(range(count)), f"{len(received())} of {count} messages, or twice")
        for talk in (listener, teller):
            expect(talk.text.count("CONNACK") == 1, "connected anew")
