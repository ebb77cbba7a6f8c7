"""Which encoding a caller gets, by ``Accept`` (RFC 9110, 12.5.1).

The highest quality wins; at a tie a named type goes before a wildcard, then the header's order
counts. No header, and a wildcard, mean text: that is what ``curl`` sends.
"""

import re
from dataclasses import dataclass

from services.errors import NotAcceptable
from services.wire.encoding import Encoding
from services.wire.ndjson import NDJSON
from services.wire.sse import SSE
from services.wire.text import TEXT

JSON = Encoding(name="json", content_type="application/json; charset=utf-8", frame=lambda _n, _e: b"")

TYPES = {
    "text/plain": TEXT,
    "application/x-ndjson": NDJSON,
    "text/event-stream": SSE,
    "application/json": JSON,
}
WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.ASCII)
WILDCARDS = {"*/*": TEXT, "text/*": TEXT, "application/*": JSON}


@dataclass(frozen=True)
class _Choice:
    media_type: str
    quality: float
    place: int

    @property
    def rank(self) -> tuple[float, bool, int]:
        return (-self.quality, self.media_type in WILDCARDS, self.place)


def negotiate(accept: str | None) -> Encoding:
    """Return the encoding that the caller likes best; raises NotAcceptable if it likes none."""
    choices = [_parse(part, place) for place, part in enumerate((accept or "*/*").split(","))]
    refused = {choice.media_type for choice in choices if choice.quality <= 0}
    spoken = TYPES | WILDCARDS
    for choice in sorted(choices, key=lambda choice: choice.rank):
        if choice.quality > 0 and choice.media_type in spoken:
            encoding = spoken[choice.media_type]
            if not any(TYPES.get(media_type) is encoding for media_type in refused):
                return encoding
    raise NotAcceptable


def _parse(part: str, place: int) -> _Choice:
    media_type, *parameters = (word.strip().lower() for word in part.split(";"))
    weights = [word.removeprefix("q=").strip() for word in parameters if word.startswith("q=")]
    return _Choice(media_type, _quality(weights[0]) if weights else 1.0, place)


def _quality(weight: str) -> float:
    """Return a weight as RFC 9110, 12.4.2 writes it; anything else is worth nothing."""
    return float(weight) if WEIGHT.fullmatch(weight) else 0.0
