"""What is made again is shown from where it broke off, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderIncomplete
from services.events import Event, Notice, Text
from services.streams.replay import Replay
from tests.streams.stage import Mark
from tests.streams.test_pen import START

WORDS = st.text("ab ", min_size=1, max_size=4)
EVENTS = st.lists(
    st.one_of(
        st.builds(Text, text=WORDS, target=st.none() | st.just("es")),
        st.builds(Mark, n=st.integers(0, 2)),
        st.just(Notice(code="thinking", detail="")),
    ),
    max_size=12,
)


def replayed(shown: list[Event], again: list[Event]) -> tuple[list[Event], bool]:
    passed: list[Event] = []
    replay = Replay(shown, passed.append)
    for event in again:
        replay.put(event)
    return passed, replay.complete


def plain(events: list[Event]) -> list[object]:
    """What a reader makes of events: one entry per character, and per other event but notices."""
    return [
        part
        for event in events
        for part in ([(c, event.target) for c in event.text] if isinstance(event, Text) else [event])
        if not isinstance(part, Notice)
    ]


@given(EVENTS, st.data())
def test_what_was_shown_and_what_is_passed_on_are_the_answer(
    answer: list[Event], data: st.DataObject
) -> None:
    """What was shown and what is passed on are the answer, wherever it broke off, however it was cut."""
    shown = cut_anew(data, answer)
    shown = [START, *shown[: data.draw(st.integers(0, len(shown)))]]
    passed, complete = replayed(shown, cut_anew(data, answer))
    assert complete
    assert plain([*shown[1:], *passed]) == plain(answer)


def cut_anew(data: st.DataObject, events: list[Event]) -> list[Event]:
    """The same answer in other pieces."""
    cut: list[Event] = []
    for event in events:
        if isinstance(event, Text):
            at = data.draw(st.integers(0, len(event.text)))
            parts = [part for part in (event.text[:at], event.text[at:]) if part]
            cut += [Text(text=part, target=event.target) for part in parts]
        else:
            cut.append(event)
    return cut


@pytest.mark.parametrize(
    ("shown", "again"),
    [
        ([Text(text="abc")], [Text(text="abd")]),
        ([Text(text="abc")], [Mark(n=1)]),
        ([Text(text="abc")], [Text(text="abc", target="es")]),
        ([Text(text="abc")], [Text(text="ab"), Mark(n=1)]),
        ([Mark(n=1)], [Mark(n=2)]),
        ([Mark(n=1)], [Text(text="a")]),
    ],
)
def test_another_answer_is_not_passed_on(shown: list[Event], again: list[Event]) -> None:
    """Text that was shown is never changed: what differs is a broken answer."""
    with pytest.raises(ProviderIncomplete):
        replayed(shown, again)


def test_an_answer_that_ends_inside_what_was_shown_is_not_complete() -> None:
    """Less than what was shown is another answer too."""
    assert replayed([Text(text="abc")], [Text(text="ab")]) == ([], False)


def test_notices_are_told_once() -> None:
    """Until the seam none is repeated; after it they are passed on."""
    notice = Notice(code="thinking", detail="")
    passed, _ = replayed([Text(text="a"), notice], [notice, Text(text="a"), notice])
    assert passed == [notice]
