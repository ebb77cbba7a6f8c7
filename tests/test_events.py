"""The language spoken with clients."""

import json
from typing import get_args

import msgspec
import pytest

from services import events
from services.events import (
    ENDS,
    Event,
    Finish,
    FinishReason,
    Notice,
    Text,
    joined_text,
    to_line,
    type_of,
)
from services.use_cases import USE_CASES
from tests.streams.test_pen import START
from tests.wire.test_encodings import ERROR, FINISH

TEXT = Text(text="a")
OWN = [event for use_case in USE_CASES.values() for event in use_case.events]


def test_an_event_is_an_object_with_number_and_type() -> None:
    """Number first, then type, then the fields; a part that does not apply is left out."""
    assert to_line(Text(text="a", target="es"), 7) == b'{"id":7,"type":"text","text":"a","target":"es"}\n'


def test_a_start_leaves_out_what_does_not_apply() -> None:
    """No session, no turn."""
    assert not {"session", "turn"} & set(json.loads(to_line(START, 1)))


def test_an_end_always_tells_its_usage() -> None:
    """All its members, also those that are zero, false or unknown."""
    assert all(
        set(json.loads(to_line(end, 1))["usage"]) == set(events.Usage.__struct_fields__)
        for end in (FINISH, ERROR)
    )


def test_joined_text_is_of_text_events_only() -> None:
    """In their order."""
    assert joined_text([START, Text(text="a"), Notice(code="c", detail="d"), Text(text="b"), FINISH]) == "ab"


@pytest.mark.parametrize("kind", OWN)
def test_a_use_cases_event_has_a_name_of_its_own(kind: type[Event]) -> None:
    """It is none of ours, no other use case's, and a name that SSE takes as it is."""
    names = [type_of(one) for one in OWN]
    ours = {type_of(one) for one in (events.Start, Text, Notice, Finish, events.Error)}
    assert type_of(kind) not in ours
    assert names.count(type_of(kind)) == 1
    assert type_of(kind).replace(".", "").isalnum()


@pytest.mark.parametrize("kind", [*OWN, events.Start, Text, Notice, Finish, events.Error])
def test_no_event_has_a_number_of_its_own(kind: type[Event]) -> None:
    """The log numbers it: a field ``id`` or ``type`` would stand twice on the wire."""
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    assert not {"id", "type"} & fields
    assert fields, "an event without fields could not be told from its number"


def test_events_are_values() -> None:
    """Frozen, so that every reader gets what was written."""
    with pytest.raises(AttributeError):
        TEXT.text = "b"  # type: ignore[misc]


def test_both_ends_are_ends() -> None:
    """And all reasons are words of the contract."""
    assert (Finish, events.Error) == ENDS
    assert set(get_args(FinishReason)) == {
        "stop", "length", "deadline", "budget", "cancelled", "superseded", "disconnected", "content_filter",
    }  # fmt: skip
