"""A worker that takes another's place while Redis answers nothing: it waits for it while it serves."""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.conftest import asking
from tests.live.http import BrokenOffError, events
from tests.live.service import OURS, ROOT, Service, free_port, serving
from tests.redis_server import RedisServer
from tests.upstream.fixtures import Upstream

pytestmark = [pytest.mark.live, pytest.mark.R17]

NDJSON = "application/x-ndjson"
BOOTING = r"Booting worker with pid: (\d+)"


@pytest.fixture
def service(upstream: Upstream, own_redis: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """The relay over a Redis that is the test's own."""
    with serving(
        tmp_path,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        REDIS_URL=own_redis.url,
    ) as running:
        yield running


def statuses(service: Service) -> tuple[int, int]:
    """Whether it is alive, and ready; zeros while nobody is there to say so."""
    try:
        with service.connect() as client:
            return tuple(client.send("GET", path).answer()[0].status for path in ("/healthz", "/readyz"))
    except (OSError, BrokenOffError):
        return 0, 0


def wait_for(true: Callable[[], bool]) -> None:
    """Look again and again; the test's time limit ends what never comes."""
    while not true():
        select.select([], [], [], 0.05)


@pytest.mark.parametrize("how", ["death", "reload"])
def test_the_next_worker_waits_for_redis_while_it_serves(
    service: Service, own_redis: RedisServer, how: str
) -> None:
    """It says that it is not ready, lets nobody in whom it cannot know, and goes on when Redis does."""
    own_redis.freeze()
    if how == "reload":
        service.process.send_signal(signal.SIGHUP)
    else:
        (first,) = re.findall(BOOTING, service.log)
        os.kill(int(first), signal.SIGKILL)
    wait_for(lambda: len(re.findall(BOOTING, service.log)) == 2)
    wait_for(lambda: statuses(service) == (200, 503))
    with service.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
    assert (head.status, b"/problems/overloaded" in body) == (503, True)
    own_redis.thaw()
    wait_for(lambda: statuses(service) == (200, 200))
    with service.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
    assert (head.status, events(body)[-1]["reason"]) == (200, "stop")
    assert (service.process.poll(), len(re.findall(BOOTING, service.log))) == (None, 2)


def test_a_first_start_without_redis_is_refused(upstream: Upstream, own_redis: RedisServer) -> None:
    """Its operator is there to read why, and what to do."""
    own_redis.freeze()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    given = {"REDIS_URL": own_redis.url, "OPENAI_BASE_URL": upstream.base_url, "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "app:app"],
        cwd=ROOT,
        env=clean | given,
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, len(re.findall(BOOTING, done.stderr))) == (4, 1)
    assert "REDIS_URL names a server that does not answer. Start it, or unset REDIS_URL." in done.stderr
