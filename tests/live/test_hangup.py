"""A client that leaves: the provider's connection is closed, whatever it was doing."""

import pytest

from tests.live.conftest import asking
from tests.live.http import Connection
from tests.live.service import Service
from tests.upstream.fixtures import Upstream

pytestmark = [pytest.mark.live, pytest.mark.R12]

NDJSON = "application/x-ndjson"
ENCODINGS = ["text/plain", NDJSON, "text/event-stream", "application/json"]
WAYS = {"FIN": Connection.close, "RST": Connection.reset}

# before the first token, and in a silence after three
PHASES = {"before": "fault/silent:never-{}", "silence": "fault/stall:3:never-{}"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("accept", ENCODINGS)
@pytest.mark.parametrize("phase", ["before", "silence"])
def test_the_provider_is_closed_when_its_reader_has_left(
    relay: Service, upstream: Upstream, phase: str, accept: str, way: str
) -> None:
    """In every encoding, by FIN and by RST: the journal sees the close, and no chunk after it."""
    model = PHASES[phase].format(f"{accept}-{way}".replace("/", "-"))
    client = relay.connect().post("/v1/relay", asking(model), accept)
    upstream.journal(model, begun=1)
    if phase == "silence" and accept != "application/json":
        client.head()
        client.until(b"w2 ")
    WAYS[way](client)
    [attempt] = upstream.journal(model, ended=1)
    assert attempt["ended"] == "peer"


def test_a_hang_up_in_mid_stream_ends_the_attempt(relay: Service, upstream: Upstream) -> None:
    """While text flows a hang-up closes the provider, long before its answer would have ended."""
    model = "paced:2001:5"
    client = relay.connect().post("/v1/relay", asking(model), NDJSON)
    client.head()
    client.until(b"w9 ")
    client.close()
    [attempt] = upstream.journal(model, ended=1)
    assert (attempt["ended"], attempt["tokens"] < 2001) == ("peer", True)


def test_a_stream_stays_while_one_reader_is_left(relay: Service, upstream: Upstream) -> None:
    """The first of two readers leaves; the other gets the whole answer."""
    with relay.connect() as other:
        client = relay.connect().post("/v1/relay", asking("fault/stall:3:one-left"), NDJSON)
        head = client.head()
        client.until(b"w2 ")
        other.send("GET", head.headers["content-location"], Accept="text/plain").head()
        client.close()
        upstream.gate("one-left")
        assert other.chunks().decode() == "w0 w1 w2 w3 w4 "


def test_what_was_generated_until_a_hang_up_is_on_the_books(relay: Service, upstream: Upstream) -> None:
    """After a hang-up the status tells the end and what it cost."""
    client = relay.connect().post("/v1/relay", asking("fault/stall:3:never-billed"), NDJSON)
    at = client.head().headers["content-location"]
    client.until(b"w2 ")
    client.close()
    upstream.journal("fault/stall:3:never-billed", ended=1)
    with relay.connect() as other:
        status = other.send("GET", f"{at}/status").answer()[1]
    assert b'"reason":"disconnected"' in status
    assert b'"estimated":true' in status
