"""What a use case is: an input model and a generator of values.

The transform is pure. It yields, in the order in which things happen,

    Event          goes to the client
    Call           is answered with an Answer: an iterable of deltas
    (Call, …)      several at once, answered with as many Answers; they run in parallel
    Remember       becomes the session's state

and may return the finish reason; without one, that of its last call counts (of several at
once, the first that is not ``stop``). It never sees HTTP, a store, a clock or a provider.
Feeding answers in is all that a test needs.
A transform that needs no session, and one call only, is written as ``one_call(…)``.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.errors import InvalidInput
from services.events import Event, FinishReason, Text
from services.llm import DoneReason, Message

Granularity: TypeAlias = Literal["token", "word", "sentence"]
# Of the characters that models' names are made of; it stands in the log, so it must be one word.
MODEL_NAME = r"^[A-Za-z0-9._:/@+-]+$"

LONGEST_GRACE_S = 3_600  # an hour: who stays away longer has the stream's retention


class Options(BaseModel):
    """What every use case takes besides its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    on_disconnect: Literal["cancel", "finish"] | Annotated[float, Field(ge=0, le=LONGEST_GRACE_S)] = "cancel"
    supersedes: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    cache: bool | None = None
    model: Annotated[str, Field(max_length=200, pattern=MODEL_NAME)] | None = None
    granularity: Granularity = "token"


class Input(BaseModel):
    """The fields of a use case; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    options: Options = Options()

    def written(self) -> Iterable[str]:
        """Return what the caller wrote and a model will read: what the input cap counts."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to the model: a prompt file's blocks, filled in.

    ``history`` stands between the system block and the user block. ``max_output_tokens`` is
    the most this call may say (None: the stream's cap, or an equal share of it among calls
    that are asked together); it is never raised above the stream's cap. ``prompt`` is the use
    case's own unless another file is named.
    """

    variables: Mapping[str, object]
    prompt: str | None = None
    history: tuple[Message, ...] = ()
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()


class Answer(Protocol):
    """What a call is answered with: deltas as they come, then the reason of the end.

    ``reason`` is None until the deltas are used up; ``curbed`` tells then that it could say less than
    its call asked for, since the stream's cap or its budget left no more. Leaving the loop early and
    calling ``close()`` closes the provider: what was not generated is not paid for.
    """

    reason: DoneReason | None
    curbed: bool

    def __iter__(self) -> Iterator[str]: ...
    def close(self) -> None:
        """Want no more of it."""


@dataclass(frozen=True)
class Remember:
    """The session's new state: anything that JSON can hold."""

    state: Any


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a session: what the caller sent and what was shown.

    ``partial`` is true when the turn ended before it was complete.
    """

    number: int
    stream: str
    sent: dict[str, Any]
    text: str
    partial: bool


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a transform may know besides its input.

    ``compact`` is true for a model with a small window or a slow reader of prompts: prompts
    are then kept short. ``count`` gives the tokens of a text for the model in use. ``new_id``
    gives a random word of 8 letters and digits. ``state`` is what the session's last
    ``Remember`` held (None in the first turn), ``turns`` all turns before this one.
    """

    compact: bool = False
    count: Callable[[str], int] = len
    new_id: Callable[[], str] = lambda: "abcd1234"
    state: Any = None
    turns: tuple[Turn, ...] = ()


Value: TypeAlias = Event | Call | tuple[Call, ...] | Remember
Transform: TypeAlias = Generator[Value, Any, FinishReason | None]


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """One entry of the registry.

    ``name`` is the path, the prompt file and the scope; ``events`` the types that it adds to
    the grammar; ``example`` a body that works; ``sessions`` tells whether it remembers;
    ``recovers`` whether a call that breaks off is asked for again, to go on if it says the same;
    ``cache`` whether a whole answer may serve again where the caller does not say, unless it gave a
    notice of one of the codes that mean ``doubts``;
    ``result`` adds members to the JSON result, ``show`` gives what a
    caller may see of a session's state. A transform raises ``errors.GlossError`` before
    its first value for what only it can refuse (a check that does not exist, say).
    """

    name: str
    title: str
    input: type[Input]
    transform: Callable[[Any, Context], Transform]
    events: tuple[type[Event], ...] = ()
    example: Mapping[str, object] = field(default_factory=dict)
    sessions: bool = False
    recovers: bool = False
    cache: bool = False
    doubts: frozenset[str] = frozenset()
    result: Callable[[Iterable[Event]], dict[str, Any]] = lambda _events: {}
    show: Callable[[Any], Any] = lambda state: state

    def __post_init__(self) -> None:
        """Refuse a name that could not be a path, a file and a scope at once, and what cannot be kept."""
        if not re.fullmatch(r"[a-z][a-z-]*", self.name):
            message = f"not a use case's name: {self.name!r}"
            raise ValueError(message)
        if self.sessions and self.cache:
            message = f"{self.name} remembers: its answers depend on more than what is asked"
            raise ValueError(message)

    def restore(self, sent: Mapping[str, Any]) -> Input:
        """Return an input that was stored; raises InvalidInput where another release took it otherwise."""
        try:
            return self.input.model_validate(sent)
        except ValidationError:
            raise InvalidInput("What was sent is not understood here.") from None


def one_call(variables: Callable[[Any], Mapping[str, object]]) -> Callable[..., Transform]:
    """Make the transform of the common case: one call whose deltas are the text."""

    def transform(given: Input, _context: Context) -> Transform:
        answer = yield Call(variables=variables(given))
        for delta in answer:
            yield Text(text=delta)
        return None

    return transform


__all__ = [
    "Answer",
    "Call",
    "Context",
    "Granularity",
    "Input",
    "Options",
    "Remember",
    "Transform",
    "Turn",
    "UseCase",
    "Value",
    "one_call",
]
