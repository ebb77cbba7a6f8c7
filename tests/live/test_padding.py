"""What a listener counts where sizes are hidden: those of HTTP's chunks."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest

from tests.live.conftest import asking
from tests.live.http import events
from tests.live.service import Service, serving
from tests.upstream.fixtures import Upstream
from tests.wire import decode

pytestmark = [pytest.mark.live, pytest.mark.S19]

STEP = 128
NDJSON, SSE = "application/x-ndjson", "text/event-stream"
SAID = "I am an extraordinarily talkative listener, and whoever counts my letters knows what I talk about."
MODEL = f"say:{urlsafe_b64encode(SAID.encode()).decode().rstrip('=')}"


@pytest.fixture(scope="module")
def hiding(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The relay where sizes are hidden."""
    with serving(
        tmp_path_factory.mktemp("hiding"),
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        GLOSS_PAD_BYTES=str(STEP),
    ) as service:
        yield service


def chunks(service: Service, accept: str) -> list[bytes]:
    """What was written, each chunk for itself: what comes at once may be in one."""
    with service.connect() as client:
        assert client.post("/v1/relay", asking(MODEL), accept).head().status == 200
        found = []
        while chunk := client.chunk():
            found.append(chunk)
        return found


@pytest.mark.parametrize("accept", [NDJSON, SSE])
def test_a_listener_counts_multiples(hiding: Service, accept: str) -> None:
    """Whatever came together in one write; and the events are what they were."""
    written = chunks(hiding, accept)
    assert {len(chunk) % STEP for chunk in written} == {0}
    body = b"".join(written)
    told = events(body) if accept == NDJSON else [event for _, _, event in decode.sse(body)]
    assert "".join(event["text"] for event in told if event["type"] == "text") == SAID
    assert told[-1]["reason"] == "stop"


def test_plain_text_is_refused(hiding: Service) -> None:
    """It would tell all; whoever names nothing gets events."""
    with hiding.connect() as client:
        assert client.post("/v1/relay", asking(MODEL), "text/plain").answer()[0].status == 406
    with hiding.connect() as client:
        head, body = client.post("/v1/relay", asking(MODEL)).answer()
    assert (head.headers["content-type"].partition(";")[0], events(body)[-1]["reason"]) == (NDJSON, "stop")
