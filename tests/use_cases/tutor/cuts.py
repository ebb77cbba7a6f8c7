"""Cuts a text into deltas in every way that matters."""

from hypothesis import strategies as st


def pieces(text, places):
    """Return the text cut at the places."""
    inner = sorted({place for place in places if 0 < place < len(text)})
    return [text[a:b] for a, b in zip([0, *inner], [*inner, len(text)], strict=True)]


def cuts(text, most=60):
    """A strategy of deltas that join to the text."""
    return st.lists(st.integers(1, len(text) - 1), max_size=most).map(lambda places: pieces(text, places))


def joined(items):
    """Join neighbouring text: the law speaks of items, not of how they were cut."""
    out = []
    for item in items:
        if isinstance(item, str) and out and isinstance(out[-1], str):
            out[-1] += item
        elif item != "":
            out.append(item)
    return out
