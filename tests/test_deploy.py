"""What an operator is given to watch the service with: it loads, and asks for what there is."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from docs import dashboard
from services.errors import GlossError
from services.telemetry.names import DECLARED, Metric

DEPLOY = Path(__file__).parents[1] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
METRICS = {metric.name: metric for metric in DECLARED}
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
SERIES = {f"{metric.name}{part}": metric for metric in DECLARED for part in PARTS[metric.kind]}
PANELS: list[dict[str, Any]] = dashboard.dashboard()["panels"]
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
QUERIES = {
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in PANELS
        for target in panel["targets"]
    },
    **{rule["alert"]: rule["expr"] for rule in RULES},
}
NAME = re.compile(r"\b(?:gloss|gen_ai)_[a-z_]+\b")
SELECTED = re.compile(r"\b((?:gloss|gen_ai)_[a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)\s*(?:=|!=|=~|!~)\s*"([^"]*)"')


def labels_of(metric: Metric) -> set[str]:
    return {*metric.labels, *({"le"} if metric.kind == "histogram" else ())}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_figures_that_there_are(name: str) -> None:
    """A metric that was renamed would leave a panel empty, and an alert silent for ever."""
    query = QUERIES[name]
    words = set(NAME.findall(query)) - {label for metric in DECLARED for label in metric.labels}
    assert words or query.startswith("up{")
    assert words <= SERIES.keys()


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_selects_by_labels_that_there_are(name: str) -> None:
    """With values that there can be, where they are written out."""
    slugs = {kind.slug for kind in GlossError.tree()}
    for series, matchers in SELECTED.findall(QUERIES[name]):
        for label, value in MATCHER.findall(matchers):
            assert label in labels_of(SERIES[series])
            if label == "error_type" and value:
                assert set(value.split("|")) <= slugs


def test_every_figure_is_shown() -> None:
    """One that nobody looks at need not be counted."""
    shown = {
        SERIES[word].name for query in QUERIES.values() for word in NAME.findall(query) if word in SERIES
    }
    assert METRICS.keys() - shown == {"gloss_build_info"}  # for whoever asks which version runs


def test_the_dashboard_is_made_from_the_names() -> None:
    """``python -m docs.dashboard`` writes it."""
    assert dashboard.TARGET.read_text(encoding="utf-8") == dashboard.text()


def test_the_dashboard_is_grafanas() -> None:
    """Grafana's own types know each of its members: what they do not know, they would drop."""
    ours = json.loads(dashboard.text())
    theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
    assert _missing(ours, theirs) == []


def _missing(ours: Any, theirs: Any, path: str = "") -> list[str]:
    if isinstance(ours, dict):
        return [
            one
            for name, value in ours.items()
            for one in (
                _missing(value, theirs[name], f"{path}.{name}") if name in theirs else [f"{path}.{name}"]
            )
        ]
    if isinstance(ours, list):
        return [
            one
            for at, (mine, other) in enumerate(zip(ours, theirs, strict=True))
            for one in _missing(mine, other, f"{path}[{at}]")
        ]
    return [] if ours == theirs else [path]


def test_no_panel_lies_on_another() -> None:
    """Grafana would move them about."""
    taken = [
        (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
        for panel in PANELS
        for across in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} <= set(range(24))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """In one line what is wrong, in another where to look; and whether it wakes somebody."""
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.live
@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)),
        ("check", "config", "--syntax-only", str(DEPLOY / "prometheus" / "prometheus.yml")),
        ("test", "rules", str(DEPLOY / "prometheus" / "alerts.test.yml")),
    ],
    ids=["rules", "configuration", "alerts"],
)
def test_prometheus_takes_it(command: tuple[str, ...]) -> None:
    """Its own checker loads the files, and each alert fires where it should and nowhere else."""
    run = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
