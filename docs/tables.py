"""Writes tables of README and docs/operations from the code: ``python -m docs.tables``; a test compares."""

import re
import sys
from pathlib import Path

from services import prompting
from services.errors import GlossError
from services.events import type_of
from services.prompting import Caps
from services.settings import Settings
from services.telemetry.names import DECLARED
from services.use_cases import USE_CASES

README = Path(__file__).parents[1] / "README.md"
PROMPTS = README.with_name("prompts")
OPERATIONS = Path(__file__).parent / "operations" / "README.md"


def settings_table() -> str:
    """Return one row per setting: name, default, unit, reason."""
    rows = ["| setting | default | what it is, and why |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        extra = field.json_schema_extra
        unit = extra.get("unit", "") if isinstance(extra, dict) else ""
        default = _shown(field.default, str(unit))
        rows.append(f"| `{field.validation_alias}` | {default} | {field.description} |")
    return "\n".join(rows)


def problems_table() -> str:
    """Return one row per kind of problem: slug, status, meaning."""
    head = ["| problem | status | what it means |", "|---|---|---|"]
    kinds = {kind.slug: kind for kind in reversed(GlossError.tree())}
    by_status = sorted(kinds.values(), key=lambda kind: (kind.status, kind.slug))
    return "\n".join(head + [f"| `{kind.slug}` | {kind.status} | {kind.meaning} |" for kind in by_status])


def use_cases_table() -> str:
    """Return one row per use case: path, what it does, the events it adds."""
    rows = ["| use case | | events of its own |", "|---|---|---|"]
    for use_case in USE_CASES.values():
        events = ", ".join(f"`{type_of(event)}`" for event in use_case.events)
        rows.append(f"| `POST /v1/{use_case.name}` | {use_case.title} | {events} |")
    return "\n".join(rows)


def caps_table() -> str:
    """Return one row per use case: what one stream may weigh, where the environment names no limit."""
    rows = ["| use case | tokens of input | of output | seconds |", "|---|---|---|---|"]
    prompts = prompting.load(PROMPTS)
    for name in USE_CASES:
        caps = prompts[name].caps
        output = f"{_cap(caps, 'max_output_tokens')}"
        if caps.output_per_input:
            output = f"{caps.output_per_input:g} × the input, at least {output}"
        weighs = _cap(caps, "max_input_tokens"), output, _cap(caps, "deadline_s")
        rows.append(f"| `{name}` | {' | '.join(weighs)} |")
    return "\n".join(rows)


def _cap(caps: Caps, name: str) -> str:
    """Return a cap of a prompt file, or the setting's default where it has none."""
    named = getattr(caps, name)
    return f"{Settings.model_fields[name].default if named is None else named:,.15g}"


def metrics_table() -> str:
    """Return one row per figure: name, kind, labels, what it tells."""
    rows = ["| figure | kind | labels | |", "|---|---|---|---|"]
    for metric in DECLARED:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.about} |")
    return "\n".join(rows)


TABLES = {
    "settings": settings_table,
    "problems": problems_table,
    "use-cases": use_cases_table,
    "caps": caps_table,
    "metrics": metrics_table,
}


def filled(text: str) -> str:
    """Return the text with each table between its markers made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by docs/tables.py -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        made = f"{begin}\n{table()}\n{end}".replace("\\", r"\\")
        text = pattern.sub(made, text)
    return text


def _shown(default: object, unit: str) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, float):
        return f"{default:g} {unit}".strip()
    return f"{default:,} {unit}" if unit else str(default)


if __name__ == "__main__":
    for path in (README, OPERATIONS):
        before = path.read_text(encoding="utf-8")
        path.write_text(filled(before), encoding="utf-8")
        sys.stdout.write(f"{path}: {'made anew' if filled(before) != before else 'nothing to do'}\n")
