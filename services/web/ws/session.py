"""What is said over one WebSocket: who is calling, and what they want.

Who is calling is asked anew with each op, so a key that has expired meanwhile opens nothing more; and
once a second, so that the socket of a key that was withdrawn, or of a token that is over, is closed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent

from services.errors import BodyTooLarge, InvalidInput, NotFound, Unauthorized
from services.state import patience
from services.streams.clock import Timer
from services.streams.core import Core
from services.streams.readers import Reader
from services.streams.use_case import UseCase
from services.web.begin import begin
from services.web.bodies import parse_object
from services.web.callers import Caller, check_scope
from services.web.entrance import Entrance
from services.web.keys import Keys
from services.web.problems import counted
from services.web.rates import Told
from services.web.streams import LATE_S
from services.web.validation import validated
from services.web.ws.connection import Connection
from services.web.ws.ops import Auth, Cancel, Resume, Start, ref_of
from services.web.ws.refs import Refs
from services.wire.message import refusal

AUTH_S = 5.0
CONTROL_BYTES = 64 * 1024  # of every message but a start, which may be as long as a body
UNAUTHORIZED = 4401  # from 4000 on close codes are ours: HTTP's 401


@dataclass
class Credentials:
    """What a socket has shown of who is calling.

    ``authorization`` is the header, or what the first message said; ``token_owner(stream_id)`` tells
    whose a stream is by the read token in the address, and raises as ``Tokens.owner`` does. ``page`` is the
    origin of the page that asks, ``known`` who was let in last.
    """

    keys: Keys
    authorization: str | None = None
    token_owner: Callable[[str], str | None] | None = None
    page: str | None = None
    known: Caller | None = None
    _owner: str | None = None

    @property
    def proved(self) -> bool:
        """Tell whether a key was shown, or none is needed."""
        return not self.keys or self.authorization is not None

    def caller(self) -> Caller:
        """Return who is calling; raises Unauthorized, also where only a stream's token was shown."""
        self.known = self.keys.caller(self.authorization, self.page)
        return self.known

    def owner(self, stream_id: str) -> str:
        """Return as whom a stream may be read; raises Unauthorized, ForeignOrigin, StoreDownError."""
        by_token = self.token_owner(stream_id) if self.token_owner else None
        self._owner = by_token or self._owner
        return by_token or self.caller().owner

    def are_live(self) -> bool:
        """Tell whether what opened something here opens it still; costs next to nothing."""
        by_key = self.known is None or self.keys.is_live(self.known)
        return by_key and (self._owner is None or self.keys.owns(self._owner))


class Session:
    """One socket, from its first message to its last."""

    def __init__(
        self, core: Core, entrance: Entrance, credentials: Credentials, connection: Connection
    ) -> None:
        """Only ``run`` opens anything."""
        self._core = core
        self._entrance = entrance
        self._credentials = credentials
        self._connection = connection
        self._refs = Refs(core, connection)
        self._waiting: Timer | None = None
        self._over = False

    def run(self) -> None:
        """Hear ops until the connection is over."""
        self._core.drain.watch(self._refs.told_to_stop)
        self._entrance.watch.tell(self._look)
        if self._credentials.proved:
            self._let_in()
        else:
            self._waiting = self._core.clock.later(AUTH_S, self._time_is_over)
        for message in self._connection.messages():
            self._hear(message)

    def close(self) -> None:
        """Leave every stream, wait for nothing."""
        self._core.drain.unwatch(self._refs.told_to_stop)
        self._entrance.watch.forget(self._look)
        self._refs.leave()
        self._is_known()

    def _hear(self, message: bytes) -> None:
        ref = None
        patience.begin(self._core.settings.store_call_s)
        try:
            asked = parse_object(message)
            ref = ref_of(asked)
            self._do(asked, len(message))
        except Unauthorized as error:
            self._turn_away(refusal(ref, counted(self._core.metrics, error).problem()))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever goes wrong has its answer
            self._connection.bother()
            self._connection.send([refusal(ref, counted(self._core.metrics, error).problem())])

    def _do(self, asked: dict[str, Any], size: int) -> None:
        op = asked.get("op")
        if op == "auth":
            self._authenticate(validated(Auth, asked).token)
            return
        if not self._credentials.proved and self._credentials.token_owner is None:
            raise Unauthorized("Say who is calling in the header or in the first message.")
        most = self._core.settings.max_body_bytes if op == "start" else CONTROL_BYTES
        if size > most:
            raise BodyTooLarge("A message of this op may not be so long.", limit=most)
        match op:
            case "start":
                self._start(validated(Start, asked), large=size > CONTROL_BYTES)
            case "resume":
                given = validated(Resume, asked)
                owner = self._credentials.owner(given.stream)
                self._is_known()
                self._refs.serve(given.ref, partial(self._resumed, given, owner))
            case "cancel":
                self._connection.bother()
                self._cancel(validated(Cancel, asked))
            case _:
                problem = "must be auth, start, resume or cancel"
                raise InvalidInput(errors=[{"field": "op", "problem": problem}])

    def _cancel(self, given: Cancel) -> None:
        if given.discard:
            owner = self._credentials.caller().owner  # a read token changes nothing else
            self._refs.discard(given.ref, owner)
        else:
            self._refs.cancel(given.ref)

    def _authenticate(self, token: str) -> None:
        shown = Credentials(self._credentials.keys, f"Bearer {token}", page=self._credentials.page)
        shown.caller()
        self._credentials = shown
        self._connection.bother()
        self._is_known()
        self._let_in()

    def _is_known(self) -> None:
        """Wait for no key any more."""
        if self._waiting is not None:
            self._waiting.close()

    def _let_in(self) -> None:
        """Take requests that are as long as a body: whoever may start something has shown who it is."""
        self._connection.most_bytes = max(CONTROL_BYTES, self._core.settings.max_body_bytes)

    def _time_is_over(self) -> None:
        gevent.spawn(self._turn_away)

    def _look(self) -> None:
        """Close the socket of a key that is not live any more, a round later: its streams' ends go first."""
        late, self._over = self._over, not self._credentials.are_live()
        if late and self._over:
            gevent.spawn(
                self._turn_away,
                refusal(None, Unauthorized("What opened this socket is over, or was withdrawn.").problem()),
            )

    def _turn_away(self, why: bytes | None = None) -> None:
        self._connection.close(UNAUTHORIZED, "say who is calling", last=why)

    def _start(self, given: Start, *, large: bool) -> None:
        caller = self._credentials.caller()
        use_case = self._core.use_cases.get(given.use_case)
        if use_case is None:
            raise NotFound("There is no such use case; /v1/use-cases lists them.")
        check_scope(caller, use_case.name)
        told = self._entrance.rates.count(caller)
        self._refs.serve(given.ref, partial(self._begun, given, use_case, caller, told), large=large)

    def _begun(self, given: Start, use_case: UseCase, caller: Caller, told: Told) -> Reader:
        key = given.idempotency_key
        return Reader(
            begin(self._core, use_case, given.body, caller, entrance=self._entrance, key=key, told=told)
        )

    def _resumed(self, given: Resume, owner: str) -> Reader:
        reader = Reader(self._core.streams.get(given.stream, owner), after=given.after)
        try:
            _check(reader)
        except BaseException:
            reader.close()
            raise
        return reader


def _check(reader: Reader) -> None:
    """Raise NotFound where there is nothing to read."""
    if not reader.is_in_log(LATE_S):
        raise NotFound("The stream has no event of that number.")
    if reader.at_end:
        raise NotFound("The stream has ended, and nothing follows the event of that number.")
