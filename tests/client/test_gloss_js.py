import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = sorted(HERE.glob("*.test.mjs"))


@pytest.fixture(scope="session")
def node():
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


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name.removesuffix(".test.mjs"))
def test_gloss_js_keeps_its_promises(node, suite):
    """Every test of gloss.js passes in Node."""
    ran = subprocess.run(
        [node, "--test", suite.name], cwd=HERE, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
