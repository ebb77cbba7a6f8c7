"""The Node that runs gloss.js outside of a browser."""

import shutil

import pytest


@pytest.fixture(scope="session")
def node() -> str:
    """The Node that Playwright brings, pinned with it; else the machine's own."""
    try:
        from playwright._impl._driver import compute_driver_executable  # noqa: PLC0415 - it may be missing
    except ImportError:
        found = shutil.which("node")
    else:
        found, _ = compute_driver_executable()
    if found is None:
        pytest.skip("Node is missing: apt-get install nodejs")
    return found
