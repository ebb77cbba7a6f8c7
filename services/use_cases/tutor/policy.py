"""What a turn is to do: decided here by rules, before any model is asked; the model only words it.

explain    the next step of the plan, then a check        (also after a right answer)
remediate  the step that broke, explained another way; the same check is asked again
reveal     all ways are used up: the answer with its reasons, then a fresh check
clarify    what the question means; the check stays, no attempt is counted
redo       one step made anew on request; a pending check stays
reply      a message while nothing waits and all is taught
done       the last answer was right: what was learned, no check
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.use_cases.tutor.grading import grade, is_form
from services.use_cases.tutor.state import Check, State, Step
from services.use_cases.tutor.verdicts import Grade, Key, Verdict

Job: TypeAlias = Literal["explain", "remediate", "reveal", "clarify", "redo", "reply", "done"]
Action: TypeAlias = Literal["simplify", "another_way", "example"]

# After a wrong answer, in this order; never one twice on a check.
STRATEGIES = ("worked_example", "smaller", "analogy", "contrast")
WAYS = ("analogy", "diagram", "worked_example", "contrast", "formal")

# The most words of each job; what experts write is shorter still.
WORDS: dict[Job, int] = {
    "explain": 120, "remediate": 60, "reveal": 150, "clarify": 60, "redo": 120, "reply": 60, "done": 60,
}  # fmt: skip

_ASKS = re.compile(
    r"[?？¿]|^\s*(?:what|why|how|when|where|which|who|can|could|do|does|is|are|was|warum|wieso|wie|welche\w*"
    r"|wo|kannst|qué|por qué|cómo|cuál|puedes|que|pourquoi|comment|quel\w*|peux|che|perché|come|quale"
    r"|por que|como|qual|wat|waarom|hoe|welke)\b",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"\b(?:don['’]?t (?:understand|know|get)|no idea|idk|help|stuck|lost|confused|verstehe? (?:ich )?nicht"
    r"|weiß nicht|keine ahnung|hilfe|no (?:entiendo|sé)|ayuda|comprends pas|sais pas|aide)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One turn's job: which step it is about, how, in answer to what, and whether a check follows."""

    job: Job
    words: str = ""  # the student's, word for word
    verdict: Verdict | None = None
    step: Step | None = None  # the step that is made anew
    strategy: str = ""
    check: Check | None = None  # the check that the student's words are about

    @property
    def teaches(self) -> bool:
        """Tell whether new steps may be opened."""
        return self.job == "explain" and self.step is None

    @property
    def asks(self) -> bool:
        """Tell whether a new check ends the turn."""
        return self.job in {"explain", "reveal"}

    @property
    def asks_again(self) -> bool:
        """Tell whether the pending check is asked again."""
        return self.job == "remediate"

    @property
    def max_output_tokens(self) -> int:
        """Return the cap of its call: two tokens a word, and room for the lines that are not shown."""
        return 2 * WORDS[self.job] + 80


def after_begin(state: State, words: str = "") -> Move:
    """Teach what comes next; a step that was stopped before its end is made anew."""
    broken = next((step for step in state.steps[-1:] if not step.text), None)
    return Move(job="explain", words=words, step=broken)


def after_action(action: Action, step: Step) -> Move:
    """Make one step anew."""
    if action != "another_way":
        return Move(job="redo", step=step, strategy=action)
    return Move(job="redo", step=step, strategy=_unused(WAYS, step.ways) or WAYS[len(step.ways) % len(WAYS)])


def after_grade(found: Grade, check: Check, state: State, words: str) -> Move:
    """Go on after a right answer, go back after a wrong one, and count neither for a question."""
    step = state.step(check.n)
    if found.verdict == "unclear":
        return Move(job="clarify", words=words, check=check)
    if found.verdict == "right":
        job: Job = "done" if state.taught >= len(state.plan) else "explain"
        return Move(job=job, words=words, verdict="right", check=check)
    used = [*check.strategies, *(step.ways if step else [])]
    strategy = _unused(STRATEGIES, used)
    remade = step or Step(n=check.n, title=state.subject)
    return Move(
        job="remediate" if strategy else "reveal",
        words=words,
        verdict=found.verdict,
        step=remade,
        strategy=strategy,
        check=check,
    )


def graded_message(message: str, check: Check, key: Key) -> Grade | Literal["ask", "judge"]:
    """Tell what free text is while a check is pending: an answer with its grade, or a question.

    ``judge`` is said of a statement about an open question, which only a reader can grade.
    """
    if is_form(message, key):
        return grade(message, key) or "judge"
    if _ASKS.search(message) or _LOST.search(message):
        return "ask"
    if check.kind in {"short", "explain"}:
        return grade(message, key) or "judge"
    return grade(message, key) or "ask"


def _unused(ways: tuple[str, ...], used: list[str]) -> str:
    return next((way for way in ways if way not in used), "")
