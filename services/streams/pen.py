"""Writes a stream's log, and knows what its end must report: length, hash, times."""

import hashlib
from collections.abc import Sequence

from services.errors import GlossError
from services.events import Error, Event, Finish, FinishReason, Text, Timing, Usage
from services.streams.granularity import regrouped
from services.streams.replay import Replay, differs
from services.streams.stream import Stream
from services.streams.use_case import Granularity


class Pen:
    """The only writer of one stream's log; ``write`` takes events, ``finish`` or ``fail`` the end.

    ``tell`` takes what comes from beside the answer, at any time.
    """

    def __init__(
        self, stream: Stream, granularity: Granularity = "token", *, shown: Sequence[Event] = ()
    ) -> None:
        """``shown`` is what stands in the log already, and is to be made again before more is."""
        self.write, self._release = regrouped(self._write, granularity)
        self._stream = stream
        self._replay = Replay(shown, stream.log.append) if shown else None
        self._append = self._replay.put if self._replay else stream.log.append
        self._monotonic = stream.clock.monotonic
        self._began = self._monotonic()
        self._first_text: float | None = None
        self._digest = hashlib.sha256()
        self._chars = 0

    def _write(self, event: Event) -> None:
        """Append an event; an empty text is no event."""
        if type(event) is Text:
            if not event.text:
                return
            if self._first_text is None:
                self._first_text = self._monotonic()
            self._digest.update(event.text.encode())
            self._chars += len(event.text)
        self._append(event)

    def tell(self, event: Event) -> None:
        """Append what is no part of the answer: a word that it falls into stays whole."""
        self._append(event)

    def finish(self, reason: FinishReason, usage: Usage) -> None:
        """Write the end that was meant."""
        self._release()
        if self._replay is not None and not self._replay.complete:
            self.fail(differs(), usage)
            return
        self._stream.log.append(
            Finish(
                reason=reason,
                usage=usage,
                chars=self._chars,
                sha256=self._digest.hexdigest(),
                timing=self._timing(),
            )
        )

    def fail(self, error: GlossError, usage: Usage) -> None:
        """Write the end that was not meant."""
        self._release()
        partial = self._chars > 0 or (self._replay is not None and self._replay.text_shown)
        problem = error.problem(self._stream.url)
        self._stream.log.append(Error(problem=problem, usage=usage, partial=partial))

    def _timing(self) -> Timing:
        first = self._first_text
        return Timing(
            first_text_ms=None if first is None else round(1000 * (first - self._began)),
            total_ms=round(1000 * (self._monotonic() - self._began)),
        )
