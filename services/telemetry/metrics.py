"""Counting: the figures of ``names.py``, kept where a scrape of any process finds those of all.

gunicorn's workers keep them in files that each maps into its memory (prometheus_client's multiprocess
mode; ``gunicorn.conf.py`` names the folder), so counting is a write to memory, and what a worker has
counted outlives it. Without that folder they are kept in this process alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import gevent
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from services.telemetry.names import DECLARED, Metric

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
Known: TypeAlias = Callable[[str], bool]


class Metrics:
    """The figures of one process; ``folder`` is where all of a deployment on this machine keep theirs.

    ``known`` tells which models bear their own names: a caller may name any that the operator's
    patterns let through, and each would be a series for ever.
    """

    def __init__(self, *, folder: Path | None = None, known: Known = lambda _model: True) -> None:
        self._folder = folder
        self._known = known
        self._registry = CollectorRegistry()
        self._made = {metric: _made(metric, self._registry) for metric in DECLARED}

    def model(self, name: str) -> str:
        """Return the model as a label."""
        return name if self._known(name) else OTHER

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        self._of(metric, labels).inc(by)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Put a value into its bucket."""
        self._of(metric, labels).observe(value)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Say how a gauge stands in this process."""
        self._of(metric, labels).set(value)

    def exposed(self) -> bytes:
        """Return the figures of all processes in Prometheus's text format 0.0.4."""
        if self._folder is None:
            return generate_latest(self._registry)
        return gevent.get_hub().threadpool.apply(_together, (str(self._folder),))  # 2 ms for each process

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        made = self._made[metric]
        return made.labels(*labels) if labels else made


def _together(folder: str) -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # it has no types
    return generate_latest(registry)


def _made(metric: Metric, registry: CollectorRegistry) -> Any:
    if metric.kind == "counter":
        return Counter(metric.name, metric.about, metric.labels, registry=registry)
    if metric.kind == "histogram":
        return Histogram(
            metric.name, metric.about, metric.labels, registry=registry, buckets=tuple(metric.buckets)
        )
    return Gauge(
        metric.name, metric.about, metric.labels, registry=registry, multiprocess_mode=metric.together
    )
