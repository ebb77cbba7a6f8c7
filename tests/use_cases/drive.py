"""Feeds a transform with answers: all that a test of a use case needs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from services.events import Event
from services.llm import DoneReason
from services.streams.use_case import Call, Context, Remember, UseCase


@dataclass
class FakeAnswer:
    """An Answer that says what the test wrote, cut as the test wants it."""

    deltas: Iterable[str]
    ends: DoneReason = "stop"
    reason: DoneReason | None = None
    closed: bool = False
    curbed: bool = False

    def __iter__(self) -> Iterator[str]:
        for delta in self.deltas:
            if self.closed:
                return
            yield delta
        self.reason = self.ends

    def close(self) -> None:
        self.closed = True


@dataclass
class Played:
    """What a transform did: its events, its calls, its last state."""

    events: list[Event] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    answers: list[FakeAnswer] = field(default_factory=list)
    state: Any = None

    @property
    def text(self) -> str:
        return "".join(e.text for e in self.events if hasattr(e, "text") and type(e).__name__ == "Text")


def drive(
    use_case: UseCase,
    body: dict[str, Any],
    answer: Callable[[Call], Any],
    context: Context | None = None,
) -> Played:
    """Run one turn; ``answer`` maps each call to a text, a list of deltas, or a FakeAnswer."""
    context = context or Context()
    played = Played(state=context.state)
    transform = use_case.transform(use_case.input.model_validate(body), context)

    def reply(call: Call) -> FakeAnswer:
        played.calls.append(call)
        said = answer(call)
        fake = said if isinstance(said, FakeAnswer) else FakeAnswer([said] if isinstance(said, str) else said)
        played.answers.append(fake)
        return fake

    back: Any = None
    while True:
        try:
            value = transform.send(back)
        except StopIteration:
            return played
        back = None
        if isinstance(value, Call):
            back = reply(value)
        elif isinstance(value, tuple):
            back = tuple(reply(call) for call in value)
        elif isinstance(value, Remember):
            played.state = value.state
        else:
            played.events.append(value)


def next_turn(context: Context, played: Played) -> Context:
    """Return the context in which the session's next turn runs."""
    return replace(context, state=played.state)
