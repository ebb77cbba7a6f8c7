"""Nothing that a caller or a provider wrote stands in a problem, a header, a log, a figure or a span.

A marker is planted wherever somebody else's words come in, and looked for wherever ours go out.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import HERE
from services.errors import ProviderError
from services.streams.use_case import UseCase
from services.telemetry.logs import formatter
from services.telemetry.otel import Spans
from services.use_cases import USE_CASES
from services.web.keys import new_key
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Lines, whole
from tests.streams.stage import NDJSON, PROMPTS, STAGE, Reply, Stage

MARKER = "MARKER7f3a"
NAMES = [*USE_CASES, *STAGE]
WRONG: list[Any] = [
    MARKER,
    [MARKER],
    [[MARKER]],
    {MARKER: MARKER},
    [{MARKER: 1}],
    1.5,
    True,
    None,
    MARKER * 500,
]


class Watch:
    """Makes stages that trace, and remembers what an operator sees of them."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._spans, tracers = InMemorySpanExporter(), TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._traces = Spans(tracers)
        self._stages: list[Stage] = []

    def logs(self, level: int) -> AbstractContextManager[None]:
        return self._caplog.at_level(level)

    def stage(self, *says: Any, **more: Any) -> Stage:
        self._stages.append(Stage(*says, traces=self._traces, **more))
        return self._stages[-1]

    def seen(self) -> str:
        """Every record, bare and as a line; every figure of every stage; every span."""
        lines = map(formatter("json", terminal=False).format, self._caplog.records)
        figures = (stage.core.metrics.exposed().decode() for stage in self._stages)
        spans = (span.to_json() for span in self._spans.get_finished_spans())
        return "\n".join([self._caplog.text, *lines, *figures, *spans])


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture) -> Watch:
    return Watch(caplog)


def stage_of(watch: Watch, name: str, says: Lines = (), **settings: Any) -> Stage:
    use_case, prompts = (USE_CASES[name], HERE / "prompts") if name in USE_CASES else (STAGE[name], PROMPTS)
    return watch.stage(
        says or whole("Hello"), use_cases={name: use_case}, prompts=prompts, clock=FakeClock(hasty=True),
        settings=settings,
    )  # fmt: skip


def bodies(use_case: UseCase) -> Iterator[dict[str, Any]]:
    """The example with the marker in each place, as each kind of value."""
    example = dict(use_case.example)
    options = use_case.input.model_fields["options"].annotation.model_fields  # type: ignore[union-attr]
    for value in WRONG:
        yield {**example, MARKER: value}
        yield {**example, "options": {MARKER: value}}
        yield from ({**example, name: value} for name in use_case.input.model_fields)
        yield from ({**example, "options": {name: value}} for name in options)


def of_ours(reply: Reply) -> str:
    """What of an answer is our own: head, and every problem."""
    head = json.dumps(reply.headers)
    if reply.status != 200:
        return head + reply.read().decode()
    events = reply.events()
    return head + json.dumps([event for event in events if event["type"] in {"error", "notice"}])


@pytest.mark.S12
@pytest.mark.parametrize("name", NAMES)
def test_no_field_is_repeated(name: str, watch: Watch) -> None:
    """Right or wrong, what stands in a body's fields stands in none of our own words."""
    stage = stage_of(watch, name)
    with watch.logs(logging.DEBUG):
        replies = [stage.post(name, **body) for body in bodies(next(iter(stage.use_cases.values())))]
        said = [of_ours(reply) for reply in replies]
    assert [one for one in said if MARKER in one] == []
    assert MARKER not in watch.seen()
    statuses = {reply.status for reply in replies}
    assert statuses <= {200, 404, 413, 422}
    assert {200, 422} <= statuses


@pytest.mark.parametrize(
    "body", [MARKER, f'"{MARKER}"', f'["{MARKER}"]', f'{{"{MARKER}":', f'{{"text": {MARKER}}}']
)
def test_no_broken_body_is_repeated(body: str, watch: Watch) -> None:
    """A parser's message quotes what it stumbled over; ours tells the place."""
    reply = watch.stage().call("POST", "/v1/echo", accept=NDJSON, data=body)
    assert reply.status in {400, 422}
    assert MARKER not in of_ours(reply) + watch.seen()


@pytest.mark.S12
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", f"/v1/{MARKER}", {}),
        ("GET", f"/{MARKER}", {}),
        ("GET", f"/problems//{MARKER}", {}),
        ("GET", f"/problems/{MARKER}", {}),
        ("GET", f"/healthz/{MARKER}", {}),
        ("GET", f"/v1/streams/{MARKER}", {}),
        ("GET", f"/v1/streams/{MARKER}/", {}),
        ("DELETE", f"/v1/streams/{MARKER}", {}),
        ("GET", f"/v1/streams/{MARKER}/status", {}),
        ("POST", f"/v1/streams/{MARKER}/token", {}),
        ("GET", f"/metrics/{MARKER}", {}),
        ("GET", f"/usage/{MARKER}", {}),
        ("GET", f"/assets/{MARKER}", {}),
        ("GET", f"/v1/sessions/{MARKER}", {}),
        ("DELETE", f"/v1/sessions/{MARKER}", {}),
        ("POST", "/v1/echo", {"Accept": MARKER}),
        ("POST", "/v1/echo", {"Accept": f"text/plain;q={MARKER}"}),
        ("POST", "/v1/echo", {"Host": MARKER}),
        ("POST", "/v1/echo", {"Origin": f"https://{MARKER}"}),
        ("POST", "/v1/echo", {"Content-Encoding": MARKER}),
        (MARKER, "/v1/echo", {}),
    ],
)
def test_no_path_and_no_header_is_repeated(
    method: str, path: str, headers: dict[str, str], watch: Watch
) -> None:
    """Not in the refusal, not in a redirect, not in the log."""
    with watch.logs(logging.DEBUG):
        reply = watch.stage().call(method, path, headers=headers, data="{}" if method == "POST" else None)
    assert reply.status >= 400
    assert MARKER not in of_ours(reply) + watch.seen()


@pytest.mark.parametrize("after", [MARKER, f"1{MARKER}"])
def test_no_cursor_is_repeated(after: str, watch: Watch) -> None:
    """Neither from the header nor from the query."""
    stage = watch.stage()
    first = stage.post()
    first.read()
    for reply in (
        stage.get(first.stream, headers={"Last-Event-ID": after}),
        stage.get(first.stream, path=f"?after={after}"),
    ):
        assert reply.status == 422
        assert MARKER not in of_ours(reply) + watch.seen()


@pytest.mark.S12
def test_no_key_is_repeated(watch: Watch) -> None:
    """Neither a wrong one nor the right one's secret."""
    key, entry = new_key("web")
    stage = watch.stage(settings={"keys": (entry.line(),)})
    with watch.logs(logging.DEBUG):
        refused = stage.post(key=key + MARKER)
        served = stage.post(key=key)
        assert (refused.status, served.status) == (401, 200)
        assert MARKER not in of_ours(refused)
        assert key not in served.read().decode() + json.dumps(served.headers)
    assert MARKER not in watch.seen()
    assert key not in watch.seen()


@pytest.mark.S12
@pytest.mark.R25
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "says",
    [
        (MARKER, KeyError(MARKER)),
        (RuntimeError(MARKER),),
        (MARKER, ProviderError("The provider reported an error.")),
        (f"{MARKER}. ", f"::: step {MARKER}\n{MARKER}\n", f'"{MARKER}"'),
        whole(f"{MARKER}. ", f"::: check\n{MARKER}\n"),
        whole(MARKER, reason="length"),
    ],
    ids=["foreign error after text", "foreign error", "failure after text", "no end", "whole", "cut"],
)
def test_nothing_that_a_provider_said_is_repeated(name: str, says: Lines, watch: Watch) -> None:
    """Its text goes to the client as text, its errors' words to nobody."""
    stage = stage_of(watch, name, says)
    use_case = next(iter(stage.use_cases.values()))
    with watch.logs(logging.DEBUG):
        assert MARKER not in of_ours(stage.post(name, **dict(use_case.example)))
    assert MARKER not in watch.seen()


@pytest.mark.R25
def test_a_model_of_the_callers_choice_cannot_write_the_log(watch: Watch) -> None:
    """What GLOSS_MODELS lets through is a name, never a line of its own."""
    stage = watch.stage(settings={"models": ("*",)})
    with watch.logs(logging.INFO):
        for model in (f"x\n{MARKER} forged=1", "x\n", f"x {MARKER}", "x\u2028y", "x=y z=1", "\x1b[31m"):
            assert stage.post(options={"model": model}).status == 422
        for model in ("gpt-4.1-mini", "meta-llama/Llama-3.1-8B-Instruct", "qwen2.5:7b", "ft:gpt-4o:org::id"):
            assert stage.post(options={"model": model}).events()[0]["model"] == model
    assert MARKER not in watch.seen()


@pytest.mark.parametrize(
    "path", ["/", "/usage", "/metrics", "/healthz", "/readyz", "/v1/use-cases", "/openapi.json"]
)
def test_the_providers_key_is_not_shown(path: str, watch: Watch) -> None:
    """Not in what describes the service to the world; nor a fall-back's."""
    settings = {"openai_api_key": MARKER, "providers": (f"https://:{MARKER}@{MARKER}.test/v1#m",)}
    reply = watch.stage(elsewhere={"m": ()}, settings=settings).call("GET", path)
    assert MARKER not in json.dumps(reply.headers) + reply.read().decode()
