"""Changes one operator or constant at a time, and expects the tests to fail: of common/core, and of what
drives it in common/tunnel.

    mutate.py [--count N] [--seed N] [--file NAME.cc]... [--sim-seeds N] [--list]
              [--json FILE [--seconds N]]

Works on a copy of the sources in build-mutation/. Each mutant is built with its folder's unit tests and
the simulator; it is killed when either fails or does not end, a survivor when both pass. The simulator
is left out with --sim-seeds 0. Survivors are
printed; equivalents.txt holds those that were looked at and change nothing that anybody could see.
With --seconds it stops after about so long, and the same command goes on where FILE ends.
The last line is "N killed, N survived, N equivalent, N did not compile".
"""
import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
SCRATCH = os.path.join(REPOSITORY, "build-mutation")
SOURCE, BUILD = os.path.join(SCRATCH, "source"), os.path.join(SCRATCH, "build")
COPIED = ("CMakeLists.txt", "cmake", "common", "client-agent", "server-agent", "tests", "config",
          "packaging", "docs", "scripts", "LICENSE", "README.md")
# Folders, their files that are mutated (None: all), their unit tests, and which of those, by their files'
# names: what is left out waits for seconds, and for nothing that a mutant here could change.
FOLDERS = {
    "common/core": (None, "test_core", ()),
    "common/tunnel": (("bridge.cc", "carrier.cc", "link_driver.cc", "link_effects.cc"), "test_tunnel",
                      ("bridge_test", "carrier_test", "link_driver_test", "target_test")),
}
FIRST_BUILD_S, BUILD_S, FIRST_TEST_S = 7200, 900, 600
PATIENCE = 10       # times what a test takes without a mutation, and no less than:
LEAST_TEST_S = 20

# (pattern, replacements): each match of the pattern on a line of code can become each replacement.
OPERATORS = [
    (r" < ", [" <= ", " > "]), (r" <= ", [" < "]), (r" > ", [" >= ", " < "]), (r" >= ", [" > "]),
    (r" == ", [" != "]), (r" != ", [" == "]), (r" && ", [" || "]), (r" \|\| ", [" && "]),
    (r" \+ ", [" - "]), (r" - ", [" + "]), (r" \+= ", [" -= "]), (r" -= ", [" += "]),
    (r"\+\+(?=\w)", ["--"]), (r" \* ", [" / "]), (r" / ", [" * "]), (r"(?<=[(\s])!(?=[a-z(])", [""]),
    (r"\btrue\b", ["false"]), (r"\bfalse\b", ["true"]), (r"\bstd::min\b", ["std::max"]),
    (r"\bstd::max\b", ["std::min"]), (r"(?<![\w.'])[1-9]\d*(?![\w.'])", ["+1"]),
]
NOT_CODE = re.compile(r"^\s*(//|#|static_assert|HOLDFAST_CHECK|template|using |namespace )|operator|\bauto&&")


def mutants_of(path):
    """[(line number, before, after)] of the file; lines without their line end."""
    found = []
    with open(os.path.join(REPOSITORY, path)) as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines):
        code = line.partition("//")[0]
        if NOT_CODE.search(code) or '"' in code:
            continue
        for pattern, replacements in OPERATORS:
            for match in re.finditer(pattern, code):
                for replacement in replacements:
                    text = str(int(match[0]) + 1) if replacement == "+1" else replacement
                    found.append((number, line, line[:match.start()] + text + line[match.end():]))
    return found


def prepare():
    """The copy of the sources, and a build of them as they are, whose tests pass."""
    os.makedirs(SOURCE, exist_ok=True)
    for name in COPIED:
        words = ["cp", "-a", "-u", "--no-target-directory", os.path.join(REPOSITORY, name),
                 os.path.join(SOURCE, name)]
        subprocess.run(words, check=True)
    subprocess.run(["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                    "-DCMAKE_CXX_FLAGS_RELEASE=-O1"], check=True, stdout=subprocess.DEVNULL)


def tests_of(path, sim_seeds):
    """[(name, program, arguments)] that a mutant of the file must get past."""
    _, program, files = FOLDERS[os.path.dirname(path)]
    own = os.path.basename(path).removesuffix(".cc") + "_test"  # which most often tells
    some = ",".join(f"[#{name}]" for name in files)
    tests = [(own, program, ["--abort", "-#", f"[#{own}]"]),
             (program, program, ["--abort", "-#", *([some] if some else [])])]
    if sim_seeds:
        tests.append(("simulator", "holdfast-sim", ["--count", str(sim_seeds), "--jobs", "1"]))
    return tests


def build(tests, seconds=BUILD_S):
    return run(["cmake", "--build", BUILD, "--target", *(program for _, program, _ in tests)], seconds)


def run(words, seconds):
    """Whether it ended with exit code 0 in time. A child's children go with it."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def killed_by(tests, limits):
    """The name of the first test that fails or does not end, or None. Limits in seconds by name."""
    for name, program, arguments in tests:
        began = time.monotonic()
        if not run([os.path.join(BUILD, "bin", program), *arguments], limits.get(name, FIRST_TEST_S)):
            return name
        limits.setdefault(name, max(LEAST_TEST_S, PATIENCE * (time.monotonic() - began)))
    return None


def equivalents():
    """{(file, line before, line after)} without white space around."""
    with open(os.path.join(HERE, "equivalents.txt")) as file:
        blocks = re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", file.read(), flags=re.M).strip())
    return {tuple(line.strip().removeprefix("- ").removeprefix("+ ") for line in block.split("\n")[:3])
            for block in blocks if block.strip()}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", action="append", help="only of this file, by its name without folders")
    parser.add_argument("--sim-seeds", type=int, default=10000)
    parser.add_argument("--list", action="store_true", help="print the mutants, build nothing")
    parser.add_argument("--json", metavar="FILE", help="with what came of each; it is gone on with")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    began = time.monotonic()
    files = sorted(f"{folder}/{name}" for folder, (some, *_) in FOLDERS.items()
                   for name in os.listdir(os.path.join(REPOSITORY, folder))
                   if name.endswith(".cc") and (not some or name in some)
                   and (not options.file or name in options.file))
    everything = [(path, *mutant) for path in files for mutant in mutants_of(path)]
    chosen = random.Random(options.seed).sample(everything, min(options.count, len(everything)))
    print(f"{len(everything)} mutants, {len(chosen)} of them by seed {options.seed}", flush=True)
    if options.list:
        for path, number, _, after in chosen:
            print(f"{path}:{number + 1}: {after.strip()}")
        return 0
    known, results, limits = equivalents(), earlier(options.json, chosen), {}
    prepare()
    tests = list({test[0]: test for path, *_ in chosen
                  for test in tests_of(path, options.sim_seeds)}.values())
    if not build(tests, FIRST_BUILD_S) or killed_by(tests, limits):
        sys.exit("mutate.py: the tests do not pass without a mutation")
    for mutant in chosen[len(results):]:
        if time.monotonic() - began > options.seconds:
            print(f"{len(chosen) - len(results)} to go")
            break
        results.append((*mutant, try_one(*mutant, known, options.sim_seeds, limits)))
        if options.json:
            with open(options.json, "w") as file:
                json.dump(results, file, indent=1)
    outcomes = [outcome for *_, outcome in results]
    survived, equal, broken = (outcomes.count(o) for o in ("survived", "equivalent", "did not compile"))
    print(f"{len(outcomes) - survived - equal - broken} killed, {survived} survived, {equal} equivalent, "
          f"{broken} did not compile")
    return 1 if survived else 0


def earlier(path, chosen):
    """The results that the file has from before, of the same mutants."""
    if not path or not os.path.exists(path):
        return []
    with open(path) as file:
        results = [tuple(each) for each in json.load(file)]
    if [each[:-1] for each in results] != chosen[:len(results)]:
        sys.exit(f"mutate.py: {path} is of other mutants")
    return results


def try_one(path, number, before, after, known, sim_seeds, limits):
    """Its outcome, which is printed; the copy is as it was afterwards."""
    copy = os.path.join(SOURCE, path)
    with open(copy) as file:
        text = file.read()
    lines = text.split("\n")
    assert lines[number] == before, f"{copy} has changed"
    lines[number] = after
    if (path, before.strip(), after.strip()) in known:
        outcome = "equivalent"
    else:
        try:
            with open(copy, "w") as file:
                file.write("\n".join(lines))
            tests = tests_of(path, sim_seeds)
            outcome = "did not compile" if not build(tests) else killed_by(tests, limits) or "survived"
        finally:
            with open(copy, "w") as file:
                file.write(text)
    print(f"{outcome}: {path}:{number + 1}\n  - {before.strip()}\n  + {after.strip()}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
