"""The JSON result's own member, read off the events."""

from collections.abc import Iterable
from typing import Any

from services.events import Event, Text
from services.use_cases.translate.events import Detected, Segment


def translations(events: Iterable[Event]) -> dict[str, Any]:
    """Return one entry per text and language of which a segment is complete."""
    parts: dict[tuple[int, str], list[str]] = {}
    loose: list[str] = []
    detected: dict[int, str] = {}
    finished: dict[tuple[int, str], None] = {}
    for event in events:
        if isinstance(event, Detected):
            detected[event.text_index or 0] = event.language
        elif isinstance(event, Segment):
            finished[event.text_index, event.target] = None
        elif isinstance(event, Text) and event.target is not None:
            parts.setdefault((event.text_index or 0, event.target), []).append(event.text)
        elif isinstance(event, Text):
            loose.append(event.text)
    return {
        "translations": [
            {
                "text_index": index,
                "target": target,
                "detected": detected.get(index),
                "text": "".join(parts.get((index, target), loose)),
            }
            for index, target in finished
        ]
    }
