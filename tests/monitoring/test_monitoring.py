#!/usr/bin/env python3
"""The Grafana dashboard and the Prometheus rules: they parse, and ask only for what agents tell.

Standard library only; run by CTest.
"""
import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "config" / "grafana" / "holdfast.json"
RULES = ROOT / "config" / "prometheus" / "holdfast.rules.yml"
# Every label and value that an expression may choose by, besides Prometheus' own.
LABELS = {"job", "instance", "peer", "service", "cause", "reason", "state", "direction", "server", "home",
          "kind"}


def names_in(text):
    return set(re.findall(r"\bholdfast_[a-z_]+\b", text))


def told_by_agents():
    return names_in((ROOT / "common" / "admin" / "metrics.cc").read_text())


def causes():
    return set(re.findall(r"^  (\w+) = ", (ROOT / "common" / "wire" / "cause.h").read_text(), re.M))


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.board = json.loads(DASHBOARD.read_text())
        self.panels = [p for p in self.board["panels"] if p["type"] != "row"]

    def expressions(self):
        return [target["expr"] for panel in self.panels for target in panel["targets"]]

    def test_every_metric_is_one_that_agents_tell(self):
        asked = names_in(DASHBOARD.read_text())
        self.assertGreater(len(asked), 15)
        self.assertEqual(asked - told_by_agents(), set())

    def test_panels_have_their_own_ids_and_places_and_the_chosen_data_source(self):
        ids = [panel["id"] for panel in self.board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = {}
        for panel in self.board["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, panel["title"])
                    taken[x, y] = panel["title"]
        for panel in self.panels:
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")

    def test_every_expression_obeys_the_chosen_job_and_instance(self):
        for expression in self.expressions():
            for selector in re.findall(r"holdfast_[a-z_]+(\{[^}]*\})?", expression):
                self.assertIn('job=~"$job", instance=~"$instance"', selector, expression)

    def test_brackets_are_closed(self):
        for expression in self.expressions():
            for one, other in ("()", "{}", "[]"):
                self.assertEqual(expression.count(one), expression.count(other), expression)


class Rules(unittest.TestCase):
    text = RULES.read_text()

    def test_every_metric_is_one_that_agents_tell(self):
        asked = names_in(re.sub(r"(?m)^ *#.*$", "", self.text))
        self.assertGreater(len(asked), 8)
        self.assertEqual(asked - told_by_agents(), set())

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self):
        alerts = self.text.split("      - alert: ")[1:]
        self.assertGreaterEqual(len(alerts), 10)
        for alert in alerts:
            self.assertRegex(alert, r"severity: (page|ticket)\b")
            self.assertRegex(alert, r'summary: ".+"')
            self.assertRegex(alert, r"description: >-\n +\S")

    def test_every_alert_is_tried_in_the_rules_tests(self):
        tried = (ROOT / "tests" / "monitoring" / "holdfast.rules.test.yml").read_text()
        for name in re.findall(r"- alert: (\w+)", self.text):
            self.assertIn(f'alertname="{name}"', tried)

    def test_causes_and_labels_are_ones_that_there_are(self):
        for text in (self.text, DASHBOARD.read_text().replace('\\"', '"')):
            for found in re.findall(r'cause=~"([^"]+)"', text):
                self.assertEqual(set(found.split("|")) - causes(), set())
            for label in re.findall(r'[{,] ?(\w+)[=!]~?"', text):
                self.assertIn(label, LABELS)


if __name__ == "__main__":
    unittest.main()
