"""A provider that fails, over a real socket: each fault has the end that was promised for it."""

import json

import pytest

from services.cost.tokens import counter_of
from tests.live.conftest import asking
from tests.live.http import BrokenOffError, events
from tests.live.service import Service
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

NDJSON = "application/x-ndjson"

# fault (the model's name), the problem's slug, whether text came before it
PROBLEMS = [
    ("fault/no-finish:3", "provider-incomplete", True),  # a clean end that gives no reason
    ("fault/no-finish:0", "provider-incomplete", False),
    ("fault/html", "provider-error", False),
    ("fault/rst:3", "provider-incomplete", True),
    ("fault/fin:3", "provider-incomplete", True),
    ("fault/silent:never-opened", "provider-timeout", False),
    ("fault/stall:3:never-opened", "provider-timeout", True),
    ("fault/pings:0:never-opened", "provider-timeout", False),
    ("fault/pings:3:never-opened", "provider-timeout", True),
    ("fault/error:3", "provider-error", True),
    ("fault/error:0", "provider-error", False),
    ("fault/quota", "provider-rejected", False),
    ("fault/retry-after:300", "provider-error", False),
    ("fault/status:429", "provider-error", False),
    ("fault/status:500", "provider-error", False),
    ("fault/status:401", "provider-rejected", False),
    ("fault/not-json", "provider-error", True),
    ("fault/not-utf8", "provider-error", True),
    ("fault/huge:4", "provider-error", True),
    ("fault/rst-before-head", "provider-error", False),
    ("fault/odd-reason:2", "provider-incomplete", True),
]
FINISHES = [
    ("fault/content-filter:3", "content_filter"),
    ("fault/no-usage:3", "stop"),
    ("fault/no-done:3", "stop"),
    ("fault/null-delta", "stop"),
    ("fault/two-finishes", "length"),
    ("fault/crlf", "stop"),
    ("fault/cut", "stop"),
    ("fault/treacherous", "stop"),
    ("fault/surrogates", "stop"),
    ("fault/first:1:503", "stop"),
    ("fault/refuses:temperature", "stop"),
]
ATTEMPTS = [
    ("fault/quota", 1),
    ("fault/retry-after:300", 1),
    ("fault/status:401", 1),
    ("fault/status:429", 3),
    ("fault/status:500", 3),
    ("fault/rst-before-head", 3),
    ("fault/rst:3", 1),
]


def told(service: Service, model: str) -> list[dict]:
    with service.connect() as client:
        return events(client.post("/v1/relay", asking(model), NDJSON).answer()[1])


@pytest.mark.parametrize(("model", "slug", "partial"), PROBLEMS)
def test_a_fault_ends_in_its_problem(relay: Service, model: str, slug: str, partial: bool) -> None:
    """The last event is `error` with that problem; it says whether text came before, and the usage."""
    end = told(relay, model)[-1]
    assert (end["type"], end["problem"]["type"], end["partial"]) == ("error", f"/problems/{slug}", partial)
    assert end["usage"]["cost_usd"] is None


@pytest.mark.parametrize(("model", "reason"), FINISHES)
def test_what_is_tolerated_ends_in_a_finish(relay: Service, model: str, reason: str) -> None:
    """What can be made good ends as the provider said."""
    end = told(relay, model)[-1]
    assert (end["type"], end.get("reason")) == ("finish", reason)


@pytest.mark.parametrize(("model", "attempts"), ATTEMPTS)
def test_the_provider_is_asked_again_only_where_it_helps(
    relay: Service, upstream: Upstream, model: str, attempts: int
) -> None:
    """Refusals and half answers are asked for once, passing failures at most three times."""
    before = len(upstream.journal(model))
    told(relay, model)
    assert len(upstream.journal(model)) - before == attempts


def test_a_fault_before_the_first_text_is_a_status_in_json(relay: Service) -> None:
    """JSON carries the same problem as its body, with its status, the usage, and partial."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("fault/quota"), "application/json").answer()
    problem = json.loads(body)
    assert (head.status, problem["type"], problem["partial"]) == (502, "/problems/provider-rejected", False)
    assert head.headers["content-type"].startswith("application/problem+json")
    assert "usage" in problem


def test_a_wait_that_the_provider_asks_for_is_told(relay: Service) -> None:
    """retry_after_s stands in the problem, in seconds."""
    assert told(relay, "fault/retry-after:300")[-1]["problem"]["retry_after_s"] == 300


@pytest.mark.parametrize("model", ["fault/no-finish:3", "fault/rst:3", "fault/error:3"])
def test_a_text_that_broke_off_has_no_last_chunk(relay: Service, model: str) -> None:
    """A client of the bare text cannot take half an answer for a whole one."""
    with relay.connect() as client:
        client.post("/v1/relay", asking(model)).head()
        with pytest.raises(BrokenOffError) as cut:
            client.chunks()
    assert str(cut.value) == "w0 w1 w2 "


def test_usage_that_the_provider_does_not_report_is_counted_here(relay: Service) -> None:
    """Without usage from the provider it is counted, and marked estimated."""
    usage = told(relay, "fault/no-usage:3")[-1]["usage"]
    assert (usage["output_tokens"], usage["estimated"]) == (counter_of("gpt-4.1").count("w0 w1 w2 "), True)


def test_text_cannot_become_an_event(relay: Service) -> None:
    """Line ends and field names inside the text stay inside the text, in every encoding."""
    with relay.connect() as client:
        whole = json.loads(
            client.post("/v1/relay", asking("fault/treacherous"), "application/json").answer()[1]
        )
        sse = client.post("/v1/relay", asking("fault/treacherous"), "text/event-stream").answer()[1]
    assert "event: finish\ndata: {}" in whole["text"]
    assert sse.count(b"\nevent: finish\n") == 1


def test_what_the_model_refuses_is_left_out_and_told(relay: Service, upstream: Upstream) -> None:
    """A refused parameter is dropped, told by a notice, and not sent to that model again."""
    model = "fault/refuses:stream_options"
    first, second = told(relay, model), told(relay, model)
    assert [e["code"] for e in first if e["type"] == "notice"] == ["parameter-dropped"]
    assert second[-1]["reason"] == "stop"
    assert len(upstream.journal(model)) == 3


def test_the_providers_words_reach_nobody(relay: Service) -> None:
    """What the provider says in an error stands in no event; the operator's log has it, in one line."""
    assert "confidence" not in json.dumps(told(relay, "fault/error:3"))
    lines = [line for line in relay.log.splitlines() if "in confidence" in line]
    assert all("gloss.provider" in line for line in lines)
    assert lines
