"""The pair over slow, shaped, lossy and swallowing paths, beside bare TCP in an equal path."""
import argparse
import concurrent.futures
import json
import os
import platform
import subprocess
import sys
import time

import capacity
import netns
import report
import scenarios
import trial
from programs import die_on_signals

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
TRIAL_LIMIT_S = 400


def one_trial(scenario, seed):
    """In a process of its own: (its result, None), or (None, why the lab failed)."""
    words = [sys.executable, os.path.abspath(__file__), "--trial", scenario.name, "--seed", str(seed)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TRIAL_LIMIT_S)
    except subprocess.TimeoutExpired:
        return None, f"{scenario.name}: no end within {TRIAL_LIMIT_S} s"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return json.loads(done.stdout), None


def run_all(chosen, options, tell):
    """[(scenario, [result of each round], [failure of the lab])], those that share the machine first."""
    outcomes = {scenario.name: ([], []) for scenario in chosen}

    def go(scenario, number):
        result, failure = one_trial(scenario, options.seed + number)
        results, failures = outcomes[scenario.name]
        if failure:
            failures.append(failure)
        else:
            results.append(result)
        tell(f"{scenario.name}: {failure or report.brief(scenario, result)}")
    for crowd, jobs in ((False, options.jobs), (True, 1)):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for number in range(options.rounds):
                for scenario in chosen:
                    if scenario.alone == crowd:
                        pool.submit(go, scenario, number)
    return [(scenario, *outcomes[scenario.name]) for scenario in chosen]


def conditions(options):
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        congestion = file.read().strip()
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "rounds": options.rounds,
            "cpus": os.cpu_count(), "kernel": platform.release(), "congestion_control": congestion}


def parse():
    parser = argparse.ArgumentParser(prog="scripts/check-paths", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="those whose name holds the text (all)")
    parser.add_argument("--short", action="store_true", help="a minute's worth, which has to hold")
    parser.add_argument("--rounds", type=int, default=1, help="how often each; medians count (1)")
    parser.add_argument("--jobs", type=int, default=4, help="scenarios at once, where they leave the "
                        "processors idle (4)")
    parser.add_argument("--seed", type=int, default=1, help="of loss and jitter (1)")
    parser.add_argument("--list", action="store_true", help="names and goals only")
    parser.add_argument("--json", metavar="FILE", help="all values, for other programs")
    parser.add_argument("--write", action="store_true", help="docs/paths.json, docs/paths.svg and the table "
                        "of docs/PATHS.md; rows that were not run stay")
    parser.add_argument("--capacity", action="store_true", help="what the lab itself carries, and its cost")
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    return parser, parser.parse_args()


def choose(parser, options):
    known = scenarios.everything()
    for text in options.names:
        if not any(text in scenario.name for scenario in known):
            parser.error(f"no scenario's name holds {text}; --list shows them")
    return [scenario for scenario in known if (scenario.short or not options.short) and
            (not options.names or any(text in scenario.name for text in options.names))]


def main():
    parser, options = parse()
    die_on_signals()
    if options.trial:
        try:
            print(json.dumps(trial.run(trial.find(options.trial), options.seed)))
            return 0
        except trial.LabFailed as error:
            print(error, file=sys.stderr)
            return 1
    chosen = choose(parser, options)
    if options.list:
        for scenario in chosen:
            print(f"{scenario.name:32} {scenario.title}")
        return 0
    if reason := netns.why_unavailable():
        parser.error(reason)
    if options.capacity:
        return capacity.show()
    began = time.monotonic()
    outcomes = run_all(chosen, options, lambda text: print(f"{time.monotonic() - began:5.0f} s  {text}",
                                                           file=sys.stderr, flush=True))
    rows = report.rows(outcomes)
    print(report.matrix(rows))
    values = {"conditions": conditions(options), "rows": rows}
    if options.json:
        with open(options.json, "w") as file:
            json.dump(values, file, indent=1)
            file.write("\n")
    if options.write:
        report.write(DOCS, values, [scenario.name for scenario in scenarios.everything()])
    lab_failures = [failure for _, _, failures in outcomes for failure in failures]
    for failure in lab_failures:
        print(f"the lab failed: {failure}")
    met = sum(row["met"] for row in rows)
    print(f"{met} passed, {len(rows) - met + len(lab_failures)} failed")
    return 0 if met == len(rows) and not lab_failures else 1


if __name__ == "__main__":
    sys.exit(main())
