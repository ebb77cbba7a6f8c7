"""Which encoding a caller gets."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import NotAcceptable
from services.wire.negotiation import TYPES, negotiate, offered

TEXT, NDJSON, SSE, JSON = "text", "ndjson", "sse", "json"


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("TEXT/Plain ; Q=0.5", TEXT),
        ("text/*", TEXT),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/x-ndjson", NDJSON),
        ("text/event-stream", SSE),
        ("application/json; profile=x", JSON),
        # the highest quality
        ("application/json;q=0.4, text/event-stream;q=0.9", SSE),
        ("text/plain;q=0.1, application/x-ndjson;q=0.2", NDJSON),
        ("application/json;q=0.4, */*;q=0.5", TEXT),
        # at a tie a name before a wildcard
        ("*/*, application/json", JSON),
        ("text/*, application/*, text/event-stream", SSE),
        # then the header's order
        ("application/x-ndjson, application/json", NDJSON),
        ("application/json, application/x-ndjson", JSON),
        # what a browser sends by itself
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
        ("text/event-stream, */*;q=0.1", SSE),
        # what is refused is refused, also below a wildcard
        ("text/plain;q=0, application/json;q=0.1", JSON),
        ("*/*, text/plain;q=0", JSON),
        ("text/*, text/plain;q=0", SSE),
        ("application/*, application/json;q=0", NDJSON),
        # a range of its own counts for a type, not the wider one
        ("text/*, text/plain;q=0.1, application/json;q=0.5", SSE),
        ("nonsense, application/json", JSON),
        (", ,application/json", JSON),
    ],
)
def test_the_caller_gets_what_it_likes_best(accept: str | None, name: str) -> None:
    """Highest quality, then a name before a wildcard, then the header's order (RFC 9110, 12.5.1)."""
    assert negotiate(accept).name == name


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/html", "nonsense", "*/*;q=0", "text/plain;q=0", "text/plain;q=0.000",
     "text/plain;q=x", "text/plain;q=", "text/plain;q=1.1", "text/plain;q=-1", "text/plain;q=nan",
     "text/plain;q=inf"],
)  # fmt: skip
def test_what_is_not_spoken_is_not_acceptable(accept: str) -> None:
    """No type of ours, or none with a weight as RFC 9110, 12.4.2 writes it, is 406."""
    with pytest.raises(NotAcceptable):
        negotiate(accept)


@pytest.mark.S19
@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, NDJSON),
        ("*/*", NDJSON),
        ("text/*", SSE),
        ("application/*", NDJSON),
        ("text/plain, application/json;q=0.1", JSON),
        ("text/plain, */*;q=0.1", NDJSON),
        ("text/event-stream", SSE),
    ],
)
def test_where_frames_are_padded_there_is_no_text(accept: str | None, name: str) -> None:
    """Its sizes are the words'; who likes it gets what it likes next."""
    assert negotiate(accept, offered(64)).name == name


@pytest.mark.S19
@pytest.mark.parametrize("accept", ["text/plain", "text/plain, text/html;q=0.5"])
def test_where_frames_are_padded_text_alone_is_refused(accept: str) -> None:
    """With the names of what there is; without padding all four are offered."""
    with pytest.raises(NotAcceptable) as refused:
        negotiate(accept, offered(64))
    assert refused.value.detail.endswith(" application/x-ndjson, text/event-stream, application/json.")
    assert offered(0) is TYPES


RANGES = st.sampled_from([*TYPES, "text/*", "application/*", "*/*", "image/png"])
CHOICES = st.lists(
    st.tuples(RANGES, st.integers(0, 10)), min_size=1, max_size=6, unique_by=lambda one: one[0]
)


@given(CHOICES)
def test_nobody_gets_what_another_encoding_would_beat(choices: list[tuple[str, int]]) -> None:
    """The answer has the highest quality that any encoding has, each by its most specific range."""
    weights = dict(choices)

    def quality(media_type: str) -> int:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[one] for one in ranges if one in weights), 0)

    accept = ", ".join(f"{name};q={weight / 10}" for name, weight in choices)
    best = max(quality(media_type) for media_type in TYPES)
    if best == 0:
        with pytest.raises(NotAcceptable):
            negotiate(accept)
    else:
        chosen = next(name for name, one in TYPES.items() if one is negotiate(accept))
        assert quality(chosen) == best


@given(st.text())
def test_no_header_breaks_it(accept: str) -> None:
    """Whatever is sent, the answer is an encoding or 406."""
    with contextlib.suppress(NotAcceptable):
        assert negotiate(accept) in TYPES.values()
