"""What the model is told: the variables of ``prompts/tutor.md`` and the turns that stand before them.

A prompt holds one job and what that job needs, never the rules of others, never what a pending
check expects before it is revealed. What the student wrote stands between marks with a random
name, so that nothing in it can end the quotation. A small model that is shown a wrong answer and
its question answers the question, so it is only asked to explain the step in another way.
"""

import re
from dataclasses import dataclass
from typing import Any

from services.llm import Message
from services.streams.use_case import Call, Context, Turn
from services.use_cases.tutor.linear import Equation, another, asked_value
from services.use_cases.tutor.phrases import Language
from services.use_cases.tutor.policy import WORDS, Move
from services.use_cases.tutor.state import APPLY, Check, State

PROMPT = "tutor"
JUDGE = "tutor-judge"
MAX_HISTORY = 6_000  # tokens of turns in full; then all but the last two are left to the recaps
KEPT_TURNS = 2
TAIL = 200  # characters of a cut answer from which it goes on
COMPACT_STEP = 500  # characters of a step that a small model reads: some 120 tokens, 4 seconds
MAX_STEP = 2_000
ASK_TOKENS = 120
APART = 4  # an example that is shown is so far in its table from the exercise that is set
JUDGE_TOKENS = 20
COMPACT_STEPS = 3  # in a first turn, where a small model would go on for ever; later turns have one

_COLONS = re.compile(r"(?m)^([ *_`#>-]{0,9}):::")
_HEADING = re.compile(r"(?m)^### (\d+\. .*)$")


def quoted(words: str) -> str:
    """Return a student's words without the power to be directives."""
    return _COLONS.sub(r"\1\\:::", words.strip())


@dataclass(frozen=True)
class Brief:
    """What all calls of one turn are made from."""

    state: State
    move: Move
    language: Language
    context: Context

    def teaching(self) -> Call:
        """Return the call of the turn's job."""
        compact = self.context.compact
        steps = 1 if self.state.steps else COMPACT_STEPS
        return Call(
            variables=self._variables(self.move.job),
            history=() if compact else _history(self.state, self.context),
            max_output_tokens=self.move.max_output_tokens,
            stop=(f"### {self.state.last_n + steps + 1}",) if compact and self.move.teaches else (),
        )

    def asking(self, lesson: str) -> Call:
        """Return the call for the question alone, where the lesson came without one."""
        variables = self._variables("ask") | {"shown": lesson[-COMPACT_STEP:]}
        return Call(variables=variables, max_output_tokens=ASK_TOKENS)

    def continuing(self, lesson: str) -> Call:
        """Return the call that goes on where an answer was cut off."""
        variables = self._variables("continue") | {"shown": lesson[-TAIL:]}
        return Call(variables=variables, max_output_tokens=self.move.max_output_tokens)

    def _variables(self, job: str) -> dict[str, Any]:
        state, move, context = self.state, self.move, self.context
        return {
            "job": job,
            "compact": context.compact,
            "language": self.language.name,
            "subject": quoted(state.subject),
            "is_problem": state.is_problem,
            "level": quoted(state.level or ""),
            "plan": [part for part in state.plan if part != APPLY],
            "next": state.plan[state.taught] if state.taught < len(state.plan) else "",
            "titles": [f"{step.n}. {step.title}" for step in state.steps],
            "number": move.step.n if move.step else state.last_n + 1,
            "strategy": move.strategy,
            "verdict": move.verdict or "",
            "said_verdict": bool(move.verdict and self.language.phrases),
            "asked": state.asked,
            "fence": context.new_id(),
            "max_words": WORDS[move.job],
            "stopped": _stopped(context.turns),
            "shown": "",
            **self._about(job),
        }

    def exercise(self) -> str:
        """Return a question that needs no model: the subject's equation with other numbers."""
        found, phrases = self._another(len(self.state.asked)), self.language.phrases
        return phrases.exercise.format(letter=found.letter, equation=found) if found and phrases else ""

    def _another(self, index: int) -> Equation | None:
        """Set the subject's equation again, or the question's, where the server can."""
        check = self.move.check
        found = another(self.state.subject, index + (check.tries if check else 0))
        return found or (another(check.question, index + check.tries) if check else None)

    def _exercise(self) -> str:
        """Return what can be set again with other numbers: the question, or a subject that is one."""
        subject, check = self.state.subject, self.move.check
        if check is None:
            return quoted(subject) if asked_value(subject) is not None else ""
        if check.kind != "number":
            return ""
        has_numbers = any(letter.isdigit() for letter in check.question)
        return check.question if has_numbers else f"{quoted(subject)}: {check.question}"

    def _about(self, job: str) -> dict[str, str]:
        """Return what the turn goes back to: a step, a question, the student's words."""
        step, check = self.move.step, self.move.check
        most = COMPACT_STEP if self.context.compact else MAX_STEP
        return {
            "title": step.title if step else "",
            "step_text": step.text[:most] if step else "",
            "question": check.question if check else "",
            "exercise": self._exercise(),
            "example": str(self._another(len(self.state.asked) + APART) or ""),
            "expected": check.expected if check and job == "reveal" else "",
            "words": quoted(self.move.words[:most]),
        }


def judging(check: Check, words: str, context: Context) -> Call:
    """Return the call of the classifier: one word."""
    variables = {
        "compact": context.compact,
        "question": check.question,
        "expected": check.expected,
        "words": quoted(words),
        "fence": context.new_id(),
    }
    return Call(prompt=JUDGE, variables=variables, max_output_tokens=JUDGE_TOKENS)


def _stopped(turns: tuple[Turn, ...]) -> str:
    """Return the last words of a turn that the student stopped, if the last one was."""
    return turns[-1].text[-80:] if turns and turns[-1].partial else ""


def _history(state: State, context: Context) -> tuple[Message, ...]:
    """Return the card of the lesson and the last turns, user and tutor by turns.

    The window moves in one jump, so that between two jumps each prompt begins with the whole
    prompt before it, and a provider's prefix cache holds.
    """
    turns = [turn for turn in context.turns if turn.number >= state.since]
    if len(turns) > KEPT_TURNS and sum(context.count(turn.text) for turn in turns) > MAX_HISTORY:
        turns = turns[-KEPT_TURNS:]
        state.since = turns[0].number
    if not turns:
        return ()
    messages = [Message("user", _card(state, turns[0]))]
    for before, turn in zip([None, *turns], turns, strict=False):
        if before is not None:
            messages.append(Message("user", _sent(turn)))
        messages.append(Message("assistant", _as_written(turn)))
    return tuple(messages)


def _card(state: State, first: Turn) -> str:
    lines = [f"Lesson: {quoted(state.subject)}"]
    if state.level:
        lines.append(f"Student's level: {quoted(state.level)}")
    if first.number > 1:
        lines += ["Until now:", *(f"- {line}" for line in state.recaps), _sent(first)]
    return "\n".join(lines)


def _sent(turn: Turn) -> str:
    """Return what the student did in an earlier turn."""
    answer, message, action = (turn.sent.get(name) for name in ("answer", "message", "action"))
    if answer:
        return f"My answer: {quoted(str(answer.get('value', '')))}"
    if message:
        return quoted(str(message))
    return f"Please: {action}, step {turn.sent.get('step', '')}" if action else "Please begin."


def _as_written(turn: Turn) -> str:
    """Return a tutor's turn in the carrier, as the model is to write the next one."""
    text = _HEADING.sub(r":::step \1", turn.text) or "..."
    return f"{text}\n[The student stopped you here.]" if turn.partial else text
