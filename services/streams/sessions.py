"""What a use case remembers between streams: one session, one turn at a time."""

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from cachetools import TTLCache

from services.errors import Busy, NotFound
from services.streams.use_case import Turn

# A prompt uses the last few turns only; the rest is for the caller to look back on.
MAX_TURNS = 200
DAY_S = 86_400


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation; ``state`` is the use case's own, ``running`` the stream of an open turn."""

    id: str
    owner: str
    use_case: str
    state: Any = None
    turns: tuple[Turn, ...] = ()
    running: str | None = None

    @property
    def next_turn(self) -> int:
        """Return the number that the coming turn bears."""
        return self.turns[-1].number + 1 if self.turns else 1


class Sessions:
    """Sessions in memory, bounded in number; one not used for ``days`` is forgotten."""

    def __init__(self, *, most: int, days: float, monotonic: Callable[[], float]) -> None:
        self._kept: TTLCache[str, Session] = TTLCache(most, days * DAY_S, timer=monotonic)

    def get(self, session_id: str, owner: str) -> Session:
        """Return the caller's session; raises NotFound, also for somebody else's."""
        session = self._kept.get(session_id)
        if session is None or session.owner != owner:
            raise NotFound("There is no such session; it may have expired.")
        return session

    def begin_turn(self, session_id: str | None, *, owner: str, use_case: str, stream: str) -> Session:
        """Return the session with its turn taken by ``stream``; a new one without an id.

        Raises NotFound for an unknown id, Busy while another turn runs.
        """
        if session_id is None:
            session = Session(id=secrets.token_urlsafe(16), owner=owner, use_case=use_case)
        else:
            session = self.get(session_id, owner)
            if session.use_case != use_case:
                raise NotFound("That session belongs to another use case.")
            if session.running:
                raise Busy(stream=f"/v1/streams/{session.running}")
        return self._keep(msgspec.structs.replace(session, running=stream))

    def end_turn(self, session_id: str, turn: Turn, state: Any) -> None:
        """Add the turn and the state that it left; a session deleted meanwhile stays deleted."""
        session = self._kept.get(session_id)
        if session is not None:
            turns = (*session.turns, turn)[-MAX_TURNS:]
            self._keep(msgspec.structs.replace(session, turns=turns, state=state, running=None))

    def abandon_turn(self, session_id: str, *, new: bool) -> None:
        """Give back a turn whose stream was refused; a session begun for it disappears."""
        session = self._kept.pop(session_id, None)
        if session is not None and not new:
            self._keep(msgspec.structs.replace(session, running=None))

    def delete(self, session_id: str, owner: str) -> Session:
        """Forget it; raises NotFound."""
        session = self.get(session_id, owner)
        del self._kept[session_id]
        return session

    def _keep(self, session: Session) -> Session:
        self._kept[session.id] = session
        return session
