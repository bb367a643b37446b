#!/usr/bin/env python3
"""The names that users see against tests/golden/surface/names.json: none goes, comes or changes unnoticed.
What the running agents show is tests/e2e/test_surface.py's. PYTHONPATH must have tests/lib; run by CTest.

Usage: surface_test.py PATH/TO/code_facts [unittest options]
"""
import sys
import unittest

import code_names
from surface import same_as_golden


PROGRAM = sys.argv.pop(1)


class Names(unittest.TestCase):
    def test_causes_exit_codes_events_metrics_and_paths_are_what_they_were(self):
        events = {event: {"levels": sorted(levels), "keys": sorted(keys)}
                  for event, (levels, keys) in code_names.log_events().items()}
        facts = code_names.facts(PROGRAM)
        found = {**facts, "causes": sorted(facts["causes"]), "log events": events,
                 "exit codes": {name: str(number) for name, number in facts["exit codes"].items()}}
        for part, names in found.items():
            self.assertGreater(len(names), 5, part)
        same_as_golden("names", found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
