"""Traces: what spans a stream leaves, and what they never hold."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.errors import ProviderError
from services.settings import Settings
from services.telemetry.otel import Spans
from services.telemetry.traces import MOST_SPANS, Moment, NoTraces, traces
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Lines, whole
from tests.streams.stage import Stage, settle

MARKER = "MARKER7f3a"


def collecting() -> tuple[Spans, InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Spans(provider), exporter


def played(says: Lines, name: str = "echo", **more: Any) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The span of one stream, and those of its requests in their order."""
    spans, exporter = collecting()
    stage = Stage(says, traces=spans, clock=FakeClock(hasty=True), **more)
    stage.post(name, text=MARKER).read()
    settle()
    *requests, stream = exporter.get_finished_spans()
    return stream, requests


def test_a_stream_is_one_span_and_its_request_another() -> None:
    """Named by OpenTelemetry's conventions; the request's is the stream's child."""
    stream, [request] = played(whole("Hello", " world"))
    assert (stream.name, stream.kind, stream.parent) == ("gloss echo", SpanKind.SERVER, None)
    assert (request.name, request.kind) == ("chat scripted", SpanKind.CLIENT)
    assert request.parent is not None
    assert stream.context is not None
    assert request.parent.span_id == stream.context.span_id
    told = dict(stream.attributes or {})
    assert told.pop("gloss.stream")
    assert told == {
        "gloss.use_case": "echo", "gloss.key": "anonymous", "gen_ai.request.model": "scripted",
        "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3, "gloss.finish_reason": "stop",
    }  # fmt: skip
    asked = dict(request.attributes or {})
    assert asked == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "scripted",
        "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ("stop",),
    }  # fmt: skip
    assert [event.name for event in stream.events] == ["gloss.first_text"]


def test_times_are_those_of_the_stream() -> None:
    """In wall time, though streams are measured by a clock that never jumps."""
    moment = Moment(wall=datetime(2026, 1, 2, tzinfo=UTC), monotonic=1000.0)
    assert moment.wall_ns(1000.0) - moment.wall_ns(997.5) == 2_500_000_000
    assert moment.wall_ns(1000.0) == int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) * 10**9


def test_each_attempt_has_its_span() -> None:
    """One that failed is an error, with the problem's name; the stream that came through is none."""
    scripts = iter([(ProviderError(retryable=True),), whole("Hello")])
    stream, requests = played(lambda _request: next(scripts))  # type: ignore[arg-type]
    assert [one.status.status_code for one in requests] == [StatusCode.ERROR, StatusCode.UNSET]
    assert (requests[0].attributes or {})["error.type"] == "provider-error"
    assert (stream.attributes or {})["gloss.retries"] == 1
    assert stream.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (whole("Hello"), StatusCode.UNSET),
        (whole("Hello", reason="length"), StatusCode.ERROR),
        (whole("Hello", reason="content_filter"), StatusCode.ERROR),
        (("Hello",), StatusCode.ERROR),
        (("Hello", ProviderError()), StatusCode.ERROR),
        ((KeyError(),), StatusCode.ERROR),
    ],
    ids=["whole", "cut", "filtered", "no end", "failed", "ours"],
)
def test_half_an_answer_is_no_success(says: Lines, status: StatusCode) -> None:
    """Ready-made instrumentations call a truncated stream a success."""
    stream, _ = played(says)
    assert stream.status.status_code is status


def test_as_long_as_the_caller_asked_for_is_whole() -> None:
    """So is the answer's text, which ends cleanly then."""
    spans, exporter = collecting()
    stage = Stage(whole("one", " two", " three"), traces=spans)
    stage.post(options={"max_output_tokens": 2}).read()
    *_, stream = exporter.get_finished_spans()
    assert (stream.attributes or {})["gloss.finish_reason"] == "length"
    assert stream.status.status_code is StatusCode.UNSET


def test_whoever_stops_has_not_failed() -> None:
    """A cancelled stream is nobody's error, and its request was stopped by us."""
    spans, exporter = collecting()
    stage = Stage(traces=spans)
    reply = stage.post()
    stage.delete(reply.stream)
    reply.read()
    *_, stream = exporter.get_finished_spans()
    assert (stream.attributes or {})["gloss.finish_reason"] == "cancelled"
    assert stream.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("name", ["echo", "four", "steps", "diary", "broken"])
@pytest.mark.parametrize("says", [whole(MARKER), (MARKER, KeyError(MARKER)), (ProviderError(MARKER),)])
def test_nobodys_words_stand_in_a_span(name: str, says: Lines) -> None:
    """Neither what was asked nor what was answered, nor a provider's complaint."""
    stream, requests = played(says, name)
    for span in (stream, *requests):
        assert MARKER not in json.dumps(json.loads(span.to_json()))


def test_a_stream_of_many_requests_has_so_many_spans_and_no_more() -> None:
    """A text of a thousand lines would else be a thousand spans."""
    spans, exporter = collecting()
    stage = Stage(whole("x"), traces=spans, settings={"max_output_tokens": 5000})
    stage.post("steps", parts=MOST_SPANS + 5, part_tokens=3).read()
    *requests, stream = exporter.get_finished_spans()
    assert (len(requests), stream.name) == (MOST_SPANS, "gloss steps")
    assert (stream.attributes or {})["gen_ai.usage.output_tokens"] == 3 * (MOST_SPANS + 5)


def test_nobody_traces_unless_asked() -> None:
    """Without a collector nothing is kept of requests, and no span is made."""
    assert isinstance(traces(Settings(_env_file=None)), NoTraces)
    stage = Stage()
    stage.post().read()
    assert stage.core.traces.most_spans == 0


@pytest.mark.parametrize(
    "given",
    [{"otel_endpoint": "http://127.0.0.1:1/"}, {"otel_traces_endpoint": "http://127.0.0.1:1/v1/traces"}],
)
def test_a_collector_that_is_named_is_sent_to(given: dict[str, str]) -> None:
    """By the variables that OpenTelemetry names."""
    assert isinstance(traces(Settings(_env_file=None, **given)), Spans)
