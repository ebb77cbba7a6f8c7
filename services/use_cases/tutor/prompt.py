"""What the model is told: the variables of ``prompts/tutor.md`` and the turns that stand before them.

A prompt holds one job and what that job needs, never the rules of others, never what a pending
check expects before it is revealed. What the student wrote stands between marks with a random
name, so that nothing in it can end the quotation.
"""

import re
from typing import Any

from services.llm import Message
from services.streams.use_case import Call, Context, Turn
from services.use_cases.tutor.phrases import Language
from services.use_cases.tutor.policy import APPLY, WORDS, Move
from services.use_cases.tutor.state import Check, State

PROMPT = "tutor"
JUDGE = "tutor-judge"
MAX_HISTORY = 6_000  # tokens of turns in full; then all but the last two are left to the recaps
KEPT_TURNS = 2
TAIL = 200  # characters of a cut answer from which it goes on
COMPACT_STEP = 500  # characters of a step that a small model reads: some 120 tokens, 4 seconds
MAX_STEP = 2_000
ASK_TOKENS = 120
JUDGE_TOKENS = 20
COMPACT_STOP = ("### 4",)  # a small model goes on for ever; three steps are a turn

_COLONS = re.compile(r"(?m)^([ *_`#>-]{0,9}):::")
_HEADING = re.compile(r"(?m)^### (\d+\. .*)$")


def teaching(state: State, move: Move, language: Language, context: Context) -> Call:
    """Return the call of a turn's job."""
    compact = context.compact
    return Call(
        variables=_variables(state, move, language, context, job=move.job),
        history=() if compact else _history(state, context),
        max_output_tokens=move.max_output_tokens,
        stop=COMPACT_STOP if compact and move.teaches else (),
    )


def asking(state: State, move: Move, language: Language, context: Context, lesson: str) -> Call:
    """Return the call for the question alone, where the lesson came without one."""
    variables = _variables(state, move, language, context, job="ask") | {"shown": lesson[-COMPACT_STEP:]}
    return Call(variables=variables, max_output_tokens=ASK_TOKENS)


def continuing(state: State, move: Move, language: Language, context: Context, lesson: str) -> Call:
    """Return the call that goes on where an answer was cut off."""
    variables = _variables(state, move, language, context, job="continue") | {"shown": lesson[-TAIL:]}
    return Call(variables=variables, max_output_tokens=move.max_output_tokens)


def judging(check: Check, words: str, language: Language, context: Context) -> Call:
    """Return the call of the classifier: one word."""
    variables = {
        "question": check.question,
        "expected": check.expected,
        "words": quoted(words),
        "fence": context.new_id(),
        "language": language.name,
    }
    return Call(prompt=JUDGE, variables=variables, max_output_tokens=JUDGE_TOKENS)


def quoted(words: str) -> str:
    """Return a student's words without the power to be directives."""
    return _COLONS.sub(r"\1\\:::", words.strip())


def _variables(state: State, move: Move, language: Language, context: Context, *, job: str) -> dict[str, Any]:
    step, check = move.step, move.check
    cut = COMPACT_STEP if context.compact else MAX_STEP
    return {
        "job": job,
        "compact": context.compact,
        "language": language.name,
        "subject": quoted(state.subject),
        "level": state.level or "",
        "plan": [part for part in state.plan if part != APPLY],
        "next": state.plan[state.taught] if state.taught < len(state.plan) else "",
        "titles": [f"{step.n}. {step.title}" for step in state.steps],
        "number": step.n if step else state.last_n + 1,
        "title": step.title if step else "",
        "step_text": step.text[:cut] if step else "",
        "strategy": move.strategy,
        "verdict": move.verdict or "",
        "said_verdict": bool(move.verdict and language.phrases),
        "question": check.question if check else "",
        "expected": check.expected if check and job == "reveal" else "",
        "words": quoted(move.words[:cut]),
        "fence": context.new_id(),
        "max_words": WORDS[move.job],
        "stopped": _stopped(context.turns),
        "shown": "",
    }


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
