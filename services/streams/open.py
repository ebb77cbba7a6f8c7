"""One request's path, top to bottom, in the order in which it happens.

What can fail with a status fails here, before the first byte. When ``open_stream`` returns,
the ``start`` event stands in the log, the producer runs, and whoever wants reads.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import msgspec

from services.cost.accounts import Account
from services.cost.reservation import Reservation
from services.cost.tokens import Counter
from services.errors import InputTooLong, Overloaded, ShuttingDown
from services.events import Limits
from services.streams.answers.answering import answering
from services.streams.capacity import Slot
from services.streams.caps import agreed, input_cap, server_limits
from services.streams.claims import Wish
from services.streams.core import Core
from services.streams.ending import end_turn, ended
from services.streams.log import Log
from services.streams.models import Model
from services.streams.pen import Pen
from services.streams.registry import new_id
from services.streams.sessions import Session
from services.streams.stream import Opener, Stream
from services.streams.use_case import Input, UseCase

LATE_S = 30.0  # after its deadline a stream has ended, and is settled
SUPERSEDED_S = 2.0  # for an earlier turn to give its session back


def open_stream(  # noqa: PLR0913 - what a request brings
    core: Core,
    use_case: UseCase,
    given: Input,
    *,
    owner: str,
    accounts: tuple[Account, ...] = (),
    opener: Opener | None = None,
    patience_s: float | None = None,
    wish: Wish | None = None,
) -> Stream:
    """Start a stream and return it; ``patience_s`` is how long the caller's encoding can wait.

    It is charged to all ``accounts``, and to the deployment's. Whoever goes on with it elsewhere learns by
    what it was opened.

    With a ``wish`` whose key was used before, return the stream that it began.

    Raises what the caller is to be told with a status: ShuttingDown, Overloaded, InvalidInput, InputTooLong,
    NotFound or Busy (sessions), IdempotencyMismatch, ProviderFailure (no model to be had), BudgetExhausted,
    Forbidden (a model without a price), and what the use case itself refuses; StoreDownError where a key
    or a session needs the store.
    """
    stream_id = new_id()
    earlier = core.claims.joined(wish, stream_id, owner) if wish else None
    if earlier is not None:
        return earlier
    with core.claims.held(wish, stream_id, owner) if wish else nullcontext(_nothing) as confirm:
        return _open(
            core,
            use_case,
            given,
            stream_id,
            owner,
            accounts,
            opener,
            patience_s,
            confirm,
            keyed=wish is not None,
        )


def _nothing() -> None:
    """Without a key there is no claim to confirm."""


def _open(  # noqa: PLR0913, PLR0917 - see above
    core: Core,
    use_case: UseCase,
    given: Input,
    stream_id: str,
    owner: str,
    accounts: tuple[Account, ...],
    opener: Opener | None,
    patience_s: float | None,
    confirm: Callable[[], None],
    *,
    keyed: bool,
) -> Stream:
    require_room(core, owner)
    model = core.models.choose(given.options.model)
    limits = _within(patience_s, _weigh(core, use_case, model.counter, given))
    stream = _stream(core, use_case, given, stream_id, owner, model)
    stream.opener = opener
    _supersede(core, use_case, given, stream, limits)
    with _turn(core, use_case, given, stream) as session:
        stream.session = session.id if session else None
        making = answering(
            core, use_case, given, stream=stream, model=model, limits=limits, session=session,
            reserve=partial(_reservation, core, accounts),
        )  # fmt: skip
        with making.held(), _slot(core, owner, confirm) as slot:  # from here on nothing waits
            pen = Pen(stream, given.options.granularity)
            sent = given.model_dump(mode="json", exclude_none=True)
            producer = making.producer(
                pen,
                slot,
                ending=partial(end_turn, core, stream, session, sent),
                ended=partial(ended, core, stream),
            )
            pen.write(making.start())
            core.streams.add(stream)
            core.exchange.publish(
                stream,
                sent=sent,
                session=stream.session,
                deadline_s=limits.deadline_s,
                keyed=keyed,
                paid=making.reservation.state,
            )
            producer.start(making.opening, limits.deadline_s)
    later = given.options.supersedes
    if later is not None and not core.claims.is_latest(later, stream.id, owner):
        stream.stop("superseded")  # by one that came while this one was being opened, and could not find it
    return stream


@contextmanager
def _slot(core: Core, owner: str, confirm: Callable[[], None]) -> Iterator[Slot]:
    confirm()
    core.drain.require_open()
    with core.capacity.slot(owner) as slot:
        yield slot


def _reservation(core: Core, accounts: tuple[Account, ...], stream: Stream, deadline_s: float) -> Reservation:
    return core.ledger.opened(
        stream.id,
        accounts,
        key=stream.owner.partition("/")[0],
        use_case=stream.use_case,
        model=stream.model,
        lasts_s=deadline_s + LATE_S,
    )


def _stream(  # noqa: PLR0913, PLR0917 - what is known of it
    core: Core, use_case: UseCase, given: Input, stream_id: str, owner: str, model: Model
) -> Stream:
    return Stream(
        id=stream_id, owner=owner, use_case=use_case.name, model=model.name, clock=core.clock,
        log=Log(use_case.events), on_disconnect=given.options.on_disconnect,
        own_cap=given.options.max_output_tokens is not None,
    )  # fmt: skip


def _supersede(core: Core, use_case: UseCase, given: Input, stream: Stream, limits: Limits) -> None:
    """End the caller's earlier stream of the same key; a session waits until it has its turn back."""
    key = given.options.supersedes
    if key is None:
        return
    kept_s = limits.deadline_s + core.settings.retention_s
    earlier = core.claims.supersede(key, stream.id, stream.owner, kept_s)
    if earlier is None or earlier.log.end is not None:
        return
    earlier.stop("superseded")
    if use_case.sessions:
        earlier.attend_end(SUPERSEDED_S)


def require_room(core: Core, owner: str, *, key: str | None = None) -> None:
    """Raise ShuttingDown or Overloaded where this owner's stream could not begin; costs next to nothing.

    With an idempotency ``key`` that was used before nothing begins: a stream is joined.
    """
    try:
        core.drain.require_open()
        core.capacity.require(owner)
    except (ShuttingDown, Overloaded):
        if key is None or not core.claims.is_known(key, owner):
            raise


def _weigh(core: Core, use_case: UseCase, counter: Counter, given: Input) -> Limits:
    caps = core.prompts[use_case.name].caps
    most = input_cap(core.settings, caps)
    written = list(given.written())
    short = sum(len(text.encode()) for text in written) <= most  # a token is at least one byte
    tokens = 0 if short and not caps.output_per_input else sum(map(counter.count, written))
    if tokens > most:
        raise InputTooLong(tokens=tokens, limit=most)
    return agreed(server_limits(core.settings, caps, tokens), given.options)


def _within(patience_s: float | None, limits: Limits) -> Limits:
    if patience_s is None:
        return limits
    return msgspec.structs.replace(limits, deadline_s=min(patience_s, limits.deadline_s))


@contextmanager
def _turn(core: Core, use_case: UseCase, given: Input, stream: Stream) -> Iterator[Session | None]:
    """Take the session's turn; give it back if the stream is refused after all."""
    if not use_case.sessions:
        yield None
        return
    asked: str | None = getattr(given, "session", None)
    session = core.sessions.begin_turn(asked, owner=stream.owner, use_case=use_case.name, stream=stream.id)
    try:
        yield session
    except BaseException:
        core.sessions.abandon_turn(session, new=asked is None)
        raise
