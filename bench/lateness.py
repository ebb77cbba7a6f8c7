"""How long was each chunk under way, from the provider's write to the reader's read?"""

from bisect import bisect_left
from collections.abc import Iterator

from bench.client import BrokenRunError, Stream
from bench.feeder import Told
from bench.relays import Relay


def lateness_ms(relay: Relay, told: Told, stream: Stream) -> list[float]:
    """Return the milliseconds for each chunk; raises ``BrokenRunError`` if some cannot be found."""
    ends = list(_ends(relay.mark, stream.raw))[relay.silent :]
    if len(ends) != len(told.written):
        message = f"{relay.name}: {len(told.written)} chunks were written, {len(ends)} found"
        raise BrokenRunError(message)
    sizes = [size for _, size in stream.reads]
    read_at = [stream.reads[bisect_left(sizes, end)][0] for end in ends]
    return [(read - written) * 1e3 for read, written in zip(read_at, told.written, strict=True)]


def _ends(mark: bytes, raw: bytearray) -> Iterator[int]:
    """Yield the place after each mark."""
    place = raw.find(mark)
    while place >= 0:
        yield place + len(mark)
        place = raw.find(mark, place + len(mark))
