"""What is said over one WebSocket: who is calling, and what they want.

Who is calling is asked anew with each op, so a key that has expired meanwhile opens nothing more.
"""

from functools import partial
from typing import Any

import gevent

from services.errors import BodyTooLarge, InvalidInput, NotFound, Unauthorized
from services.streams.clock import Timer
from services.streams.core import Core
from services.streams.readers import Reader
from services.streams.use_case import UseCase
from services.web.begin import begin
from services.web.bodies import parse_object
from services.web.keys import Caller, Keys, check_scope
from services.web.problems import as_problem
from services.web.streams import LATE_S
from services.web.validation import validated
from services.web.ws.connection import Connection
from services.web.ws.ops import Auth, Cancel, Resume, Start, ref_of
from services.web.ws.refs import Refs
from services.wire.message import refusal

AUTH_S = 5.0
CONTROL_BYTES = 64 * 1024  # of every message but a start, which may be as long as a body
UNAUTHORIZED = 4401  # from 4000 on close codes are ours: HTTP's 401


class Session:
    """One socket, from its first message to its last."""

    def __init__(self, core: Core, keys: Keys, connection: Connection, authorization: str | None) -> None:
        """``authorization`` is the head's, found to be good, or None."""
        self._core = core
        self._keys = keys
        self._connection = connection
        self._authorization = authorization
        self._refs = Refs(core, connection)
        self._waiting: Timer | None = None

    def run(self) -> None:
        """Hear ops until the connection is over."""
        self._core.drain.watch(self._refs.told_to_stop)
        if self._keys and self._authorization is None:
            self._waiting = self._core.clock.later(AUTH_S, self._time_is_over)
        else:
            self._let_in()
        for message in self._connection.messages():
            self._hear(message)

    def close(self) -> None:
        """Leave every stream, wait for nothing."""
        self._core.drain.unwatch(self._refs.told_to_stop)
        self._refs.leave()
        if self._waiting is not None:
            self._waiting.close()

    def _hear(self, message: bytes) -> None:
        ref = None
        try:
            asked = parse_object(message)
            ref = ref_of(asked)
            self._do(asked, len(message))
        except Unauthorized as error:
            self._turn_away(refusal(ref, error.problem()))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever goes wrong has its answer
            self._connection.bother()
            self._connection.send([refusal(ref, as_problem(error).problem())])

    def _do(self, asked: dict[str, Any], size: int) -> None:
        op = asked.get("op")
        if op == "auth":
            self._authenticate(validated(Auth, asked).token)
            return
        caller = self._keys.caller(self._authorization)
        if size > CONTROL_BYTES and op != "start":
            raise BodyTooLarge("Only a start may be so long.", limit=CONTROL_BYTES)
        match op:
            case "start":
                self._start(validated(Start, asked), caller, large=size > CONTROL_BYTES)
            case "resume":
                given = validated(Resume, asked)
                self._refs.serve(given.ref, partial(self._resumed, given, caller))
            case "cancel":
                self._connection.bother()
                self._refs.cancel(validated(Cancel, asked).ref)
            case _:
                problem = "must be auth, start, resume or cancel"
                raise InvalidInput(errors=[{"field": "op", "problem": problem}])

    def _authenticate(self, token: str) -> None:
        authorization = f"Bearer {token}"
        self._keys.caller(authorization)
        self._authorization = authorization
        if self._waiting is not None:
            self._waiting.close()
        self._connection.bother()
        self._let_in()

    def _let_in(self) -> None:
        self._connection.most_bytes = max(CONTROL_BYTES, self._core.settings.max_body_bytes)

    def _time_is_over(self) -> None:
        gevent.spawn(self._turn_away)

    def _turn_away(self, why: bytes | None = None) -> None:
        self._connection.close(UNAUTHORIZED, "say who is calling", last=why)

    def _start(self, given: Start, caller: Caller, *, large: bool) -> None:
        use_case = self._core.use_cases.get(given.use_case)
        if use_case is None:
            raise NotFound("There is no such use case; /v1/use-cases lists them.")
        check_scope(caller, use_case.name)
        self._refs.serve(given.ref, partial(self._begun, given, use_case, caller), large=large)

    def _begun(self, given: Start, use_case: UseCase, caller: Caller) -> Reader:
        return Reader(begin(self._core, use_case, given.body, caller, key=given.idempotency_key))

    def _resumed(self, given: Resume, caller: Caller) -> Reader:
        reader = Reader(self._core.streams.get(given.stream, caller.key_id), after=given.after)
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
