"""The figures of several workers, scraped from whichever answers."""

import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.conftest import asking
from tests.live.service import Service, serving
from tests.redis_server import RedisServer
from tests.telemetry.reading import total
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

KEY = "a-key-of-the-scraper"
NDJSON = "application/x-ndjson"


@pytest.fixture
def two(upstream: Upstream, redis: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """Two workers over one store."""
    with serving(
        tmp_path,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_METRICS_KEY=KEY,
        REDIS_URL=redis.url,
        WEB_CONCURRENCY="2",
    ) as service:
        yield service


def scraped(service: Service) -> str:
    """What a new connection gets: any worker may take it."""
    with service.connect() as client:
        head, body = client.send("GET", "/metrics", Authorization=f"Bearer {KEY}").answer()
    assert head.status == 200
    return body.decode()


def scraped_until(service: Service, holds: Callable[[str], bool]) -> str:
    """Scrape until what is told holds: workers say once a second how things stand."""
    until = time.monotonic() + 30
    while not holds(said := scraped(service)):
        assert time.monotonic() < until, said
        select.select([], [], [], 0.1)
    return said


def workers(service: Service) -> list[int]:
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", service.log)]


def figures_of(worker: int) -> Path:
    """The folder that a worker has its figures in."""
    maps = Path(f"/proc/{worker}/maps").read_text().splitlines()
    [folder] = {line.split()[-1].rpartition("/")[0] for line in maps if "gloss-metrics-" in line}
    return Path(folder)


def gauges(folder: Path, worker: int) -> list[Path]:
    return list(folder.glob(f"gauge_*_{worker}.db"))


def count(said: str) -> float:
    return total(said, "gloss_streams_ended_total", gloss_use_case="relay", reason="stop")


def test_any_worker_tells_what_all_have_counted(two: Service) -> None:
    """Also what a worker had counted that was killed; what it had open is open no more."""
    for _ in range(8):
        with two.connect() as client:
            client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
    said = scraped_until(two, lambda said: total(said, "gloss_processes") == 2)
    assert {count(scraped(two)) for _ in range(8)} == {8}
    assert total(said, "gen_ai_server_time_to_first_token_seconds_count") == 8
    killed = workers(two)[0]
    os.kill(killed, signal.SIGKILL)
    kept = figures_of(workers(two)[1])
    said = scraped_until(two, lambda _: len(workers(two)) == 3 and gauges(kept, workers(two)[2]))
    said = scraped_until(two, lambda said: total(said, "gloss_processes") == 2)
    assert count(said) == 8
    assert gauges(kept, killed) == []


def test_nothing_of_a_deployment_is_left(two: Service) -> None:
    """The folder of the figures goes with the master."""
    scraped_until(two, lambda said: total(said, "gloss_processes") == 2)  # each has mapped its files
    folder = figures_of(workers(two)[0])
    assert folder.is_dir()
    two.process.terminate()
    two.process.wait(40)
    assert not folder.exists()
