"""One scenario, once: both ways at the same time, then what each of them saw."""
import os
import tempfile
import threading
import time

import scenarios
import traffic
from lab import Lab
from programs import ProgramFailed

SETTLE_S = 1.0


class LabFailed(Exception):
    """The lab itself: it says nothing of the pair."""


def run(scenario, seed):
    """{"measures": {"pair": {measure: value}, "bare": ...}, "failures": [text], "paths": counts}"""
    with tempfile.TemporaryDirectory(prefix="holdfast-paths-") as folder:
        os.chmod(folder, 0o700)
        try:
            with Lab(folder, scenario.shape, scenario.place, scenario.link, seed, scenario.sysctls,
                     scenario.certificates) as lab:
                return _in_lab(scenario, lab)
        except (ProgramFailed, AssertionError, OSError) as error:
            raise LabFailed(f"{scenario.name}: {error}") from error


def _in_lab(scenario, lab):
    ready_s = lab.wait_ready()
    time.sleep(SETTLE_S)
    before = {name: _packets(lab, name) for name in lab.ways}
    steps = threading.Thread(target=_walk, args=(scenario.steps, lab, time.monotonic()), daemon=True)
    steps.start()
    jobs = {name: lambda way=way: traffic.all_of(scenario.streams, way) for name, way in lab.ways.items()}
    results = traffic.together(jobs)
    time.sleep(scenario.idle_s)
    steps.join()
    failures = []
    for name, result in results.items():
        if isinstance(result, Exception):
            results[name] = {}
            failures.append(f"{name}: {result}")
    if any(failure.startswith("bare") for failure in failures):
        raise LabFailed(f"{scenario.name}: {'; '.join(failures)}")
    for name, measures in results.items():
        measures["packets"] = _packets(lab, name) - before[name]
        if "rival.kilobytes" in measures:
            ours, rival = measures["ours.kilobytes"], measures["rival.kilobytes"]
            measures["share"] = 100 * ours / max(1, ours + rival)
    results["pair"]["carriers_lost"], results["bare"]["carriers_lost"] = lab.carriers_lost(), 0
    results["pair"]["ready_s"], results["bare"]["ready_s"] = ready_s, 0
    return {"measures": results, "failures": failures,
            "paths": {name: lab.emulator.stats(name) for name in lab.ways}}


def _packets(lab, name):
    counts = lab.emulator.stats(name)
    return counts["up"]["packets"] + counts["down"]["packets"]


def _walk(steps, lab, began):
    for at, what, value in steps:
        time.sleep(max(0.0, began + at - time.monotonic()))
        if what == "answer_syns":
            lab.answer_syns(value)
        else:
            lab.change(what, **value)


def find(name):
    return next(scenario for scenario in scenarios.everything() if scenario.name == name)
