import os

import pytest


@pytest.fixture(scope="session")
def units():
    """The shipped units installed, and the user made."""
    if not os.environ.get("HOLDFAST_IN_SYSTEMD"):
        pytest.exit("these tests run under a systemd of their own: tests/systemd/run", 64)
    import lab
    lab.run("systemd-sysusers", f"{lab.CONFIG}/sysusers.d/holdfast.conf")
    lab.install_units()
    lab.systemctl("daemon-reload")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().when == "call" and outcome.get_result().failed:
        item.scenario_failed = True


@pytest.fixture
def agents(units, request):
    """Configs and keys for both agents; nothing runs yet. Afterwards nothing of it is left."""
    import lab
    made = lab.Agents()
    yield made
    if getattr(request.node, "scenario_failed", False):
        for unit in (lab.SERVER, lab.CLIENT):
            print(lab.systemctl("status", "-l", unit, check=False).stdout)
            print(made.journal.text(unit)[-6000:])
    made.tidy_up()
