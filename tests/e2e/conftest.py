"""Options and fixtures of the end-to-end suite; see README.md."""
import signal

import pytest


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the slow scenarios too")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only with --full")
    config.addinivalue_line("markers", "sanitized: quick and varied, run against sanitizer builds too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--full"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


@pytest.fixture(scope="session")
def namespaces():
    """Skips, with the reason, where network namespaces cannot be made."""
    import netns
    reason = netns.why_unavailable()
    if reason:
        print(f"SKIPPED: {reason}")
        pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing scenario's pairs skip their last checks and show the agents' logs instead."""
    outcome = yield
    if outcome.get_result().when == "call" and outcome.get_result().failed:
        item.scenario_failed = True


@pytest.fixture
def make_pair(tmp_path, request):
    """make_pair(**options): a running Pair; stopped and checked after the scenario."""
    from pair import Pair
    pairs = []

    def make(**options):
        folder = tmp_path / str(len(pairs))
        folder.mkdir()
        pair = Pair(folder, **options)
        pairs.append(pair)
        return pair.__enter__()
    yield make
    failed = getattr(request.node, "scenario_failed", False)
    errors = []
    for pair in pairs:
        pair.failed = failed
        try:
            pair.__exit__(None, None, None)
        except Exception as error:  # the other pairs must be stopped too
            errors.append(error)
        if failed or errors:
            pair.print_logs()
    if errors:
        raise errors[0]


@pytest.fixture
def certificates(tmp_path):
    """certificates(folder, server, *clients, days=...): a CA and what it signs; gives the folder."""
    from pki import make_certificates

    def make(folder, *names, days=30):
        return make_certificates(tmp_path / folder, *names, days=days)
    return make


@pytest.fixture
def pair(make_pair):
    return make_pair()


def pytest_sessionstart(session):
    """SIGTERM ends the run as Ctrl-C does: with every process and namespace taken away."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
