"""What the tables and the picture make of known values."""
import inspect
import os
import socket
import subprocess
import sys
import time
import xml.dom.minidom

import pytest

import plot
import report
from programs import ProgramFailed, Programs, listens


def results(**rounds):
    """holdfast and haproxy with these values of `http` (more is better) and `idle` (less is)."""
    found = report.Results()
    for path, values in rounds.items():
        for value in values:
            found.add(path, {"http": value, "idle": value})
    return found


def test_a_ratio_is_of_the_same_round():
    found = results(holdfast=[10, 100, 30], haproxy=[5, 50, 60])
    assert found.ratio("holdfast", "haproxy", "http") == 2


def test_a_measure_of_one_path_only_has_no_ratio():
    found = results(holdfast=[10])
    assert found.ratio("holdfast", "haproxy", "http") is None
    assert "-" in report.values_table(found, ["holdfast", "haproxy"])


def test_the_table_shows_median_and_half_the_range():
    text = report.values_table(results(holdfast=[90, 100, 110]), ["holdfast"])
    assert "100 ±10%" in text


def test_less_is_better_is_turned_round_in_the_picture():
    values = results(holdfast=[10], haproxy=[20]).as_json({})["paths"]
    by_key = {metric.key: metric for metric in plot.METRICS}
    assert plot.gains(values, "holdfast", "haproxy", by_key["http"]) == [0.5]
    assert plot.gains(values, "holdfast", "haproxy", by_key["idle"]) == [2]


def test_the_picture_is_well_formed():
    text = plot.draw(results(holdfast=[1, 2], haproxy=[2, 2]).as_json({}))
    assert len(xml.dom.minidom.parseString(text).getElementsByTagName("circle")) == 4


def test_programs_are_gone_after_stop_all(tmp_path):
    programs = Programs(tmp_path)
    process = programs.start([sys.executable, "-c", "import time; time.sleep(60)"])
    programs.stop_all()
    assert process.poll() is not None


def test_a_program_that_ends_instead_of_listening_is_told_with_its_log(tmp_path):
    programs = Programs(tmp_path)
    with pytest.raises(ProgramFailed, match="no such thing"):
        programs.start_listening([sys.executable, "-c", "raise SystemExit('no such thing')"], 1, "log")
    programs.stop_all()


def test_a_program_dies_with_the_one_that_started_it(tmp_path):
    script = ("import sys, os, programs; "
              "p = programs.Programs(sys.argv[1]); "
              "print(p.start([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); "
              "os.kill(os.getpid(), 9)")
    out = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True,
                         env={**os.environ, "PYTHONPATH": os.path.dirname(inspect.getfile(Programs))},
                         text=True, timeout=20).stdout
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and runs(int(out)):
        time.sleep(0.02)
    assert not runs(int(out))


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_listens_sees_a_listener_and_its_end():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens("self", port)
    assert not listens("self", port)
