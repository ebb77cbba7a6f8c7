"""The tutor's own events."""

from typing import Literal, TypeAlias

import msgspec

from services.events import Event
from services.use_cases.tutor import arithmetic
from services.use_cases.tutor.verdicts import Verdict

CheckType: TypeAlias = Literal["number", "short", "choice", "explain"]


class StepStart(Event, frozen=True, tag="step.start"):
    """The text from here to the step's end teaches step ``n``; ``rev`` counts how often it was made anew."""

    n: int
    title: str
    rev: int


class StepEnd(Event, frozen=True, tag="step.end"):
    """The step is complete."""

    n: int


class Choice(msgspec.Struct, frozen=True):
    """One option of a question."""

    label: str
    text: str


class CheckAsked(Event, frozen=True, tag="check", omit_defaults=True):
    """The question that now waits for an answer, after its text; ``n`` is the step it belongs to."""

    check: str
    n: int
    kind: CheckType
    question: str
    concept: str = ""
    choices: tuple[Choice, ...] = ()


class Graded(Event, frozen=True, tag="grade"):
    """What an answer was worth; ``reason`` is a code (``same-value``, ``other-unit``, ``judged``, ...)."""

    check: str
    verdict: Verdict
    reason: str


class Calc(Event, frozen=True, tag="calc"):
    """A calculation on which the next sentence rests; ``verified``: ``value`` was worked out here."""

    expression: str
    value: str
    verified: bool

    @classmethod
    def worked_out(cls, expression: str) -> "Calc | None":
        """Return the calculation with our value, or None where it cannot be worked out here."""
        try:
            value = arithmetic.value(arithmetic.plain(expression))
        except arithmetic.NotArithmeticError:
            return None
        return cls(expression=expression, value=arithmetic.shown(value), verified=True)


class Correction(Event, frozen=True, tag="correction"):
    """The text of step ``n`` says what is false; the text itself says so too, at its line's end."""

    n: int
    said: str
    is_: str = msgspec.field(name="is")


EVENTS: tuple[type[Event], ...] = (StepStart, StepEnd, CheckAsked, Graded, Calc, Correction)
