"""One answer for all who ask the same, over the real server: what the provider was asked, who paid."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.live.http import Connection, events
from tests.live.service import Service, serving
from tests.redis_server import redis_server
from tests.upstream.fixtures import Upstream

NDJSON = "application/x-ndjson"
CROWD = 50
PATIENT = {"GLOSS_FIRST_TEXT_S": "60", "GLOSS_BETWEEN_TEXT_S": "60"}


@pytest.fixture(scope="module", params=["one process", "two workers over Redis"])
def service(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service before the fault upstream, alone and as several."""
    with ExitStack() as stack:
        more = {}
        if request.param != "one process":
            server = stack.enter_context(redis_server())
            more = {"REDIS_URL": server.url, "WEB_CONCURRENCY": "2"}
            more["GLOSS_STORE_CALL_S"] = "2"  # the clients of this process keep the machine busy
        yield stack.enter_context(
            serving(
                tmp_path_factory.mktemp("answers"),
                OPENAI_BASE_URL=upstream.base_url,
                OPENAI_API_KEY="sk-of-the-tests",
                GLOSS_MODEL="ok:5",
                GLOSS_MODELS="*",
                **PATIENT,
                **more,
            )
        )


def asking(model: str, **options: Any) -> dict[str, Any]:
    return {"prompt": "Say something.", "options": {"model": model, "cache": True, **options}}


def begun(service: Service, body: dict[str, Any]) -> Connection:
    """Ask, and return when the stream has begun."""
    client = service.connect()
    client.post("/v1/relay", body, NDJSON).head()
    return client


def told(client: Connection) -> list[dict[str, Any]]:
    with client:
        return events(client.chunks())


def text_of(got: list[dict[str, Any]]) -> str:
    return "".join(event.get("text", "") for event in got)


@pytest.mark.live
@pytest.mark.R14
def test_fifty_identical_requests_at_once(service: Service, upstream: Upstream) -> None:
    """One call to the provider, fifty identical texts, one bill that is the provider's own."""
    gate = f"crowd-{service.port}"
    model = f"fault/stall:20:{gate}"
    with ThreadPoolExecutor(CROWD) as crowd:
        clients = list(crowd.map(lambda _: begun(service, asking(model)), range(CROWD)))
        upstream.journal(model, begun=1)
        upstream.gate(gate)
        answers = list(crowd.map(told, clients))
    journal = upstream.journal(model, ended=1)
    assert len(journal) == 1
    assert len({text_of(got) for got in answers}) == 1
    assert {got[-1]["reason"] for got in answers} == {"stop"}
    assert all([event["id"] for event in got] == list(range(1, len(got) + 1)) for got in answers)
    bills = [got[-1]["usage"] for got in answers if not got[-1]["usage"]["from_cache"]]
    assert [bill["output_tokens"] for bill in bills] == [journal[0]["tokens"]]


@pytest.mark.live
def test_the_same_again_asks_nobody(service: Service, upstream: Upstream) -> None:
    """Whichever worker is asked, the answer is kept for a while."""
    model = f"ok:7@kept-{service.port}"
    answers = []
    for _ in range(6):
        with service.connect() as client:
            answers.append(events(client.post("/v1/relay", asking(model), NDJSON).answer()[1]))
    assert len(upstream.journal(model)) == 1
    assert len({text_of(got) for got in answers}) == 1
    assert [got[-1]["usage"]["from_cache"] for got in answers] == [False, *[True] * 5]


@pytest.mark.live
@pytest.mark.R12
def test_the_provider_is_closed_with_the_last_of_a_crowd(service: Service, upstream: Upstream) -> None:
    """All but one hang up: it goes on. The last one hangs up: it is closed."""
    model = f"fault/stall:3:never-{service.port}"
    clients = [begun(service, asking(model)) for _ in range(8)]
    for client in clients:
        client.until(b'"text"')
    *most, last = clients
    for client in most:
        client.reset()
    with service.connect() as asked:
        asked.post("/v1/relay", asking(f"ok:3@between-{service.port}"), NDJSON).answer()
    assert [entry["ended"] for entry in upstream.journal(model)] == [None]
    last.reset()
    [entry] = upstream.journal(model, ended=1)
    assert entry["ended"] == "peer"


@pytest.mark.live
def test_a_discarded_answer_is_gone_whichever_worker_is_asked(service: Service, upstream: Upstream) -> None:
    """Nobody reads it, and its key gives it to nobody and asks for no other; to discard again is fine."""
    model, key = f"ok:7@discarded-{service.port}", {"Idempotency-Key": f"discarded by {service.port}"}
    with service.connect() as client:
        stream = client.post("/v1/relay", asking(model), NDJSON, **key).answer()[0].headers["gloss-stream"]
    told = []
    for _ in range(6):
        with service.connect() as client:
            told.append(client.send("DELETE", f"/v1/streams/{stream}?discard=1").head().status)
    # A worker that has not heard of the end yet says 202, and waits for it.
    assert told[0] in {202, 204}
    assert told[1:] == [204] * 5
    for _ in range(6):
        with service.connect() as client:
            assert client.send("GET", f"/v1/streams/{stream}").answer()[0].status == 404
        with service.connect() as client:
            assert client.post("/v1/relay", asking(model), NDJSON, **key).answer()[0].status == 409
    assert len(upstream.journal(model)) == 1
