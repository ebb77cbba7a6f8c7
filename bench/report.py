"""Turns figures into a table, and writes it where it will be read."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measure import Column, Figures

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
RESULTS = FOLDER / "results.json"


def shown(value: float | None, digits: int) -> str:
    """Write one figure: a dash for one that was not taken, ``never`` for an infinite one."""
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:,.{digits}f}"


def table(columns: Sequence[Column], rows: Mapping[str, Figures]) -> list[str]:
    """Return a table in Markdown, one line per relay, its columns padded for the terminal."""
    head = ["", *(column.heading for column in columns)]
    body = [
        [name, *(shown(figures.get(column.key), column.digits) for column in columns)]
        for name, figures in rows.items()
    ]
    widths = [max(map(len, cells)) for cells in zip(head, *body, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_row(cells, widths) for cells in (head, rule, *body)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    padded = [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def with_ratios(
    columns: Sequence[Column], rows: Mapping[str, Figures], bases: Mapping[str, str]
) -> tuple[list[Column], dict[str, Figures]]:
    """Add, after each figure whose quotient says something, the multiples of each base's figure.

    ``bases`` gives the heading's word by the relay's name.
    """
    wide: list[Column] = []
    rows = {name: dict(figures) for name, figures in rows.items()}
    for column in columns:
        wide.append(column)
        for base, word in bases.items() if column.ratio else ():
            added = Column(key=f"{column.key}/{word}", heading=f"÷ {word}", digits=2)
            wide.append(added)
            of_base = rows.get(base, {}).get(column.key)
            for figures in rows.values():
                if of_base and column.key in figures:
                    figures[added.key] = figures[column.key] / of_base
    return wide, rows


def write(lines: Sequence[str], results: Mapping[str, Any]) -> None:
    """Put the tutorial's code and the tables into the README, and everything into the JSON file."""
    readme = README.read_text(encoding="utf-8")
    readme = between("tutorial", ["```python", *tutorial_code(), "```"], readme)
    README.write_text(between("results", lines, readme), encoding="utf-8")
    RESULTS.write_text(json.dumps(_finite(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def between(marker: str, lines: Sequence[str], text: str) -> str:
    """Replace what stands between two markers; raises ValueError without them."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return "\n".join((before + begin, *lines, end + after))


def tutorial_code() -> list[str]:
    """Return the tutorial's way as it runs, without what documents it."""
    lines = (FOLDER / "tutorial.py").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if '"""' not in line][1:]


def _finite(value: Any) -> Any:
    """Replace what JSON has no number for: infinite becomes null."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and math.isinf(value) else value
