"""How a stream went: its course, its line, its part in the figures."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.telemetry.ends import Course, Ended, Request
from services.telemetry.metrics import Metrics
from tests.telemetry.reading import total

REQUEST = Request(
    model="m", outcome="whole", reason="stop", began=0.0, ended=1.0, input_tokens=9, output_tokens=2
)
KIND = "gen_ai_token_type"
ENDED = Ended(
    stream="s", use_case="translate", model="m", key="k", reason="stop", problem=None, whole=True,
    input_tokens=100, output_tokens=20, cached_input_tokens=64, reasoning_tokens=0,
    cost_usd=Decimal("0.0001"), estimated=False, from_cache=False, total_s=3.0, events=12,
    course=Course(),
)  # fmt: skip


def course(*texts: float, began: float = 0.0) -> Course:
    made = Course(began=began)
    for at in texts:
        made.text(at)
    return made


def exposed(ended: Ended) -> bytes:
    metrics = Metrics()
    ended.count(metrics)
    return metrics.exposed()


@given(
    gaps=st.lists(st.integers(0, 1000), max_size=30), began=st.integers(0, 10**6), wait=st.integers(0, 100)
)
def test_a_course_is_what_the_moments_of_the_texts_say(gaps: list[int], began: int, wait: int) -> None:
    """First, mean and longest are as if each moment had been kept, though none is."""
    moments = [float(began + wait)]
    for gap in gaps:
        moments.append(moments[-1] + gap)
    went = course(*moments, began=began)
    assert went.first_text_s == wait
    assert went.texts == len(moments)
    assert went.longest_pause_s == max(gaps, default=0)
    mean = went.between_texts_s
    assert mean is None if not gaps else mean == pytest.approx(sum(gaps) / len(gaps))


def test_a_course_without_text_has_no_first_one() -> None:
    """And nothing between."""
    assert (Course().first_text_s, Course().between_texts_s) == (None, None)


def test_a_line_says_what_there_is_to_say() -> None:
    """What did not happen is left out, but for what it cost: null there is not zero."""
    told = replace(ENDED, course=course(1.0, 1.1, 2.0, began=0.5)).fields()
    assert {name for name, value in told.items() if value is None} == {
        "problem", "gen_ai.usage.reasoning.output_tokens", "estimated", "from_cache", "retries", "fall_backs",
    }  # fmt: skip
    assert (told["first_text_ms"], told["longest_pause_ms"], told["total_ms"]) == (500, 900, 3000)
    assert told["cost_usd"] == "0.0001"


def test_an_end_is_counted_by_its_reason_or_its_problem() -> None:
    """Either is empty where the other stands."""
    meant = exposed(ENDED)
    failed = exposed(replace(ENDED, reason=None, problem="provider-timeout"))
    assert (
        total(meant, "gloss_streams_ended_total", reason="stop", error_type="", gloss_use_case="translate")
        == 1
    )
    assert total(failed, "gloss_streams_ended_total", reason="", error_type="provider-timeout") == 1


def test_tokens_and_dollars_are_counted() -> None:
    """Input and output each, what was cached as a part of them."""
    said = exposed(ENDED)
    assert total(said, "gen_ai_client_token_usage_sum", **{KIND: "input"}) == 100
    assert total(said, "gen_ai_client_token_usage_sum", **{KIND: "output"}) == 20
    assert total(said, "gloss_cached_input_tokens_total") == 64
    assert total(said, "gloss_cost_usd_total") == pytest.approx(0.0001)
    assert total(said, "gloss_streams_unpriced_total") == 0


def test_a_stream_without_a_price_is_counted_as_such() -> None:
    """A sum of dollars would pass it over in silence."""
    said = exposed(replace(ENDED, cost_usd=None))
    assert total(said, "gloss_streams_unpriced_total") == 1
    assert total(said, "gloss_cost_usd_total") == 0


def test_attempts_are_counted_by_how_they_went() -> None:
    """With the model that was asked, which a fall-back's is not the stream's."""
    went = Course(retries=1, fall_backs=1)
    for model, outcome in (("m", "provider-error"), ("m", "provider-error"), ("other-m", "whole")):
        went.asked(replace(REQUEST, model=model, outcome=outcome))
    said = exposed(replace(ENDED, course=went))
    by = {"gen_ai_request_model": "m", "outcome": "provider-error"}
    assert total(said, "gloss_provider_attempts_total", **by) == 2
    assert total(said, "gloss_provider_attempts_total", gen_ai_request_model="other-m", outcome="whole") == 1
    assert total(said, "gloss_provider_retries_total") == 1
    assert total(said, "gloss_provider_fallbacks_total") == 1


@pytest.mark.parametrize(("texts", "first", "between"), [((), 0, 0), ((1.0,), 1, 0), ((1.0, 2.0), 1, 1)])
def test_times_are_observed_where_there_are_any(texts: tuple[float, ...], first: int, between: int) -> None:
    """No text has no first one, and one text nothing between; the whole always has its length."""
    said = exposed(replace(ENDED, course=course(*texts)))
    assert total(said, "gen_ai_server_time_to_first_token_seconds_count") == first
    assert total(said, "gen_ai_server_time_per_output_token_seconds_count") == between
    assert total(said, "gloss_stream_longest_pause_seconds_count") == between
    assert total(said, "gen_ai_server_request_duration_seconds_sum") == 3.0
