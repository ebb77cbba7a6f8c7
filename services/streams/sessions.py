"""What a use case remembers between streams: one session, one turn at a time."""

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import msgspec

from services.errors import Busy, NotFound
from services.state.store import Store, StoreDownError
from services.streams.clock import Clock
from services.streams.use_case import Turn

log = logging.getLogger("gloss.sessions")

# A prompt uses the last few turns only; the rest is for the caller to look back on.
MAX_TURNS = 200
DAY_S = 86_400
PAGE = 200
AWAY_S = 1.0  # between two tries to store what could not be stored
VERSION = 1


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation; ``state`` is the use case's own, ``running`` the stream of an open turn.

    ``before`` is the state that the last turn found.
    """

    v: int = VERSION
    id: str
    owner: str
    use_case: str
    state: Any = None
    before: Any = None
    turns: tuple[Turn, ...] = ()
    running: str | None = None

    @property
    def next_turn(self) -> int:
        """Return the number that the coming turn bears."""
        return self.turns[-1].number + 1 if self.turns else 1


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Session).decode


class Sessions:
    """Sessions in a store; one not used for ``days`` is forgotten.

    ``alive`` tells whether a stream still runs, here or elsewhere: a turn whose process died
    keeps nobody out. A turn that ends while the store is away waits here until it is back, and the
    session with it; other processes hear of its stream's end after it is stored (``Stream.owed``).
    """

    def __init__(self, store: Store, clock: Clock, *, days: float, alive: Callable[[str], bool]) -> None:
        self._store = store
        self._clock = clock
        self._ttl_s = days * DAY_S
        self._alive = alive
        self._waiting: dict[str, tuple[Turn, Any]] = {}  # by session, with the state that it left

    @property
    def waiting(self) -> int:
        """Return how many sessions wait here for the store to come back."""
        return len(self._waiting)

    def get(self, session_id: str, owner: str) -> Session:
        """Return the caller's session; raises NotFound, also for somebody else's; StoreDownError."""
        return self._stored(session_id, owner)[1]

    def _stored(self, session_id: str, owner: str) -> tuple[bytes, Session]:
        value = self._store.get(_key(session_id))
        session = None if value is None else decode(value)
        if value is None or session is None or session.owner != owner:
            raise NotFound("There is no such session; it may have expired.")
        return value, session

    def begin_turn(self, session_id: str | None, *, owner: str, use_case: str, stream: str) -> Session:
        """Return the session with its turn taken by ``stream``; a new one without an id.

        Raises NotFound for an unknown id, Busy while another turn runs, StoreDownError.
        """
        if session_id is None:
            new = Session(id=secrets.token_urlsafe(16), owner=owner, use_case=use_case, running=stream)
            self._store.put(_key(new.id), encode(new), self._ttl_s)
            self._store.join(_of(owner), new.id, self._ttl_s)
            return new
        while True:
            value, session = self._stored(session_id, owner)
            if session.use_case != use_case:
                raise NotFound("That session belongs to another use case.")
            if session.running and (session_id in self._waiting or self._alive(session.running)):
                raise Busy(stream=f"/v1/streams/{session.running}")
            taken = msgspec.structs.replace(session, running=stream)
            if self._store.swap(_key(session_id), value, encode(taken), self._ttl_s):
                self._store.join(_of(owner), session_id, self._ttl_s)
                return taken

    def end_turn(self, session_id: str, turn: Turn, state: Any) -> None:
        """Add the turn and the state that it left; a session deleted meanwhile stays deleted."""
        self._waiting[session_id] = (turn, state)
        try:
            self.store_waiting(session_id)
        except StoreDownError:
            log.warning("a turn waits for the store to come back")
            gevent.spawn(self._store_later, session_id)

    def store_waiting(self, session_id: str) -> None:
        """Store the turn that waits, if there is one; raises StoreDownError."""
        if session_id in self._waiting:
            turn, state = self._waiting[session_id]
            try:
                self._change(session_id, lambda session: _with(session, turn, state))
            except StoreDownError:
                raise
            except Exception:
                self._waiting.pop(session_id, None)  # it never will be, and others wait behind it
                raise
            self._waiting.pop(session_id, None)  # it may have been stored by two at once

    def _store_later(self, session_id: str) -> None:
        while session_id in self._waiting:
            self._clock.sleep(AWAY_S)
            with suppress(StoreDownError):
                self.store_waiting(session_id)

    def abandon_turn(self, session: Session, *, new: bool) -> None:
        """Give back a turn whose stream was refused; a session begun for it disappears."""
        try:
            if new:
                self._store.swap(_key(session.id), encode(session), None, self._ttl_s)
                self._store.quit(_of(session.owner), [session.id])
            else:
                self._change(session.id, lambda one: msgspec.structs.replace(one, running=None))
        except StoreDownError:
            return  # its stream is not alive, so the next turn finds it free

    def delete(self, session_id: str, owner: str) -> Session:
        """Forget it; raises NotFound, StoreDownError."""
        while True:
            value, session = self._stored(session_id, owner)
            if self._store.swap(_key(session_id), value, None, self._ttl_s):
                self._store.quit(_of(owner), [session_id])
                return session

    def page(self, owner: str, skip: int, most: int) -> list[Session]:
        """Return a caller's sessions, those used last first; one that is gone is left out.

        Raises StoreDownError.
        """
        values = (self._store.get(_key(one)) for one in self._store.members(_of(owner), skip, most))
        return [decode(value) for value in values if value is not None]

    def forget(self, owner: str) -> None:
        """Forget all sessions of a caller; raises StoreDownError."""
        while ids := self._store.members(_of(owner), 0, PAGE):
            for session_id in ids:
                with suppress(NotFound):
                    self.delete(session_id, owner)
            self._store.quit(_of(owner), ids)

    def discard_turn(self, session_id: str, stream: str) -> None:
        """Forget the turn that a stream was: it was wrong. Raises StoreDownError.

        The state goes back by that turn if no other came after it. A session that was begun with it
        is forgotten too.
        """
        self.store_waiting(session_id)
        self._change(session_id, lambda session: _without(session, stream))

    def _change(self, session_id: str, change: Callable[[Session], Session | None]) -> None:
        while (value := self._store.get(_key(session_id))) is not None:
            changed = change(decode(value))
            new = None if changed is None else encode(changed)
            if self._store.swap(_key(session_id), value, new, self._ttl_s):
                return


def _with(session: Session, turn: Turn, state: Any) -> Session:
    """Return the session with a turn; one that is there was stored by a call whose answer did not come."""
    if turn in session.turns:
        return session
    turns = (*session.turns, turn)[-MAX_TURNS:]
    return msgspec.structs.replace(session, turns=turns, state=state, before=session.state, running=None)


def _without(session: Session, stream: str) -> Session | None:
    """Return the session without a turn: its state as before, if it was the last; None if the only one."""
    turns = tuple(turn for turn in session.turns if turn.stream != stream)
    if len(turns) == len(session.turns):
        return session
    if not turns and session.running is None:
        return None
    was_last = session.turns[-1].stream == stream
    state = session.before if was_last else session.state
    return msgspec.structs.replace(session, turns=turns, state=state)


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _of(owner: str) -> str:
    return f"sessions-of:{owner}"
