#!/usr/bin/env python3
"""The names that users see against tests/golden/surface/names.json: none goes, comes or changes unnoticed.
What the running agents show is tests/e2e/test_surface.py's. PYTHONPATH must have tests/lib; run by CTest.

Usage: surface_test.py [unittest options]
"""
import unittest

import code_names
from surface import same_as_golden


class Names(unittest.TestCase):
    def test_causes_exit_codes_events_metrics_and_paths_are_what_they_were(self):
        events = {event: {"levels": sorted(levels), "keys": sorted(keys)}
                  for event, (levels, keys) in code_names.log_events().items()}
        metrics = {name: {"type": kind, "labels": sorted(labels)}
                   for name, (kind, labels) in code_names.metrics().items()}
        found = {"causes": sorted(code_names.causes()), "exit codes": code_names.exit_codes(),
                 "log events": events, "metrics": metrics, "HTTP paths": sorted(code_names.http_paths())}
        for part, names in found.items():
            self.assertGreater(len(names), 5, part)
        same_as_golden("names", found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
