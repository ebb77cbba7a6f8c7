"""The OpenAPI 3.1 document: every route, the four encodings, what can go wrong.

Made once, at start, from the registry; what the bodies look like is in ``schemas.py``.
"""

from collections.abc import Container, Iterable, Mapping

from services.streams.use_case import UseCase
from services.web.schemas import JSON_TYPE, Json, input_refs, problem_responses, ref, schemas
from services.wire.negotiation import TYPES

# Statuses of problems: of every private route, of one that names something, of one that starts.
PRIVATE = (400, 401, 403, 405, 414, 431, 500)
NAMED = (*PRIVATE, 404, 503)
WITH_STORE = (*NAMED, 408, 413, 415, 422)
READS = (*NAMED, 406, 422, 502, 504)
STARTS = (*READS, 408, 409, 413, 415, 429)
SOCKET = (*PRIVATE, 426, 503)
PUBLIC = (400, 403, 405, 414, 431, 500)
LISTS = (*PRIVATE, 422, 503)
NUMBER: Json = {"type": "integer", "minimum": 0, "maximum": 999_999_999}


def document(
    use_cases: Mapping[str, UseCase], *, version: str, keyed: bool, types: Container[str] = TYPES
) -> Json:
    """Return the document; ``keyed`` tells whether private routes ask for a key.

    ``types`` are those in which streams are offered.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gloss",
            "version": version,
            "summary": "The streaming language service",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            **_start_paths(use_cases),
            **_stream_paths(),
            **_session_paths(),
            **_subject_paths(),
            **_usage_paths(),
            **_socket_paths(),
            **_operator_paths(),
            **_public_paths(),
        },
        "components": {
            "schemas": schemas(use_cases.values()),
            "responses": {"stream": _stream_response(types), **problem_responses()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}] if keyed else [],
    }


def _start_paths(use_cases: Mapping[str, UseCase]) -> Json:
    inputs = input_refs(use_cases.values())
    return {f"/v1/{name}": {"post": _start(given, inputs[name])} for name, given in use_cases.items()}


def _start(use_case: UseCase, schema: Json) -> Json:
    return {
        "operationId": f"start-{use_case.name}",
        "summary": use_case.title,
        "requestBody": {
            "required": True,
            "content": {JSON_TYPE: {"schema": schema, "example": dict(use_case.example)}},
        },
        "responses": {
            "200": ref("responses", "stream"),
            **_problems(STARTS),
        },
    }


def _stream_paths() -> Json:
    stream = _path_parameter("stream_id", "the id of the stream, as in `Gloss-Stream`")
    cursor = [
        {"name": "after", "in": "query", "schema": NUMBER, "description": "the last event that you have"},
        {"name": "Last-Event-ID", "in": "header", "schema": NUMBER, "description": "the same, and wins"},
    ]
    read = {
        "200": ref("responses", "stream"),
        "204": {"description": "Nothing is left after the end"},
    }
    discarded = {
        "name": "discard",
        "in": "query",
        "schema": {"enum": [0, 1]},
        "description": "1: it was wrong; nobody reads it again, and no session or cache keeps it",
    }
    cancelled = {
        "202": {"description": "It is being cancelled"},
        "204": {"description": "It had ended"},
    }
    status = {"200": _json_response("Where the stream is", ref("schemas", "status"))}
    token = {"200": _json_response("A token, and the path with it", {"type": "object"})}
    passed = {"name": "token", "in": "query", "schema": {"type": "string"}, "description": "instead of a key"}
    return {
        "/v1/streams/{stream_id}": {
            "parameters": [stream, passed],
            "get": _operation("read-stream", "Read a stream, from the start or on", read, READS)
            | {"parameters": cursor},
            "delete": _operation("cancel-stream", "Cancel a stream", cancelled, (*NAMED, 422))
            | {"parameters": [discarded]},
        },
        "/v1/streams/{stream_id}/status": {
            "parameters": [stream, passed],
            "get": _operation("stream-status", "Look at a stream without reading it", status, NAMED),
        },
        "/v1/streams/{stream_id}/token": {
            "parameters": [stream],
            "post": _operation("read-token", "Get a token for an EventSource", token, WITH_STORE)
            | {"requestBody": {"content": {JSON_TYPE: {"schema": ref("schemas", "input.TokenFields")}}}},
        },
    }


def _session_paths() -> Json:
    session = _path_parameter("session_id", "the id of the session, as in `start.session`")
    found = {"200": _json_response("Its turns and its state", ref("schemas", "session"))}
    gone = {"204": {"description": "It is forgotten"}}
    listed = {"200": _json_response("Those used last first", ref("schemas", "sessions"))}
    after = {"name": "after", "in": "query", "schema": NUMBER, "description": "what `next` said"}
    return {
        "/v1/sessions": {
            "parameters": [after],
            "get": _operation("list-sessions", "List the sessions of who asks", listed, LISTS),
        },
        "/v1/sessions/{session_id}": {
            "parameters": [session],
            "get": _operation("read-session", "Look at a session", found, NAMED),
            "delete": _operation("forget-session", "Forget a session", gone, NAMED),
        },
    }


def _subject_paths() -> Json:
    subject = _path_parameter("subject", "the name by which a token was made for the end user")
    token = {"200": _json_response("A token, and when it ends", ref("schemas", "token"))}
    gone = {"204": {"description": "Nothing is left of that end user"}}
    wanted = {"required": True, "content": {JSON_TYPE: {"schema": ref("schemas", "input.TokenWish")}}}
    return {
        "/v1/tokens": {
            "post": _operation("client-token", "Get a token for an end user's browser", token, WITH_STORE)
            | {"requestBody": wanted},
        },
        "/v1/subjects/{subject}": {
            "parameters": [subject],
            "delete": _operation("forget-subject", "Forget an end user", gone, NAMED),
        },
    }


def _usage_paths() -> Json:
    told = {"200": _json_response("What was used, what is reserved, what is left", ref("schemas", "usage"))}
    return {"/v1/usage": {"get": _operation("usage", "Look at what you have used", told, (*PRIVATE, 503))}}


def _socket_paths() -> Json:
    opened = {"101": {"description": "A WebSocket: ops go out, events come back with the `ref` of their op"}}
    return {
        "/v1/ws": {"get": _operation("open-websocket", "Several streams over one WebSocket", opened, SOCKET)},
    }


def _operator_paths() -> Json:
    figures = {"200": _text_response("Figures of all processes, for Prometheus", "text/plain")}
    used = {"200": _json_response("Rows by what was asked for, and the sum of all", {"type": "object"})}
    asked = {
        "from": {"type": "string", "format": "date"},
        "to": {"type": "string", "format": "date"},
        "by": {"type": "string", "description": "some of day, key, use_case, model, by commas"},
    }
    query = [{"name": name, "in": "query", "schema": schema} for name, schema in asked.items()]
    return {
        "/metrics": {
            "get": _operation("metrics", "Figures for Prometheus; a key of their own", figures, PRIVATE)
        },
        "/v1/usage/history": {
            "get": _operation("usage-history", "What was used; scope `admin`", used, (*PRIVATE, 422, 503))
            | {"parameters": query}
        },
    }


def _public_paths() -> Json:
    anything, listed = {"type": "object"}, {"type": "array", "items": {"type": "object"}}
    page = {"200": _text_response("The page", "text/html")}
    healthy = {"200": _json_response("Alive", anything)}
    ready = {
        "200": _json_response("Ready for traffic", anything),
        "503": _json_response("Not ready; `checks` tells why", anything),
    }
    explained = {"200": _text_response("About this kind of problem", "text/html", JSON_TYPE)}
    asset = _path_parameter("name", "the file's name")
    slug = _path_parameter("slug", "the kind of problem")
    offered = {"200": _json_response("What can be asked for", listed)}
    described = {"200": _json_response("This document", anything)}
    return {
        "/": _public("page", "The page", page),
        "/usage": _public("usage-page", "The operator's page", page),
        "/assets/{name}": _public(
            "asset", "A file of the page", {"200": _text_response("The file", "text/*")}, asset
        ),
        "/healthz": _public("healthz", "Is the process alive?", healthy),
        "/readyz": _public("readyz", "May traffic be sent here?", ready),
        "/v1/use-cases": _public("use-cases", "What can be asked for", offered),
        "/openapi.json": _public("openapi", "This document", described),
        "/problems/{slug}": _public("problem", "What a problem means", explained, slug),
    }


def _public(name: str, summary: str, responses: Json, parameter: Json | None = None) -> Json:
    statuses = (*PUBLIC, 404) if parameter else PUBLIC
    item: Json = {"get": _operation(name, summary, responses, statuses) | {"security": []}}
    return item | ({"parameters": [parameter]} if parameter else {})


def _operation(name: str, summary: str, responses: Json, problems: Iterable[int]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": responses | _problems(problems),
    }


def _path_parameter(name: str, what: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": what}


def _stream_response(types: Container[str]) -> Json:
    text, event = {"type": "string"}, ref("schemas", "event")
    lines = {**text, "contentMediaType": JSON_TYPE, "contentSchema": event}
    bodies = {
        "text/plain": text,
        "application/x-ndjson": lines,
        "text/event-stream": lines,
        JSON_TYPE: ref("schemas", "result"),
    }
    return {
        "description": "What is asked for, as it comes, in the encoding that `Accept` asks for",
        "headers": {"Gloss-Stream": {"schema": text}, "Content-Location": {"schema": text}},
        "content": {kind: {"schema": schema} for kind, schema in bodies.items() if kind in types},
    }


def _json_response(what: str, schema: Json) -> Json:
    return {"description": what, "content": {JSON_TYPE: {"schema": schema}}}


def _text_response(what: str, *types: str) -> Json:
    return {"description": what, "content": {kind: {} for kind in types}}


def _problems(statuses: Iterable[int]) -> Json:
    return {str(status): ref("responses", f"problem.{status}") for status in sorted(statuses)}
