"""Where a second answer takes over from a first."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.streams.seam import Seam

LETTERS = st.text("ab ", max_size=12)  # few, so that answers begin alike and then part


def cut(text: str, places: list[int]) -> list[str]:
    borders = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


def test_what_was_said_is_swallowed() -> None:
    """What comes after it passes, as it comes."""
    seam = Seam("one two")
    assert list(seam.behind(iter(["one", " t", "wo th", "ree", " four"]))) == [" th", "ree", " four"]
    assert seam.closed


def test_another_answer_is_left_where_it_parts() -> None:
    """Nothing of it passes, and no more of it is read."""
    deltas = iter(["one", " ten", " three"])
    seam = Seam("one two")
    assert list(seam.behind(deltas)) == []
    assert (seam.closed, list(deltas)) == (False, [" three"])


def test_an_answer_that_says_no_more_closes_the_seam() -> None:
    """All was said already: nothing is missing."""
    seam = Seam("one")
    assert (list(seam.behind(iter(["on", "e"]))), seam.closed) == ([], True)


@given(LETTERS, LETTERS, st.lists(st.integers(0, 20)))
def test_the_two_are_one_answer_or_nothing_passes(said: str, again: str, places: list[int]) -> None:
    """However the second is cut, what was said and what passes make it up, or it is another."""
    seam = Seam(said)
    passed = list(seam.behind(iter(cut(again, places))))
    assert all(passed)
    if again.startswith(said):
        assert (said + "".join(passed), seam.closed) == (again, True)
    else:
        assert (passed, seam.closed) == ([], False)
