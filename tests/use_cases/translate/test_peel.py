"""What models wrap around a translation, and what they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.use_cases.translate.peel import Peel, is_whole, unwrapped
from tests.use_cases.translate.cutting import cuts, pieces

SOURCE = "The house is green. It is old."
CLEAN = "La casa es verde. Es vieja."


def peeled(answer, source=SOURCE, *, places=()) -> str:
    peel = Peel(source=source, label="k7qz2m4x", language="Spanish")
    said = ""
    for delta in pieces(answer, places):
        said += peel.feed(delta)
        if peel.done:
            return said
    return said + peel.end()


SHELLS = [
    "{}",
    "  \n{}\n\n",
    '"{}"',
    "“{}”",
    "„{}“",
    "«{}»",
    "「{}」",
    "`{}`",
    "```\n{}\n```",
    "```text\n{}\n```",
    "Translation: {}",
    "Spanish: {}",
    "Spanish translation: {}",
    "Here is the translation:\n\n{}",
    "Here's the translated text: {}",
    "Sure! Here is the translation: {}",
    "Sure!\n{}",
    "Certainly, here is the Spanish translation:\n{}",
    'Aquí tienes la traducción al español:\n\n"{}"',
    "Por supuesto, aquí está la traducción:\n{}",
    "Hier ist die Übersetzung:\n{}",
    "Voici la traduction : {}",
    "以下是翻译：{}",
    "Вот перевод: {}",
    "<think>It says a house is green.\n\nLet me see.</think>\n{}",
    '<think></think>Translation: "{}"',
    "<k7qz2m4x>{}</k7qz2m4x>",
    "<k7qz2m4x>\n{}\n</k7qz2m4x>",
    'k7qz2m4x: "{}"',
    "[k7qz2m4x] {}",
    "{}\n\nNote: I kept the tone.",
    "{}\nThis is a literal translation.",
    '"{}"\n\nExplicación: casa es house.',
    "Here is the translation:\n```\n<k7qz2m4x>\n{}\n</k7qz2m4x>\n```",
]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_taken_off(shell):
    """Thoughts, fences, preambles, delimiters, quotes and comments go, the translation stays."""
    assert peeled(shell.format(CLEAN)) == CLEAN


@given(st.sampled_from(SHELLS), cuts())
def test_the_cut_of_the_deltas_changes_nothing(shell, places):
    """What passes, joined, depends on the whole answer only."""
    answer = shell.format(CLEAN)
    assert peeled(answer, places=places) == peeled(answer)


@given(st.text(alphabet=st.sampled_from('aB.?:" \n<>/k7qz2m4x`«»“”'), max_size=60), cuts())
def test_the_cut_changes_nothing_for_any_text(answer, places):
    """Neither for text that is no translation at all."""
    assert peeled(answer, places=places) == peeled(answer)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("Aquí está la lista: pan, leche.", "Here is the list: bread, milk."),
        ("Traducción: un arte difícil.", "Translation: a difficult art."),
        ("Seguro que viene mañana.", "Sure he comes tomorrow."),
        (
            "Claro que sí, dijo ella, y se fue a casa sin mirar atrás ni una sola vez.",
            "Of course, she said, and went home without looking back a single time.",
        ),
        ("Der Film „Titanic“ ist lang.", '"Titanic" is a long film.'),
        ("«Sí», dijo.", '"Yes," he said.'),
        ("Falta \u2018=\u2019 tras el nombre.", '"=" is missing after the name.'),
        ("Opción '-o' incorrecta.", '"-o" is a wrong option.'),
        ("Dijo «sí».", 'He said "yes"'),
        ("`x` es una variable.", "`x` is a variable."),
        ("<b>Hola</b> mundo.", "<b>Hello</b> world."),
        ("Si a < b, entonces no.", "If a < b, then no."),
        ("El vino español es bueno.", "Spanish wine is good."),
        ("Hay 3 opciones: una, dos.", "There are 3 options: one, two."),
    ],
)
def test_what_only_looks_like_a_shell_stays(source, answer):
    """A colon, a quote or an opener that belongs to the translation is left alone."""
    assert peeled(answer, source) == answer


def test_a_quote_that_the_prompt_left_open_is_closed_no_more():
    """A model that continues from an opening quote in the prompt ends with one that nothing opened."""
    assert peeled('"Titanic" es una película."', '"Titanic" is a film.') == '"Titanic" es una película.'


def test_an_apostrophe_is_no_quote():
    """A source with contractions has no quotes of its own, so the answer's are the model's."""
    assert peeled('"No llegues tarde."', "Don't be late.") == "No llegues tarde."


def test_two_lines_of_a_source_with_two_sentences_are_joined():
    """A line end in the middle of a translation is a space."""
    assert peeled("La casa es verde.\nEs vieja.") == CLEAN


def test_nothing_more_is_wanted_after_a_whole_line():
    """When a comment begins the answer is done."""
    peel = Peel(source=SOURCE, label="k7qz2m4x", language="Spanish")
    assert peel.feed(CLEAN + "\nN") == CLEAN
    assert peel.done


def test_nothing_passes_while_a_preamble_may_be_growing():
    """The first words are held as long as they may be talk about the translation."""
    peel = Peel(source=SOURCE, label="k7qz2m4x", language="Spanish")
    assert [peel.feed(delta) for delta in ("Here ", "is ", "the translation", ":", " Una")] == [
        "",
        "",
        "",
        "",
        "Una",
    ]


def test_ordinary_words_pass_as_they_come():
    """Only white space at the end is held."""
    peel = Peel(source=SOURCE, label="k7qz2m4x", language="Spanish")
    assert [peel.feed(delta) for delta in ("Una", " casa", " es ", "verde.")] == [
        "Una",
        " casa",
        " es",
        " verde.",
    ]


def test_a_thought_without_an_end_leaves_nothing():
    """An answer that is all thought says nothing."""
    assert peeled("<think>Let me think about it") == ""


def test_an_opening_quote_that_never_closes_is_reported():
    """The quote was taken off for the sake of a pair that did not come."""
    peel = Peel(source="Hello", label="k7qz2m4x", language="Spanish")
    peel.feed('"Hello" in Spanish is Hola')
    peel.end()
    assert peel.unclosed


def test_an_answer_in_quotes_of_a_source_with_quotes_is_marked():
    """Only the whole tells whether the first quote is its own."""
    peel = Peel(source="He said yes, then «no».", label="k7qz2m4x", language="Spanish")
    peel.feed('"Dijo')
    assert peel.wrapped


@pytest.mark.parametrize(
    ("text", "source", "bare"),
    [
        ('"Dijo «no»."', "He said «no».", "Dijo «no»."),
        ('"No", dijo, "no"', '"No," he said, "no"', '"No", dijo, "no"'),
        ("„A“ und „B“", "'A' and 'B'", "„A“ und „B“"),
        ("Hola", "Hello", "Hola"),
        ("", "Hello", ""),
    ],
)
def test_a_pair_of_quotes_more_than_in_the_source_is_taken_off(text, source, bare):
    """Quotes that the source has too stay."""
    assert unwrapped(text, source) == bare


@pytest.mark.parametrize(
    ("text", "source", "blank", "whole"),
    [
        ("Hola.", "Hello.", False, True),
        ("Hola", "Hello", False, True),
        ("Hola.", "Hello. Bye.", False, False),
        ("Hola. Adiós.", "Hello. Mr. Bye.", True, True),
        ("Hola. Adiós", "Hello. Mr. Bye.", True, False),
    ],
)
def test_a_line_is_whole_with_as_many_sentences_as_the_source(text, source, blank, whole):
    """Or when it ends like a sentence before an empty line."""
    assert is_whole(text, source, blank=blank) is whole
