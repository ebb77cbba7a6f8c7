"""gloss.js in Node before the real service, over a network that breaks."""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.conftest import asking
from tests.proxy.fixtures import proxied

pytestmark = pytest.mark.live

READING = Path(__file__).parents[1] / "client" / "reading.mjs"


def words(count):
    return "".join(f"w{number} " for number in range(count))


@pytest.fixture
def line(relay):
    with proxied(relay.port) as proxy:
        yield proxy


@contextmanager
def reading(node, line, model, **options):
    """Start a reading of the relay over the line; what it tells comes as lines of JSON."""
    options = {"baseUrl": f"http://127.0.0.1:{line.port}", "backoffMs": 5, **options}
    asked = {"useCase": "relay", "fields": asking(model), "options": options}
    command = [node, str(READING), json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield map(json.loads, process.stdout)
        assert process.wait() == 0


@pytest.mark.parametrize(("encoding", "tokens"), [("ndjson", 301), ("sse", 302)])
def test_an_answer_survives_a_line_that_carries_little_at_a_time(node, line, upstream, encoding, tokens):
    """Each connection is cut inside of some event, and still the text is whole, in order, asked once."""
    model = f"ok:{tokens}"
    line.down(limit_data=2_000)
    with reading(node, line, model, encoding=encoding) as told:
        *changes, last = told
    assert last["text"] == words(tokens)
    assert last["finish"]["reason"] == "stop"
    assert last["ids"] == list(range(1, tokens + 3))
    assert sum(change["state"] == "lost" for change in changes) > 5
    assert len(upstream.journal(model, begun=1)) == 1


def test_a_request_whose_answer_got_lost_is_not_made_twice(node, line, upstream):
    """The head is cut in the middle; the request is repeated, and joins the answer that had begun."""
    model = "ok:303"
    line.down(limit_data=100)
    with reading(node, line, model) as told:
        assert next(told) == {"state": "lost", "after": 0}
        line.heal()
        *_, last = told
    assert last["text"] == words(303)
    assert len(upstream.journal(model, begun=1)) == 1
