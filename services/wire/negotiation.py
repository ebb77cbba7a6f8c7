"""Which encoding a caller gets, by ``Accept`` (RFC 9110, 12.5.1).

The highest quality wins, where the narrowest range speaks for a type; at a tie a named type goes
before a wildcard, then the header's order counts. No header, and a wildcard, mean text: that is
what ``curl`` sends. Where frames are padded there is no text, which has nothing to pad it
with: a wildcard then means NDJSON, the next that comes as it is made, and text alone is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from services.errors import NotAcceptable
from services.wire import padding
from services.wire.encoding import Encoding
from services.wire.ndjson import NDJSON
from services.wire.sse import SSE
from services.wire.text import TEXT

JSON = Encoding(name="json", content_type="application/json; charset=utf-8", frame=lambda _line: b"")

# In our own order, for a caller that has none.
TYPES = {
    "text/plain": TEXT,
    "application/json": JSON,
    "application/x-ndjson": NDJSON,
    "text/event-stream": SSE,
}
WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.ASCII)


@dataclass(frozen=True)
class _Range:
    media: str
    quality: float
    place: int

    @property
    def rank(self) -> tuple[float, bool, int]:
        return (-self.quality, self.media.endswith("/*"), self.place)


def offered(step: int) -> Mapping[str, Encoding]:
    """Return the encodings by their types, padded where there is a step (bytes)."""
    if not step:
        return TYPES
    return {
        "application/x-ndjson": padding.ndjson(step),
        "text/event-stream": padding.server_sent(step),
        "application/json": JSON,
    }


def negotiate(accept: str | None, types: Mapping[str, Encoding] = TYPES) -> Encoding:
    """Return the encoding that the caller likes best; raises NotAcceptable if it likes none."""
    parts = (accept or "*/*").split(",")
    ranges = {one.media: one for one in (_parse(part, place) for place, part in enumerate(parts))}
    liked = [
        (wish.rank, encoding)
        for media_type, encoding in types.items()
        if (wish := _wish(ranges, media_type)) is not None and wish.quality > 0
    ]
    if not liked:
        raise NotAcceptable(f"Offered here are {', '.join(types)}.")
    return min(liked, key=itemgetter(0))[1]


def _wish(ranges: Mapping[str, _Range], media_type: str) -> _Range | None:
    """Return the range that speaks for a type: the narrowest does."""
    kind = media_type.partition("/")[0]
    return ranges.get(media_type) or ranges.get(f"{kind}/*") or ranges.get("*/*")


def _parse(part: str, place: int) -> _Range:
    media_type, *parameters = (word.strip().lower() for word in part.split(";"))
    weights = [word.removeprefix("q=").strip() for word in parameters if word.startswith("q=")]
    return _Range(media_type, _quality(weights[0]) if weights else 1.0, place)


def _quality(weight: str) -> float:
    """Return a weight as RFC 9110, 12.4.2 writes it; anything else is worth nothing."""
    return float(weight) if WEIGHT.fullmatch(weight) else 0.0
