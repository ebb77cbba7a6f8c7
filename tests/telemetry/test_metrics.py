"""Counting, and what a scrape finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.telemetry import folder, names
from services.telemetry.metrics import Metrics
from services.telemetry.names import DECLARED
from tests.telemetry.reading import total

ROOT = Path(__file__).parents[2]
USE = ("translate", "gpt-4.1-mini")

# One process of several: counts once, has three streams open, and tells what a scrape of it finds.
PROCESS = """
import os, sys
from pathlib import Path
from services.telemetry import names
from services.telemetry.metrics import Metrics
metrics = Metrics(folder=Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
metrics.count(names.COST_USD, "translate", "m", by=0.5)
metrics.observe(names.FIRST_TEXT, 0.2, "translate", "m")
metrics.set(names.OPEN, 3)
metrics.set(names.LONGEST_STALL, float(sys.argv[1]))
print(os.getpid())
print(metrics.exposed().decode())
"""


def process(where: Path, stall: float) -> tuple[int, str]:
    """Run one to its end; its files stay."""
    run = subprocess.run(
        [sys.executable, "-c", PROCESS, str(stall)],
        cwd=ROOT, env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(where)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pid, _, exposed = run.stdout.partition("\n")
    return int(pid), exposed


def test_what_is_counted_is_exposed() -> None:
    """With the labels of who asked for what."""
    metrics = Metrics()
    metrics.count(names.COST_USD, *USE, by=0.25)
    metrics.count(names.COST_USD, *USE, by=0.5)
    metrics.observe(names.FIRST_TEXT, 0.2, *USE)
    metrics.set(names.OPEN, 3)
    exposed = metrics.exposed()
    assert total(exposed, "gloss_cost_usd_total", gloss_use_case="translate") == 0.75
    assert total(exposed, "gen_ai_server_time_to_first_token_seconds_count") == 1
    assert total(exposed, "gen_ai_server_time_to_first_token_seconds_bucket", le="0.2") == 1
    assert total(exposed, "gloss_streams_open") == 3


def test_every_process_exposes_the_sum_of_all(tmp_path: Path) -> None:
    """Counters add up, also those of processes that are gone; of stalls the longest counts."""
    first, alone = process(tmp_path, 0.5)
    assert total(alone, "gloss_cost_usd_total") == 0.5
    _, both = process(tmp_path, 0.1)
    assert total(both, "gloss_cost_usd_total") == 1.0
    assert total(both, "gen_ai_server_time_to_first_token_seconds_count") == 2
    assert total(both, "gloss_streams_open") == 6
    assert total(both, "gloss_hub_longest_stall_seconds") == 0.5
    folder.forget(tmp_path, first)
    _, later = process(tmp_path, 0.2)
    assert total(later, "gloss_cost_usd_total") == 1.5
    assert total(later, "gloss_streams_open") == 6
    assert total(later, "gloss_hub_longest_stall_seconds") == 0.2


def test_a_model_that_only_a_pattern_lets_through_has_no_series_of_its_own() -> None:
    """A caller could name a new one with each request."""
    metrics = Metrics(known={"gpt-4.1-mini"}.__contains__)
    assert metrics.model("gpt-4.1-mini") == "gpt-4.1-mini"
    assert metrics.model("x" * 100) == "other"


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_a_metric_is_called_as_prometheus_has_it(metric: names.Metric) -> None:
    """Counters end in ``_total``, times in their unit, and only histograms have buckets."""
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    assert metric.name.startswith(("gloss_", "gen_ai_"))
    assert bool(metric.buckets) is (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)
    assert metric.about


def test_no_name_is_used_twice() -> None:
    """Each figure has its own."""
    assert len({metric.name for metric in DECLARED}) == len(DECLARED)
