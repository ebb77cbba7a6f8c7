"""The language spoken with clients: typed events, their legal order, their JSON form.

    start (text | <use-case event> | notice)* (finish | error)

An event is a value without a number; the log numbers it (``streams/log.py``).
A use case's own events are subclasses of ``Event`` and stand beside the use case.
The JSON form is one object on one line: ``{"id":3,"type":"text","text":"Hola"}``.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec

FinishReason: TypeAlias = Literal[
    "stop",
    "length",
    "deadline",
    "budget",
    "cancelled",
    "superseded",
    "disconnected",
    "content_filter",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A typed value for a client; a subclass gives its type as ``tag``."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The caps that hold for one stream."""

    max_output_tokens: int
    deadline_s: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream has cost until now; ``cost_usd`` is a decimal, null where no price is known.

    ``estimated`` is true when a part was counted here and not reported by the provider.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: str | None = None
    estimated: bool = False
    from_cache: bool = False


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the opening of the stream; ``first_text_ms`` is null without text."""

    first_text_ms: int | None
    total_ms: int


class Start(Event, frozen=True, tag="start", omit_defaults=True):
    """The first event: it leaves before the provider has said anything."""

    stream: str
    use_case: str
    model: str
    prompt: str
    input_tokens: int
    limits: Limits
    created: str
    session: str | None = None
    turn: int | None = None


class Foreign(Event, frozen=True, tag="foreign"):
    """An event of a type that this release does not know: another one wrote it, and its line goes on."""


class Text(Event, frozen=True, tag="text", omit_defaults=True):
    """One piece of the answer; with several targets or texts it says which one it belongs to."""

    text: str
    target: str | None = None
    text_index: int | None = None


class Notice(Event, frozen=True, tag="notice", omit_defaults=True):
    """Something that a client should know and that ends nothing; ``place`` is in the queue, 0 at work."""

    code: str
    detail: str
    place: int | None = None


class Finish(Event, frozen=True, tag="finish"):
    """The end that was meant; ``sha256`` is of the joined text in UTF-8, ``chars`` its length."""

    reason: FinishReason
    usage: Usage
    chars: int
    sha256: str
    timing: Timing


class Error(Event, frozen=True, tag="error"):
    """The end that was not meant; ``partial`` is true if text was sent before it."""

    problem: dict[str, Any]
    usage: Usage
    partial: bool


End: TypeAlias = Finish | Error
Decoder: TypeAlias = Callable[[bytes], Event]
ENDS = (Finish, Error)

encode = msgspec.json.Encoder().encode


def type_of(event: Event | type[Event]) -> str:
    """Return the event's type as it stands on the wire."""
    return str(event.__struct_config__.tag)


def to_line(event: Event, number: int) -> bytes:
    """Return the event as a log keeps it: its JSON and a line end."""
    return b'{"id":%d,%b\n' % (number, encode(event)[1:])


def number_and_type(line: bytes) -> tuple[bytes, bytes]:
    """Return an event's number and type, as ``to_line`` put them at its beginning."""
    _, _, number, _, _, kind, _ = line.split(b'"', 6)
    return number[1:-1], kind


def decoder(own: Sequence[type[Event]] = ()) -> Decoder:
    """Return what reads a line back into its event; ``own`` are a use case's types."""
    return _decoder(tuple(own))


@cache
def _decoder(own: tuple[type[Event], ...]) -> Decoder:
    union = Start | Text | Notice | Finish | Error
    for kind in own:
        union |= kind
    typed = msgspec.json.Decoder(union).decode

    def decode(line: bytes) -> Event:
        try:
            event: Event = typed(line)
        except msgspec.ValidationError:
            return Foreign()
        return event

    return decode


def joined_text(events: Iterable[Event]) -> str:
    """Return the answer's whole text: what the text encoding carries."""
    return "".join(event.text for event in events if isinstance(event, Text))
