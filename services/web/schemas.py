"""The JSON Schemas of everything that goes in and out.

Inputs are pydantic's, events are msgspec's, problems are read off the exception tree: none of
them can fall behind the code. Names are prefixed, since an input and an event may share one.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services import events
from services.errors import GlossError
from services.events import Event
from services.streams.use_case import Turn, UseCase
from services.web.streams import TokenFields
from services.web.subjects import TokenWish

Json: TypeAlias = dict[str, Any]

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
EVERY_STREAM: tuple[type[Event], ...] = (
    events.Start,
    events.Text,
    events.Notice,
    events.Finish,
    events.Error,
)


def ref(kind: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schemas(use_cases: Iterable[UseCase]) -> Json:
    """Return every schema by its name."""
    chosen = list(use_cases)
    own = [event for use_case in chosen for event in use_case.events]
    return {
        **_inputs(chosen)[1],
        **_event_schemas([*EVERY_STREAM, *own]),
        "problem": _problem_schema(),
        "result": _result_schema(),
        "status": _status_schema(),
        "usage": _usage_schema(),
        **_session_schemas(),
        "token": _token_schema(),
    }


def problem_responses() -> Json:
    """Return one answer per status, which tells the problems that bear it."""
    by_status: dict[int, dict[str, str]] = defaultdict(dict)
    for kind in GlossError.tree():
        by_status[kind.status].setdefault(kind.slug, kind.title)
    content = {PROBLEM_TYPE: {"schema": ref("schemas", "problem")}}
    return {
        f"problem.{status}": {
            "description": "; ".join(f"`{slug}`: {title}" for slug, title in kinds.items()),
            "content": content,
        }
        for status, kinds in by_status.items()
    }


def input_refs(use_cases: Iterable[UseCase]) -> dict[str, Json]:
    """Return where each use case's input is described, by the use case's name."""
    chosen = list(use_cases)
    refs, _ = _inputs(chosen)
    return {use_case.name: refs[use_case.input, "validation"] for use_case in chosen}


def _inputs(use_cases: Iterable[UseCase]) -> tuple[dict[Any, Json], Json]:
    taken: list[type[BaseModel]] = [*(use_case.input for use_case in use_cases), TokenWish, TokenFields]
    refs, found = models_json_schema(
        [(one, "validation") for one in taken],
        ref_template="#/components/schemas/input.{model}",
    )
    named = {f"input.{name}": schema for name, schema in found.get("$defs", {}).items()}
    return dict(refs), named


def _event_schemas(kinds: Iterable[type[Event]]) -> Json:
    """Return each event's schema with its number, and ``event``: any of them."""
    whole: Any = reduce(or_, dict.fromkeys(kinds))
    (one_of,), schemas = msgspec.json.schema_components(
        [whole], ref_template="#/components/schemas/event.{name}"
    )
    named = {f"event.{name}": schema for name, schema in schemas.items()}
    for branch in one_of["anyOf"]:
        schema = named[branch["$ref"].rpartition("/")[2]]
        schema["properties"] = {"id": {"type": "integer", "minimum": 1}} | schema["properties"]
        schema["required"] = ["id", *schema["required"]]
    return {"event": one_of} | named


def _problem_schema() -> Json:
    text = {"type": "string"}
    fault = {"type": "object", "properties": {"field": text, "problem": text}}
    return {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": text,
            "errors": {"type": "array", "items": fault},
            "tokens": {"type": "integer"},
            "limit": {"type": "number"},
            "retry_after_s": {"type": "integer", "minimum": 1},
        },
    }


def _result_schema() -> Json:
    text = {"type": "string"}
    members = {"stream": text, "use_case": text, "model": text, "text": text}
    return {
        "type": "object",
        "required": [*members, "events", "finish"],
        "properties": members
        | {
            "session": text,
            "turn": {"type": "integer"},
            "events": {"type": "array", "items": ref("schemas", "event")},
            "finish": ref("schemas", "event.Finish"),
        },
    }


def _status_schema() -> Json:
    return {
        "type": "object",
        "required": ["state", "last_id", "usage", "finish", "problem"],
        "properties": {
            "state": {"type": "string"},
            "last_id": {"type": "integer"},
            "usage": ref("schemas", "event.Usage"),
            "finish": {"anyOf": [ref("schemas", "event.Finish"), {"type": "null"}]},
            "problem": {"anyOf": [ref("schemas", "problem"), {"type": "null"}]},
        },
    }


def _token_schema() -> Json:
    return {
        "type": "object",
        "required": ["token", "expires"],
        "properties": {"token": {"type": "string"}, "expires": {"type": "string", "format": "date-time"}},
    }


def _usage_schema() -> Json:
    text, number = {"type": ["string", "null"]}, {"type": ["integer", "null"]}
    span = {
        "type": "object",
        "required": ["usd", "tokens", "limit_usd", "limit_tokens", "left_usd", "left_tokens"],
        "properties": {
            "usd": text | {"description": "decimal; null where nothing that was used has a price"},
            "tokens": {"type": "integer"},
            "limit_usd": text,
            "limit_tokens": number,
            "left_usd": text,
            "left_tokens": number,
        },
    }
    members = {
        "key": {"type": "string"},
        "day": span | {"description": "since midnight, UTC"},
        "month": span,
        "reserved_usd": {"type": "string"},
        "reserved_tokens": {"type": "integer"},
        "open_streams": {"type": "integer"},
        "limits": {"type": "array", "items": _limit_schema()},
    }
    return {"type": "object", "required": [*members], "properties": members}


def _limit_schema() -> Json:
    amount = {"type": ["integer", "string"], "description": "tokens, or dollars as a decimal"}
    members = {
        "of": {"type": "string", "enum": ["deployment", "key", "token"]},
        "kind": {"type": "string", "enum": ["tokens", "usd"]},
        "window": {"type": "string", "enum": ["minute", "day", "month", "ever"]},
        "limit": amount,
        "used": amount,
        "reserved": amount,
        "remaining": amount,
        "resets_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "null where it never begins anew",
        },
    }
    return {"type": "object", "required": [*members], "properties": members}


def _session_schemas() -> Json:
    (turn,), found = msgspec.json.schema_components(
        [Turn], ref_template="#/components/schemas/session.{name}"
    )
    text = {"type": "string"}
    session = {
        "type": "object",
        "required": ["session", "use_case", "turns", "state", "running"],
        "properties": {
            "session": text,
            "use_case": text,
            "turns": {"type": "array", "items": turn},
            "state": {"description": "what the use case shows of its state"},
            "running": {"type": ["string", "null"], "description": "the URL of the stream of an open turn"},
        },
    }
    item = {
        "type": "object",
        "required": ["session", "use_case", "turns", "running"],
        "properties": {
            "session": text,
            "use_case": text,
            "turns": {"type": "integer", "description": "how many"},
            "running": {"type": ["string", "null"]},
        },
    }
    page = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["integer", "null"], "description": "where the list goes on, for `after`"},
        },
    }
    return {"session": session, "sessions": page} | {
        f"session.{name}": schema for name, schema in found.items()
    }
