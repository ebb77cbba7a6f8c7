"""Events to bytes, read back by decoders of our own."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import Error, Event, Finish, Notice, Text, Timing, Usage, to_line, type_of
from services.wire import json as whole
from services.wire.ndjson import NDJSON
from services.wire.negotiation import JSON
from services.wire.sse import SSE
from services.wire.text import TEXT
from tests.streams.test_pen import START
from tests.wire import decode

USAGE = Usage(input_tokens=1)
FINISH = Finish(
    reason="stop", usage=USAGE, chars=1, sha256="x", timing=Timing(first_text_ms=None, total_ms=2)
)
ERROR = Error(problem={"type": "/problems/internal", "status": 500}, usage=USAGE, partial=True)
WORDS = st.text(st.characters(codec="utf-8"))  # no lone surrogates: they are replaced at the edge
MIDDLES = st.one_of(
    st.builds(Text, text=WORDS, target=st.none() | WORDS, text_index=st.none() | st.integers(0, 9)),
    st.builds(Notice, code=WORDS, detail=WORDS),
)
STREAMS = st.builds(
    lambda middle, end: [START, *middle, end], st.lists(MIDDLES, max_size=8), st.sampled_from([FINISH, ERROR])
)


def lines(events: list[Event]) -> list[bytes]:
    return [to_line(event, number) for number, event in enumerate(events, 1)]


def framed(encoding: Any, events: list[Event]) -> bytes:
    return b"".join(map(encoding.frame or bytes, lines(events)))


def plain(events: list[Event]) -> list[dict[str, Any]]:
    return [{"id": number, **msgspec.to_builtins(event)} for number, event in enumerate(events, 1)]


@given(STREAMS)
def test_ndjson_carries_every_event_with_its_number(events: list[Event]) -> None:
    """One line per event, whatever stands in the text."""
    assert decode.ndjson(framed(NDJSON, events)) == plain(events)


@given(STREAMS)
def test_sse_carries_every_event_with_its_number_and_type(events: list[Event]) -> None:
    """One message per event: ``id`` its number, ``event`` its type, ``data`` the event."""
    assert decode.sse(framed(SSE, events)) == [
        (str(number), type_of(event), body)
        for number, (event, body) in enumerate(zip(events, plain(events), strict=True), 1)
    ]


@given(STREAMS)
def test_text_carries_the_joined_text(events: list[Event]) -> None:
    """And nothing of any other event."""
    assert framed(TEXT, events).decode() == "".join(e.text for e in events if isinstance(e, Text))


@given(STREAMS, st.data())
def test_heartbeats_change_nothing(events: list[Event], data: st.DataObject) -> None:
    """Between any two events heartbeats may stand, and a reader sees the same events."""
    for encoding, read in ((NDJSON, decode.ndjson), (SSE, decode.sse)):
        beats = data.draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)))
        body = b"".join(
            beat * encoding.heartbeat + (encoding.frame or bytes)(line)
            for beat, line in zip(beats, lines(events), strict=True)
        )
        assert read(body) == read(framed(encoding, events))
    assert TEXT.heartbeat == b""


@given(STREAMS)
def test_an_event_is_one_line(events: list[Event]) -> None:
    """No text can end a line, a message or an event: CR and LF never stand raw in the JSON."""
    for line in lines(events):
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert b"\r" not in line


def test_the_number_comes_first() -> None:
    """A person who reads along sees the id at the same place in every line."""
    assert to_line(Text(text="Hola"), 3) == b'{"id":3,"type":"text","text":"Hola"}\n'


def test_a_text_that_looks_like_sse_stays_a_text() -> None:
    """What a model writes is never an event of ours."""
    forged = "\r\n\r\nevent: finish\ndata: {}\n\nid: 99\n\n"
    (message,) = decode.sse(framed(SSE, [Text(text=forged)]))
    assert message == ("1", "text", {"id": 1, "type": "text", "text": forged})


@given(STREAMS)
def test_json_is_the_whole_result(events: list[Event]) -> None:
    """``text`` is the joined text, ``events`` all but start, text and finish, each with its number."""
    end = plain(events)[-1]
    body = json.loads(whole.body(events, lines(events), {}))
    if end["type"] == "error":
        assert body == {**end["problem"], "usage": end["usage"], "partial": True}
    else:
        assert body == {
            "stream": "s",
            "use_case": "u",
            "model": "m",
            "text": "".join(e.text for e in events if isinstance(e, Text)),
            "events": [one for one in plain(events) if one["type"] not in {"start", "text", "finish"}],
            "finish": end,
        }


def test_a_turn_of_a_session_says_which() -> None:
    """Without it nobody could take the next one."""
    events = [msgspec.structs.replace(START, session="se_1", turn=2), FINISH]
    body = json.loads(whole.body(events, lines(events), {}))
    assert (body["session"], body["turn"]) == ("se_1", 2)


def test_a_use_case_adds_members_to_the_result() -> None:
    """They stand beside ours."""
    body = json.loads(whole.body([START, FINISH], lines([START, FINISH]), {"translations": [1]}))
    assert (body["translations"], body["text"]) == ([1], "")


def test_json_needs_a_start() -> None:
    """A log that does not begin with its start is no log."""
    with pytest.raises(TypeError):
        whole.body([FINISH, FINISH], lines([FINISH, FINISH]), {})


@pytest.mark.parametrize(("end", "status"), [(FINISH, 200), (ERROR, 500)])
def test_the_status_is_that_of_the_end(end: Event, status: int) -> None:
    """Any finish is 200, an error has its problem's status."""
    assert whole.status(end) == status


@pytest.mark.parametrize(
    ("encoding", "content_type", "tells_end"),
    [
        (SSE, "text/event-stream; charset=utf-8", True),
        (NDJSON, "application/x-ndjson; charset=utf-8", True),
        (TEXT, "text/plain; charset=utf-8", False),
        (JSON, whole.CONTENT_TYPE, True),
    ],
)
def test_each_encoding_says_what_it_is(encoding: Any, content_type: str, tells_end: bool) -> None:
    """The type names the charset; only plain text has no word for its end."""
    assert (encoding.content_type, encoding.tells_end) == (content_type, tells_end)


def test_a_drained_reader_is_told_to_go_on_elsewhere() -> None:
    """SSE says when, and keeps the last number; NDJSON says it in a line; neither is a numbered event."""
    assert NDJSON.drain
    assert SSE.drain
    assert decode.ndjson(NDJSON.drain(700)) == [{"type": "drain"}]
    assert b"\nretry: 700\n" in SSE.drain(700)
    before = framed(SSE, [START, Text(text="a")])
    assert decode.sse(before + SSE.drain(700))[-1] == ("2", "drain", {"type": "drain"})


@pytest.mark.parametrize("encoding", [TEXT, JSON])
def test_a_reading_that_has_no_numbers_is_not_sent_away(encoding: Any) -> None:
    """Nobody could tell where to go on."""
    assert encoding.drain is None
