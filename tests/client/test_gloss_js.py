import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_gloss_js_keeps_its_promises():
    """Every test of gloss.js passes in Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is missing: apt-get install nodejs")
    ran = subprocess.run(
        [node, "--test", "gloss.test.mjs"], cwd=HERE, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
