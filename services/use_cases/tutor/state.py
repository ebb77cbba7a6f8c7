"""What a session remembers between turns, as JSON can hold it; ``v`` is the version of its shape."""

from typing import Any

import msgspec

from services.use_cases.tutor.events import CheckAsked, CheckType, Choice
from services.use_cases.tutor.verdicts import Key

VERSION = 1
MAX_PLAN = 8
APPLY = ""  # the last part of a plan that no model made: what was taught, in another case
MAX_STEPS = 40  # a session keeps the last steps only; older ones cannot be made anew
MAX_ASKED = 8  # questions that are not to be asked again
MAX_RECAPS = 12  # lines; what is older has been built upon since


class Step(msgspec.Struct, kw_only=True):
    """One step as it was last shown; ``ways`` are the ways of explaining it that were used up."""

    n: int
    title: str
    text: str = ""
    rev: int = 0
    ways: list[str] = []


class Check(msgspec.Struct, kw_only=True):
    """The question that waits; ``expected`` is secret and "" where nobody knows it."""

    id: str
    n: int
    kind: CheckType
    question: str
    concept: str = ""
    choices: list[tuple[str, str]] = []
    expected: str = ""
    tries: int = 0
    strategies: list[str] = []

    def asked(self) -> CheckAsked:
        """Return the event that asks it."""
        return CheckAsked(
            check=self.id,
            n=self.n,
            kind=self.kind,
            question=self.question,
            concept=self.concept,
            choices=tuple(Choice(label, text) for label, text in self.choices),
        )

    def key(self, *, comma: bool) -> Key:
        """Return what an answer is graded against."""
        return Key(question=self.question, expected=self.expected, choices=tuple(self.choices), comma=comma)


class State(msgspec.Struct, kw_only=True):
    """A lesson: what is taught to whom, how far it is, what waits.

    ``plan`` names what is to be taught, ``taught`` how much of it was; ``since`` is the first turn
    that prompts still show in full, the turns before it are in ``recaps``.
    """

    v: int = VERSION
    subject: str
    is_problem: bool = False
    level: str | None = None
    language: str | None = None
    plan: list[str] = []
    taught: int = 0
    steps: list[Step] = []
    pending: Check | None = None
    recaps: list[str] = []
    asked: list[str] = []
    since: int = 1
    done: bool = False

    def step(self, n: int) -> Step | None:
        """Return the step of that number, if it is still kept."""
        return next((step for step in self.steps if step.n == n), None)

    @property
    def last_n(self) -> int:
        """Return the number of the newest step, 0 before the first."""
        return self.steps[-1].n if self.steps else 0

    def add(self, step: Step) -> None:
        """Keep a step, in place of an earlier one of the same number."""
        self.steps = [*(s for s in self.steps if s.n != step.n), step][-MAX_STEPS:]
        self.steps.sort(key=lambda s: s.n)

    def make_plan(self, parts: str) -> None:
        """Keep the model's plan, ``First | Second``, if there is none yet."""
        titles = [title.strip() for title in parts.split("|") if title.strip()]
        self.plan = self.plan or titles[:MAX_PLAN]

    def make_plan_of_steps(self) -> None:
        """Without a plan, what was taught was it, and applying that is still to come."""
        if not self.plan and self.taught:
            self.plan = [*(step.title for step in self.steps), APPLY]

    def ask(self, check: Check) -> None:
        """Let a check wait for its answer, in place of any other."""
        self.pending = check
        self.asked = [*self.asked, check.question][-MAX_ASKED:]

    def recap(self, line: str) -> None:
        """Keep one line about what has happened."""
        self.recaps = [*self.recaps, line][-MAX_RECAPS:]


def load(stored: Any) -> State:
    """Read what ``dump`` made."""
    return msgspec.convert(stored, State)


def dump(state: State) -> dict[str, Any]:
    """Return the state as JSON can hold it: a copy, so that later changes don't reach it."""
    built: dict[str, Any] = msgspec.to_builtins(state)
    return built


def shown(stored: Any) -> Any:
    """Return what a caller may see of a session: all but what a check expects."""
    state = load(stored)
    if state.pending:
        state.pending.expected = ""
    seen = dump(state)
    if seen["pending"]:
        del seen["pending"]["expected"]
    return seen
