"""The routes of sessions: what is remembered, and forgetting it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from flask import Blueprint, Response, request

from services.errors import NotFound
from services.streams.core import Core
from services.streams.use_case import UseCase
from services.web.keys import Keys, authenticate
from services.wire.json import CONTENT_TYPE


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
        sessions.add_url_rule(one, "show", self.show, methods=["GET"])
        sessions.add_url_rule(one, "forget", self.forget, methods=["DELETE"])
        return sessions

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
