#!/usr/bin/env python3
"""docs/guide/reference.md says what the code has, both ways, and every row of what-happens-if.md names
tests that exist. Standard library only; run by CTest.

Usage: guide_test.py [unittest options]
"""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
CODE_FOLDERS = ["common", "client-agent", "server-agent"]
# The logger itself, whose event names are its callers'.
LOGGER = {"common/admin/log.h", "common/admin/log.cc"}


def code_of(path):
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"(?m)(?<!:)//.*$", "", text)


def call_text(code, start):
    """The arguments of the call whose bracket opens at `start`; brackets in strings do not count."""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[()]', code[start:]):
        depth += {"(": 1, ")": -1}.get(match.group(0), 0)
        if depth == 0:
            return code[start + 1:start + match.start()]
    raise ValueError("a call without an end")


def section(page, title):
    """{first cell's names: other cells} of the tables under the title."""
    text = (GUIDE / page).read_text(encoding="utf-8")
    body = re.search(rf"(?ms)^## {re.escape(title)}$(.*?)(?=^## |\Z)", text).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()
            if line.startswith("|") and not re.match(r"\|[ :|-]+\|$", line)]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def table(page, title, width):
    """Rows of the title's tables that have this many cells and a name in the first: {name: cells}."""
    return {name: row[1:] for row in section(page, title) if len(row) == width for name in names(row[0])}


class Reference(unittest.TestCase):
    maxDiff = None
    page = "reference.md"

    def compare(self, code, page):
        """Both are {name: facts}."""
        problems = [f"{name}: not in docs/guide/{self.page}" for name in sorted(code.keys() - page.keys())]
        problems += [f"{name}: not in the code" for name in sorted(page.keys() - code.keys())]
        problems += [f"{name}: the code has {code[name]}, docs/guide/{self.page} {page[name]}"
                     for name in sorted(code.keys() & page.keys()) if code[name] != page[name]]
        if problems:
            self.fail("\n" + "\n".join(problems))

    def test_exit_codes(self):
        code = set(re.findall(r"kExit\w+ = (\d+)", code_of("common/admin/cli.h")))
        page = {row[0] for row in section(self.page, "Exit codes") if row[0].isdigit()}
        self.assertGreater(len(code), 5)
        self.assertEqual(code, page)

    def test_log_events_with_their_levels_and_fields(self):
        code = {}
        for folder in CODE_FOLDERS:
            for path in sorted((ROOT / folder).rglob("*.cc")):
                name = path.relative_to(ROOT).as_posix()
                if name in LOGGER:
                    continue
                text = code_of(name)
                for call in re.finditer(r"(?:->|\.)(?:event|stranger)(?=\([^)])", text):
                    arguments = call_text(text, call.end())
                    event = re.search(r'"(\w+)"', arguments)
                    self.assertIsNotNone(event, f"{name}: an event without a literal name: {arguments}")
                    facts = code.setdefault(event.group(1), (set(), set()))
                    facts[0].update(re.findall(r"LogLevel::(\w+)", arguments))
                    facts[1].update(re.findall(r'\{\s*"(\w+)",', arguments))
        own = code_of("common/admin/log.cc")
        for level, event in re.findall(r'LogLevel::(\w+), (?:clock_us\(CLOCK_REALTIME\), )?"(\w+)"', own):
            at = own.index(f'"{event}"')
            code[event] = ({level}, set(re.findall(r'\{\s*"(\w+)",', own[at - 200:at + 200])))
        self.assertGreater(len(code), 15)
        page = {event: (set(re.findall(r"\w+", cells[0])), set(names(cells[1])))
                for event, cells in table(self.page, "Log events", 4).items()}
        self.compare(code, page)

    def test_causes(self):
        code = set(re.findall(r'return "(\w+)"', code_of("common/wire/cause.cc")))
        self.assertGreater(len(code), 20)
        self.compare(dict.fromkeys(code), dict.fromkeys(table(self.page, "Causes", 3)))

    def test_the_status_page_explains_every_cause_of_an_outage_or_an_unusual_end(self):
        causes = set(table(self.page, "Causes", 3)) - {"none", "other"}
        plain = {f"{side}_{end}" for side in ("client", "target") for end in ("fin", "rst")}
        text = (ROOT / "common/admin/page/status.html").read_text(encoding="utf-8")
        listed = re.search(r"(?s)const CAUSES = \{(.*?)\};", text).group(1)
        self.assertEqual(causes - plain, set(re.findall(r"(\w+): '", listed)))

    def test_metrics_with_their_types_and_labels(self):
        text = code_of("common/admin/metrics.cc")
        families = list(re.finditer(r'\b(gauge|counter|family)\(\s*"(holdfast_\w+)"'
                                     r'(?:,\s*MetricType::(\w+))?', text))
        self.assertGreater(len(families), 15)
        code = {}
        for family, after in zip(families, families[1:] + [None]):
            body = text[family.end():after.start() if after else len(text)]
            labels = set(re.findall(r'\{\s*"(\w+)",', body))
            kind = family.group(3).lower() if family.group(3) else family.group(1)
            code[family.group(2)] = (kind, labels | ({"peer", "link"} if "peer_labels(" in body else set()))
        page = {metric: (cells[0], set(names(cells[1])))
                for metric, cells in table(self.page, "Metrics", 4).items()}
        self.compare(code, page)

    def test_http_paths(self):
        code = set()
        for file in ("admin_server.cc", "status_page.cc"):
            text = code_of(f"common/admin/{file}")
            code |= set(re.findall(r'"(/[^"]*)"', text)) - {"/v1/"}
            code |= {f"/v1/{word}" for word in re.findall(r'case Command::Kind::\w+:\s*return "(\w+)"', text)}
        self.assertGreater(len(code), 8)
        page = {path.partition("?")[0] for path in table(self.page, "HTTP", 2)}
        self.compare(dict.fromkeys(code), dict.fromkeys(page))


class WhatHappens(unittest.TestCase):
    page = GUIDE / "what-happens-if.md"

    def test_every_row_names_tests_that_exist(self):
        problems, rows = [], 0
        for line in self.page.read_text(encoding="utf-8").splitlines():
            if not line.startswith("|") or re.match(r"\|[ :|-]+\|$", line) or line.startswith("| what"):
                continue
            rows += 1
            named = re.findall(r"`([\w/.-]+\.(?:py|cc))::([^`]+)`", line)
            if not named:
                problems.append(f"no test: {line[:80]}")
            problems += [f"{file}::{test}: no such test" for file, test in named
                         if not self.exists(ROOT / "tests" / file, test)]
        self.assertGreater(rows, 20)
        if problems:
            self.fail("\n" + "\n".join(problems))

    @staticmethod
    def exists(path, test):
        if not path.is_file():
            return False
        pattern = rf"def {test}\(" if path.suffix == ".py" else rf'TEST_CASE\(\s*"{re.escape(test)}"'
        return re.search(pattern, path.read_text(encoding="utf-8")) is not None


class Links(unittest.TestCase):
    def test_every_page_of_the_guide_links_to_files_that_exist(self):
        problems = []
        for page in sorted(GUIDE.glob("*.md")):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                if not (page.parent / target).exists():
                    problems.append(f"{page.name}: {target}")
        if problems:
            self.fail("\n" + "\n".join(problems))


if __name__ == "__main__":
    unittest.main(verbosity=2)
