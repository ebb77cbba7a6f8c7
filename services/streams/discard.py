"""Taking back an answer that was wrong: it is in no session and no cache any more, and nobody reads it.

What stays for a day is that it was there: whoever asks again with its idempotency key is told so, and
gets neither the wrong answer nor a second bill.
"""

from services.errors import NotFound
from services.streams.core import Core
from services.streams.registry import NONE
from services.streams.stream import Stopped, Stream

STOPPED_S = 2.0  # for one that runs to come to its end, and a turn elsewhere to give its session back


def discard_of(core: Core, stream_id: str, owner: str) -> bool:
    """Discard the caller's stream of this id; tell whether it ran. One that is gone already is fine.

    Raises NotFound, StoreDownError.
    """
    stream = core.streams.find(stream_id, owner)
    if stream is None:
        raise NotFound(NONE)
    ran = not stream.gone and stream.log.end is None
    discard(core, stream)
    return ran


def discard(core: Core, stream: Stream) -> None:
    """Stop a stream if it runs, and forget what it said.

    Who reads it at the moment hears of its end, and nobody reads it again. Raises StoreDownError where it
    is not known that all is forgotten; asking again is harmless.
    """
    if stream.gone:
        return
    stream.throw(Stopped("cancelled", discard=True))
    if stream.answer is not None:
        core.flights.discard(stream.answer)
    if stream.log.end is None:  # or it has ended, and its process has not said so yet
        stream.attend_end(STOPPED_S)
    if stream.log.end is None:
        return  # whoever makes it was told, and keeps nothing of it
    if stream.session is not None:
        core.sessions.discard_turn(stream.session, stream.id)
    core.exchange.forget(stream)
    core.streams.dropped(stream)
