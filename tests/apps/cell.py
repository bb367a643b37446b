"""One cell of the matrix: an application's workloads under one fault, through Holdfast and directly.

    cell.py APP FAULT [--no-direct] [--patience SECONDS] [--keep FOLDER]

Both go over the same path at the same time, to the same server. Prints one JSON object; exits 0
unless the test itself broke. Needs root, for network namespaces.
"""
import argparse
import contextlib
import importlib
import json
import os
import shutil
import tempfile
import threading
import time
import traceback

import netns
from faults import FAULTS
from pair import Pair
from programs import Programs, die_on_signals
from run import Lost, Run, Untried
from stopwatch import Stopwatch
from wan import Wan

PATH_MBIT = 40                     # so that a transfer is still under way when the fault comes
SLOW_MBIT, SLOW_DELAY_MS = 10, 100  # each way
BEGIN_S = 90                       # for every workload to be under way
LONGEST_S = 150                    # after the path's return, for a workload that gets on
CLIENT_HOST = f"{netns.CLIENT_NET}.2"


class SlowLab:
    """Two hosts at the ends of a long path; what netns.Lab is for the other faults."""

    def __init__(self, programs):
        self._wan = Wan(programs, SLOW_DELAY_MS, 0, mbit=SLOW_MBIT,
                        hosts=(CLIENT_HOST, netns.SERVER_ADDRESS)).__enter__()
        self.client, self.server = self._wan.near, self._wan.far

    def remove(self):
        self._wan.__exit__()


class Worker:
    """A workload on a thread of its own, which lives in the client's namespace."""

    def __init__(self, run, body, space):
        self.run, self._body, self._space = run, body, space
        self.error = self.ended_at = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        try:
            with self._space.enter():
                self._body(self.run)
        except Exception as error:           # judged below
            self.error = error
            if not isinstance(error, (Lost, Untried)):
                with open(self.run.path("traceback"), "w") as file:
                    traceback.print_exc(file=file)
        finally:
            self.ended_at = time.monotonic()
            self.run.is_prepared.set()
            self.run.is_under_way.set()

    def wait(self, patience):
        """Until it ended, or got no further for `patience` seconds after the path's return."""
        run, last, watch = self.run, None, None
        while self.ended_at is None:
            now, before = time.monotonic(), last
            last = max([run.healed_at, *run.moments[-1:]])
            if last != before:
                watch = Stopwatch()          # a busy machine's waits are nobody's standing still
            if now - last > patience and watch.seconds() > patience or now - run.healed_at > LONGEST_S:
                return
            time.sleep(0.05)

    def verdict(self, patience):
        run, result = self.run, {"workload": self.run.workload, "way": self.run.way}
        after = [moment for moment in run.moments if moment >= run.healed_at] if run.healed_at else []
        if self.ended_at is None:
            return {**result, "verdict": "hung",
                    "saw": f"nothing for {patience:g} s after the path's return"
                    if not after else "goes on, but did not come to its end"}
        if isinstance(self.error, Untried) or not run.broken_at or self.ended_at < run.broken_at:
            return {**result, "verdict": "untried", "saw": str(self.error)}
        if self.error:
            words = str(self.error) or type(self.error).__name__
            return {**result, "verdict": "lost", "saw": " ".join(words.split())[:400],
                    "kind": type(self.error).__name__}
        return {**result, "verdict": "survived",
                "stall_s": round(after[0] - run.healed_at, 2) if after else None}


class Cell:
    def __init__(self, application, fault, folder, options):
        self.fault, self.folder, self._options = fault, folder, options
        self._kind = importlib.import_module(f"app_{application}").App
        self.app, self.workers = None, []

    def perform(self):
        """(results of the workloads, how often the link reconnected)"""
        with contextlib.ExitStack() as cleaning:
            around = Programs(self._subfolder("path"))
            cleaning.callback(around.stop_all)
            lab = SlowLab(around) if self.fault.slow else netns.Lab()
            cleaning.callback(lab.remove)
            for host in (lab.client, lab.server):
                cleaning.callback(host.kill_all)
            if not self.fault.slow:
                lab.limit_rate(PATH_MBIT)
            server = Programs(self._subfolder("server"), host="0.0.0.0")
            self.app = self._kind(lab.server)
            with lab.server.enter():
                cleaning.callback(self.app.remove)
                cleaning.callback(server.stop_all)
                port = self.app.start(server)
            pair = Pair(self._subfolder("pair"), services={"raw": {"target": f"127.0.0.1:{port}"}},
                        fast=False, link="psk", lab=lab)
            cleaning.callback(pair.stop)
            pair.__enter__()
            before = pair.reconnects()
            self._start(cleaning, lab, {"holdfast": pair.listens["raw"],
                                        "direct": (netns.SERVER_ADDRESS, port)})
            self._break(lab, pair)
            patience = self._options.patience
            for worker in self.workers:
                worker.wait(patience)
            results = [worker.verdict(patience) for worker in self.workers]
            for worker in self.workers:
                worker.run.write_moments()
            reconnects = pair.reconnects() - before
            self._leave(pair)
        return results, reconnects

    def _leave(self, pair):
        """The clients go, and the agents must have forgotten them, and end in order."""
        for worker in self.workers:
            worker.run.programs.stop_all()
        if all(worker.ended_at for worker in self.workers if worker.run.way == "holdfast"):
            pair.check_and_stop()
        else:
            pair.check_logs()

    def _subfolder(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _start(self, cleaning, lab, addresses):
        if self._options.no_direct or not self.fault.direct:
            del addresses["direct"]
        for way, address in addresses.items():
            for name, body in self.app.workloads().items():
                programs = Programs(self._subfolder(f"{way}-{name}".replace(" ", "-")))
                cleaning.callback(programs.stop_all)
                run = Run(name, way, address, programs, self.fault)
                self.workers.append(Worker(run, body, lab.client))
        runs = [worker.run for worker in self.workers]
        deadline = time.monotonic() + BEGIN_S
        for run in runs:
            event = run.is_prepared if run.workload in self.app.bulk else run.is_under_way
            if not event.wait(max(0, deadline - time.monotonic())):
                raise RuntimeError(f"{run.workload} ({run.way}) did not get under way")
        for run in runs:
            run.may_begin.set()
        for run in runs:
            if not run.is_under_way.wait(max(0, deadline - time.monotonic())):
                raise RuntimeError(f"{run.workload} ({run.way}) did not get under way")

    def _break(self, lab, pair):
        for worker in self.workers:
            worker.run.broken_at = time.monotonic()
        self.fault.begin(lab, pair)
        for worker in self.workers:
            worker.run.broken.set()
        time.sleep(self.fault.seconds)
        if self.fault.filters and not lab.packets_hit():
            raise RuntimeError("the fault met no packet")
        self.fault.end(lab, pair)
        for worker in self.workers:
            worker.run.healed_at = time.monotonic()
            worker.run.healed.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("application")
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("--no-direct", action="store_true")
    parser.add_argument("--patience", type=float, default=30)
    parser.add_argument("--keep", help="a folder for everything that was said")
    options = parser.parse_args()
    die_on_signals()
    folder = options.keep or tempfile.mkdtemp(prefix="holdfast-apps-")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    fault, begun, code = FAULTS[options.fault], time.monotonic(), 0
    cell = {"app": options.application, "fault": fault.name}
    try:
        cell["results"], cell["reconnects"] = Cell(options.application, fault, folder, options).perform()
        if fault.cuts and not cell["reconnects"]:
            raise RuntimeError("the fault did not cost the link its carrier")
    except Exception as error:               # told to who asked
        cell["error"], code = f"{type(error).__name__}: {error}", 1
        traceback.print_exc()
    cell["seconds"] = round(time.monotonic() - begun, 1)
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(cell), flush=True)
    os._exit(code)                           # a hung workload's thread holds nothing up


if __name__ == "__main__":
    main()
