"""Writes the example dashboard from the metrics' names: ``python -m docs.dashboard``; a test compares.

It is Grafana's JSON (schema 38, Grafana 10.1 and later); import it and choose a Prometheus.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from services.telemetry import names
from services.telemetry.names import Metric

TARGET = Path(__file__).parents[1] / "deploy" / "grafana" / "gloss.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ACROSS = 24
STAT_HIGH, PLOT_HIGH = 4, 8
PLOTS_ACROSS = 3

Json: TypeAlias = dict[str, Any]
Query: TypeAlias = tuple[str, str]  # what is asked, and how its lines are called

USE = 'gloss_use_case=~"$use_case", gen_ai_request_model=~"$model"'
BY_USE = "gloss_use_case"
BY_MODEL = "gen_ai_request_model"


def rate(metric: Metric, by: str = "", where: str = USE, *, part: str = "") -> str:
    """Return what comes of it per second, summed up."""
    return f"sum{_by(by)} (rate({metric.name}{part}{{{where}}}[$__rate_interval]))"


def rise(metric: Metric, over: str, by: str = "", where: str = USE) -> str:
    """Return how much it has risen over a time, summed up."""
    return f"sum{_by(by)} (increase({metric.name}{{{where}}}[{over}]))"


def quantile(share: float, metric: Metric, where: str = USE) -> str:
    """Return below what so large a share lies."""
    buckets = f"sum by (le) (rate({metric.name}_bucket{{{where}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {buckets})"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def quantiles(metric: Metric, where: str = USE) -> list[Query]:
    """Return the middle and the slow end."""
    return [(quantile(share, metric, where), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: its title, what it tells, its queries, its unit as Grafana calls it."""

    title: str
    about: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    stacked: bool = False

    def json(self, number: int, place: Json) -> Json:
        """Return it as Grafana has it."""
        custom = {"fillOpacity": 30 if self.stacked else 8, "lineWidth": 1, "showPoints": "never"}
        if self.stacked:
            custom["stacking"] = {"mode": "normal", "group": "A"}
        defaults: Json = {"unit": self.unit, "min": 0}
        options: Json = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
        if self.kind == "timeseries":
            defaults["custom"] = custom
            options["tooltip"] = {"mode": "multi", "sort": "desc"}
        else:
            options = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}, "colorMode": "none"}
        targets = [
            {"refId": chr(ord("A") + at), "expr": asked, "legendFormat": called, "datasource": SOURCE}
            for at, (asked, called) in enumerate(self.queries)
        ]
        return {
            "id": number, "type": self.kind, "title": self.title, "description": self.about,
            "datasource": SOURCE, "gridPos": place, "targets": targets, "options": options,
            "fieldConfig": {"defaults": defaults, "overrides": []},
        }  # fmt: skip


COMPLETE = f"{rise(names.ENDED, '1h', where=USE + ', reason=~' + chr(34) + 'stop|length' + chr(34))}"
CACHE = rise(names.FROM_CACHE, "1h")
OF_MODEL = 'gen_ai_request_model=~"$model"'
STATS = (
    Panel(
        kind="stat",
        title="Open streams",
        about=names.OPEN.about,
        queries=[(f"sum({names.OPEN.name})", "open")],
    ),
    Panel(
        kind="stat",
        title="First text, p95",
        about=names.FIRST_TEXT.about,
        unit="s",
        queries=[(quantile(0.95, names.FIRST_TEXT), "p95")],
    ),
    Panel(
        kind="stat",
        title="Complete, last hour",
        about="Streams that ended with stop or length",
        unit="percentunit",
        queries=[(f"{COMPLETE} / {rise(names.ENDED, '1h')}", "complete")],
    ),
    Panel(
        kind="stat",
        title="Cost, last 24 h",
        about=names.COST_USD.about,
        unit="currencyUSD",
        queries=[(rise(names.COST_USD, "24h"), "cost")],
    ),
    Panel(
        kind="stat",
        title="From the cache, last hour",
        about=names.FROM_CACHE.about,
        unit="percentunit",
        queries=[(f"{CACHE} / {rise(names.ENDED, '1h')}", "cached")],
    ),
    Panel(
        kind="stat",
        title="Longest stall",
        about=names.LONGEST_STALL.about,
        unit="s",
        queries=[(f"max({names.LONGEST_STALL.name})", "longest")],
    ),
)

PLOTS = (
    Panel(
        title="Streams that ended",
        about=names.ENDED.about,
        unit="reqps",
        stacked=True,
        queries=[(rate(names.ENDED, "reason, error_type"), "{{reason}}{{error_type}}")],
    ),
    Panel(
        title="Streams and readers",
        about="Now, all processes together",
        queries=[
            (f"sum({metric.name})", called)
            for metric, called in (
                (names.OPEN, "open"),
                (names.WORKING, "at work"),
                (names.QUEUED, "waiting"),
                (names.READERS, "readers"),
            )
        ],
    ),
    Panel(
        title="Refused requests",
        about=names.PROBLEMS.about,
        unit="reqps",
        stacked=True,
        queries=[(rate(names.PROBLEMS, "error_type", ""), "{{error_type}}")],
    ),
    Panel(
        title="Time to first text",
        about=names.FIRST_TEXT.about,
        unit="s",
        queries=quantiles(names.FIRST_TEXT),
    ),
    Panel(
        title="Between two texts",
        about=names.BETWEEN_TEXTS.about,
        unit="s",
        queries=quantiles(names.BETWEEN_TEXTS),
    ),
    Panel(
        title="Longest pause",
        about=names.LONGEST_PAUSE.about,
        unit="s",
        queries=quantiles(names.LONGEST_PAUSE),
    ),
    Panel(title="Whole streams", about=names.DURATION.about, unit="s", queries=quantiles(names.DURATION)),
    Panel(
        title="Tokens",
        about="Per second, and what of them was cached or reasoned",
        unit="short",
        queries=[
            (rate(names.TOKEN_USAGE, "gen_ai_token_type", part="_sum"), "{{gen_ai_token_type}}"),
            (rate(names.CACHED_INPUT), "cached input"),
            (rate(names.REASONING), "reasoning"),
        ],
    ),
    Panel(
        title="Cost per hour",
        about=names.COST_USD.about,
        unit="currencyUSD",
        stacked=True,
        queries=[
            (
                f"3600 * {rate(names.COST_USD, f'{BY_USE}, {BY_MODEL}')}",
                "{{gloss_use_case}} {{gen_ai_request_model}}",
            )
        ],
    ),
    Panel(
        title="Requests to providers",
        about=names.ATTEMPTS.about,
        unit="reqps",
        stacked=True,
        queries=[
            (rate(names.ATTEMPTS, f"{BY_MODEL}, outcome", OF_MODEL), "{{gen_ai_request_model}} {{outcome}}")
        ],
    ),
    Panel(
        title="Asked again, asked elsewhere",
        about="Retries and fall-backs",
        unit="reqps",
        queries=[(rate(names.RETRIED), "retries"), (rate(names.FALL_BACKS), "fall-backs")],
    ),
    Panel(
        title="Cost not known, tokens counted here",
        about="What the sums of dollars and tokens leave open",
        unit="reqps",
        queries=[(rate(names.UNPRICED), "no price"), (rate(names.ESTIMATED), "estimated")],
    ),
    Panel(
        title="Store",
        about="Its failures, and what waits for it",
        queries=[
            (rate(names.STORE_ERRORS, where=""), "failures per second"),
            (f"sum({names.STORE_DOWN.name})", "processes without it"),
            (f"sum({names.STORE_WAITING.name})", "logs that wait"),
            (f"sum({names.LEDGER_WAITING.name})", "costs that wait"),
        ],
    ),
    Panel(
        title="Stalls of the hub",
        about=names.STALLS.about,
        unit="s",
        queries=[*quantiles(names.STALLS, ""), (f"max({names.LONGEST_STALL.name})", "longest of a minute")],
    ),
    Panel(
        title="Reserved",
        about=names.RESERVED_TOKENS.about,
        queries=[
            (f"max({names.RESERVED_TOKENS.name})", "tokens"),
            (f"max({names.RESERVED_USD.name})", "USD"),
        ],
    ),
    Panel(
        title="Memory",
        about=names.MEMORY.about,
        unit="bytes",
        queries=[
            (f"sum({names.MEMORY.name})", "all processes"),
            (f"sum({names.MEMORY.name}) / sum({names.PROCESSES.name})", "each"),
        ],
    ),
)


def panels() -> Iterator[Json]:
    """Yield figures in the first row, plots below."""
    wide = ACROSS // len(STATS)
    for at, panel in enumerate(STATS):
        yield panel.json(at + 1, {"x": at * wide, "y": 0, "w": wide, "h": STAT_HIGH})
    wide = ACROSS // PLOTS_ACROSS
    for at, panel in enumerate(PLOTS):
        row, column = divmod(at, PLOTS_ACROSS)
        place = {"x": column * wide, "y": STAT_HIGH + row * PLOT_HIGH, "w": wide, "h": PLOT_HIGH}
        yield panel.json(len(STATS) + at + 1, place)


def choice(name: str, called: str, label: str) -> Json:
    """Return what can be chosen above the panels: one, several or all values of a label."""
    query = f"label_values({names.ENDED.name}, {label})"
    return {
        "name": name,
        "label": called,
        "type": "query",
        "datasource": SOURCE,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "query": {"query": query, "refId": name},
        "current": {"selected": True, "text": "All", "value": "$__all"},
    }


def dashboard() -> Json:
    """Return the whole of it."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "gloss",
        "title": "Gloss",
        "description": "Made by docs/dashboard.py.",
        "tags": ["gloss"],
        "schemaVersion": 38,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [source, choice("use_case", "Use case", BY_USE), choice("model", "Model", BY_MODEL)]
        },
        "panels": list(panels()),
    }


def text() -> str:
    """Return the file's text."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: made anew\n")
