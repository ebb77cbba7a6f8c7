"""Cutting a text, and what survives of its structure."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.use_cases.translate.checks import held
from services.use_cases.translate.segments import HELD_TOKENS, LONG_TOKENS, WINDOW, Cutter, Piece


def words(text: str) -> int:
    """Count tokens as a test can foresee them."""
    return len(text.split())


CUTTER = Cutter(words, held, "en")
LINES = st.sampled_from(
    [
        "Hello world",
        "- milk",
        "  * eggs",
        "1. One.",
        "2) two",
        "a) first",
        "(b) second",
        "> quoted",
        ">> twice",
        "# Title",
        "\tindented",
        "• bullet",
        "- [ ] to do",
        "12:30",
        "----",
        "{name}",
        "https://example.com/a",
        "",
        "  ",
        "line\u2028separator",
        "next\u0085line",
        "file\x1cseparator",
        "你好。再见。",
        "a",
        "1. 2. 3. go",
        "…",
        "word " * 40,
        "Is it? It is. " * 30,
        "x\u0301" * 30,
        "\u00a0nbsp\u00a0",
    ]
)
TEXTS = st.lists(
    st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])), max_size=12
).map(lambda rows: "".join(line + end for line, end in rows))


def sources(text: str) -> list[str]:
    return [piece.source for piece in CUTTER.split(text) if piece.source]


@given(TEXTS | st.text())
def test_pieces_join_to_the_text(text):
    """Leads and sources, joined in their order, are the text."""
    assert "".join(piece.lead + piece.source for piece in CUTTER.split(text)) == text


@given(TEXTS | st.text())
def test_a_source_holds_no_line_end_and_no_white_space_around_it(text):
    """A source is one line, stripped, and has a letter in it."""
    for source in sources(text):
        assert not re.search(r"[\r\n]", source)
        assert source == source.strip()
        assert any(letter.isalnum() for letter in source)


@given(TEXTS | st.text())
def test_only_the_last_piece_has_no_source(text):
    """Each piece but the last one has something to translate."""
    pieces = list(CUTTER.split(text))
    assert [bool(piece.source) for piece in pieces] == [True] * (len(pieces) - 1) + [False]


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("- milk", "- "),
        ("* milk", "* "),
        ("+ milk", "+ "),
        ("• milk", "• "),
        ("  – milk", "  – "),
        ("1. milk", "1. "),
        ("12) milk", "12) "),
        ("1.2.3. milk", "1.2.3. "),
        ("(4) milk", "(4) "),
        ("a) milk", "a) "),
        ("(b) milk", "(b) "),
        ("iv) milk", "iv) "),
        ("> milk", "> "),
        (">>milk", ">>"),
        ("> - milk", "> - "),
        ("## milk", "## "),
        ("- [x] milk", "- [x] "),
        ("-\tmilk", "-\t"),
    ],
)
def test_a_list_mark_is_copied(line, mark):
    """The mark of a list item, a heading or a quoted line never reaches the model."""
    assert list(CUTTER.split(line)) == [Piece(mark, "milk"), Piece("", "")]


@pytest.mark.parametrize(
    "line",
    ["-5 degrees", "3.5 percent", "2020 was good", "A. Smith", "e.g. this", "*bold* word", "#tag here"],
)
def test_what_only_looks_like_a_mark_is_translated(line):
    """A mark is a mark only before white space, and letters before a full stop are an initial."""
    assert sources(line) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "12:30",
        "{name}",
        "%s %d",
        "https://example.com/path",
        ":smile:",
        "<br/>",
        "&amp;",
        "• \n- ",
    ],
)
def test_what_has_no_letters_of_its_own_is_copied(text):
    """Numbers, placeholders, tags and addresses alone make no source."""
    assert sources(text) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_at_lf_crlf_and_cr(end):
    """The three line ends cut."""
    assert sources(f"one{end}two") == ["one", "two"]


@pytest.mark.parametrize("inner", ["\u2028", "\u2029", "\u0085", "\x1c", "\x0b", "\x0c"])
def test_lines_end_at_nothing_else(inner):
    """What str.splitlines would also cut at stays within its line."""
    assert sources(f"one{inner}two") == [f"one{inner}two"]


def test_a_line_up_to_the_limit_is_one_source():
    """A line of as many tokens as one call takes is not cut."""
    assert len(sources("word " * LONG_TOKENS)) == 1


def test_a_longer_line_is_cut_at_sentence_ends():
    """A long line becomes groups of whole sentences, none above the limit."""
    found = sources("The cat sat on the mat. " * 200)
    assert len(found) > 1
    assert all(source.endswith("mat.") and words(source) <= LONG_TOKENS for source in found)


def test_a_line_that_is_held_is_cut_finer():
    """A question in a long line makes smaller groups, since they are shown as wholes."""
    found = sources("The cat sat on the mat. Did it? " * 40)
    assert len(found) > 1
    assert all(words(source) <= HELD_TOKENS for source in found)


def test_a_long_line_is_cut_finer_only_around_what_is_held():
    """One question does not make the calm sentences around it smaller."""
    found = sources("The cat sat on the mat. " * 100 + "Did it? " + "The cat sat on the mat. " * 100)
    assert max(map(words, found)) > HELD_TOKENS


def test_a_sentence_that_is_too_long_is_cut_at_a_comma_or_space():
    """No word is cut where there is another place."""
    spoken = [("one", "three,", "fifteen", "a")[number % 4] for number in range(1001)]
    found = sources(" ".join(spoken))
    assert " ".join(found).split() == spoken
    assert max(map(words, found)) <= LONG_TOKENS < len(spoken)


def test_a_word_without_an_end_is_cut_where_it_has_to_be():
    """Neither border nor character helps: the limit holds all the same."""
    cutter = Cutter(len, held, "xx")
    found = [piece.source for piece in cutter.split("a" + "\u0301" * 1000) if piece.source]
    assert all(len(source) <= LONG_TOKENS for source in found)


def test_a_cut_parts_no_character():
    """Without a border a cut still keeps combining marks with their letter."""
    cutter = Cutter(len, held, "xx")
    pieces = [piece.source for piece in cutter.split("e\u0301" * 1000) if piece.source]
    assert len(pieces) > 1
    assert all(source.startswith("e") for source in pieces)


def test_a_run_without_letters_in_a_long_line_is_copied():
    """Of a million signs between two letters no more goes to the model than one window of them."""
    assert sum(map(len, sources("a" + "(" * 1_000_000 + "b"))) <= WINDOW + 2


def test_cutting_is_lazy():
    """The first piece is there before the rest of the text was looked at."""
    counted: list[int] = []
    cutter = Cutter(lambda text: counted.append(len(text)) or words(text), held, "en")
    next(
        cutter.split(
            "A sentence of more than a hundred letters, so that it has to be counted before it is known.\n"
            * 1000
        )
    )
    assert len(counted) < 10
