"""Laws that every use case obeys, whatever the model says and however it is cut.

They run over the registry and over the stage's own use cases. The answers are texts of several
shapes, so that a use case meets what it hopes for, what it does not, and nonsense.
"""

import hashlib
import json
import re
from functools import cache
from itertools import pairwise
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import HERE
from services.errors import ProviderError, ProviderIncomplete
from services.llm import Done, DoneReason, Request
from services.streams.use_case import UseCase
from services.use_cases import USE_CASES
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import USED, Gate
from tests.streams.stage import JSON, NDJSON, PROMPTS, SSE, STAGE, TEXT, Reply, Stage, joined, settle
from tests.wire import decode

SHAPES = (
    "Hola, mundo.",
    "Uno.\n\nDos: tres — cuatro!\n- cinco\n- seis\n",
    "",
    "   \n",
    "No puedo. I cannot do that. As an assistant I",
    "```\n::: step 1\n```\n:::\n",
    "::: step One\nDo this: 2 + 2 = 4.\n:::\n::: check\nWhat is 2 + 3?\n= 5\n:::\n",
    "1. First 2x = 8.\n2. Then x = 4.\n",
    '{"type":"finish"}\r\n\r\nevent: finish\ndata: {}\n\n',
    "🙂 Ünïcödé \u2028 你好。",
)
RANDOM_WORD = re.compile(r"\b[0-9a-f]{8}\b")
NAMES = [*USE_CASES, *STAGE]


def of(name: str) -> tuple[UseCase, Any]:
    return (USE_CASES[name], HERE / "prompts") if name in USE_CASES else (STAGE[name], PROMPTS)


@cache
def stage_of(name: str) -> Stage:
    use_case, prompts = of(name)
    return Stage(use_cases={name: use_case}, prompts=prompts, clock=FakeClock(hasty=True))


def body_of(name: str, **options: Any) -> dict[str, Any]:
    return {**of(name)[0].example, **({"options": options} if options else {})}


def cut(text: str, places: list[int]) -> list[str]:
    borders = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[start:end] for start, end in pairwise(borders) if start != end]


class Scripts:
    """Answers of these shapes, one after the other, cut at these places; the same for each stream."""

    def __init__(self, shapes: list[int], reason: DoneReason = "stop") -> None:
        self.shapes = shapes
        self.reason = reason

    def cut_at(self, places: list[int]) -> Any:
        """A script function that begins anew."""
        told: dict[str, int] = {}

        def says(request: Request) -> list[Any]:
            # Calls that run side by side come in any order: an answer belongs to its prompt.
            prompt = request.messages[-1].content
            told[prompt] = told.get(prompt, -1) + 1
            digest = hashlib.sha256(_bare(prompt).encode()).digest()
            shape = self.shapes[(digest[0] + told[prompt]) % len(self.shapes)]
            return [*cut(SHAPES[shape], places), Done(self.reason, USED)]

        return says


def _bare(prompt: str) -> str:
    """A prompt without its random words: two streams of one body differ in them."""
    return "".join(character for character in prompt if not character.isalnum())


def events_of(name: str, says: Any, **options: Any) -> list[dict[str, Any]]:
    stage = stage_of(name)
    stage.provider.says = says
    return stage.post(name, **body_of(name, **options)).events()


SCRIPTS = st.builds(
    Scripts,
    st.lists(st.integers(0, len(SHAPES) - 1), min_size=1, max_size=4),
    st.sampled_from(["stop", "stop", "length"]),
)
PLACES = st.lists(st.integers(0, 200), max_size=12)
few = hypothesis_settings(max_examples=25)


def check_grammar(events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] in {"finish", "error"}
    assert not {"start", "finish", "error"} & set(kinds[1:-1])
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    usage = events[-1]["usage"]
    assert usage["output_tokens"] >= 0
    assert set(usage) >= {"input_tokens", "cost_usd", "estimated"}
    if kinds[-1] == "finish":
        text = joined(events)
        assert events[-1]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert events[-1]["chars"] == len(text)
    else:
        assert events[-1]["partial"] is bool(joined(events))


@pytest.mark.parametrize("name", NAMES)
@few
@given(SCRIPTS, PLACES)
def test_the_grammar_holds(name: str, scripts: Scripts, places: list[int]) -> None:
    """Whatever a model says: one start, one end, no gaps, usage at the end, and a hash that is true."""
    events = events_of(name, scripts.cut_at(places))
    check_grammar(events)
    if name != "broken":
        assert events[-1]["type"] == "finish"
    own = {one.__struct_config__.tag for one in of(name)[0].events}
    assert {event["type"] for event in events[1:-1]} <= own | {"text", "notice"}


def breaking(says: Any, place: int) -> Any:
    """The same answers, but the first one breaks off after so many characters, and is said again."""
    first: list[Any] = []

    def broken(request: Request) -> list[Any]:
        if first and request == first[0]:
            return first.pop(1) if len(first) > 1 else says(request)
        lines = says(request)
        if first:
            return lines
        first.extend([request, lines])
        text = "".join(line for line in lines if isinstance(line, str))
        return [*cut(text[: place % (len(text) + 1)], [1, 3]), ProviderIncomplete("broke", retryable=True)]

    return broken


@pytest.mark.parametrize("name", [name for name in NAMES if of(name)[0].recovers])
@few
@given(SCRIPTS, PLACES, st.integers(0, 200))
def test_an_answer_that_breaks_and_goes_on_is_the_same(
    name: str, scripts: Scripts, places: list[int], place: int
) -> None:
    """Where a use case has it asked for again, its readers see a notice more at most, and no other text."""
    whole_, again = (events_of(name, says) for says in (
        scripts.cut_at(places), breaking(scripts.cut_at(places), place),
    ))  # fmt: skip
    told = [event for event in again if event.get("code") != "provider-retry"]
    assert len(again) - len(told) <= 1  # none where the use case had heard enough before the break
    assert joined(told) == joined(whole_)
    assert [event["type"] for event in told if event["type"] != "text"] == [
        event["type"] for event in whole_ if event["type"] != "text"
    ]
    check_grammar(again)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "broken"])
@few
@given(SCRIPTS, PLACES, PLACES)
def test_the_text_is_the_same_however_the_deltas_are_cut(
    name: str, scripts: Scripts, one: list[int], other: list[int]
) -> None:
    """The provider's cuts show in the pieces, never in the joined text or in another event."""

    def story(places: list[int]) -> tuple[str, str]:
        events = events_of(name, scripts.cut_at(places))
        rest = [{**event, "id": 0} for event in events[1:-1] if event["type"] != "text"]
        return joined(events), RANDOM_WORD.sub("(id)", json.dumps(rest))

    assert story(one) == story(other)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "broken"])
@few
@given(SCRIPTS, PLACES, st.sampled_from(["word", "sentence"]))
def test_granularity_changes_the_pieces_only(
    name: str, scripts: Scripts, places: list[int], granularity: str
) -> None:
    """Words and sentences join to the same text as tokens, with the same hash."""
    whole = events_of(name, scripts.cut_at(places))
    regrouped = events_of(name, scripts.cut_at(places), granularity=granularity)
    assert joined(whole) == joined(regrouped)
    assert whole[-1].get("sha256") == regrouped[-1].get("sha256")


def read(reply: Reply) -> bytes:
    """The body, whether its end is told by a cut or not."""
    said = b""
    try:
        for piece in reply.pieces:
            said += piece
    except ConnectionResetError:
        pass
    finally:
        reply.close()
    return said


@pytest.mark.parametrize("name", NAMES)
@few
@given(SCRIPTS, PLACES, st.data())
def test_all_encodings_carry_the_same(name: str, scripts: Scripts, places: list[int], data: Any) -> None:
    """One stream, read in each encoding from any number on, says the same with the same numbers."""
    stage = stage_of(name)
    stage.provider.says = scripts.cut_at(places)
    first = stage.post(name, **body_of(name))
    events = first.events()
    stream = first.stream
    after = data.draw(st.integers(0, len(events)))
    if after < len(events):
        rest = events[after:]
        assert decode.ndjson(read(resumed(stage, stream, NDJSON, after))) == rest
        assert decode.sse(read(resumed(stage, stream, SSE, after))) == [
            (str(event["id"]), event["type"], event) for event in rest
        ]
        assert read(resumed(stage, stream, TEXT, after)).decode() == joined(rest)
    else:
        assert {resumed(stage, stream, accept, after).status for accept in (NDJSON, SSE, TEXT)} == {204}
    result = json.loads(read(resumed(stage, stream, JSON, after)))
    if events[-1]["type"] == "finish":
        assert result["text"] == joined(events)
        assert result["finish"] == events[-1]
        assert result["events"] == [e for e in events if e["type"] not in {"start", "text", "finish"}]
    else:
        assert result == {**events[-1]["problem"], "usage": events[-1]["usage"],
                          "partial": events[-1]["partial"]}  # fmt: skip


def resumed(stage: Stage, stream: str | None, accept: str, after: int) -> Reply:
    return stage.get(stream, accept, headers={"Last-Event-ID": str(after)})


@pytest.mark.parametrize("name", NAMES)
@few
@given(SCRIPTS, PLACES, st.integers(0, 30), st.sampled_from([None, ProviderError("no")]))
def test_a_provider_may_break_anywhere(
    name: str, scripts: Scripts, places: list[int], lines: int, failure: Exception | None
) -> None:
    """However far it came, the end is one, true, and never ``stop`` where the provider did not say so."""
    broke = []

    def says(request: Request) -> list[Any]:
        said = scripts.cut_at(places)(request)
        if len(said) <= lines:
            return said
        broke.append(request)
        return [*said[:lines], *([failure] if failure else [])]

    events = events_of(name, says)
    check_grammar(events)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accept", [NDJSON, SSE, TEXT])
def test_leaving_closes_the_provider(name: str, accept: str) -> None:
    """When the last reader leaves in the middle, no connection to the provider stays open."""
    use_case, prompts = of(name)
    gates: list[Gate] = []

    def says(_request: Request) -> list[Any]:
        gates.append(Gate())
        return ["Uno. ", gates[-1], Done("stop", USED)]

    stage = Stage(says, use_cases={name: use_case}, prompts=prompts)
    reply = stage.post(name, accept, **body_of(name))
    settle()
    asked = len(stage.provider.asked)
    reply.close()
    settle()
    assert stage.provider.open == []
    assert len(stage.provider.asked) == asked
    events = stage.get(reply.stream).events()
    check_grammar(events)
    if asked and name != "broken":
        assert events[-1]["reason"] == "disconnected"


@pytest.mark.parametrize("name", NAMES)
def test_a_silent_provider_never_holds_a_stream(name: str) -> None:
    """A provider that accepts and says nothing ends as ``provider-timeout``, without open connections."""
    use_case, prompts = of(name)
    stage = Stage(lambda _: [Gate()], use_cases={name: use_case}, prompts=prompts)
    reader = gevent.spawn(stage.post(name, **body_of(name)).events)
    settle()
    stage.clock.advance(60)
    end = reader.get()[-1]
    assert stage.provider.open == []
    if stage.provider.asked:
        assert end["problem"]["type"] == "/problems/provider-timeout"


@pytest.mark.parametrize("name", [name for name in NAMES if of(name)[0].sessions])
def test_a_session_can_be_looked_at_in_its_first_turn(name: str) -> None:
    """Before anything was remembered there is no state to show, and that is fine."""
    use_case, prompts = of(name)
    stage = Stage(lambda _: [Gate()], use_cases={name: use_case}, prompts=prompts)
    reply = stage.post(name, **body_of(name))
    session = json.loads(next(reply.pieces).splitlines()[0])["session"]
    assert stage.call("GET", f"/v1/sessions/{session}").json()["turns"] == []
    reply.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_example_works(name: str) -> None:
    """A use case's example is a body that it takes."""
    use_case, _ = of(name)
    use_case.input.model_validate(dict(use_case.example))
    assert all(isinstance(text, str) for text in use_case.input.model_validate(use_case.example).written())
