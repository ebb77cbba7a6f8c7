"""The deployment's own prices: a TOML file with a table for each model, in dollars per million tokens.

["gpt-4.1-mini"]
input = 0.40
output = 1.60
cached_input = 0.10     # left out: as input
reasoning = 1.60        # left out: as output
"""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from services.cost.prices import Rate
from services.settings import SettingsError

NEEDED = {"input", "output"}
KNOWN = NEEDED | {"cached_input", "reasoning"}
MOST = 1_000_000  # a dollar a token


def read_prices(path: Path) -> dict[str, Rate]:
    """Return the rates by model; raises SettingsError that says what is wrong, and where."""
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file, parse_float=Decimal)
    except OSError as error:
        raise SettingsError(f"GLOSS_PRICES: {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"GLOSS_PRICES: {path} is not TOML: {error}") from None
    return {model: _rate(path, model, table) for model, table in tables.items()}


def _rate(path: Path, model: str, table: Any) -> Rate:
    where = f"GLOSS_PRICES: {path}, [{model!r}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: a model is a table with `input` and `output`; quote a name with dots")
    if unknown := table.keys() - KNOWN:
        raise SettingsError(f"{where}: {min(unknown)!r} is none of {', '.join(sorted(KNOWN))}")
    if missing := NEEDED - table.keys():
        raise SettingsError(f"{where}: {min(missing)!r} is missing")
    dollars = {name: _dollars(f"{where}, {name}", value) for name, value in table.items()}
    return Rate(
        input=dollars["input"],
        output=dollars["output"],
        cached_input=dollars.get("cached_input", dollars["input"]),
        reasoning=dollars.get("reasoning", dollars["output"]),
    )


def _dollars(where: str, value: Any) -> Decimal:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not number or not Decimal(value).is_finite() or not 0 <= value < MOST:
        raise SettingsError(f"{where}: must be a number of dollars from 0 up")
    return Decimal(value)
