import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = sorted(HERE.glob("*.test.mjs"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name.removesuffix(".test.mjs"))
def test_gloss_js_keeps_its_promises(node, suite):
    """Every test of gloss.js passes in Node."""
    ran = subprocess.run(
        [node, "--test", suite.name], cwd=HERE, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
