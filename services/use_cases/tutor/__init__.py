"""Teach step by step, and check that it was understood.

The client sees numbered steps (``step.start``, text, ``step.end``), calculations that were checked
(``calc``), and at the end of a turn one question (``check``). Its answer is graded before the model
says a word (``grade``); a wrong one brings the step that broke explained in another way and the
question again, a right one the next step, until the plan is done. ``simplify``, ``another_way`` and
``example`` make one step anew. A false equation in the text is put right there (``correction``).
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic import Field as Limit

from services.streams.use_case import Input, UseCase
from services.use_cases.tutor.events import EVENTS
from services.use_cases.tutor.policy import Action
from services.use_cases.tutor.state import shown
from services.use_cases.tutor.turn import transform


def _text(most: int, pattern: str | None = None) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most, pattern=pattern)


Words: TypeAlias = Annotated[str, _text(4_000)]
LANGUAGE = r"^[^\W\d_][\w ()'-]*$"  # a BCP 47 tag or a name; it stands in a system prompt


class CheckAnswer(BaseModel):
    """An answer to the check that waits."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    check: Annotated[str, _text(64)]
    value: Words


class Given(Input):
    """What begins a lesson, or what goes on with it."""

    topic: Words | None = None
    problem: Words | None = None
    level: Annotated[str, _text(100)] | None = None
    language: Annotated[str, _text(40, LANGUAGE)] | None = None
    mode: Literal["explain"] = "explain"
    session: Annotated[str, _text(64)] | None = None
    message: Words | None = None
    answer: CheckAnswer | None = None
    action: Action | None = None
    step: Annotated[int, Limit(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        begins = [self.topic, self.problem]
        goes_on = [self.message, self.answer, self.action]
        wanted, other = (begins, goes_on) if self.session is None else (goes_on, begins)
        if sum(field is not None for field in wanted) != 1 or any(field is not None for field in other):
            raise ValueError(
                "a lesson begins with topic or problem; with its session comes one of message, answer, action"
            )
        if self.step is not None and self.action is None:
            raise ValueError("step goes with an action")
        return self

    def written(self) -> Iterable[str]:
        """Return all that the caller wrote."""
        value = self.answer.value if self.answer else None
        written = (self.topic, self.problem, self.level, self.language, self.message, value)
        return [text for text in written if text is not None]


USE_CASE = UseCase(
    name="tutor",
    title="Teach step by step",
    input=Given,
    transform=transform,
    events=EVENTS,
    example={"topic": "Solve 2x + 3 = 11", "level": "grade 7", "language": "en"},
    sessions=True,
    show=shown,
)
