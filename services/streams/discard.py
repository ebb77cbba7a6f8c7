"""Taking back an answer that was wrong: it is in no session and no cache any more."""

from services.streams.core import Core
from services.streams.stream import Stopped, Stream

STOPPED_S = 2.0  # for a turn that is stopped elsewhere to give its session back


def discard(core: Core, stream: Stream) -> None:
    """Stop a stream if it runs, and forget what it said wherever it would be used again.

    What was shown can still be read, for as long as any stream. Raises StoreDownError where it is not
    known that all is forgotten; asking again is harmless.
    """
    stream.throw(Stopped("cancelled", discard=True))
    if stream.answer is not None:
        core.flights.discard(stream.answer)
    if stream.session is None:
        return
    if stream.is_copy:  # it may have ended before its process hears of it, and the turn be there
        stream.attend_end(STOPPED_S)
    if stream.log.end is not None:
        core.sessions.discard_turn(stream.session, stream.id)
