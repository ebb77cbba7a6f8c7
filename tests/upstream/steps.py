"""What an upstream does with one request: a list of these, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Head:
    """Send the status and the headers; the body follows in chunks."""

    status: int = 200
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bytes:
    """Send one chunk of the body, which carries so many tokens."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True)
class Raw:
    """Send bytes without a chunk's frame around them."""

    data: bytes


@dataclass(frozen=True)
class Gate:
    """Wait until the test opens this gate, or the peer closes."""

    name: str


@dataclass(frozen=True)
class Pause:
    """Wait so long; for pace, not for order."""

    seconds: float


@dataclass(frozen=True)
class Pings:
    """Send comments that carry nothing, until the test opens the gate or the peer closes."""

    every_s: float
    gate: str


@dataclass(frozen=True)
class End:
    """End the body as HTTP asks; the connection lives on."""


@dataclass(frozen=True)
class Fin:
    """Close the connection in the middle of things."""


@dataclass(frozen=True)
class Rst:
    """Reset the connection."""


Step: TypeAlias = Head | Bytes | Raw | Gate | Pause | Pings | End | Fin | Rst
