"""Spans by OpenTelemetry, named after its conventions for generative AI (``names.py``)."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from services.telemetry import names
from services.telemetry.ends import WHOLE, Ended, Request
from services.telemetry.traces import MOST_SPANS, Moment

CHAT = "chat"
OPENAI = "openai"  # whose protocol is spoken, whoever answers
# The caller's own doing: no fault of anybody, though the answer is not whole.
MEANT = frozenset({"cancelled", "superseded", "disconnected"})


def exporting(endpoint: str, *, service: str) -> "Spans":
    """Return what sends spans to a collector, in batches, off the streams' path.

    Headers, certificates, timeouts and batch sizes are OTEL_* variables, which the SDK reads itself.
    """
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return Spans(provider)


class Spans:
    """Makes spans at a provider of tracers, which knows where they go."""

    most_spans = MOST_SPANS

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("gloss")

    def ended(self, went: Ended, now: Moment) -> None:
        """Make the span of a stream and those of its requests."""
        course = went.course
        span = self._tracer.start_span(
            f"gloss {went.use_case}",
            context=trace.set_span_in_context(trace.INVALID_SPAN),  # whatever else this process traces
            kind=SpanKind.SERVER,
            attributes=_present(_of_stream(went)),
            start_time=now.wall_ns(course.began),
        )
        if course.first_text is not None:
            span.add_event("gloss.first_text", timestamp=now.wall_ns(course.first_text))
        span.set_status(_status(went))
        for request in course.requests:
            self._request(span, request, now)
        span.end(now.wall_ns(course.began + went.total_s))

    def _request(self, parent: trace.Span, request: Request, now: Moment) -> None:
        span = self._tracer.start_span(
            f"{CHAT} {request.model}",
            context=trace.set_span_in_context(parent),
            kind=SpanKind.CLIENT,
            attributes=_present(_of_request(request)),
            start_time=now.wall_ns(request.began),
        )
        if request.failed:
            span.set_status(Status(StatusCode.ERROR, request.outcome))
        span.end(now.wall_ns(request.ended))


def _status(went: Ended) -> Status:
    """Return an error for each answer that is not whole, unless whoever asked ended it."""
    if went.problem is not None:
        return Status(StatusCode.ERROR, went.problem)
    if went.whole or went.reason in MEANT:
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, went.reason)


def _of_stream(went: Ended) -> dict[str, AttributeValue | None]:
    return {
        names.STREAM: went.stream,
        names.USE_CASE: went.use_case,
        names.KEY: went.key,
        names.REQUEST_MODEL: went.model,
        names.INPUT_TOKENS: went.input_tokens,
        names.OUTPUT_TOKENS: went.output_tokens,
        names.CACHED_TOKENS: went.cached_input_tokens or None,
        names.REASONING_TOKENS: went.reasoning_tokens or None,
        names.COST: None if went.cost_usd is None else float(went.cost_usd),
        names.REASON: went.reason,
        names.ERROR_TYPE: went.problem,
        names.RETRIES: went.course.retries or None,
    }


def _of_request(request: Request) -> dict[str, AttributeValue | None]:
    return {
        names.OPERATION: CHAT,
        names.PROVIDER: OPENAI,
        names.REQUEST_MODEL: request.model,
        names.INPUT_TOKENS: request.input_tokens,
        names.OUTPUT_TOKENS: request.output_tokens,
        names.FINISH_REASONS: [request.reason] if request.outcome == WHOLE and request.reason else None,
        names.ERROR_TYPE: request.outcome if request.failed else None,
    }


def _present(values: dict[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in values.items() if value is not None}
