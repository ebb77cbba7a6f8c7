"""Models for tests: each maps a call to what it would say."""

from collections.abc import Callable
from typing import Any

from services.streams.use_case import Call, Context
from services.use_cases.translate import USE_CASE
from services.use_cases.translate.calls import MARK
from services.use_cases.translate.events import Segment
from tests.use_cases.drive import Played, drive

CONTEXT = Context(count=lambda text: len(text.split()), new_id=lambda: "k7qz2m4x")


def run(text: Any, model: Callable[[Call], Any], *, context: Context = CONTEXT, **fields: Any) -> Played:
    """Translate into Spanish, or as the fields say."""
    return drive(USE_CASE, {"text": text, "target": "es"} | fields, model, context)


def source_of(call: Call) -> str:
    """Return the text that a call is about."""
    return str(call.variables["text"]).replace(MARK, " ")


def knows(pairs: dict[str, str], *, wrapped: str = "{}") -> Callable[[Call], list[str]]:
    """Translate by a table, letter by letter; what is not in it is said backwards."""
    return lambda call: list(wrapped.format(pairs.get(source_of(call), source_of(call)[::-1])))


def backwards(call: Call) -> list[str]:
    """Say every text backwards: no two are the same, and none is like its source."""
    return [source_of(call)[::-1]]


def notices(played: Played) -> list[str]:
    """Return the codes of the notices."""
    return [event.code for event in played.events if type(event).__name__ == "Notice"]


def segments(played: Played) -> list[Segment]:
    """Return the segment events."""
    return [event for event in played.events if isinstance(event, Segment)]
