"""Redis: pipelines, a subscription, MONITOR and blocking pops, each on one connection of its own."""
import re

from redis import Redis as Library

from application import Application
from run import expect, last_line
from services import Redis, Talk

IN_A_PIPELINE = 20


class App(Application):
    title = "Redis"
    packages = ["redis-server", "redis-tools", "python3-redis"]

    def start(self, programs):
        self.service = Redis(programs, {"protected-mode": "no"})
        return self.service.port

    def workloads(self):
        return {"pipelines": self.pipelines, "pub/sub": self.subscription, "MONITOR": self.monitor,
                "BLPOP": self.pops}

    def _ask(self, *words):
        return self.beside(["redis-cli", "-p", self.service.port, *words])

    @staticmethod
    def _library(run):
        """With the library's defaults, but for its silent reconnects: those would be no survival."""
        client = Library(host=run.host, port=run.port, single_connection_client=True)
        client.connection.retry._retries = 0
        return client

    def pipelines(self, run):
        client, key = self._library(run), f"pipelines-{run.way}"
        before = client.client_id()

        def step(number):
            pipe = client.pipeline(transaction=False)
            for _ in range(IN_A_PIPELINE):
                pipe.incr(key)
            first = number * IN_A_PIPELINE + 1
            answers = pipe.execute()
            expect(answers == list(range(first, first + IN_A_PIPELINE)), f"answers {answers}")
        steps = run.steadily(step)
        expect(client.client_id() == before, "another connection")
        expect(self._ask("GET", key) == str(steps * IN_A_PIPELINE), "another sum at the server")

    def subscription(self, run):
        """What is published beside the path arrives once and in order."""
        channel = f"news-{run.way}"
        listener = Talk(run.programs, ["redis-cli", "-h", run.host, "-p", run.port, "SUBSCRIBE", channel])
        listener.expect(channel)
        self._told(run, listener, lambda number: self._ask("PUBLISH", channel, f"message-{number}"),
                   r"message-(\d+)")

    def monitor(self, run):
        listener = Talk(run.programs, ["redis-cli", "-h", run.host, "-p", run.port, "MONITOR"])
        listener.expect("OK")
        self._told(run, listener, lambda number: self._ask("ECHO", f"{run.way}-seen-{number}"),
                   rf"{run.way}-seen-(\d+)")

    @staticmethod
    def _told(run, listener, tell, pattern):
        def told():
            return [int(number) for number in re.findall(pattern, listener.text)]

        def step(number):
            tell(number)
            # In the outage nothing can arrive: telling goes on.
            run.wait(lambda: len(told()) > number or not listener.running
                     or (run.broken.is_set() and not run.healed.is_set()), 60, f"message {number}")
            expect(listener.running, last_line(listener.text))
        count = run.steadily(step)
        run.wait(lambda: len(told()) >= count or not listener.running, 20,
                 f"message {count - 1}; {len(told())} of {count} came")
        expect(told() == list(range(count)), f"{len(told())} of {count} messages came")

    def pops(self, run):
        client, key = self._library(run), f"queue-{run.way}"
        before = client.client_id()

        def step(number):
            self._ask("RPUSH", key, number)
            answer = client.blpop(key)
            expect(answer and answer[1] == b"%d" % number, f"{answer} in place of {number}")
        run.steadily(step)
        expect(client.client_id() == before, "another connection")
