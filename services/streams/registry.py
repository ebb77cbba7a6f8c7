"""Which streams there are: running, for a while after their end, and those of other processes."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from services.errors import NotFound
from services.streams.clock import Clock
from services.streams.stream import Stream

# Ended streams are dropped early, oldest first, rather than grow without a bound.
MAX_ENDED = 5_000
NONE = "There is no such stream; it may have expired, or was discarded."


def new_id() -> str:
    """Return an unguessable id: 128 random bits in 22 characters that a URL takes as they are."""
    return secrets.token_urlsafe(16)


class Streams:
    """Streams by id; an id is only good together with its owner.

    ``elsewhere`` finds what is not here: made by another process, or by this one's predecessor.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        retention_s: float,
        elsewhere: Callable[[str], Stream | None] = lambda _id: None,
    ) -> None:
        self._clock = clock
        self._retention_s = retention_s
        self._elsewhere = elsewhere
        self._running: dict[str, Stream] = {}
        self._ended: OrderedDict[str, Stream] = OrderedDict()

    @property
    def running(self) -> list[Stream]:
        """Return the streams that are made here and have not ended."""
        return list(self._running.values())

    def add(self, stream: Stream) -> None:
        """Keep a stream that begins."""
        self._running[stream.id] = stream

    def ended(self, stream: Stream) -> None:
        """Keep a stream that has ended, for the retention time and no longer."""
        self._running.pop(stream.id, None)
        self._ended[stream.id] = stream
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        self._clock.later(self._retention_s, partial(self._forget, stream.id))

    def _forget(self, stream_id: str) -> None:
        self._ended.pop(stream_id, None)

    def shed(self) -> None:
        """Forget the older half of those that have ended: memory is short."""
        for _ in range((len(self._ended) + 1) // 2):
            self._ended.popitem(last=False)

    def forget(self, owner: str) -> list[Stream]:
        """Drop what has ended of an owner; return what runs here."""
        for stream in [one for one in self._ended.values() if one.owner == owner]:
            del self._ended[stream.id]
        return [one for one in self._running.values() if one.owner == owner]

    def dropped(self, stream: Stream) -> None:
        """Forget a stream that another process goes on with."""
        self._running.pop(stream.id, None)
        self._ended.pop(stream.id, None)

    def here(self, stream_id: str) -> Stream | None:
        """Return a stream that is made here, running or ended."""
        return self._running.get(stream_id) or self._ended.get(stream_id)

    def find(self, stream_id: str, owner: str) -> Stream | None:
        """Return the caller's stream, also one that is ``gone``; None if there is none; StoreDownError."""
        stream = self.here(stream_id) or self._elsewhere(stream_id)
        return stream if stream is not None and stream.owner == owner else None

    def get(self, stream_id: str, owner: str) -> Stream:
        """Return the caller's stream; raises NotFound, also for somebody else's; StoreDownError."""
        stream = self.find(stream_id, owner)
        if stream is None or stream.gone:
            raise NotFound(NONE)
        return stream

    def alive(self, stream_id: str) -> bool:
        """Tell whether a stream runs, here or elsewhere; raises StoreDownError."""
        stream = self.here(stream_id) or self._elsewhere(stream_id)
        return stream is not None and not stream.gone and stream.log.end is None
