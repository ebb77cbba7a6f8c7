"""A language is known by tag, by name, or by the words of a sample."""

from string import Formatter

import pytest

from services.use_cases.tutor.phrases import PHRASES, REASONS, language, reason
from services.use_cases.tutor.verdicts import Grade


@pytest.mark.parametrize(
    ("given", "tag", "name"),
    [
        ("de", "de", "German"),
        ("DE", "de", "German"),
        ("de-AT", "de", "German (de-AT)"),
        ("German", "de", "German"),
        ("german", "de", "German"),
        ("ja", "ja", "Japanese"),
        ("tlh", "", "tlh"),
        ("Klingon", "", "Klingon"),
    ],
)
def test_given(given, tag, name):
    """A tag or a name is found, an unknown one is passed on as it is."""
    found = language(given, "")
    assert (found.tag, found.name) == (tag, name)


@pytest.mark.parametrize(
    ("sample", "tag"),
    [
        ("Solve 2x + 3 = 11", "en"),
        ("Wie addiert man Brüche?", "de"),
        ("¿Cómo se suman las fracciones?", "es"),
        ("Comment additionner des fractions ?", "fr"),
        ("2x + 3 = 11", "en"),
        ("光合作用", ""),
        ("Фотосинтез", ""),
    ],
)
def test_guessed(sample, tag):
    """Without a language that of the sample is taken, English if it has none."""
    assert language(None, sample).tag == tag


def test_decimal_comma():
    """Languages with a decimal comma are known."""
    assert [language(tag, "").decimal_comma for tag in ("en", "de", "ja", "pl")] == [False, True, False, True]


@pytest.mark.parametrize("tag", PHRASES)
def test_phrases(tag):
    """Each language has all phrases, with the same places to fill in."""
    english, phrases = PHRASES["en"], PHRASES[tag]
    for name in ("right", "wrong", "partial", "again", "exercise", "next_step", "correction"):
        places = [
            {place for _, place, *_ in Formatter().parse(getattr(one, name))} for one in (english, phrases)
        ]
        assert places[0] == places[1]


def test_reasons():
    """A reason is told in English, and by its code elsewhere."""
    assert reason("unit-missing", language("en", "")) == REASONS["unit-missing"]
    assert reason("unit-missing", language("de", "")) == "unit-missing"
    assert Grade("right", "judged").reason in REASONS
