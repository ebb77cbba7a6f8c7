"""The routes of streams: HTTP on one side, ``open_stream`` and readers on the other."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from flask import Blueprint, Response, after_this_request, request
from pydantic import BaseModel, ConfigDict

from services.errors import InvalidInput, NotFound, ShuttingDown, retry_after
from services.events import Error, Event, Finish
from services.streams.core import Core
from services.streams.discard import discard_of
from services.streams.open import require_room
from services.streams.readers import Reader
from services.streams.stream import Stream
from services.streams.use_case import UseCase
from services.web.begin import begin
from services.web.bodies import read_json
from services.web.body import StreamBody
from services.web.entrance import Entrance
from services.web.hangup import HangUp
from services.web.keys import authenticate
from services.web.origins import PageOrigin
from services.web.problems import problem_response
from services.web.rates import Told
from services.web.validation import validated
from services.wire import json as whole
from services.wire.encoding import Encoding
from services.wire.negotiation import JSON, TYPES, negotiate
from services.wire.padding import padded

LATE_S = 1.0  # what was shown by another process is stored within 50 ms, and here a little later
NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class TokenFields(BaseModel):
    """What a read token may be bound to."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    origin: PageOrigin | None = None


@dataclass(frozen=True)
class StreamRoutes:
    """What can be done with a stream; ``types`` are the encodings in which it can be read."""

    core: Core
    use_cases: Mapping[str, UseCase]
    entrance: Entrance
    types: Mapping[str, Encoding] = field(default_factory=lambda: TYPES)

    def blueprint(self) -> Blueprint:
        """Give each route its path."""
        streams = Blueprint("streams", __name__)
        one = "/v1/streams/<stream_id>"
        streams.add_url_rule("/v1/<name>", "start", self.start, methods=["POST"])
        streams.add_url_rule(one, "read", self.read, methods=["GET"])
        streams.add_url_rule(one, "cancel", self.cancel, methods=["DELETE"])
        streams.add_url_rule(f"{one}/status", "status", self.status, methods=["GET"])
        streams.add_url_rule(f"{one}/token", "token", self.token, methods=["POST"])
        return streams

    def start(self, name: str) -> Response:
        """Start a stream and answer with it."""
        use_case = self.use_cases.get(name)
        caller = authenticate(request, self.entrance.keys, scope=name if use_case else None)
        if use_case is None:
            raise NotFound("There is no such use case; /v1/use-cases lists them.")
        told = self.entrance.rates.count(caller)
        after_this_request(partial(_with, told))
        key, settings = request.headers.get("Idempotency-Key"), self.core.settings
        require_room(self.core, caller.owner, key=key)  # before the body: a refusal costs next to nothing
        encoding = negotiate(request.headers.get("Accept"), self.types)
        with self.core.capacity.body() as spare:
            body = read_json(
                request, max_bytes=settings.max_body_bytes, within_s=settings.body_s, spare=spare
            )
        patience_s = settings.json_s if encoding is JSON else None
        stream = begin(
            self.core,
            use_case,
            body,
            caller,
            entrance=self.entrance,
            key=key,
            told=told,
            patience_s=patience_s,
        )
        return self._answer(stream, encoding, after=0)

    def read(self, stream_id: str) -> Response:
        """Read a stream again, from the event after the one named."""
        stream = self._stream(stream_id)
        encoding = negotiate(request.headers.get("Accept"), self.types)
        after = _cursor()
        with closing(Reader(stream, after=after)) as reader:  # present while it is decided
            if not reader.is_in_log(LATE_S):
                raise NotFound("The stream has no event of that number.")
            return self._read(stream, encoding, after)

    def _read(self, stream: Stream, encoding: Encoding, after: int) -> Response:
        if encoding is not JSON and stream.log.end is not None and after == stream.log.last_id:
            if stream.torn:  # what the reader has under this number may be something else
                raise NotFound("The stream broke off; what you have of it may not be what is kept.")
            return Response(status=204)
        if request.method == "HEAD":  # a body that is never asked for must not hold a reader
            return Response(content_type=encoding.content_type, headers=_headers(stream))
        return self._answer(stream, encoding, after=after)

    def cancel(self, stream_id: str) -> Response:
        """End a stream: its provider is closed, its readers are told; ``?discard=1`` forgets what it said."""
        if _discards():
            return self._discard(stream_id)
        stream = self._stream(stream_id)
        status = 202 if stream.log.end is None else 204
        stream.stop("cancelled")
        return Response(status=status)

    def _discard(self, stream_id: str) -> Response:
        """Forget a stream; that it is gone already is what was asked for."""
        owner = authenticate(request, self.entrance.keys).owner  # a read token changes nothing else
        ran = discard_of(self.core, stream_id, owner)
        return Response(status=202 if ran else 204)

    def status(self, stream_id: str) -> Response:
        """Say how a stream stands, without reading it."""
        status = msgspec.json.encode(_status(self._stream(stream_id)))
        return Response(status, content_type=whole.CONTENT_TYPE)

    def token(self, stream_id: str) -> Response:
        """Give a token with which a page can read this stream, and nothing else."""
        caller = authenticate(request, self.entrance.keys)  # a token makes no tokens
        stream = self.core.streams.get(stream_id, caller.owner)
        given = self._token_fields()
        self.entrance.check_page(given.origin, request)
        token, expires = self.entrance.tokens.new(stream.id, caller, given.origin)
        told = {"token": token, "url": f"{stream.url}?token={token}", "expires": expires}
        return Response(msgspec.json.encode(told), content_type=whole.CONTENT_TYPE)

    def _token_fields(self) -> TokenFields:
        """Read the body; none at all says the same as an empty object."""
        settings = self.core.settings
        if not request.content_length and not request.environ.get("wsgi.input_terminated"):
            return TokenFields()
        body = read_json(request, max_bytes=settings.max_body_bytes, within_s=settings.body_s)
        return validated(TokenFields, body)

    def _stream(self, stream_id: str) -> Stream:
        owner = (
            self.entrance.tokens.owner(request, stream_id) or authenticate(request, self.entrance.keys).owner
        )
        return self.core.streams.get(stream_id, owner)

    def _answer(self, stream: Stream, encoding: Encoding, *, after: int) -> Response:
        if encoding is JSON:
            return self._in_one_piece(stream)
        body = StreamBody(
            stream,
            encoding,
            request.environ,
            after=after,
            heartbeat_s=self.core.settings.heartbeat_s,
            drain=self.core.drain if self.core.exchange.is_shared else None,
        )
        # Passed through as it is: werkzeug's own wrapper looks at each item, and we know ours.
        return Response(
            body, content_type=encoding.content_type, headers=_headers(stream), direct_passthrough=True
        )

    def _in_one_piece(self, stream: Stream) -> Response:
        with closing(Reader(stream)) as reader, closing(HangUp(request.environ, reader.leave)):
            for _ in reader.batches(JSON.frame, self.core.settings.heartbeat_s):
                pass
        if stream.log.broken:
            return _elsewhere(stream)
        if stream.log.end is None:
            return Response(status=204)  # the caller has left; nobody reads this
        events, lines = stream.log.after(0), stream.log.lines(0)
        problem = stream.log.end.problem if isinstance(stream.log.end, Error) else None
        body = whole.body(events, lines, self.use_cases[stream.use_case].result(events))
        return Response(
            padded(body, self.core.settings.pad_bytes),
            status=whole.status(events[-1]),
            content_type=whole.PROBLEM_TYPE if problem else whole.CONTENT_TYPE,
            headers=_headers(stream) | _come_back(problem or {}),
        )


def _with(told: Told, response: Response) -> Response:
    response.headers.update(told.fields())
    return response


def _come_back(problem: dict[str, Any]) -> dict[str, str]:
    seconds = retry_after(problem)
    return {"Retry-After": seconds} if seconds else {}


def _elsewhere(stream: Stream) -> Response:
    """Say where the answer will be: this process has let go of it, or lost it."""
    problem = ShuttingDown("Another process goes on with it: read `instance`.", retry_after_s=1)
    response = problem_response(problem, stream.url)
    response.headers.update(_headers(stream))
    return response


def _cursor() -> int:
    """Return the number after which to read: ``Last-Event-ID`` wins over ``?after``."""
    given = request.headers.get("Last-Event-ID", request.args.get("after", "0"))
    if not NUMBER.fullmatch(given):
        raise InvalidInput(errors=[{"field": "after", "problem": "must be the number of an event"}])
    return int(given)


def _discards() -> bool:
    given = request.args.get("discard", "0")
    if given not in {"0", "1"}:
        raise InvalidInput(errors=[{"field": "discard", "problem": "must be 0 or 1"}])
    return given == "1"


def _headers(stream: Stream) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
        "Content-Location": stream.url,
        "Gloss-Stream": stream.id,
        **({"Gloss-Quotas": "open"} if stream.unchecked else {}),
    }


def _status(stream: Stream) -> dict[str, Any]:
    end: Event | None = stream.log.end
    return {
        "state": "ended" if end else "running",
        "last_id": stream.log.last_id,
        "usage": stream.usage(),
        "finish": msgspec.Raw(stream.log.lines(stream.log.last_id - 1)[0])
        if isinstance(end, Finish)
        else None,
        "problem": end.problem if isinstance(end, Error) else None,
    }
