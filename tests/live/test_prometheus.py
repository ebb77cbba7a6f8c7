"""The dashboard's questions, put to a real Prometheus that watches the real service."""

from collections.abc import Iterator

import pytest

from docs.dashboard import PLOTS, STATS
from tests.live.conftest import asking
from tests.live.prometheus import PROMETHEUS, Prometheus, watching
from tests.live.service import serving
from tests.upstream.fixtures import Upstream

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus is missing: apt-get install prometheus"),
]

KEY = "a-key-of-the-scraper"
CHOSEN = {"$use_case": ".*", "$model": ".*", "$__rate_interval": "30s"}
# What finds nothing on a service that is well, and has used no cache.
QUIET = {
    "From the cache, last hour",
    "Cost, last 24 h",
    "Cost per hour",
    "Asked again, asked elsewhere",
    "Store",
}


@pytest.fixture(scope="module")
def watched(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Streams before the first scrape and after it, so that there is something to rise."""
    folder = tmp_path_factory.mktemp("watched")
    env = {"OPENAI_BASE_URL": upstream.base_url, "GLOSS_MODEL": "ok:5", "GLOSS_MODELS": "*"}
    with (
        serving(folder, GLOSS_METRICS_KEY=KEY, **env) as service,
        watching(service, folder, key=KEY) as watcher,
    ):
        models = ("ok:20", "fault/status:500", "ok:5")
        for after in (None, *models):
            for model in models:
                with service.connect() as client:
                    client.post("/v1/relay", asking(model), "application/x-ndjson").answer()
            with service.connect() as client:
                client.send("GET", "/nowhere").answer()
            if after is None:
                watcher.wait_for("gloss_streams_ended_total")
        watcher.wait_for('increase(gloss_streams_ended_total{reason="stop"}[30s]) > 0')
        yield watcher


def filled(query: str) -> str:
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    return query


@pytest.mark.parametrize("panel", [*STATS, *PLOTS], ids=lambda panel: panel.title)
def test_a_panel_has_something_to_show(panel, watched):
    """Its queries are PromQL, and find what the service tells."""
    found = [watched.value(filled(query)) for query, _ in panel.queries]
    assert any(found) or panel.title in QUIET


def test_the_rules_are_loaded(watched):
    """All of them, and none has failed."""
    watched.wait_for("ALERTS or vector(1)")
    [group] = watched.get("rules")["groups"]
    assert len(group["rules"]) == 12
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}


def test_a_scrape_is_whole(watched):
    """The target is up by the key in its file, and says nothing that Prometheus cannot read."""
    [target] = watched.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
