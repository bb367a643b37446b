"""The comparison with the baseline, and the baseline itself."""
import json

import cost

ONE = {"values": {"http": {"client": 1000, "server": 2000}}}


def compared(client, server, limit=0.03):
    return cost.compare({"http": {"client": client, "server": server}}, ONE, limit)


def test_what_is_dearer_than_the_limit_fails_and_says_by_how_much():
    lines, dearer = compared([1031, 1031], [2059])
    assert dearer == ["HTTP request, kept alive, 1 KiB, client: +3.1%"]
    assert "1,000" in lines[1] and "1,031" in lines[1]


def test_what_is_cheaper_passes():
    assert compared([500], [1999])[1] == []


def test_of_several_rounds_the_median_counts():
    lines, dearer = compared([1000, 2000, 1001], [2000])
    assert dearer == []
    assert lines[1].split()[-1] == "99.9%"


def test_the_limit_is_an_option():
    assert compared([1031], [2000], limit=0.05)[1] == []


def test_the_baseline_has_a_number_for_each_agent_and_says_where_it_is_from():
    with open(cost.BASELINE) as file:
        baseline = json.load(file)
    assert {what: set(roles) for what, roles in baseline["values"].items()} \
        == {what: set(cost.ROLES) for what in cost.LENGTHS}
    assert all(number > 1000 for roles in baseline["values"].values() for number in roles.values())
    assert {"commit", "compiler", "flags", "libraries", "processor", "spread"} <= set(baseline)
