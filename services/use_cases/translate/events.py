"""What a client of ``translate`` sees besides text."""

from services.events import Event


class Detected(Event, frozen=True, tag="detected", omit_defaults=True):
    """The language that a text seems to be in; ``text_index`` where there are several texts."""

    language: str
    confidence: float
    text_index: int | None = None


class Segment(Event, frozen=True, tag="segment"):
    """A segment is complete: its source, and its translation as the text events gave it.

    ``index`` counts the segments of one text in one language from 0. A text without anything to
    translate is one segment, copied.
    """

    index: int
    text_index: int
    target: str
    source: str
    text: str
    from_memory: bool = False
