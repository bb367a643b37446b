#!/usr/bin/env python3
"""docs/guide/reference.md says what the code has, both ways, and every row of what-happens-if.md names
tests that exist. Standard library only; PYTHONPATH must have tests/lib; run by CTest.

Usage: guide_test.py PATH/TO/code_facts [unittest options]
"""
import re
import sys
import unittest

import blocks
import code_names
from code_names import ROOT

GUIDE = ROOT / "docs" / "guide"
FACTS = code_names.facts(sys.argv.pop(1))

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
        code = {str(number) for number in FACTS["exit codes"].values()}
        page = {row[0] for row in section(self.page, "Exit codes") if row[0].isdigit()}
        self.assertGreater(len(code), 5)
        self.assertEqual(code, page)

    def test_log_events_with_their_levels_and_fields(self):
        code = code_names.log_events()
        self.assertGreater(len(code), 15)
        page = {event: (set(re.findall(r"\w+", cells[0])), set(names(cells[1])))
                for event, cells in table(self.page, "Log events", 4).items()}
        self.compare(code, page)

    def test_causes(self):
        code = FACTS["causes"]
        self.assertGreater(len(code), 20)
        self.compare(dict.fromkeys(code), dict.fromkeys(table(self.page, "Causes", 3)))

    def test_the_status_page_explains_every_cause_of_an_outage_or_an_unusual_end(self):
        causes = set(table(self.page, "Causes", 3)) - {"none", "other"}
        plain = {f"{side}_{end}" for side in ("client", "target") for end in ("fin", "rst")}
        text = (ROOT / "common/admin/page/status.html").read_text(encoding="utf-8")
        listed = re.search(r"(?s)const CAUSES = \{(.*?)\};", text).group(1)
        self.assertEqual(causes - plain, set(re.findall(r"(\w+): '", listed)))

    def test_metrics_with_their_types_and_labels(self):
        code = {name: (each["type"], set(each["labels"])) for name, each in FACTS["metrics"].items()}
        self.assertGreater(len(code), 15)
        page = {metric: (cells[0], set(names(cells[1])))
                for metric, cells in table(self.page, "Metrics", 4).items()}
        self.compare(code, page)

    def test_http_paths(self):
        code = FACTS["HTTP paths"]
        self.assertGreater(len(code), 8)
        page = {path.partition("?")[0] for path in table(self.page, "HTTP", 2)}
        self.compare(dict.fromkeys(code), dict.fromkeys(page))


class Causes(unittest.TestCase):
    """The protocol and the overview have every cause, too."""

    def text(self, page):
        return (ROOT / "docs" / page).read_text(encoding="utf-8")

    def test_every_cause_is_in_the_protocol(self):
        text = self.text("PROTOCOL.md")
        self.assertEqual([name for name in FACTS["causes"] if not re.search(rf"\b{name}\b", text)], [])

    def test_the_protocols_numbers_go_up_to_the_last_cause(self):
        last = max(number for number in FACTS["causes"].values() if number != 0xffff)
        self.assertIn(f"| 0 to {last}, 65535 |", self.text("PROTOCOL.md"))

    def test_the_overview_manual_tells_what_every_cause_means(self):
        chapter = self.text("man/holdfast.7.scd").partition("# WHY IT ENDED")[2].partition("\n# ")[0]
        told = re.findall(r"(?m)^\*(\w+)\*\n\t\S", chapter)
        self.assertEqual(sorted(told), sorted(FACTS["causes"]))


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


class Blocks(unittest.TestCase):
    """tests/lib/blocks.py: every code block is run by a test, or has its reason not to be."""

    def test_every_code_block_is_run_or_has_a_reason(self):
        problems, seen = [], 0
        for page in blocks.PAGES:
            known = blocks.BLOCKS.get(page, {})
            titles = [blocks.title(body) for _, body in blocks.blocks_of(page)]
            seen += len(titles)
            problems += [f"{page}: {title!r} is in no test: add it to tests/lib/blocks.py"
                         for title in titles if title not in known]
            problems += [f"{page}: {title!r} is in blocks.py and not in the page"
                         for title in known if title not in titles]
        problems += [f"{page}: there is no such page" for page in blocks.BLOCKS.keys() - set(blocks.PAGES)]
        self.assertGreater(seen, 50)
        if problems:
            self.fail("\n" + "\n".join(problems))

    def test_the_tests_that_run_them_exist(self):
        named = {how for known in blocks.BLOCKS.values() for how in known.values() if "::" in how}
        self.assertGreater(len(named), 5)
        for how in named:
            file, _, test = how.partition("::")
            self.assertTrue(WhatHappens.exists(ROOT / "tests" / file, test), how)


class Links(unittest.TestCase):
    def test_every_page_of_the_guide_links_to_files_that_exist(self):
        problems = []
        for page in sorted(GUIDE.glob("*.md")):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                if not (page.parent / target).exists():
                    problems.append(f"{page.name}: {target}")
        if problems:
            self.fail("\n" + "\n".join(problems))


class Numbers(unittest.TestCase):
    """What the protocol's table of numbers lists against what the codec has."""

    def listed(self, kind):
        chapter = (ROOT / "docs/PROTOCOL.md").read_text(encoding="utf-8")
        chapter = chapter.partition("\n## 12. Numbers\n")[2].partition("\n## ")[0]
        rows = re.findall(rf"(?m)^\| {kind} \| (\d+) \| (.*?) \|", chapter)
        self.assertEqual(len(rows), len(dict(rows)))
        return {int(number): name for number, name in rows if "**Planned**" not in name}

    def test_the_protocol_lists_every_frame(self):
        listed = self.listed("frame")
        self.assertTrue(listed.pop(127).startswith("filler"))
        self.assertEqual(listed, {number: name for name, number in FACTS["frames"].items()})

    def test_the_protocol_lists_every_parameter(self):
        listed = self.listed("parameter")
        self.assertEqual({number: name.replace(" ", "_") for number, name in listed.items()},
                         {number: name for name, number in FACTS["parameters"].items()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
