"""Cuts answers into deltas, any way."""

from collections.abc import Iterable

from hypothesis import strategies as st


def cuts() -> st.SearchStrategy[list[int]]:
    """Give places at which an answer is cut, whatever its length."""
    return st.lists(st.integers(min_value=1, max_value=400), max_size=40)


def pieces(text: str, places: Iterable[int]) -> list[str]:
    """Cut a text at the places that lie in it."""
    inner = sorted({place for place in places if place < len(text)})
    return [text[start:end] for start, end in zip([0, *inner], [*inner, len(text)], strict=True)]
