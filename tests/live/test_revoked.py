"""A key is withdrawn while streams run by it, or is over, in two processes over a real Redis."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from services.state.redis import RedisStore
from services.web import stored_keys
from services.web.keys import new_key
from tests.live.conftest import asking
from tests.live.http import Connection
from tests.live.service import OURS, ROOT, Service, serving
from tests.redis_server import RedisServer
from tests.upstream.fixtures import Upstream

pytestmark = [pytest.mark.live, pytest.mark.R23, pytest.mark.S4]

PROMISED_S = 5
EVENTS = "application/x-ndjson"


@pytest.fixture
def service(
    upstream: Upstream, own_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Two workers over a store that has a key, and is nobody else's: they would be asked for it too."""
    make_key("NAME=another", REDIS_URL=own_redis.url)
    with serving(
        tmp_path_factory.mktemp("revoked"),
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="paced:100000:20",
        GLOSS_MODELS="*",
        REDIS_URL=own_redis.url,
        WEB_CONCURRENCY="2",
    ) as running:
        yield running


def make_key(*words: str, **env: str) -> list[str]:
    """``make key``, as an operator types it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "services.launch.key", *words]
    run = subprocess.run(command, cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def socket_of(service: Service, headers: dict[str, str]) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{service.port}/v1/ws", additional_headers=headers)


def goodbye(peer: ClientConnection) -> tuple[int, int]:
    """What a socket is told last: the problem's status, and the code with which it is closed."""
    status = json.loads(peer.recv(PROMISED_S))["problem"]["status"]
    with pytest.raises(ConnectionClosed) as closed:
        peer.recv(PROMISED_S)
    return status, closed.value.rcvd.code


def test_a_withdrawn_key_ends_what_runs_by_it(service: Service, own_redis: RedisServer) -> None:
    """Streams and sockets in both processes, within five seconds; and it opens nothing more."""
    key = make_key("NAME=web", REDIS_URL=own_redis.url)[-1]
    headers = {"Authorization": f"Bearer {key}"}
    with ExitStack() as opened:
        clients = [opened.enter_context(service.connect()) for _ in range(6)]  # so that both have some
        sockets = [opened.enter_context(socket_of(service, headers)) for _ in range(6)]
        for client in clients:
            client.post("/v1/relay", asking("paced:100000:20"), accept=EVENTS, **headers)
            assert client.head().status == 200
            assert b'"type":"text"' in client.until(b'"type":"text"')
        make_key(f"REVOKE={key.split('_')[1]}", REDIS_URL=own_redis.url)
        until = time.monotonic() + PROMISED_S
        ends = [json.loads(client.chunks().splitlines()[-1]) for client in clients]
        goodbyes = [goodbye(peer) for peer in sockets]
        assert time.monotonic() < until
    assert [(end["type"], end["reason"]) for end in ends] == [("finish", "cancelled")] * 6
    assert goodbyes == [(401, 4401)] * 6
    with service.connect() as client:
        assert client.post("/v1/relay", asking("ok:5"), **headers).answer()[0].status == 401
    assert key.rpartition("_")[2] not in service.log


def test_what_runs_by_a_token_or_a_key_ends_when_its_time_is_over(
    service: Service, own_redis: RedisServer
) -> None:
    """Within five seconds, whichever of the processes has it; a token of three seconds, a key of six."""
    key = make_key("NAME=server", REDIS_URL=own_redis.url)[-1]
    over = datetime.now(UTC) + timedelta(seconds=6)
    short, entry = new_key("short", expires=over)
    store = RedisStore(own_redis.url)
    stored_keys.add(store, entry)  # as `make key` does, which takes its time on a busy machine
    store.close()
    with ExitStack() as opened:
        clients = [opened.enter_context(service.connect()) for _ in range(6)]
        for position, client in enumerate(clients):
            begin(client, short if position % 2 else token_of(client, key))
        ends = [json.loads(client.chunks().splitlines()[-1]) for client in clients]
        assert datetime.now(UTC) < over + timedelta(seconds=PROMISED_S)
    assert [(end["type"], end["reason"]) for end in ends] == [("finish", "cancelled")] * 6


def begin(client: Connection, shown: str) -> None:
    """Start a stream; a process that has just looked for keys may find a new one a moment later."""
    for _ in range(1000):
        client.post("/v1/relay", asking("paced:100000:20"), accept=EVENTS, Authorization=f"Bearer {shown}")
        head = client.head()
        if head.status != 401:
            break
        client.body(head)
    assert head.status == 200


def token_of(client: Connection, key: str) -> str:
    """A token that is good for three seconds."""
    wish = {"subject": "ann", "budget_tokens": 10**9, "ttl_s": 3}
    told = client.post("/v1/tokens", wish, Authorization=f"Bearer {key}").answer()[1]
    return str(json.loads(told)["token"])


def test_the_first_key_closes_a_service_that_runs(upstream: Upstream, tmp_path: Path) -> None:
    """It is made beside the service, in the same file; what anybody had begun ends, and only it opens."""
    with (
        serving(
            tmp_path, OPENAI_BASE_URL=upstream.base_url, OPENAI_API_KEY="sk-x", GLOSS_MODEL="paced:100000:20"
        ) as service,
        service.connect() as client,
        service.connect() as other,
    ):
        client.post("/v1/relay", {"prompt": "x"}, accept=EVENTS)
        client.head()
        key = make_key("NAME=first", GLOSS_DATA=str(tmp_path / "data"))[-1]
        assert json.loads(client.chunks().splitlines()[-1])["reason"] == "cancelled"
        assert other.send("GET", "/v1/sessions").answer()[0].status == 401
        assert other.send("GET", "/v1/sessions", Authorization=f"Bearer {key}").answer()[0].status == 200
