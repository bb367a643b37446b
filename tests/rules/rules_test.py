#!/usr/bin/env python3
"""Rules of the source tree that no compiler checks. Standard library only; run by CTest.

Usage: rules_test.py [unittest options]
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tested_by import PARTS, TESTED_BY

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ["common", "client-agent", "server-agent", "tests"]

# Which rooms a room may include from, besides itself. Arrows point one way. The agents' own rooms may
# include all of common/, and never each other.
ARROWS = {
    "common/base": set(),
    "common/wire": {"base"},
    "common/core": {"base", "wire"},
    "common/state": {"base", "core", "io"},
    "common/keeper": {"base"},
    "common/config": {"base"},
    "common/log": {"base", "config"},
    "common/io": {"base"},
    "common/tls": {"base", "io"},
    "common/tunnel": {"base", "wire", "core", "state", "io", "tls"},
    "common/admin": {"base", "wire", "core", "config", "log"},
    "common/cli": {"base", "wire", "core", "config", "log", "admin"},
    "common/agent": {"base", "wire", "core", "state", "keeper", "config", "log", "io", "tls", "tunnel", "admin",
                     "cli"},
}
ARROWS = {room: {f"common/{other}" for other in others} for room, others in ARROWS.items()}
ARROWS |= {"client-agent": set(ARROWS), "server-agent": set(ARROWS)}


def room_of(path):
    """"common/io" of "common/io/loop.h", "client-agent" of "client-agent/dial.h"."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "common" else parts[0]


# What a pure state machine must not know: sockets, clocks, threads, logs, streams.
PURE_FOLDERS = ["common/base", "common/wire", "common/core"]
FORBIDDEN_IN_PURE = [
    r'#\s*include\s*[<"](sys/socket|netinet/|unistd|poll|sys/epoll|time|ctime|sys/time|uv|thread|'
    r'mutex|condition_variable|atomic|future|iostream|fstream|spdlog|openssl)[^>"]*[>"]',
    r"\bstd::(thread|mutex|cout|cerr|random_device)\b",
    r"\b(steady_clock|system_clock)\b",
    r"(?<![\w.>:])(time|clock_gettime|gettimeofday|getenv|rand|srand)\s*\(\s*(NULL|nullptr|0|CLOCK_|&|\))",
]

# Headers that cost seconds in every file that includes them, and the few files that may.
HEAVY = {
    r"toml(\.hpp|/)": {"common/config/toml_tree.cc"},
    r"CLI/": {"common/cli/cli.cc"},
    r"spdlog/": {"common/log/log.cc"},
    r"boost/": {"common/admin/http_router.cc", "common/cli/http_client.cc"},
    r"prometheus/": {"common/admin/metrics.cc"},
    r"nlohmann/": {"common/admin/page_json.cc", "common/admin/snapshot_json.cc",
                   "common/admin/snapshot_parse.cc",
                   "common/admin/reload_json.cc", "common/cli/doctor_command.cc",
                   "common/config/problem_json.cc"},
}

# spdlog's own interface hands out shared_ptr: its wrapper is the one place that holds any.
SHARED_PTR_ALLOWED = {"common/log/log.cc"}

# Dates: a line's time in the log, when something opened, whether a certificate is valid. All else
# counts by a clock that nobody sets (CLOCK_BOOTTIME).
WALL_CLOCK = r"CLOCK_REALTIME|system_clock|gettimeofday|\btime\((nullptr|NULL|0|&)"
WALL_CLOCK_ALLOWED = {"common/log/log.cc", "common/agent/reporting.cc", "common/agent/credentials.cc",
                      "common/config/instant.cc", "server-agent/server_intake.cc"}

# Names are looked up on threads of their own, nowhere else: a loop stands still for as long as a name
# server says nothing. What has AI_NUMERICHOST looks nothing up; connect.cc and reach.cc are subcommands,
# no agent.
LOOK_UPS = r"\b(getaddrinfo|getnameinfo|gethostby\w+|res_n?(?:query|search|init)|uv_getaddrinfo|uv_getnameinfo)\s*\("
LOOK_UPS_ALLOWED = {"common/io/lookups.cc": 1, "common/io/socket.cc": 1, "common/cli/connect.cc": 1,
                    "common/agent/reach.cc": 2}
# What waits: for a time, for another process, for names.
WAITS = (r"\b(?:sleep|usleep|nanosleep|system|popen|waitpid)\s*\(|sleep_for|sleep_until|"
         r"\blook_up_(?:listen_)?names\s*\(")
# Where it is no loop that waits.
WAITS_ALLOWED = {
    "common/agent/kept.cc",                                      # before the loop turns
    "common/agent/missing_files.cc",                            # likewise
    "common/keeper/keeper.cc",                                  # it has no loop, and waits for a living
    "common/cli/pairing.cc", "common/cli/join_command.cc", "common/cli/support_command.cc",  # subcommands
    "common/cli/nft_command.cc", "common/cli/drain_command.cc",  # subcommands, no agent
    "common/cli/hand_over_command.cc", "common/cli/stopping_command.cc",  # subcommands
    "common/io/resolver.cc", "common/io/resolver.h",          # look_up_names itself
    "common/agent/listen_names.cc", "common/agent/listen_names.h",
    "common/agent/reload.h",                                    # on a reload's own thread
    "common/agent/configured_agent.h",                          # before the loop turns
}

MOST_LINES = {".h": 250, ".cc": 400}


def sources(*folders):
    """Paths of the C++ files below the folders, relative to the root, sorted."""
    found = []
    for folder in folders or SOURCE_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".cc", ".h"):
                found.append(path.relative_to(ROOT).as_posix())
    return sorted(found)


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code_of(path):
    """The file without comments; strings stay."""
    text = re.sub(r"/\*.*?\*/", "", text_of(path), flags=re.S)
    return re.sub(r"(?m)(?<!:)//.*$", "", text)


def includes_of(path):
    return re.findall(r'(?m)^\s*#\s*include\s*[<"]([^>"]+)[>"]', text_of(path))


class Structure(unittest.TestCase):
    def complain(self, problems):
        if problems:
            self.fail("\n" + "\n".join(problems))

    def test_every_room_has_its_arrows(self):
        folders = {f"common/{p.name}" for p in (ROOT / "common").iterdir() if p.is_dir() and any(p.glob("*.h"))}
        self.assertEqual(folders | {"client-agent", "server-agent"}, set(ARROWS),
                         "say in ARROWS what these may include")

    def test_includes_point_one_way(self):
        problems = []
        for path in sources("common", "client-agent", "server-agent"):
            room = room_of(path)
            for include in includes_of(path):
                if include.startswith("tests/"):
                    problems.append(f"{path}: includes {include}")
                target = room_of(include)
                if target in ARROWS and target != room and target not in ARROWS[room]:
                    problems.append(f"{path}: {room} must not include {include}")
        self.complain(problems)

    def test_arrows_make_no_circle(self):
        below = dict(ARROWS)
        while below:
            floor = {room for room, others in below.items() if not others & set(below)}
            self.assertTrue(floor, f"a circle among {sorted(below)}")
            below = {room: others for room, others in below.items() if room not in floor}

    def test_libraries_link_along_the_same_arrows(self):
        problems = []
        for room, allowed in ARROWS.items():
            name = room.partition("/")[2] or room.partition("-")[0]
            for target in re.findall(r"\bholdfast_(\w+)", text_of(f"{room}/CMakeLists.txt")):
                if f"common/{target}" in ARROWS and target != name and f"common/{target}" not in allowed:
                    problems.append(f"{room}/CMakeLists.txt: links holdfast_{target}")
        self.complain(problems)

    def test_includes_of_our_own_name_their_whole_path(self):
        problems = []
        for path in sources():
            for include in re.findall(r'(?m)^\s*#\s*include\s*"([^"]+)"', text_of(path)):
                if not (ROOT / include).is_file():
                    problems.append(f'{path}: "{include}" is not a path from the root')
        self.complain(problems)

    def test_the_core_knows_no_socket_clock_thread_or_log(self):
        problems = []
        for path in sources(*PURE_FOLDERS):
            if path in ("common/base/check.cc",         # prints before it aborts
                        "common/base/store_order.h"):   # orders stores, and knows no other thread
                continue
            code = code_of(path)
            for pattern in FORBIDDEN_IN_PURE:
                problems += [f"{path}: {match.group(0).strip()}"
                             for match in re.finditer(pattern, code)]
        self.complain(problems)

    def test_a_clock_that_is_set_moves_no_timer(self):
        found = {p for p in sources("common", "client-agent", "server-agent")
                 if re.search(WALL_CLOCK, code_of(p))}
        self.assertEqual(found, WALL_CLOCK_ALLOWED)

    def test_no_name_is_looked_up_on_a_loop(self):
        found = {}
        for path in sources("common", "client-agent", "server-agent"):
            calls = re.findall(LOOK_UPS, code_of(path))
            if calls:
                found[path] = len(calls)
        self.assertEqual(found, LOOK_UPS_ALLOWED)
        self.assertIn("AI_NUMERICHOST", code_of("common/io/socket.cc"))

    def test_nothing_waits_on_a_loop(self):
        found = {p for p in sources("common", "client-agent", "server-agent")
                 if re.search(WAITS, code_of(p))}
        self.assertEqual(found, WAITS_ALLOWED)
        # Once, in what runs before the shell.
        before_the_shell = code_of("common/agent/configured_agent.h").partition("int run_configured")[2]
        self.assertEqual(len(re.findall(WAITS, code_of("common/agent/configured_agent.h"))), 1)
        self.assertEqual(len(re.findall(WAITS, before_the_shell)), 1)

    def test_heavy_headers_stay_in_few_files(self):
        problems = []
        for path in sources("common", "client-agent", "server-agent"):
            for include in includes_of(path):
                for pattern, allowed in HEAVY.items():
                    if re.match(pattern, include) and path not in allowed:
                        problems.append(f"{path}: includes {include}")
                if include.startswith("catch2/"):
                    problems.append(f"{path}: includes {include}")
        problems += [f"{path}: includes {include}: tests/catch.h is for both majors of Catch2"
                     for path in sources("tests") if path != "tests/catch.h"
                     for include in includes_of(path) if include.startswith("catch2/")]
        self.complain(problems)

    def test_headers_are_included_once(self):
        self.complain([f"{p}: no #pragma once" for p in sources()
                       if p.endswith(".h") and "#pragma once" not in text_of(p)])


class Style(unittest.TestCase):
    complain = Structure.complain

    def test_no_test_takes_its_own_path_from_the_compiler(self):
        self.complain([f"{p}: __FILE__ may be relative; tests/source_folder.h tells where the sources are"
                       for p in sources("tests") if "__FILE__" in code_of(p) and p != "tests/fuzz/input.h"])

    def test_no_shared_ownership(self):
        self.complain([f"{p}: shared_ptr" for p in sources()
                       if "shared_ptr" in code_of(p) and p not in SHARED_PTR_ALLOWED])

    def test_nothing_is_left_to_do(self):
        problems = []
        word = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")
        folders = ["common", "client-agent", "server-agent", "tests", "scripts", "docs", "config"]
        for folder in folders:
            for path in sorted((ROOT / folder).rglob("*")):
                if not path.is_file() or "corpus" in path.parts or "__pycache__" in path.parts:
                    continue
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                problems += [f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
                             for number, line in enumerate(lines, 1) if word.search(line)]
        self.complain(problems)

    def test_helpers_are_found_without_changing_the_path(self):
        word = "sys" + ".path"
        self.complain([f"{path.relative_to(ROOT)}: {word}: what folders share is in tests/lib"
                       for folder in ("tests", "scripts") for path in sorted((ROOT / folder).rglob("*"))
                       if path.is_file() and "__pycache__" not in path.parts and path.suffix in (".py", "")
                       and word in path.read_text(encoding="utf-8", errors="replace")])

    def test_files_can_be_held_in_mind(self):
        problems = []
        for path in sources("common", "client-agent", "server-agent"):
            lines = text_of(path).count("\n")
            most = MOST_LINES[Path(path).suffix]
            if lines > most:
                problems.append(f"{path}: {lines} lines, more than {most}")
        self.complain(problems)

    def test_format(self):
        tool = next((t for t in ("clang-format-14", "clang-format") if shutil.which(t)), None)
        if tool is None:
            self.skipTest("clang-format-14 is not here: the format is judged on Debian 12")
        version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
        if "version 14." not in version:
            self.skipTest("another clang-format formats otherwise, the format is judged on Debian 12: "
                          + version.strip())
        problems = []
        files = sources()
        for start in range(0, len(files), 40):
            run = subprocess.run([tool, "--dry-run", *files[start:start + 40]], cwd=ROOT,
                                 capture_output=True, text=True)
            problems += sorted({line.split(":")[0] for line in run.stderr.splitlines()
                                if "[-Wclang-format-violations]" in line})
        self.complain([f"{p}: clang-format -i {p}" for p in problems])


class Papers(unittest.TestCase):
    """Files and folders that the pages for developers name are there."""
    complain = Structure.complain

    def test_what_they_name_is_there(self):
        names = {path.name for path in (ROOT / folder for folder in sources())}
        problems = []
        for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
            for word in sorted(set(re.findall(r"`([\w./*-]+)`", text_of(f"docs/{page}")))):
                top, slash, _ = word.partition("/")
                if slash and (ROOT / top).is_dir() and top != "build" and not list(ROOT.glob(word)):
                    problems.append(f"docs/{page}: {word} is not there")
                if not slash and re.search(r"[^*]\.(h|cc)$", word) and word not in names:
                    problems.append(f"docs/{page}: no file is named {word}")
        self.complain(problems)


class Scripts(unittest.TestCase):
    complain = Structure.complain

    def scripts(self):
        return [p for p in sorted((ROOT / "scripts").iterdir()) if not p.name.startswith("lib-")]

    def test_they_begin_alike(self):
        first = {path: path.read_text(encoding="utf-8").splitlines()[0] for path in self.scripts()}
        # make-certs is copied to where there may be no bash.
        allowed = ("#!/usr/bin/env bash", "#!/usr/bin/env python3")
        self.complain([f"scripts/{path.name}: {line}" for path, line in first.items()
                       if line not in allowed and (path.name, line) != ("make-certs", "#!/bin/sh")])

    def test_each_says_what_it_does_when_asked(self):
        problems = []
        for path in self.scripts():
            run = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=60)
            if run.returncode != 0 or len(run.stdout.split()) < 10:
                problems.append(f"scripts/{path.name} --help: {run.returncode} {run.stdout[:200]!r} {run.stderr[:200]!r}")
        self.complain(problems)


    def test_platforms_that_nobody_measured_are_not_tried(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "scripts", f"{folder}/scripts")

            def said(*arguments):
                run = subprocess.run([f"{folder}/scripts/check-platforms", *arguments], capture_output=True, text=True,
                                     timeout=60)
                return run.returncode, run.stdout.splitlines(), run.stderr

            status, rows, complaint = said()
            self.assertEqual((status, complaint), (0, ""))
            self.assertGreater(len(rows), 10)
            for row in rows[2:]:
                self.assertEqual(row.count("| not tried "), 6, row)
            Path(folder, "build-platforms", "s390x").write_text("cell build failed\ncell build passed in 3 s\n")
            self.assertIn("| s390x | passed in 3 s | not tried | not tried | not tried | not tried | not tried |", said()[1])
            for wrong in "debian-11", "s390x:package", "arm64:package:package":
                status, _, complaint = said(wrong)
                self.assertEqual(status, 64)
                self.assertIn(f"'{wrong}'", complaint)

    def test_a_release_is_refused_before_anything_is_made(self):
        def said(*arguments, tree=ROOT, **variables):
            run = subprocess.run([f"{tree}/scripts/release", *arguments], capture_output=True, text=True, timeout=60,
                                 env={**{key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"},
                                      **variables})
            return run.returncode, run.stderr

        for wrong in ("--twise",), ("--twice", "there"), ("here", "there"), ("",):
            self.assertEqual(said(*wrong), (64, "scripts/release: takes a folder, or --twice\n"))
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "scripts", f"{folder}/scripts")
            status, complaint = said(tree=folder)
            self.assertIn(status, (64, 77))  # 77: not as root
            self.assertRegex(complaint, "SOURCE_DATE_EPOCH|root")

    def test_a_tree_without_git_has_files_too(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("scripts/lib-deps", "a file", "docs/page", "build-x/made", "tests/__pycache__/made"):
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / "scripts/lib-deps", Path(folder, name))
            run = subprocess.run(["bash", "-c", ". scripts/lib-deps; tree_files"], cwd=folder, capture_output=True,
                                 text=True, timeout=60)
            self.assertEqual(run.stdout.split("\0"), ["a file", "docs/page", "scripts/lib-deps", ""])


class Presets(unittest.TestCase):
    def test_they_build_as_the_scripts_do(self):
        scripts = {"release": "scripts/test", "asan": "scripts/test", "tsan": "scripts/check-tsan"}
        presets = {each["name"]: each for each in json.loads(text_of("CMakePresets.json"))["configurePresets"]}
        self.assertEqual(sorted(presets), sorted(scripts))
        for name, script in scripts.items():
            options = text_of(script).replace('"', "")
            for key, value in presets[name]["cacheVariables"].items():
                self.assertIn(f"-D{key}={value}", options, name)


class Model(unittest.TestCase):
    """The rules of docs/PROTOCOL.md and tests/model/resume.pml name each other."""

    def rules(self):
        chapter = text_of("docs/PROTOCOL.md").partition("\n## 4. Rules\n")[2].partition("\n## 5.")[0]
        numbers = [int(n) for n in re.findall(r"(?m)^(\d+)\. \*\*", chapter)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        return chapter, numbers

    def test_the_model_names_every_rule_and_no_other(self):
        named = set()
        for numbers in re.findall(r"[Rr]ules? (\d+(?:(?:, | and )\d+)*)", text_of("tests/model/resume.pml")):
            named.update(map(int, re.findall(r"\d+", numbers)))
        self.assertEqual(sorted(named), self.rules()[1])

    def test_the_protocol_names_every_dropped_rule_beside_its_number(self):
        chapter, numbers = self.rules()
        rows = dict(re.findall(r"(?m)^\| (\w+)[^|]* \| (`M_.*) \|$", chapter))
        listed = {name: rule for rule, cell in rows.items() for name in re.findall(r"`(M_\w+)`", cell)}
        mutants = set(re.findall(r"\bM_[0-9a-z]+(?:_[0-9a-z]+)*\b", text_of("tests/model/resume.pml")))
        self.assertEqual(set(listed), mutants)
        self.assertEqual({int(rule) for rule in rows if rule.isdigit()}, set(numbers))
        wrong = [name for name, rule in listed.items()
                 if rule.isdigit() and re.match(r"M_(\d+)", name)[1] != rule]
        self.assertEqual(wrong, [])


class Manuals(unittest.TestCase):
    complain = Structure.complain

    def test_man_pages_can_be_rendered(self):
        # That the page of the config has every key is tests/unit/config/manual_test.cc's.
        pages = sorted((ROOT / "docs" / "man").glob("*.scd"))
        self.assertTrue(pages)
        if not shutil.which("scdoc"):
            self.skipTest("scdoc is not installed; the man pages are not rendered")
        problems = []
        for page in pages:
            run = subprocess.run(["scdoc"], input=page.read_bytes(), capture_output=True)
            if run.returncode != 0 or not run.stdout.strip():
                problems.append(f"{page.name}: {run.stderr.decode(errors='replace').strip()}")
        self.complain(problems)


class Names(unittest.TestCase):
    complain = Structure.complain

    def test_names_of_test_cases_are_plain_sentences(self):
        # catch_discover_tests passes names with ; [ or a trailing backslash without running them.
        problems = []
        for path in sources("tests"):
            for name in re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"', text_of(path)):
                if re.search(r"[;\[\]\\,]\s*$|[;\[\]\\]", name):
                    problems.append(f"{path}: {name}")
        self.complain(problems)

    def test_every_unit_test_stands_where_its_subject_does(self):
        folders = {p.name for p in (ROOT / "tests" / "unit").iterdir() if p.is_dir()}
        self.assertEqual(folders, {room.rpartition("/")[2] for room in ARROWS})


class TestFiles(unittest.TestCase):
    """Every source has a test file of its name, or tested_by.py says where it is tested, and why there."""
    complain = Structure.complain

    def sources(self):
        return [path for path in sources("common", "client-agent", "server-agent") if path.endswith(".cc")]

    def own_test(self, source):
        return ROOT / "tests" / "unit" / room_of(source).rpartition("/")[2] / f"{Path(source).stem}_test.cc"

    def test_every_source_has_one(self):
        listed = {source: test for part in TESTED_BY.values() for source, test in part.items()}
        self.assertEqual(len(listed), sum(map(len, TESTED_BY.values())), "a source is listed twice")
        problems = []
        for source in self.sources():
            if self.own_test(source).exists():
                if source in listed:
                    problems.append(f"{source}: has a test file of its own: take it out of tested_by.py")
            elif source not in listed:
                problems.append(f"{source}: no test file of its name: write one, or say in tested_by.py why not")
        problems += [f"{source}: in tested_by.py, and not there" for source in listed if not (ROOT / source).exists()]
        problems += [f"{source}: its test {test} is not there" for source, test in listed.items()
                     if not (ROOT / "tests" / test).is_file()]
        self.complain(problems)

    def test_a_unit_test_reaches_what_it_is_said_to_test(self):
        problems = []
        for part in TESTED_BY.values():
            for source, test in part.items():
                header = PARTS.get(source, str(Path(source).with_suffix(".h")))
                if test.startswith("unit/") and header not in self.reached("tests/" + test):
                    problems.append(f"tests/{test}: does not reach {header}, for {source}")
        self.complain(problems)

    def reached(self, path):
        """All headers that the file includes, at whatever depth."""
        seen, left = set(), [path]
        while left:
            for include in includes_of(left.pop()):
                if include not in seen and (ROOT / include).is_file():
                    seen.add(include)
                    left.append(include)
        return seen


if __name__ == "__main__":
    os.chdir(ROOT)
    unittest.main(verbosity=2)
