"""What may be asked, and what is refused."""

import pytest
from pydantic import ValidationError

from services.use_cases.translate.asked import Translate


def asked(**fields) -> Translate:
    return Translate.model_validate({"text": "Hello", "target": "es"} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": " \n\t"},
        {"text": []},
        {"text": ["a", ""]},
        {"text": ["a"] * 51},
        {"text": 5},
        {"text": None},
        {"text": [["a"]]},
        {"target": ""},
        {"target": "klingon"},
        {"target": "und"},
        {"target": []},
        {"target": ["es", "xx"]},
        {"target": ["en", "es", "de", "fr", "it", "pt", "nl", "sv", "da", "fi", "pl"]},
        {"target": ["es", "ES"]},
        {"target": None},
        {"source": "zzz"},
        {"format": "html"},
        {"formality": "some"},
        {"context": "x" * 4001},
        {"instructions": ["x"] * 11},
        {"instructions": ["x" * 301]},
        {"instructions": [" "]},
        {"instructions": "x"},
        {"glossary": {}},
        {"txet": "Hello"},
    ],
)
def test_what_is_not_right_is_refused(fields):
    """Empty texts, unknown languages and fields, and what is above a limit raise."""
    with pytest.raises(ValidationError):
        asked(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ["a"] * 50},
        {"text": "12"},
        {"target": ["en", "es", "de", "fr", "it", "pt", "nl", "sv", "da", "fi"]},
        {"source": "en-GB"},
        {"format": "text"},
        {"formality": "more"},
        {"context": "x" * 4000},
        {"instructions": ["x" * 300] * 10},
    ],
)
def test_what_is_within_the_limits_is_taken(fields):
    """The limits themselves are allowed."""
    asked(**fields)


def test_tags_are_kept_as_the_standard_writes_them():
    """Events show the tag in its standard form."""
    assert asked(target=["EN-us", "pt_br"], source="IW").targets == ["en-US", "pt-BR"]
    assert asked(source="IW").source == "he"


def test_a_refused_tag_is_not_repeated():
    """The words of the refusal are ours alone."""
    with pytest.raises(ValidationError) as raised:
        asked(target="gibberish")
    assert "gibberish" not in str(raised.value.errors(include_input=False))


def test_lone_surrogates_are_replaced():
    """JSON can hold half a character; nothing behind can."""
    assert asked(text="a\ud800b").texts == ["a\ufffdb"]
    assert asked(text="\ud83d\ude42").texts == ["🙂"]


def test_a_text_counts_once_for_each_language():
    """Each language is a translation of its own; context and instructions are read too."""
    given = asked(text=["a", "b"], target=["es", "de"], context="c", instructions=["d"])
    assert list(given.written()) == ["a", "b", "a", "b", "c", "d"]
