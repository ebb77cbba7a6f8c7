"""One turn of a lesson: grade what came, decide what to do, have it worded, ask what is wanted."""

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from services.errors import InvalidInput
from services.llm import DoneReason
from services.streams.use_case import Answer, Call, Context, Remember, Transform
from services.streams.use_case import Value as Yielded
from services.use_cases.tutor import policy
from services.use_cases.tutor.directives import Reader
from services.use_cases.tutor.events import Graded
from services.use_cases.tutor.grading import grade, tells
from services.use_cases.tutor.lesson import Lesson
from services.use_cases.tutor.opening import Opening, OuterEnd
from services.use_cases.tutor.phrases import Language, language, reason
from services.use_cases.tutor.policy import Move
from services.use_cases.tutor.prompt import Brief, judging
from services.use_cases.tutor.repair import Headings, Labels
from services.use_cases.tutor.state import Check, State, Step, dump, load
from services.use_cases.tutor.verdicts import Grade, Verdict

if TYPE_CHECKING:
    from services.use_cases.tutor import Given

Deciding: TypeAlias = Generator[Yielded, Any, Move]
Speaking: TypeAlias = Generator[Yielded, Any, DoneReason]

_WORDS: dict[str, Verdict] = {
    "right": "right", "correct": "right", "yes": "right",
    "wrong": "wrong", "incorrect": "wrong", "no": "wrong",
    "partial": "partial", "partially": "partial", "unclear": "unclear",
}  # fmt: skip


def transform(given: "Given", context: Context) -> Transform:
    """Play one turn; raises InvalidInput before its first value for what is not there."""
    state = _opened(given, context)
    spoken = language(state.language, state.subject)
    if context.state is None:
        move = policy.after_begin(state)
    elif given.action:
        move = policy.after_action(given.action, _step(state, given.step))
    elif given.answer:
        check = _pending(state, given.answer.check)
        move = yield from _answered(state, check, given.answer.value, spoken, context)
    else:
        move = yield from _heard(state, given.message or "", spoken, context)
    capped = given.options.max_output_tokens is not None
    return (yield from Turn(Brief(state, move, spoken, context), capped=capped).play())


def _opened(given: "Given", context: Context) -> State:
    """Return the state that the turn begins with."""
    if given.session is None:
        subject = given.topic or given.problem or ""
        return State(
            subject=subject, is_problem=given.problem is not None, level=given.level, language=given.language
        )
    if context.state is None:
        raise _invalid("session", "nothing was taught in it; begin a new one")
    state = load(context.state)
    state.level, state.language = given.level or state.level, given.language or state.language
    return state


def _step(state: State, n: int | None) -> Step:
    step = state.step(state.last_n if n is None else n)
    if step is None:
        raise _invalid("step", "this session has no such step")
    return step


def _pending(state: State, check_id: str) -> Check:
    if state.pending is None or state.pending.id != check_id:
        raise _invalid("answer.check", "no check of this name waits for an answer")
    return state.pending


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput(errors=[{"field": field, "problem": problem}])


def _answered(state: State, check: Check, words: str, spoken: Language, context: Context) -> Deciding:
    """Grade an answer: here where that can be, else by the classifier."""
    found = grade(words, check.key(comma=spoken.decimal_comma))
    if found is None:
        found = yield from _judged(check, words, context)
    return (yield from _graded(state, check, found, words, spoken))


def _heard(state: State, message: str, spoken: Language, context: Context) -> Deciding:
    """Take a message for an answer if it is one, else for a question."""
    check = state.pending
    if check is None:
        return Move(job="reply", words=message) if state.done else policy.after_begin(state, message)
    found = policy.graded_message(message, check, check.key(comma=spoken.decimal_comma))
    if found == "judge":
        found = yield from _judged(check, message, context)
    if found == "ask" or found.verdict == "unclear":
        return Move(job="clarify", words=message, check=check)
    return (yield from _graded(state, check, found, message, spoken))


def _judged(check: Check, words: str, context: Context) -> Generator[Yielded, Any, Grade]:
    answer: Answer = yield judging(check, words, context)
    said = re.findall(r"[a-z]+", "".join(answer).rpartition("</think>")[2].lower())
    return Grade(next((_WORDS[word] for word in said if word in _WORDS), "unclear"), "judged")


def _graded(state: State, check: Check, found: Grade, words: str, spoken: Language) -> Deciding:
    """Tell the verdict at once, and remember it: a turn that is stopped has still been graded."""
    yield Graded(check=check.id, verdict=found.verdict, reason=reason(found.reason, spoken))
    move = policy.after_grade(found, check, state, words)
    if found.verdict == "right":
        state.pending, state.done = None, move.job == "done"
        state.recap(f"{check.question} Answered right after {check.tries} wrong tries.")
    elif found.verdict != "unclear":
        check.tries += 1
        check.strategies += [move.strategy] if move.strategy else []
        state.pending = None if move.job == "reveal" else check
    yield Remember(dump(state))
    return move


class Turn:
    """What is left once the job is decided: one call, its repairs, and the question at its end."""

    def __init__(self, brief: Brief, *, capped: bool) -> None:
        self._brief = brief
        self._capped = capped  # the caller wants no more than that, so it is not asked to go on
        self._lesson = Lesson(brief.state, brief.move, brief.language, brief.context.new_id)

    def play(self) -> Transform:
        """Play the turn; returns why it finished."""
        move, lesson = self._brief.move, self._lesson
        call = self._brief.teaching()
        yield Remember(dump(self._brief.state))
        yield from self._open()
        why = yield from self._speak(call, again=not self._capped)
        yield from lesson.settle()
        if move.asks and not lesson.check and not self._brief.context.compact:
            yield from lesson.ask_last_question()
        yield from lesson.end()
        if move.asks and not lesson.check and (why == "stop" or (why == "length" and not self._capped)):
            yield from self._ask()
        if move.asks_again and move.check:
            yield from self._ask_again(move.check)
        yield lesson.finish()
        return why

    def _open(self) -> Generator[Yielded, Any, None]:
        """Say the verdict, and open the step that is made anew."""
        move, phrases = self._brief.move, self._brief.language.phrases
        if phrases and move.verdict:
            said = {"right": phrases.right, "wrong": phrases.wrong, "partial": phrases.partial}
            yield from self._lesson.say(said[move.verdict])
        if move.step:
            if move.job == "redo" and move.strategy in policy.WAYS:
                move.step.ways = [*move.step.ways, move.strategy]
            yield from self._lesson.open_again(move.step)

    def _speak(self, call: Call, *, again: bool) -> Speaking:
        """Read one answer into the lesson; one that was cut off goes on once."""
        opening = Opening()
        reader = Reader(OuterEnd(opening), Headings(), Labels())
        why = yield from self._read(call, opening, reader)
        if why == "length" and again:
            reader.drop()
            more = self._brief.continuing(self._lesson.text)
            why = yield from self._read(more, opening, reader, goes_on=True)
        rest = reader.feed(opening.end())
        yield from self._lesson.take([*rest, *(reader.cut() if why == "length" else reader.end())])
        return why

    def _read(self, call: Call, opening: Opening, reader: Reader, *, goes_on: bool = False) -> Speaking:
        answer: Answer = yield call
        apart = goes_on and self._lesson.text[-1:].isalnum()  # a word was cut off from its next
        for delta in answer:
            text = f" {delta}" if apart and delta[:1].isalnum() else delta
            apart = apart and not delta
            yield from self._lesson.take(reader.feed(opening.feed(text.replace("\r", ""))))
            if self._lesson.is_answered:
                answer.close()  # nothing that follows the expected answer is shown
                return "stop"
        return answer.reason or "stop"

    def _ask(self) -> Generator[Yielded, Any, None]:
        """Ask for the question that the lesson came without; the server's own is the last resort."""
        lesson, phrases = self._lesson, self._brief.language.phrases
        yield from self._have_one_asked()
        if not lesson.check:
            yield from lesson.ask_last_question()
        if not lesson.check and phrases:
            yield from lesson.ask(phrases.next_step)

    def _ask_again(self, check: Check) -> Generator[Yielded, Any, None]:
        """Ask the question that waits; one whose answer was just told proves nothing, so a fresh one."""
        lesson, language = self._lesson, self._brief.language
        if tells(lesson.steps_text, check.key(comma=language.decimal_comma)):
            yield from self._have_one_asked()
        if not lesson.check:
            yield from lesson.ask_again(check, language.phrases.again if language.phrases else "")

    def _have_one_asked(self) -> Generator[Yielded, Any, None]:
        """Set an exercise that the server can make and solve, else call for a question alone."""
        lesson = self._lesson
        lesson.wants_question()
        if exercise := self._brief.exercise():
            yield from lesson.ask(exercise)
            return
        if self._capped:
            return
        yield from lesson.say("")
        yield from self._speak(self._brief.asking(lesson.steps_text), again=False)
        yield from lesson.settle()
