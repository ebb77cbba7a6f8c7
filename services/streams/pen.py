"""Writes a stream's log, and knows what its end must report: length, hash, times."""

import hashlib
from collections.abc import Callable, Sequence

from services.errors import GlossError
from services.events import Error, Event, Finish, FinishReason, Text, Timing, Usage
from services.streams.granularity import regrouped
from services.streams.replay import Replay, differs
from services.streams.stream import Stream
from services.streams.use_case import Granularity
from services.telemetry.ends import Course


class Pen:
    """The only writer of one stream's log; ``write`` takes events, ``finish`` or ``fail`` the end.

    ``tell`` takes what comes from beside the answer, at any time; ``release`` writes what is held back of it.
    """

    def __init__(
        self, stream: Stream, granularity: Granularity = "token", *, shown: Sequence[Event] = ()
    ) -> None:
        """``shown`` is what stands in the log already, and is to be made again before more is."""
        self._stream = stream
        self._replay = Replay(shown, stream.log.append) if shown else None
        self._append = self._replay.put if self._replay else stream.log.append
        self._written = _Written(self._append, stream.clock.monotonic, stream.course)
        self.write, self.release = regrouped(self._written.add, granularity)

    def tell(self, event: Event) -> None:
        """Append what is no part of the answer: a word that it falls into stays whole."""
        self._append(event)

    def finish(self, reason: FinishReason, usage: Usage) -> None:
        """Write the end that was meant."""
        self.release()
        if self._replay is not None and not self._replay.complete:
            self.fail(differs(), usage)
            return
        written = self._written
        self._stream.log.append(
            Finish(
                reason=reason,
                usage=usage,
                chars=written.chars,
                sha256=written.digest.hexdigest(),
                timing=written.timing(),
            )
        )

    def fail(self, error: GlossError, usage: Usage) -> None:
        """Write the end that was not meant."""
        self.release()
        partial = self._written.chars > 0 or (self._replay is not None and self._replay.text_shown)
        problem = error.problem(self._stream.url)
        self._stream.log.append(Error(problem=problem, usage=usage, partial=partial))


class _Written:
    """Passes events on and sums up their text; it knows nothing of the pen, or both would stay for ever."""

    def __init__(
        self, append: Callable[[Event], None], monotonic: Callable[[], float], course: Course
    ) -> None:
        self.chars = 0
        self.digest = hashlib.sha256()
        self._append = append
        self._monotonic = monotonic
        self._course = course
        course.began = monotonic()

    def add(self, event: Event) -> None:
        """Append an event; an empty text is no event."""
        if type(event) is Text:
            if not event.text:
                return
            self._course.text(self._monotonic())
            self.digest.update(event.text.encode())
            self.chars += len(event.text)
        self._append(event)

    def timing(self) -> Timing:
        """Return the times until now, in milliseconds."""
        first_s = self._course.first_text_s
        return Timing(
            first_text_ms=None if first_s is None else round(1000 * first_s),
            total_ms=round(1000 * (self._monotonic() - self._course.began)),
        )
