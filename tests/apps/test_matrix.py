"""What the matrix makes of its cells, and how it tells a loss."""
import inspect
import os
import subprocess
import sys
import threading
import time

import pytest

import known
import matrix
import table
from programs import Programs
from run import Lost, Run, Untried
from faults import FAULTS


def cell(fault="reset", **results):
    """Of the workload "w", with these verdicts of "holdfast" and "direct"."""
    return {"app": "redis", "fault": fault, "results": [
        {"workload": "w", "way": way, "verdict": verdict, "saw": "its words", "stall_s": 0.25}
        for way, verdict in results.items()]}


def passes(cell):
    return [passed for passed, _ in matrix.judge(cell)]


def test_through_holdfast_only_survival_passes():
    for verdict, passed in (("survived", True), ("lost", False), ("hung", False), ("untried", False)):
        assert passes(cell(holdfast=verdict)) == [passed]


def test_an_applications_own_timeout_passes_only_with_its_words(monkeypatch):
    monkeypatch.setitem(known.KNOWN, ("redis", "w", "reset"), ("its own timeout", "its words"))
    assert passes(cell(holdfast="lost")) == [True]
    monkeypatch.setitem(known.KNOWN, ("redis", "w", "reset"), ("its own timeout", "other words"))
    assert passes(cell(holdfast="lost")) == [False]


def test_a_fault_that_bare_tcp_lives_through_is_no_fault():
    assert passes(cell(direct="survived")) == [False]
    assert passes(cell(direct="lost")) == [True]
    assert passes(cell(fault="loss", direct="survived")) == [True]
    assert passes(cell(direct="untried")) == [False]


def test_a_cell_that_broke_fails():
    assert passes({"app": "redis", "fault": "reset", "error": "no such thing"}) == [False]


def test_the_table_shows_seconds_losses_with_their_words_and_what_is_missing():
    cells = {("redis", "reset"): cell(holdfast="survived", direct="lost"),
             ("redis", "loss"): cell(fault="loss", holdfast="survived", direct="survived"),
             ("redis", "silence-30"): cell(fault="silence-30", holdfast="lost", direct="hung")}
    text = table.markdown(cells, {"redis": "Redis"}, "2026-01-01", 30)
    rows = [line for line in text.splitlines() if line.startswith("| Redis: w ")]
    assert rows == ["| Redis: w | 0.2 | **lost** (1) | ok |", "| Redis: w | lost | hung | ok |"]
    assert "1. “its words”: not understood." in text
    assert "- Redis, w (reset): its words" in text


def test_every_application_declares_its_title_and_packages_and_every_fault_heals():
    for app in matrix.APPS:
        declared = matrix.declared(app)
        assert declared["title"] and declared["packages"]
    assert set(matrix.SHORT_APPS) <= set(matrix.APPS) and set(matrix.SHORT_FAULTS) <= set(FAULTS)
    assert any(FAULTS[name].kills for name in matrix.SHORT_FAULTS)


@pytest.fixture
def run(tmp_path):
    run = Run("w", "holdfast", ("127.0.0.1", 1), Programs(tmp_path), FAULTS["reset"])
    yield run
    run.programs.stop_all()


def test_a_program_that_fails_is_a_loss_with_its_last_words(run):
    process = run.start([sys.executable, "-c", "print('one'); print('two'); exit(3)"], "said")
    with pytest.raises(Lost, match="exit status 3: two"):
        run.transfer(process, said=lambda: run.programs.tail("said"))


def test_a_transfer_that_was_over_before_the_fault_is_untried(run):
    with pytest.raises(Untried):
        run.transfer(run.start(["true"]))
    run.broken.set()
    run.transfer(run.start(["true"]))


def test_a_steady_workload_goes_on_after_the_fault(run):
    steps = []

    def heal():
        run.is_under_way.wait(10)
        run.healed_at = time.monotonic() - 2.5     # it ends 3 s after the fault
        run.healed.set()
    thread = threading.Thread(target=heal)
    thread.start()
    count = run.steadily(steps.append, pace_s=0.05)
    thread.join()
    assert steps == list(range(count)) and count > 5
    assert run.moments[-1] > run.healed_at + 1.5


def test_a_cell_names_what_it_does_not_know():
    result = subprocess.run([sys.executable, f"{matrix.HERE}/cell.py", "redis", "no-such-fault"],
                            capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": os.path.dirname(inspect.getfile(Programs))})
    assert result.returncode == 2 and "no-such-fault" in result.stderr
