"""The routes of sessions: what is remembered, and forgetting it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from services.errors import Forbidden, InvalidInput, NotFound
from services.streams.core import Core
from services.streams.sessions import Session
from services.streams.use_case import UseCase
from services.web.callers import ANONYMOUS, is_at_home
from services.web.keys import Keys, authenticate
from services.web.streams import NUMBER
from services.wire.json import CONTENT_TYPE

PAGE = 50


@dataclass(frozen=True)
class SessionRoutes:
    """What can be done with a session."""

    core: Core
    use_cases: Mapping[str, UseCase]
    keys: Keys

    def blueprint(self) -> Blueprint:
        """Give each route its path."""
        sessions = Blueprint("sessions", __name__)
        one = "/v1/sessions/<session_id>"
        sessions.add_url_rule("/v1/sessions", "list", self.list, methods=["GET"])
        sessions.add_url_rule(one, "show", self.show, methods=["GET"])
        sessions.add_url_rule(one, "forget", self.forget, methods=["DELETE"])
        return sessions

    def list(self) -> Response:
        """List the caller's sessions, those used last first; ``next`` is where to go on with ``?after=``."""
        caller = authenticate(request, self.keys)
        if caller is ANONYMOUS and not is_at_home(request):
            raise Forbidden("Without keys sessions are listed on the machine itself only.")
        given = request.args.get("after", "0")
        if not NUMBER.fullmatch(given):
            raise InvalidInput(errors=[{"field": "after", "problem": "must be what `next` said"}])
        skip = int(given)
        page = self.core.sessions.page(caller.owner, skip, PAGE + 1)
        told = {"items": [_item(one) for one in page[:PAGE]], "next": skip + PAGE if page[PAGE:] else None}
        return Response(msgspec.json.encode(told), content_type=CONTENT_TYPE)

    def show(self, session_id: str) -> Response:
        """Show a session's turns, and what its use case shows of the state."""
        kept = self.core.sessions.get(session_id, self._owner())
        shown = {
            "session": kept.id,
            "use_case": kept.use_case,
            "turns": kept.turns,
            "state": None if kept.state is None else self.use_cases[kept.use_case].show(kept.state),
            "running": f"/v1/streams/{kept.running}" if kept.running else None,
        }
        return Response(msgspec.json.encode(shown), content_type=CONTENT_TYPE)

    def forget(self, session_id: str) -> Response:
        """Forget a session; a turn that runs in it is cancelled."""
        owner = self._owner()
        kept = self.core.sessions.delete(session_id, owner)
        if kept.running:
            with suppress(NotFound):  # its turn was taken, its stream is still being opened
                self.core.streams.get(kept.running, owner).stop("cancelled")
        return Response(status=204)

    def _owner(self) -> str:
        return authenticate(request, self.keys).owner


def _item(session: Session) -> dict[str, Any]:
    """Return what a list shows of a session: enough to choose one."""
    return {
        "session": session.id,
        "use_case": session.use_case,
        "turns": len(session.turns),
        "running": f"/v1/streams/{session.running}" if session.running else None,
    }
