"""Prose has even blank lines and no false equation left unsaid, however it was cut."""

import pytest
from hypothesis import given, settings

from services.events import Notice, Text
from services.use_cases.tutor.events import Correction
from services.use_cases.tutor.phrases import language
from services.use_cases.tutor.writer import Writer, joined
from tests.use_cases.tutor.cuts import cuts

SAMPLE = "\n\n  First\n\n\n\n   \nso 2 + 2 = 5\n```\n1 + 1 = 3\n\n\n\nx\n```\n  and 3 + 3 = 7\n\n"


def written(deltas, lang="en"):
    writer = Writer(language(lang, ""))
    events = [event for delta in deltas for event in writer.write(delta)]
    return joined([*events, *writer.end()])


@settings(max_examples=300, deadline=None)
@given(cuts(SAMPLE))
def test_law(deltas):
    """The same is written however the text was cut."""
    assert written([SAMPLE]) == written(deltas)


def test_sample():
    """Blank lines are even outside of code, and corrections stand at their line's end."""
    assert "".join(e.text for e in written([SAMPLE]) if isinstance(e, Text)) == (
        "  First\n\nso 2 + 2 = 5 (Correction: 2 + 2 = 4, not 5.)\n"
        "```\n1 + 1 = 3\n\n\n\nx\n```\n  and 3 + 3 = 7 (Correction: 3 + 3 = 6, not 7.)"
    )


def test_correction_follows_its_text():
    """The event comes after the text that says the same."""
    assert written(["2 + 2 = 5"])[1] == Correction(n=0, said="2 + 2 = 5", is_="2 + 2 = 4")


@pytest.mark.parametrize(
    ("lang", "said"), [("de", "Berichtigung: 2 + 2 = 4, nicht 5."), ("tlh", "Correction: 2 + 2 = 4, not 5.")]
)
def test_correction_in_other_languages(lang, said):
    """A correction is said in the lesson's language, or in English."""
    assert said in written(["2 + 2 = 5"], lang)[0].text


def test_paragraphs():
    """A paragraph of its own stands between blank lines."""
    writer = Writer(language("en", ""))
    events = [*writer.write("a"), *writer.paragraph("b"), *writer.write("c"), *writer.end()]
    assert joined(events) == [Text(text="a\n\nb\n\nc")]


def test_joined():
    """Only neighbouring text is joined."""
    notice = Notice(code="x", detail="y")
    assert joined([Text(text="a"), Text(text="b"), notice, Text(text="c")]) == [
        Text(text="ab"),
        notice,
        Text(text="c"),
    ]
