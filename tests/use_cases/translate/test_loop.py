"""The phrase that comes again and again."""

import pytest
from hypothesis import given

from services.use_cases.translate.loop import Loop
from tests.use_cases.translate.cutting import cuts, pieces
from tests.use_cases.translate.test_checks import wanted

PHRASE = "y dijo que no "


def read(answer, source="He said no.", *, target="es", places=()) -> str | None:
    """Return the answer up to the loop's proof, or None without a loop."""
    loop = Loop(wanted(source, target=target))
    said = ""
    for delta in pieces(answer, places):
        end = loop.feed(delta)
        if end is not None:
            return said + delta[:end]
        said += delta
    return None


def test_four_words_more_than_three_times_are_a_loop():
    """The proof ends with the fourth time."""
    assert read("Bueno " + PHRASE * 9) == ("Bueno " + PHRASE * 4).rstrip()


def test_three_times_are_none():
    """A refrain may come three times."""
    assert read(PHRASE * 3 + "fin. ") is None


def test_a_source_that_repeats_itself_may_be_translated():
    """As often as in the source is no loop."""
    assert read(PHRASE * 6, "and he said no " * 6) is None


def test_more_often_than_the_source_is_a_loop():
    """A repetitive source excuses only as much as it repeats itself."""
    assert read(PHRASE * 7 + "fin ", "and he said no " * 6) is not None


def test_letters_are_counted_where_words_are_not_parted():
    """In Chinese twelve letters make a phrase."""
    assert read("他说他不想再去那个地方了。" * 9, target="zh") is not None
    assert read("他说他不想再去那个地方了。" * 3, target="zh") is None


@pytest.mark.parametrize("leaders", ["." * 200, ". " * 200, "- " * 200, "……" * 100])
def test_marks_make_no_loop(leaders):
    """Dots that lead to a page number are no phrase."""
    assert read(f"Capítulo {leaders} 3") is None


@given(cuts())
def test_the_cut_of_the_deltas_changes_nothing(places):
    """The proof ends at the same letter however the answer came."""
    assert read("Bueno " + PHRASE * 9, places=places) == read("Bueno " + PHRASE * 9)
    chinese = "他说他不想再去那个地方了。" * 9
    assert read(chinese, target="zh", places=places) == read(chinese, target="zh")
