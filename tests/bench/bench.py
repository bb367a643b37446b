"""Holdfast against two chained haproxy, interleaved in one run on loopback.

Ratios are what counts: absolute figures tell of the machine. What is slow for a moment is slow for
all, because each measure visits every path before the next measure begins.
"""
import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time

import attacks
import measures
import paths
import netns
import plot
import wan
import report
from pair import EchoBackend, free_port
from programs import ProgramFailed, Programs, die_on_signals, find_program, start_nginx

SILENCE_S = 2.0
WAN_DELAY_MS, WAN_LOSS = 25, 0.01      # each way: a round trip of 50 ms


class WanBackends:
    """The services at the far end of the long path."""

    def __init__(self, folder, wan):
        self.programs, self.wan = Programs(folder), wan

    def __enter__(self):
        try:
            self.ports = {"iperf": free_port(), "sockperf": free_port()}
            self.start_iperf()
            self.programs.start_listening(
                ["sockperf", "server", "--tcp", "-i", "0.0.0.0", "-p", self.ports["sockperf"]],
                self.ports["sockperf"], "wan-sockperf.log", self.wan.far)
            return self
        except BaseException:
            self.__exit__()
            raise

    def start_iperf(self):
        self.iperf = self.programs.start_listening(
            ["iperf3", "-s", "-p", self.ports["iperf"]], self.ports["iperf"], "wan-iperf.log",
            self.wan.far)

    def restart_iperf(self):
        self.programs.stop(self.iperf)
        self.start_iperf()

    def __exit__(self, *_):
        self.programs.stop_all()


class Backends:
    """The services behind every path on loopback."""

    def __init__(self, folder):
        self.programs = Programs(folder)
        self.folder = folder
        self.echo = None

    def __enter__(self):
        try:
            root = os.path.join(self.folder, "www")
            os.mkdir(root)
            with open(os.path.join(root, "page"), "wb") as file:
                file.write(os.urandom(measures.PAGE_BYTES))
            self.ports = {"iperf": free_port(), "sockperf": free_port(), "http": free_port()}
            start_nginx(self.programs, self.ports["http"], root,
                        "access_log off; keepalive_requests 1000000000; open_file_cache max=16;")
            self.start_iperf()
            self.programs.start_listening(
                ["sockperf", "server", "--tcp", "-i", "127.0.0.1", "-p", self.ports["sockperf"]],
                self.ports["sockperf"], "sockperf.log")
            self.echo = EchoBackend()
            self.ports["echo"] = self.echo.address[1]
            return self
        except BaseException:
            self.__exit__()
            raise

    def start_iperf(self):
        self.iperf = self.programs.start_listening(
            ["iperf3", "-s", "-B", "127.0.0.1", "-p", self.ports["iperf"]], self.ports["iperf"],
            "iperf.log")

    def restart_iperf(self):
        """It takes one test at a time and may still be leaving the one before."""
        self.programs.stop(self.iperf)
        self.start_iperf()

    def __exit__(self, *_):
        if self.echo:
            self.echo.close()
        self.programs.stop_all()


class Progress:
    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()

    def show(self, text):
        line = f"{time.monotonic() - self._began:5.0f} s  {text}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def end(self):
        if self._terminal:
            sys.stderr.write("\r\x1b[K")


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.results, self.progress = report.Results(), Progress()
        self.deadline = time.monotonic() + options.max_minutes * 60
        self.paths = [kind(folder) for kind in options.paths]
        self.attacks = []              # rows, see attacks.py

    def run(self):
        try:
            with Backends(self.folder) as backends:
                self.try_paths(backends)
                self.rounds(self.wanted(measures.jobs(self.options.idle)), backends)
                if not self.options.only or "resume" in self.options.only:
                    self.resume(backends)
                if any("attacks".startswith(word) for word in self.options.only):
                    self.besiege(backends)
            if self.options.wan:
                self.long_path()
        finally:
            for path in self.paths:
                path.stop()
            self.progress.end()
        return self.results

    def wanted(self, jobs):
        return [job for job in jobs if not self.options.only
                or any(word in job[0] for word in self.options.only)]

    def rounds(self, jobs, backends):
        for number in range(self.options.rounds if jobs else 0):
            if not self.round(number, jobs, backends):
                self.progress.end()
                print(f"Stopped after {self.options.max_minutes:g} minutes.")
                return

    def long_path(self):
        programs = Programs(self.folder)
        try:
            with wan.Wan(programs, WAN_DELAY_MS, WAN_LOSS) as long, \
                    WanBackends(self.folder, long) as backends:
                for path in self.paths:
                    path.place(long)
                self.rounds(self.wanted(measures.wan_jobs()), backends)
        finally:
            programs.stop_all()

    def try_paths(self, backends):
        """A path that cannot be is left out with its reason; the plain pair is not optional."""
        for path in list(self.paths):
            try:
                path.start(backends.ports)
            except ProgramFailed as error:
                self.progress.end()
                print(f"Skipped: {path.label}: {error}")
                self.paths.remove(path)
                if path.label == paths.Pair.label:
                    self.results.failures.append(f"{path.label}: {error}")
            finally:
                path.stop()

    def round(self, number, jobs, backends):
        """False when time is up."""
        for path in self.paths:
            path.start(backends.ports)
        try:
            for index, (name, job) in enumerate(jobs):
                # Who comes first changes from measure to measure and from round to round.
                turn = (number + index) % len(self.paths)
                for path in self.paths[turn:] + self.paths[:turn]:
                    if path.only and path.only != name:
                        continue
                    if time.monotonic() > self.deadline:
                        return False
                    self.progress.show(f"round {number + 1} of {self.options.rounds}: {name}: "
                                       f"{path.label}")
                    self.one(path, name, job, backends)
        finally:
            for path in self.paths:
                path.stop()
        return True

    def one(self, path, name, job, backends):
        try:
            backends.restart_iperf()
            self.results.add(path.label, job(path, self.options.seconds))
        except ProgramFailed as error:
            self.progress.end()
            print(f"Failed: {path.label}: {name}: {error}")
            self.results.failures.append(f"{path.label}: {name}: {error}")

    def besiege(self, backends):
        try:
            self.attacks = attacks.run(self.folder, self.options.rounds, self.options.seconds,
                                       backends, self.progress, self.results.failures)
        except ProgramFailed as error:
            self.progress.end()
            print(f"Failed: attacks: {error}")
            self.results.failures.append(f"attacks: {error}")

    def resume(self, backends):
        for kind in (paths.Pair, paths.PairTls):
            if kind.label not in [path.label for path in self.paths]:
                continue
            path = kind(os.path.join(self.folder, "resume"))
            path.with_relay = True
            for number in range(self.options.rounds):
                self.progress.show(f"resume {number + 1} of {self.options.rounds}: {path.label}")
                sink = measures.Sink()
                try:
                    path.start({"echo": backends.ports["echo"], "sink": sink.port})
                    times = measures.resume_times(path, self.options.idle, SILENCE_S)
                    self.results.resume.setdefault(path.label, []).append(times)
                    replayed = measures.replay(path, sink, self.options.seconds, SILENCE_S)
                    self.results.replay.setdefault(path.label, []).append(replayed)
                except ProgramFailed as error:
                    self.progress.end()
                    print(f"Failed: {path.label}: resume: {error}")
                    self.results.failures.append(f"{path.label}: resume: {error}")
                finally:
                    path.stop()
                    sink.close()


OWN_NETWORK = "HOLDFAST_BENCH_OWN_NETWORK"


def read(path):
    with open(path) as file:
        return file.read().strip()


def conditions(options):
    return {"rounds": options.rounds, "seconds": options.seconds, "idle_connections": options.idle,
            "cpus": os.cpu_count(), "kernel": platform.release(), "machine": platform.machine(),
            "silence_s": SILENCE_S, "wan_delay_ms": WAN_DELAY_MS, "wan_loss": WAN_LOSS,
            "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def own_network(parser):
    """Rules of nftables are the whole network's: this run gets one that has only a loopback."""
    if os.environ.get(OWN_NETWORK):
        return
    if reason := netns.why_unavailable():
        parser.error(f"holdfast-redirect: {reason}")
    os.environ[OWN_NETWORK] = "1"
    os.execvp("unshare", ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh",
                          sys.executable, *sys.argv])


def parse():
    labels = {kind.label.replace(" ", "-"): kind for kind in paths.ALL}
    usual = [label for label, kind in labels.items() if kind not in paths.UNUSUAL]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured (3)")
    parser.add_argument("--seconds", type=float, default=2, help="of each single measure (2)")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s, fewer idle connections")
    parser.add_argument("--idle", type=int, default=1000, help="idle connections (1000)")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT",
                        help="only measures whose name holds the text, or `resume`, or `attack` (only so "
                             "is it run: a client beside attackers); may be repeated")
    parser.add_argument("--paths", default=",".join(usual), metavar="A,B",
                        help=f"which of: {', '.join(labels)} (all but the last five)")
    parser.add_argument("--wan", action="store_true",
                        help="also between two network namespaces with 50 ms and 1 %% loss (root)")
    parser.add_argument("--max-minutes", type=float, default=20, help="no measure begins later (20)")
    parser.add_argument("--json", metavar="FILE", help="all values, for other programs")
    parser.add_argument("--svg", metavar="FILE", help="the ratios as a picture")
    options = parser.parse_args()
    unknown = [label for label in options.paths.split(",") if label not in labels]
    if unknown:
        parser.error(f"unknown path {unknown[0]}, one of: {', '.join(labels)}")
    options.paths = [labels[label] for label in options.paths.split(",")]
    names = [name for name, _ in measures.jobs(0) + (measures.wan_jobs() if options.wan else ())]
    for word in options.only:
        if not any(word in name for name in names + ["resume", "attacks"]):
            parser.error(f"--only {word}: no measure's name holds that. They are: {'; '.join(names)}; "
                         "resume; attack")
    if options.wan and (reason := netns.why_unavailable()):
        parser.error(f"--wan: {reason}")
    if paths.PairRedirect in options.paths:
        own_network(parser)
    if options.quick:
        options.rounds, options.seconds, options.idle = 1, 1.0, min(options.idle, 300)
    return options


def main():
    options = parse()
    die_on_signals()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for tool in ("haproxy", "iperf3", "sockperf", "wrk", "nginx", "openssl"):
        find_program(tool)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        bench = Bench(options, folder)
        results = bench.run()
    names = [path.label for path in bench.paths]
    print(report.values_table(results, names))
    if text := report.ratio_table(results, names):
        print("\n" + text)
    if results.resume:
        print("\n" + report.resume_table(results))
    if results.replay:
        print("\n" + report.replay_table(results))
    if bench.attacks:
        print("\n" + attacks.show(bench.attacks))
    values = results.as_json(conditions(options))
    if bench.attacks:
        values["attacks"] = attacks.as_json(bench.attacks)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(values, file, indent=1)
            file.write("\n")
    if options.svg:
        with open(options.svg, "w") as file:
            file.write(plot.draw(values))
    if results.failures:
        print(f"\n{len(results.failures)} failed; the tables above lack them.")
    return 1 if results.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProgramFailed as error:
        sys.exit(f"scripts/bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
