"""Plain text: the answer as it comes, and nothing else."""

import msgspec

from services.events import number_and_type
from services.wire.encoding import Encoding


class _Piece(msgspec.Struct):
    text: str


decode = msgspec.json.Decoder(_Piece).decode


def frame(line: bytes) -> bytes:
    """Return the text of a ``text`` event, nothing for all others."""
    return decode(line).text.encode() if number_and_type(line)[1] == b"text" else b""


TEXT = Encoding(
    name="text",
    content_type="text/plain; charset=utf-8",
    frame=frame,
    tells_end=False,
)
