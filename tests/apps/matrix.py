"""The matrix of applications and faults: cells several at a time, then JSON and a Markdown table.

    matrix.py [--app NAME]... [--fault NAME]... [--json FILE] [--markdown FILE] [-j N] [--short]

Cells that were run before and are in the JSON file stay there, unless they are run again. The last line
is "N passed, N failed": a workload through Holdfast passes when it survived, or when KNOWN (known.py)
says that its application's own timeout ends it; a direct one when a fault that bare TCP cannot live
through ended it.
"""
import argparse
import ast
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
import known
import table
from faults import FAULTS

APPS = sorted(name[4:-3] for name in os.listdir(HERE) if name.startswith("app_"))
SHORT_APPS, SHORT_FAULTS = ("nginx", "postgres", "redis", "ssh"), ("reset", "silence-5", "address")
PATIENCE_S, SHORT_PATIENCE_S, CELL_S = 30, 8, 400
AT_ONCE = 3
_running = set()


def declared(app):
    """Its title and packages, read without importing what those packages bring."""
    with open(os.path.join(HERE, f"app_{app}.py")) as file:
        body = next(node.body for node in ast.parse(file.read()).body if isinstance(node, ast.ClassDef))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in body
            if isinstance(node, ast.Assign)}


def run_cell(app, fault, options):
    """The cell's JSON; what the test itself said when it broke goes with it."""
    words = [sys.executable, os.path.join(HERE, "cell.py"), app, fault, "--patience",
             str(SHORT_PATIENCE_S if options.short else PATIENCE_S)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _running.add(process)
    try:
        out, err = process.communicate(timeout=CELL_S)
        return json.loads(out.strip().rpartition("\n")[2])
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        process.terminate()
        out, err = process.communicate()
        return {"app": app, "fault": fault, "error": f"{type(error).__name__}: {err[-600:]}"}
    finally:
        _running.discard(process)


def judge(cell):
    """[(passed, words)] of a cell, one for each workload and way."""
    name = f"{cell['app']} / {cell['fault']}"
    if "error" in cell:
        return [(False, f"{name}: {cell['error']}")]
    fault, judged = FAULTS[cell["fault"]], []
    for result in cell["results"]:
        words = f"{name} / {result['workload']} ({result['way']}): {result['verdict']} " \
                f"{result.get('saw', '')}"
        if result["way"] == "holdfast":
            passed = result["verdict"] == "survived" or known.reason(cell, result) is not None
        else:
            passed = result["verdict"] != "untried" and (
                not fault.kills or result["verdict"] != "survived"
                or result["workload"] in known.SURVIVES_DIRECTLY)
        judged.append((passed, words))
    return judged


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--app", action="append", choices=APPS)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("-j", type=int, default=AT_ONCE)
    parser.add_argument("--short", action="store_true", help="what CI runs")
    parser.add_argument("--write", action="store_true", help="run nothing: the table from the JSON")
    parser.add_argument("--packages", action="store_true", help="print Debian's packages, and end")
    options = parser.parse_args()
    if options.write:
        write(read(options), options)
        return 0
    apps = options.app or (SHORT_APPS if options.short else APPS)
    faults = options.fault or (SHORT_FAULTS if options.short else list(FAULTS))
    if options.packages:
        print(" ".join(sorted({package for app in apps for package in declared(app)["packages"]})))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cells = read(options)
    # The longest first.
    wanted = sorted(((app, fault) for fault in faults for app in apps),
                    key=lambda cell: -FAULTS[cell[1]].seconds)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        jobs = [pool.submit(run_cell, app, fault, options) for app, fault in wanted]
        try:
            for job in concurrent.futures.as_completed(jobs):
                cell = job.result()
                cells[cell["app"], cell["fault"]] = cell
                judged = judge(cell)
                passed += sum(ok for ok, _ in judged)
                failed += sum(not ok for ok, _ in judged)
                print(f"{time.strftime('%H:%M:%S')} {cell['app']} / {cell['fault']}: {sum(ok for ok, _ in judged)} of {len(judged)} "
                      f"as expected, {cell.get('seconds', '?')} s", flush=True)
                for ok, words in judged:
                    if not ok:
                        print(f"  NOT {words}", flush=True)
                write(cells, options)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running):
                process.terminate()
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def read(options):
    if not options.json or not os.path.exists(options.json):
        return {}
    with open(options.json) as file:
        return {(cell["app"], cell["fault"]): cell for cell in json.load(file)["cells"]}


def write(cells, options):
    when = time.strftime("%Y-%m-%d")
    if options.json:
        with open(options.json, "w") as file:
            ordered = ",\n".join(json.dumps(cells[key]) for key in sorted(cells))
            file.write(f'{{"when": "{when}", "cells": [\n{ordered}\n]}}\n')
    if options.markdown:
        titles = {app: declared(app)["title"] for app, _ in cells}
        with open(options.markdown, "w") as file:
            file.write(table.markdown(cells, titles, when, PATIENCE_S))


if __name__ == "__main__":
    sys.exit(main())
