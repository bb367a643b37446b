"""Builds holdfast-micro, here or at a commit, and counts what its cases cost. See scripts/bench-micro."""
import argparse
import json
import os
import re
import sys
import tempfile

from building import ROOT, BuildFailed, build, build_commit, run

PROGRAM = "holdfast-micro"
# Two runs differ in these many operations: their set-up cancels out.
FEW, MANY = 200, 600


def instructions(program, case, count):
    text = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, case, count])
    return int(re.search(r"Collected : (\d+)", text)[1])


def count_all(program):
    """{case: instructions an operation}"""
    counts = {}
    for case in run([program, "--list"]).split():
        print(f"counting {case} ...", file=sys.stderr, flush=True)
        more = instructions(program, case, MANY) - instructions(program, case, FEW)
        counts[case] = more / (MANY - FEW)
    return counts


def compare(before, after):
    lines = [f"{'case':<12}{'before':>14}{'after':>14}{'ratio':>8}"]
    for case, now in after.items():
        then = before.get(case)
        lines.append(f"{case:<12}{then if then is None else round(then):>14}{round(now):>14}"
                     + (f"{now / then:>8.3f}" if then else f"{'new':>8}"))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-micro")
    parser.add_argument("--instructions", action="store_true", help="count them with callgrind")
    parser.add_argument("--compare", nargs="+", metavar="COMMIT", help="one or two commits")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.compare and len(options.compare) > 2:
        parser.error("--compare takes one commit, or two")
    values = {}
    with tempfile.TemporaryDirectory(prefix="holdfast-micro-") as folder:
        def at(commit, name):
            if commit:
                programs = build_commit(commit, os.path.join(folder, name), [PROGRAM],
                                        needs="tests/micro/main.cc")
            else:
                programs = build(ROOT, os.path.join(ROOT, "build"), [PROGRAM])
            return os.path.join(programs, PROGRAM)
        if options.compare:
            first, second = (options.compare + [None])[:2]
            values["before"] = count_all(at(first, "before"))
            values["after"] = count_all(at(second, "after"))
            print(compare(values["before"], values["after"]))
        elif options.instructions:
            values["instructions"] = count_all(at(None, "here"))
            for case, count in values["instructions"].items():
                print(f"{case:<12}{round(count):>14} instructions")
        else:
            print(run([at(None, "here")]), end="")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(values, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    try:
        main()
    except BuildFailed as error:
        sys.exit(f"scripts/bench-micro: {error}")
