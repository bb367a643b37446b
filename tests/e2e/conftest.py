"""Options and fixtures of the end-to-end suite; see README.md."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the slow scenarios too")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only with --full")


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
