"""A provider that fails, over a real socket: each fault has the end that was promised for it.

The tables are those of the promises: what the reader gets, after how many attempts, in which words.
"""

import json
from base64 import urlsafe_b64encode

import pytest

from services.cost.tokens import counter_of
from tests.live.conftest import asking
from tests.live.http import BrokenOffError, events
from tests.live.service import Service
from tests.upstream.faults import TREACHEROUS
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

NDJSON = "application/x-ndjson"
WHOLE = "w0 w1 w2 w3 w4 "

# fault (the model's name), the problem's slug, whether text came before it
PROBLEMS = [
    ("fault/no-finish:3", "provider-incomplete", True),  # a clean end that gives no reason
    ("fault/no-finish:0", "provider-incomplete", False),
    ("fault/done-only:3", "provider-incomplete", True),
    ("fault/html", "provider-error", False),
    ("fault/rst:3", "provider-incomplete", True),
    ("fault/fin:3", "provider-incomplete", True),
    ("fault/rst:0", "provider-incomplete", False),
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
    ("fault/status:501", "provider-error", False),
    ("fault/status:400", "provider-rejected", False),
    ("fault/rst-before-head", "provider-error", False),
    ("fault/fin-before-head", "provider-error", False),
    ("fault/odd-reason:2", "provider-incomplete", True),
]
# what is said, and the reason of the end
FINISHES = [
    ("fault/content-filter:3", "w0 w1 w2 ", "content_filter"),
    ("fault/no-usage:3", "w0 w1 w2 ", "stop"),
    ("fault/no-done:3", "w0 w1 w2 ", "stop"),
    ("fault/reset-after-finish:3", "w0 w1 w2 ", "stop"),
    ("fault/null-delta", "w0 ", "stop"),
    ("fault/no-choices", "w0 ", "stop"),
    ("fault/two-finishes", "w0 w1 ", "length"),
    ("fault/crlf", WHOLE, "stop"),
    ("fault/cut", "é漢😀ß", "stop"),
    ("fault/treacherous", "".join(TREACHEROUS), "stop"),
    ("fault/surrogates", "a😀b\ufffdc\ufffdd", "stop"),
    ("fault/refuses:temperature", WHOLE, "stop"),
]
ATTEMPTS = [
    ("fault/quota", 1),
    ("fault/retry-after:300", 1),
    ("fault/status:400", 1),
    ("fault/status:401", 1),
    ("fault/status:501", 1),
    ("fault/should-retry:503:false", 1),
    ("fault/should-retry:400:true", 3),
    ("fault/status:429", 3),
    ("fault/status:500", 3),
    ("fault/rst-before-head", 3),
    ("fault/fin-before-head", 3),
    ("fault/silent:never-opened", 1),
    ("fault/pings:0:never-opened", 1),
    ("fault/html", 1),
    ("fault/rst:3", 1),
    ("fault/stall:3:never-opened", 1),
]
PASSING = [
    *(f"status:{status}" for status in (408, 409, 429, 500, 502, 503, 504, 529)),
    "retry-after:0",
    "should-retry:400:true",
    "rst-before-head",
    "fin-before-head",
    "rst:0",
    "no-finish:0",
]
BREAKS = ["rst:3", "fin:3", "no-finish:3", "done-only:3", "stall:3:never-opened", "pings:3:never-opened"]


def told(service: Service, model: str, path: str = "/v1/relay") -> list[dict]:
    with service.connect() as client:
        return events(client.post(path, asking(model), NDJSON).answer()[1])


def text_of(told: list[dict]) -> str:
    return "".join(event["text"] for event in told if event["type"] == "text")


def codes(told: list[dict]) -> list[str]:
    return [event["code"] for event in told if event["type"] == "notice"]


@pytest.mark.R1
@pytest.mark.R7
@pytest.mark.parametrize(("model", "slug", "partial"), PROBLEMS)
def test_a_fault_ends_in_its_problem(relay: Service, model: str, slug: str, partial: bool) -> None:
    """The last event is `error` with that problem; it says whether text came before, and the usage."""
    end = told(relay, model)[-1]
    assert (end["type"], end["problem"]["type"], end["partial"]) == ("error", f"/problems/{slug}", partial)
    assert end["usage"]["cost_usd"] is None


@pytest.mark.parametrize(("model", "text", "reason"), FINISHES)
def test_what_is_tolerated_ends_in_a_finish(relay: Service, model: str, text: str, reason: str) -> None:
    """What can be made good ends as the provider said, with its text."""
    got = told(relay, model)
    assert (got[-1]["type"], got[-1].get("reason"), text_of(got)) == ("finish", reason, text)


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_told_and_made_good(relay: Service, fault: str) -> None:
    """A failure before the first text that does not come again is a notice, and then the answer."""
    got = told(relay, f"fault/{fault}+ok:5@passes")
    assert (codes(got), text_of(got), got[-1].get("reason")) == (["provider-retry"], WHOLE, "stop")


@pytest.mark.parametrize("fault", BREAKS)
def test_an_answer_that_broke_off_goes_on(relay: Service, upstream: Upstream, fault: str) -> None:
    """Where the use case has it so: the same again, once, and of it only what is new."""
    model = f"fault/{fault}+ok:5@again"
    got = told(relay, model, "/v1/relay-again")
    assert (text_of(got), codes(got), got[-1].get("reason")) == (WHOLE, ["provider-retry"], "stop")
    attempts = upstream.journal(model, ended=2)
    assert len({attempt["body"] for attempt in attempts}) == 1
    assert (got[-1]["usage"]["output_tokens"], got[-1]["usage"]["estimated"]) == (
        counter_of("gpt-4.1").count("w0 w1 w2 ") + 5, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("then", "attempts"),
    [("say:b3RoZXIgd29yZHM", 2), ("ok:2", 2), ("content-filter:2", 2), ("status:503", 2), ("rst:2", 2)],
)
def test_an_answer_that_cannot_go_on_has_broken_off(
    relay: Service, upstream: Upstream, then: str, attempts: int
) -> None:
    """Another text, a shorter one, or none: what was said stays, and the end says that it is no whole."""
    model = f"fault/rst:3+{then}@cannot"
    got = told(relay, model, "/v1/relay-again")
    end = got[-1]
    assert (text_of(got), end["type"], end["partial"]) == ("w0 w1 w2 ", "error", True)
    assert end["problem"]["type"] == "/problems/provider-incomplete"
    assert len(upstream.journal(model)) == attempts


@pytest.mark.parametrize("fault", ["error:3", "content-filter:3", "odd-reason:3", "not-json", "huge:4"])
def test_what_is_no_break_is_not_asked_for_again(relay: Service, upstream: Upstream, fault: str) -> None:
    """Errors, ends and garbage after the first text are what they are."""
    model = f"fault/{fault}@no-break"
    told(relay, model, "/v1/relay-again")
    assert len(upstream.journal(model)) == 1


def test_a_translation_goes_on_after_a_break(relay: Service, upstream: Upstream) -> None:
    """Its open segment is asked for again; the reader sees one text."""
    spanish = "¿A qué hora sale el próximo tren para Madrid?"
    said = urlsafe_b64encode(spanish.encode()).decode().rstrip("=")
    model = f"fault/breaks:6:{said}+say:{said}"
    body = {
        "text": "When does the next train to Madrid leave?", "source": "en", "target": "es",
        "options": {"model": model},
    }  # fmt: skip
    with relay.connect() as client:
        got = events(client.post("/v1/translate", body, NDJSON).answer()[1])
    assert (text_of(got), codes(got), got[-1]["reason"]) == (spanish, ["provider-retry"], "stop")
    assert len(upstream.journal(model)) == 2


@pytest.mark.R8
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


@pytest.mark.R14
def test_usage_that_the_provider_does_not_report_is_counted_here(relay: Service) -> None:
    """Without usage from the provider it is counted, and marked estimated."""
    usage = told(relay, "fault/no-usage:3")[-1]["usage"]
    assert (usage["output_tokens"], usage["estimated"]) == (counter_of("gpt-4.1").count("w0 w1 w2 "), True)


@pytest.mark.S16
@pytest.mark.R25
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
