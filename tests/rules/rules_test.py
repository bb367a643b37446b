#!/usr/bin/env python3
"""Rules of the source tree that no compiler checks. Standard library only; run by CTest.

Usage: rules_test.py [unittest options]
"""
import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ["common", "client-agent", "server-agent", "tests"]

# Which rooms a room may include from, besides itself. Arrows point one way. The agents' own rooms may
# include all of common/, and never each other.
ARROWS = {
    "common/base": set(),
    "common/wire": {"base"},
    "common/core": {"base", "wire"},
    "common/state": {"base", "core"},
    "common/config": {"base"},
    "common/log": {"base", "config"},
    "common/io": {"base"},
    "common/tls": {"base", "io"},
    "common/tunnel": {"base", "wire", "core", "io", "tls"},
    "common/admin": {"base", "wire", "core", "config", "log"},
    "common/cli": {"base", "wire", "core", "config", "log", "admin"},
    "common/agent": {"base", "wire", "core", "config", "log", "io", "tls", "tunnel", "admin", "cli"},
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
    "common/cli/pairing.cc", "common/cli/join_command.cc", "common/cli/support_command.cc",  # subcommands
    "common/cli/nft_command.cc", "common/cli/drain_command.cc",  # subcommands, no agent
    "common/io/resolver.cc", "common/io/resolver.h",          # look_up_names itself
    "common/agent/listen_names.cc", "common/agent/listen_names.h",
    "common/agent/reload.h",                                    # on a reload's own thread
    "common/agent/configured_agent.h",                          # before the loop turns
}

MOST_LINES = 450


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
            if lines > MOST_LINES:
                problems.append(f"{path}: {lines} lines, more than {MOST_LINES}")
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


class Causes(unittest.TestCase):
    complain = Structure.complain

    def causes(self):
        body = re.search(r"enum class Cause[^{]*\{(.*?)\};", code_of("common/wire/cause.h"), re.S)
        found = dict(re.findall(r"(\w+)\s*=\s*(0x[0-9a-f]+|\d+)", body.group(1)))
        self.assertGreater(len(found), 20)
        return found

    def test_every_cause_has_its_own_number_and_its_name_in_the_text(self):
        causes = self.causes()
        self.assertEqual(len(set(causes.values())), len(causes))
        code = code_of("common/wire/cause.cc")
        self.complain([f"{name}: not named so by to_string" for name in causes
                       if f'case Cause::{name}: return "{name}";' not in re.sub(r"\s+", " ", code)])

    def test_every_cause_is_listed_in_the_protocol(self):
        protocol = ROOT / "docs" / "PROTOCOL.md"
        if not protocol.exists():
            self.skipTest("docs/PROTOCOL.md is not there")
        text = protocol.read_text(encoding="utf-8")
        self.complain([f"{name} ({number}): not in docs/PROTOCOL.md"
                       for name, number in self.causes().items()
                       if not re.search(rf"\b{name}\b", text)])


    def test_the_overview_manual_tells_what_every_cause_means(self):
        chapter = text_of("docs/man/holdfast.7.scd").partition("# WHY IT ENDED")[2].partition("\n# ")[0]
        told = re.findall(r"(?m)^\*(\w+)\*\n\t\S", chapter)
        self.assertEqual(sorted(told), sorted(self.causes()))


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


class Presets(unittest.TestCase):
    def test_they_build_as_the_scripts_do(self):
        scripts = {"release": "scripts/test", "asan": "scripts/test", "tsan": "scripts/check-tsan"}
        presets = {each["name"]: each for each in json.loads(text_of("CMakePresets.json"))["configurePresets"]}
        self.assertEqual(sorted(presets), sorted(scripts))
        for name, script in scripts.items():
            options = text_of(script).replace('"', "")
            for key, value in presets[name]["cacheVariables"].items():
                self.assertIn(f"-D{key}={value}", options, name)


class Numbers(unittest.TestCase):
    """What the protocol's table of numbers lists against the enumerations of the codec."""

    def listed(self, kind):
        chapter = text_of("docs/PROTOCOL.md").partition("\n## 12. Numbers\n")[2].partition("\n## ")[0]
        rows = re.findall(rf"(?m)^\| {kind} \| (\d+) \| (.*?) \|", chapter)
        self.assertEqual(len(rows), len(dict(rows)))
        return {int(number): name for number, name in rows if "**Planned**" not in name}

    def members(self, path, enumeration):
        body = re.search(rf"enum class {enumeration}[^{{]*\{{(.*?)\}};", code_of(path), re.S)
        return {int(number): name for name, number in re.findall(r"(\w+)\s*=\s*(\d+)", body.group(1))}

    def test_the_protocol_lists_every_frame(self):
        listed = self.listed("frame")
        self.assertTrue(listed.pop(127).startswith("filler"))
        self.assertEqual({number: name.lower() for number, name in listed.items()},
                         self.members("common/wire/constants.h", "FrameType"))

    def test_the_protocol_lists_every_parameter(self):
        listed = self.listed("parameter")
        self.assertEqual({number: name.replace(" ", "_") for number, name in listed.items()},
                         self.members("common/wire/handshake_codec.cc", "Parameter"))

    def test_the_protocol_lists_the_causes_up_to_the_last_one(self):
        self.assertIn(f"| 0 to {max(n for n in self.causes() if n < 0xffff)}, 65535 |", text_of("docs/PROTOCOL.md"))

    def causes(self):
        return self.members("common/wire/cause.h", "Cause")


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


if __name__ == "__main__":
    os.chdir(ROOT)
    unittest.main(verbosity=2)
