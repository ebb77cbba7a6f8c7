"""Draws the dashboard from its JSON, with the answers of a real Prometheus: where no Grafana is at hand.

It knows as much of Grafana's format as the dashboard uses: the grid, the queries, the legends, stacked
or not. Grafana draws the same otherwise.
"""

import math
import re
import time
from collections.abc import Iterator
from html import escape
from itertools import accumulate
from typing import Any

from tests.live.prometheus import Prometheus

COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#e02f44", "#8ab8ff", "#c0d8ff", "#96d98d")
WIDTH, HEIGHT, LEFT = 430, 190, 58
CHOSEN = {"$use_case": ".*", "$model": ".*", "$__rate_interval": "15s", "[24h]": "[2m]", "[1h]": "[2m]"}
SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))
STYLE = """
body { margin: 0; padding: 14px; background: #111217; color: #ccccdc; font: 13px sans-serif; }
h1 { font-size: 17px; margin: 0 0 4px; } p { margin: 0 0 12px; color: #8e8ea0; }
main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px; }
section { background: #181b1f; border: 1px solid #2c3235; padding: 8px 10px; min-width: 0; }
h2 { font-size: 13px; margin: 0 0 6px; font-weight: 600; } .stat { font-size: 30px; }
svg { width: 100%; display: block; } text { fill: #8e8ea0; font-size: 11px; }
ul { list-style: none; margin: 6px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 12px; }
li { font-size: 11px; }
i { display: inline-block; width: 10px; height: 3px; margin-right: 5px; vertical-align: 3px; }
"""

Points = list[tuple[float, float]]


def shown(value: float, unit: str) -> str:
    """A figure with its unit, as short as can be."""
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    if unit == "s":
        return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"
    scale, letter = next(((scale, letter) for scale, letter in SCALES if abs(value) >= scale), (1, ""))
    return f"{'$' if unit == 'currencyUSD' else ''}{value / scale:.3g}{letter}"


def asked(query: str) -> str:
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    return query


def lines(watcher: Prometheus, panel: dict[str, Any], seconds: int) -> Iterator[tuple[str, Points]]:
    """Each line of a panel: how it is called, and its points."""
    end = time.time()
    for target in panel["targets"]:
        query = {"query": asked(target["expr"]), "start": str(end - seconds), "end": str(end), "step": "1"}
        for series in watcher.get("query_range", **query)["result"]:
            points = [(float(at) - end + seconds, float(value)) for at, value in series["values"]]
            name = called(target["legendFormat"], series["metric"])
            yield name, [(at, value) for at, value in points if not math.isnan(value)]


def called(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), form)


def stat(watcher: Prometheus, panel: dict[str, Any]) -> str:
    found = watcher.value(asked(panel["targets"][0]["expr"]))
    unit = panel["fieldConfig"]["defaults"]["unit"]
    return f'<div class="stat">{shown(float(found[0]["value"][1]), unit) if found else "No data"}</div>'


def plot(watcher: Prometheus, panel: dict[str, Any], seconds: int) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    stacked = "stacking" in defaults["custom"]
    found = [(name, dict(points)) for name, points in lines(watcher, panel, seconds)]
    if not found:
        return "<p>No data</p>"
    moments = sorted({at for _, points in found for at in points})
    columns = {at: [points.get(at, 0.0) for _, points in found] for at in moments}
    tops = {at: list(accumulate(column)) if stacked else column for at, column in columns.items()}
    most = max(max(top) for top in tops.values()) or 1.0

    def place(at: float, value: float) -> str:
        return f"{LEFT + (WIDTH - LEFT) * at / seconds:.1f},{8 + (HEIGHT - 26) * (1 - value / most):.1f}"

    shapes = [
        f'<polyline points="{" ".join(place(at, top[number]) for at, top in tops.items())}" fill="none"'
        f' stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="1.4"/>'
        for number in range(len(found))
    ]
    rules = [
        f'<text x="{LEFT - 6}" y="{12 + (HEIGHT - 26) * (1 - part)}" text-anchor="end">'
        f"{escape(shown(most * part, defaults['unit']))}</text>"
        for part in (0, 0.5, 1)
    ]
    legend = "".join(
        f'<li><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(name)}</li>'
        for number, (name, _) in enumerate(found)
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(rules + shapes)}</svg><ul>{legend}</ul>'


def page(watcher: Prometheus, dashboard: dict[str, Any], seconds: int) -> str:
    """The whole as one page that needs nothing else."""
    panels = []
    for panel in dashboard["panels"]:
        at, high = panel["gridPos"], 30
        where = f"grid-column:{at['x'] + 1} / span {at['w']};min-height:{at['h'] * high // 2}px"
        inner = stat(watcher, panel) if panel["type"] == "stat" else plot(watcher, panel, seconds)
        panels.append(f'<section style="{where}"><h2>{escape(panel["title"])}</h2>{inner}</section>')
    note = "Drawn from the dashboard's JSON and the answers of Prometheus; Grafana draws it otherwise."
    head = f"<style>{STYLE}</style><h1>{escape(dashboard['title'])}</h1><p>{note}</p>"
    return f"<!doctype html><meta charset=utf-8>{head}<main>{''.join(panels)}</main>"
