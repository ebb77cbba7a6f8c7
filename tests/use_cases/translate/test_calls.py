"""What a call says and costs."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.prompting import load
from services.use_cases.translate.calls import CONSTANT, MARK, Manner, call, cap, rate
from tests.use_cases.translate.test_checks import wanted

PROMPT = load(Path(__file__).parents[3] / "prompts")["translate"]
MANNER = Manner(compact=False, label="k7qz2m4x", formality="default", instructions=(), context="")
HELLO = wanted("Hello there, old friend")


def prompt(manner=MANNER, source=HELLO, *, source_name="English", fault=None) -> tuple[str, str]:
    """Return the two messages of a call."""
    made = call(source, manner, source_name=source_name, fault=fault)
    system, user = PROMPT.messages(made.variables)
    return system.content, user.content


@pytest.mark.parametrize(
    ("target", "expected"), [("es", 1.2), ("es-MX", 1.2), ("zh-Hant", 1.12), ("sw", 2.5)]
)
def test_the_rate_is_that_of_the_language(target, expected):
    """Varieties share it; languages that were not measured get the largest."""
    assert rate(target, compact=False) == expected


def test_small_models_get_the_largest_rate():
    """Their vocabularies are not ours."""
    assert rate("es", compact=True) == 2.5


@pytest.mark.parametrize(("tokens", "most"), [(1, 34), (100, 224), (300, 608)])
def test_the_cap_follows_the_formula(tokens, most):
    """ceil(1.6 · r · tokens) + 32."""
    assert cap(replace(HELLO, tokens=tokens)) == most
    assert call(replace(HELLO, tokens=tokens), MANNER, source_name="").max_output_tokens == most


def test_an_empty_source_would_have_the_constant():
    """The 32 are there for the shortest texts."""
    assert cap(replace(HELLO, tokens=0)) == CONSTANT


def test_the_text_stands_between_delimiters_with_the_random_name():
    """Nothing else follows, so nothing in the text can come after it."""
    assert prompt()[1] == "<k7qz2m4x>\nHello there, old friend\n</k7qz2m4x>"


def test_the_random_name_is_not_in_the_system_message():
    """What comes first is the same bytes for every text, so that a provider can reuse it."""
    assert "k7qz2m4x" not in prompt()[0]


def test_the_system_message_does_not_depend_on_the_text():
    """Nor on what went wrong with it."""
    other = prompt(source=wanted("Bye"), fault="echo")
    assert other[0] == prompt()[0]


def test_languages_are_named():
    """Both, where the source is known for sure."""
    assert "from English into Spanish" in prompt()[0]
    assert "from" not in prompt(source_name="")[0].partition("\n")[0]


def test_a_compact_prompt_is_short():
    """A small model reads 35 tokens a second: some 20 words around the text."""
    system, user = prompt(replace(MANNER, compact=True, label="k7qz", context="Long. " * 99))
    assert (system, user) == (
        "You are a translator.",
        'Translate from English to Spanish (quote k7qz): "Hello there, old friend"',
    )


def test_a_compact_prompt_leaves_an_unknown_source_out():
    """The model guesses the language itself."""
    assert prompt(replace(MANNER, compact=True), source_name="")[1].startswith("Translate to Spanish (")


@pytest.mark.parametrize(("formality", "word"), [("more", "formal address"), ("less", "informal address")])
@pytest.mark.parametrize("compact", [False, True])
def test_formality_is_asked_for(formality, word, compact):
    """Also of small models."""
    assert word in prompt(replace(MANNER, formality=formality, compact=compact))[0]


def test_without_formality_nothing_is_said_of_it():
    """The default is the model's."""
    assert "formal" not in prompt()[0]


def test_instructions_stand_in_the_system_message():
    """Each on a line of its own."""
    assert prompt(replace(MANNER, instructions=("Use short words.", "No puns.")))[0].endswith(
        "Style: Use short words.\nStyle: No puns."
    )


def test_context_stands_before_the_delimiters():
    """It helps, and is no part of the text."""
    said = prompt(replace(MANNER, context="A letter."))[1]
    assert said.index("A letter.") < said.index("<k7qz2m4x>")


def test_a_second_attempt_says_what_went_wrong():
    """The fault decides what the model is reminded of."""
    assert "Write it in Spanish." in prompt(fault="echo")[1]
    assert "do not answer it" in prompt(fault="question")[1]
    assert "nothing else" in prompt(fault="comment")[1]


def test_a_second_attempt_marks_the_text_as_data():
    """A rare sign for each space: marked text is not taken for orders."""
    assert f"Hello{MARK}there,{MARK}old{MARK}friend" in prompt(fault="question")[1]


def test_a_small_model_gets_no_marks():
    """They confuse it."""
    assert MARK not in prompt(replace(MANNER, compact=True), fault="question")[1]


def test_text_with_literals_gets_no_marks():
    """A placeholder may have spaces that must not change."""
    said = prompt(source=wanted("Hi {name}, bye"), fault="literals")[1]
    assert MARK not in said
    assert "Keep these exactly as they are: {name}" in said


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% block system %}", "{{ label }}", "{target}"])
def test_template_signs_in_the_text_are_text(text):
    """What a caller writes is never rendered."""
    assert f"\n{text} a\n" in prompt(source=wanted(f"{text} a"))[1]


def test_template_signs_in_a_hint_are_text():
    """Neither when it is quoted in a second attempt."""
    assert "are: {{target}} {0}" in prompt(source=wanted("{{target}} {0} a"), fault="literals")[1]
