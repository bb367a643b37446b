import os

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="session")
def shots():
    """The folder for screenshots: HOLDFAST_SCREENSHOTS, or build/screenshots."""
    root = os.path.dirname(os.path.dirname(HERE))
    folder = os.environ.get("HOLDFAST_SCREENSHOTS") or os.path.join(root, "build", "screenshots")
    os.makedirs(folder, exist_ok=True)
    return lambda name: os.path.join(folder, name + ".png")


def pytest_sessionstart(session):
    import browser
    reason = browser.why_unavailable()
    if reason:
        pytest.exit(reason, returncode=1)
