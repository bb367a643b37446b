"""A long run under random faults and reloads; what it used must come back to what it was.

    soak.py --minutes N [--seed N] [--json FILE] [--svg FILE]

Connections churn, stand idle, move bulk and stall (traffic.py), all compared byte by byte, while the
relay between the agents cuts, freezes, swallows and refuses, an agent is stopped by SIGSTOP now and then,
and both are reloaded with changed configs. At the end every connection is closed, and connections,
descriptors, send logs and memory must be where they began. The last line is "N passed, N failed".
"""
import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time

import outages
import plot_soak
from pair import TIMESCALE, Pair, merge
from programs import die_on_signals
from stopwatch import Stopwatch
from traffic import Traffic, echo

SHORT_MINUTES = 5                 # a shorter run has more of everything in its time
LONGEST_FAULT_S, FAULT_EVERY_S, RELOAD_EVERY_S = 8, (4, 25), (10, 30)
SHORT_LONGEST_FAULT_S, SHORT_FAULT_EVERY_S, SHORT_RELOAD_EVERY_S = 3, (0.5, 4), (1, 5)
SAMPLE_EVERY_S = 2
WARM_UP_S = 8                     # buffers and pools have reached their size; then memory is compared
MEMORY_SLACK_BYTES = 6 << 20      # the allocator's and the pools' granularity; a leak of 1 % shows above it
BACK_IN_S = 3                     # an answer after the path's return, on a busy machine


class Soak:
    def __init__(self, pair, address, options):
        self.pair, self._random = pair, random.Random(options.seed)
        short = options.minutes < SHORT_MINUTES
        self.traffic = Traffic(address, options.seed + 1, 0.3 if short else 1.0)
        self._fault_every, self._reload_every, self._longest_fault = (
            (SHORT_FAULT_EVERY_S, SHORT_RELOAD_EVERY_S, SHORT_LONGEST_FAULT_S) if short
            else (FAULT_EVERY_S, RELOAD_EVERY_S, LONGEST_FAULT_S))
        self.samples, self.faults = [], []             # faults: (kind, begin, end)
        self.returns = []                              # seconds from a fault's end to the next answer
        self.reloads = 0
        self._checks = []
        self._over = asyncio.Event()

    def check(self, passed, words):
        self._checks.append((bool(passed), words))

    # -- what happens meanwhile --------------------------------------------------------------------

    async def _pause(self, seconds):
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except asyncio.TimeoutError:
            """It goes on."""

    async def _break(self):
        kinds = [*outages.OUTAGES, "stop-client", "stop-server"]
        while True:
            await self._pause(self._random.uniform(*self._fault_every))
            if self._over.is_set():
                return
            kind, seconds = self._random.choice(kinds), self._random.uniform(0.05, self._longest_fault)
            begun = time.monotonic()
            if kind.startswith("stop-"):
                agent = getattr(self.pair, kind.partition("-")[2])
                agent.freeze()
                await asyncio.sleep(seconds / 2)
                agent.go_on()
            else:
                outages.begin(self.pair, kind)
                if kind not in outages.MOMENTARY:
                    await asyncio.sleep(seconds)
                outages.end(self.pair)
            self.faults.append((kind, begun, time.monotonic()))
            await self._note_return()

    async def _note_return(self):
        """How long the first answer after the last fault takes, as a stopwatch tells it."""
        end, watch = self.faults[-1][2], Stopwatch()

        def answered():
            return next((begun + took for begun, took in reversed(self.traffic.pings[-20:])
                         if begun + took >= end), None)
        while not answered():
            if self._over.is_set():
                return
            await asyncio.sleep(0.02)
        self.returns.append(watch.seconds())

    async def _reload(self):
        """Each agent in turn gets a config with another heartbeat, window, log level or grace."""
        number = 0
        while True:
            await self._pause(self._random.uniform(*self._reload_every))
            if self._over.is_set():
                return
            agent = (self.pair.client, self.pair.server)[number % 2]
            settings = json.loads(json.dumps(agent.settings))
            changes = [{"link": {"heartbeat": f"{self._random.randrange(500, 2000)}ms"}},
                       {"log": {"level": self._random.choice(("info", "debug", "warn"))}},
                       {"link": {"max_window": f"{self._random.choice((1, 4, 16))}MiB"}}]
            if agent is self.pair.server:
                changes.append({"link": {"grace": f"{self._random.randrange(4, 9)}m"}})
            merge(settings, self._random.choice(changes))
            agent.write_config(settings)
            result = await asyncio.to_thread(agent.run, "reload")
            if result.returncode:
                self.check(False, f"reload of the {agent.role}: {result.stderr.strip()}")
            self.reloads += 1
            number += 1

    async def _sample(self):
        while not self._over.is_set():
            self.samples.append({"at": time.monotonic(), "bytes": self.traffic.totals.bytes_echoed,
                                 **{f"{agent.role}_{what}": getattr(agent, method)()
                                    for agent in (self.pair.client, self.pair.server)
                                    for what, method in (("rss", "resident_bytes"),
                                                         ("fds", "descriptors"),
                                                         ("cpu", "cpu_seconds"))}})
            await self._pause(SAMPLE_EVERY_S)

    # -- the run -----------------------------------------------------------------------------------

    async def run(self, seconds):
        tasks = [asyncio.create_task(self._sample())]
        self.traffic.start()
        await asyncio.sleep(WARM_UP_S)
        tasks += [asyncio.create_task(task()) for task in (self._break, self._reload)]
        await asyncio.sleep(max(0.0, seconds - WARM_UP_S))
        self._over.set()
        await asyncio.gather(*tasks)
        await self.traffic.stop()

    def judge(self):
        pair, totals = self.pair, self.traffic.totals
        for failure in totals.failures:
            self.check(False, failure)
        self.check(not totals.failures, "every connection came through, byte by byte")
        pair.wait_ready()
        pair.wait_empty(20)
        self.check(True, "no connection is left at either agent")
        pair.wait_descriptors()
        self.check(True, "descriptors are back where they were")
        for agent in (pair.client, pair.server):
            self.check(agent.metric("holdfast_send_log_bytes") == 0, f"the {agent.role}'s send log is empty")
            begun = max(s[f"{agent.role}_rss"] for s in self.samples if
                        s["at"] - self.samples[0]["at"] <= WARM_UP_S)
            now = agent.resident_bytes()
            self.check(now <= begun + MEMORY_SLACK_BYTES,
                       f"memory of the {agent.role}: {now >> 10} KiB, {begun >> 10} KiB once warm")
        late = [round(seconds, 2) for seconds in self.returns if seconds > BACK_IN_S * TIMESCALE]
        self.check(not late, f"an answer within {BACK_IN_S} s of each path's return {late or ''}")
        return self._checks

    def back_after(self):
        """For each fault, seconds from its end to the first answer after it."""
        answers = [begun + took for begun, took in self.traffic.pings]
        return [next((a - end for a in answers if a >= end), 0.0) for _, _, end in self.faults]

    def summary(self, begun, options):
        totals, pair = self.traffic.totals, self.pair
        calm = sorted(took for at, took in self.traffic.pings
                      if not any(b - 0.5 <= at + took and at <= e + 1 for _, b, e in self.faults))
        first, last = self.samples[0], self.samples[-1]
        return {
            "when": time.strftime("%Y-%m-%d"), "seed": options.seed,
            "seconds": round(time.monotonic() - begun), "faults": len(self.faults),
            "reloads": self.reloads, "connections": totals.opened, "half_closed": totals.half_closed,
            "reset_by_the_application": totals.reset, "stalled": totals.stalled,
            "bytes_echoed": totals.bytes_echoed, "reconnects": pair.reconnects(),
            "replayed_bytes": pair.client.replayed() + pair.server.replayed(),
            "resumed_connections": pair.client.metric("holdfast_connections_resumed_total"),
            "latency_ms": {f"p{p}": round(calm[int(len(calm) * p / 100)] * 1000, 2) for p in (50, 99)}
            if calm else {}, "slowest_return_s": round(max(self.back_after(), default=0.0), 2),
            "agents_cpu_seconds": round(sum(last[f"{r}_cpu"] - first[f"{r}_cpu"]
                                            for r in ("client", "server")), 1),
            "samples": [{**s, "at": round(s["at"] - begun, 1)} for s in self.samples],
            "pings": [(round(at - begun, 2), round(took * 1000, 2)) for at, took in self.traffic.pings],
            "outages": [(kind, round(b - begun, 2), round(e - begun, 2)) for kind, b, e in self.faults],
        }


async def perform(options, folder):
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=512)
    target = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    pair = await asyncio.to_thread(Pair, folder, services={"raw": {"target": target}}, fast=False,
                                   link="psk")
    begun = time.monotonic()
    try:
        pair.__enter__()
        soak = Soak(pair, pair.listens["raw"], options)
        await soak.run(options.minutes * 60)
        try:
            checks = await asyncio.to_thread(soak.judge)
        except AssertionError as error:
            checks = [*soak._checks, (False, str(error))]
        summary = soak.summary(begun, options)
        for check in (pair.client.terminate, pair.server.terminate, pair.check_logs):
            check()
    except BaseException:
        pair.print_logs(20)
        raise
    finally:
        pair.stop()
        server.close()
    return checks, summary


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--json")
    parser.add_argument("--svg")
    options = parser.parse_args()
    die_on_signals()
    print(f"seed {options.seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="holdfast-soak-")
    try:
        checks, summary = asyncio.run(perform(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(summary, file)
    if options.svg:
        with open(options.svg, "w") as file:
            file.write(plot_soak.draw(summary))
    print(json.dumps({key: value for key, value in summary.items()
                      if key not in ("samples", "pings", "outages")}, indent=1))
    for passed, words in checks:
        print("ok  " if passed else "NOT ", words)
    failed = sum(not passed for passed, _ in checks)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
