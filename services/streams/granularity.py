"""Regroups pieces of text into whole words or whole sentences, for speech and screen readers.

What is held back is what may still grow: the last word, the last sentence. Any other event,
a change of target and the end let it go, so nothing is ever lost and the order stays.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from services.events import Event, Text
from services.streams.use_case import Granularity

# Scripts without spaces between words: every character ends a piece.
UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
BORDERS = {
    "word": re.compile(rf"\s+|[{UNSPACED}]"),
    "sentence": re.compile(r"[.!?…][\"'»”’)\]]*\s+|[。！？][」』”）]*|\n+"),
}


Emit: TypeAlias = Callable[[Event], None]


def regrouped(emit: Emit, granularity: Granularity) -> tuple[Emit, Callable[[], None]]:
    """Return an ``emit`` that passes events on in pieces of that size, and what lets go of the rest."""
    if granularity == "token":
        return emit, lambda: None
    regroup = _Regroup(emit, BORDERS[granularity])
    return regroup.put, regroup.release


class _Regroup:
    def __init__(self, emit: Emit, border: re.Pattern[str]) -> None:
        self._emit = emit
        self._border = border
        self._held: Text | None = None

    def put(self, event: Event) -> None:
        held = self._held
        if not isinstance(event, Text):
            self.release()
            self._emit(event)
        elif held and (held.target, held.text_index) == (event.target, event.text_index):
            self._hold(msgspec.structs.replace(held, text=held.text + event.text))
        else:
            self.release()
            self._hold(event)

    def _hold(self, event: Text) -> None:
        cut = max((border.end() for border in self._border.finditer(event.text)), default=0)
        if cut:
            self._emit(msgspec.structs.replace(event, text=event.text[:cut]))
        rest = event.text[cut:]
        self._held = msgspec.structs.replace(event, text=rest) if rest else None

    def release(self) -> None:
        held, self._held = self._held, None
        if held:
            self._emit(held)
