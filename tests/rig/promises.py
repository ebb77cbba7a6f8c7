"""What is promised, in one sentence each: pytest's markers R1 to R26, read from where they are declared."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def promises() -> dict[str, str]:
    """Return the sentences by their ids."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    told = (marker.partition(": ") for marker in options["markers"])
    return {name: sentence for name, _, sentence in told if re.fullmatch(r"R\d+", name)}
