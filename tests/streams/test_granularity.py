"""Pieces of text, regrouped."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import Event, Notice, Text
from services.streams.granularity import regrouped

NOTICE = Notice(code="thinking", detail="d")


def pieces(granularity: Any, *events: Event) -> list[Event]:
    """What comes out when these went in and then the stream ended."""
    out: list[Event] = []
    put, release = regrouped(out.append, granularity)
    for event in events:
        put(event)
    release()
    return out


def texts(granularity: Any, *deltas: str) -> list[str]:
    return [event.text for event in pieces(granularity, *(Text(text=delta) for delta in deltas))]


def test_tokens_pass_as_they_come() -> None:
    """The default changes nothing."""
    assert texts("token", "Hel", "lo wor", "ld") == ["Hel", "lo wor", "ld"]


def test_a_word_is_held_until_it_is_whole() -> None:
    """A piece ends after the last white space that was seen; the end lets the rest go."""
    assert texts("word", "Hel", "lo wor", "ld ", "again") == ["Hello ", "world ", "again"]


def test_several_words_of_one_delta_stay_together() -> None:
    """A piece holds at least a word, not exactly one."""
    assert texts("word", "one two thr", "ee") == ["one two ", "three"]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (["One. Tw", "o! Thr", "ee"], ["One. ", "Two! ", "Three"]),
        (["3.14 is pi. ", "Yes"], ["3.14 is pi. ", "Yes"]),
        (["He said “no.” ", "Then"], ["He said “no.” ", "Then"]),
        (["一。二", "！三"], ["一。", "二！", "三"]),
        (["a line\nanother", " one"], ["a line\n", "another one"]),
    ],
)
def test_a_sentence_is_held_until_it_is_whole(deltas: list[str], expected: list[str]) -> None:
    """A sentence ends at its mark and white space, at an ideographic mark, or at a line's end."""
    assert expected == texts("sentence", *deltas)


def test_characters_of_unspaced_scripts_are_words() -> None:
    """Text without spaces is not held back for a space that never comes."""
    assert texts("word", "你好", "吗") == ["你好", "吗"]


def test_another_event_lets_the_held_text_go_first() -> None:
    """The order of events stays what the use case said."""
    assert pieces("sentence", Text(text="half"), NOTICE, Text(text=" done")) == [
        Text(text="half"),
        NOTICE,
        Text(text=" done"),
    ]


@pytest.mark.parametrize("field", [{"target": "es"}, {"text_index": 1}])
def test_texts_of_different_parts_are_never_joined(field: dict[str, Any]) -> None:
    """A change of target or text lets the held text go."""
    assert pieces("word", Text(text="one"), Text(text="two", **field)) == [
        Text(text="one"),
        Text(text="two", **field),
    ]


def test_a_held_text_keeps_its_part() -> None:
    """What is let go bears the target and index that it came with."""
    assert pieces("word", Text(text="a b", target="es", text_index=2)) == [
        Text(text="a ", target="es", text_index=2),
        Text(text="b", target="es", text_index=2),
    ]


ANY = st.one_of(
    st.builds(Text, text=st.text("ab .!\n你。", max_size=6), text_index=st.sampled_from([None, 1])),
    st.just(NOTICE),
)


@given(st.lists(ANY), st.sampled_from(["word", "sentence"]))
def test_nothing_is_lost_and_nothing_changes_places(events: list[Event], granularity: str) -> None:
    """For any events, the text of each part between two other events is the same after regrouping."""

    def story(given: list[Event]) -> list[object]:
        told: list[object] = []
        for event in given:
            if not isinstance(event, Text):
                told.append(event)
            elif told and isinstance(told[-1], tuple) and told[-1][0] == event.text_index:
                told[-1] = (event.text_index, told[-1][1] + event.text)
            elif event.text:
                told.append((event.text_index, event.text))
        return told

    assert story(pieces(granularity, *events)) == story([e for e in events if getattr(e, "text", "x")])
