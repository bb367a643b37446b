#!/usr/bin/env python3
"""Every config key has a test that sees what it does (key_effects.py), and every one named there exists.

Usage: effects_test.py CONFIG_REFERENCE [unittest options]
"""
import re
import subprocess
import sys
import unittest

from code_names import ROOT
from key_effects import EFFECTS

REFERENCE = None


def keys():
    """{side: keys} of the table of config keys."""
    text = subprocess.run([REFERENCE, "keys"], check=True, capture_output=True, text=True, timeout=60).stdout
    found = {}
    for line in text.splitlines():
        side, key = line.split()
        found.setdefault(side, set()).add(key)
    return found


def why_no_test(key, test):
    """What is wrong with a test that is named for a key, or None."""
    file, _, name = test.partition("::")
    path = ROOT / "tests" / file
    if not path.is_file():
        return f"there is no tests/{file}"
    text = path.read_text(encoding="utf-8")
    pattern = rf"(?m)^def {re.escape(name)}\(" if path.suffix == ".py" else rf'TEST_CASE\(\s*"{re.escape(name)}"'
    if not re.search(pattern, text):
        return f"tests/{file} has no {name}"
    for module in re.findall(r"(?m)^(?:from|import) (\w+)", text):  # helpers that write the config
        for folder in (path.parent, ROOT / "tests" / "lib"):
            if (folder / f"{module}.py").is_file():
                text += (folder / f"{module}.py").read_text(encoding="utf-8")
    last = key.rpartition(".")[2]
    if not re.search(rf"(?<![a-z]){last}(?![a-z])", text):
        return f"tests/{file} and its helpers say nothing of {last}"
    return None


class Effects(unittest.TestCase):
    def test_every_key_has_a_test_that_sees_what_it_does(self):
        table = keys()
        self.assertEqual(table.keys(), EFFECTS.keys())
        for side, wanted in table.items():
            self.assertGreater(len(wanted), 30)
            self.assertEqual(wanted - EFFECTS[side].keys(), set(), f"keys of the {side} without a test")
            self.assertEqual(EFFECTS[side].keys() - wanted, set(), f"the {side} has no such keys")

    def test_every_test_that_is_named_exists(self):
        problems = []
        for side, effects in EFFECTS.items():
            for key, tests in effects.items():
                if not tests:
                    problems.append(f"{side}: {key}: no test")
                problems += [f"{side}: {key}: {wrong}" for test in tests if (wrong := why_no_test(key, test))]
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_what_is_not_there_is_noticed(self):
        self.assertIn("there is no", why_no_test("a.mark", "e2e/test_nothing.py::test_a"))
        self.assertIn("has no", why_no_test("nft.mark", "e2e/test_keys.py::test_of_another_name"))
        self.assertIn("has no", why_no_test("nft.mark", "unit/cli/nft_rules_test.cc::the rules"))
        known = "e2e/test_keys.py::test_the_log_has_the_level_in_force"
        self.assertIsNone(why_no_test("log.level", known))
        self.assertIn("say nothing", why_no_test("log.no_such_key", known))


if __name__ == "__main__":
    REFERENCE = sys.argv.pop(1)
    unittest.main()
