"""One turn's answer on its way to the client: marks become steps and a check, the rest is text.

A lesson is fed with what was read (``directives.py``) and returns events and states to remember.
The server numbers the steps and names the checks. Headings, questions and options are text too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from services.events import Event, Notice, Text
from services.streams.use_case import Remember
from services.use_cases.tutor import checks
from services.use_cases.tutor.checks import Draft
from services.use_cases.tutor.directives import Item, Mark
from services.use_cases.tutor.events import Calc, StepEnd, StepStart
from services.use_cases.tutor.grading import same_value
from services.use_cases.tutor.phrases import Language
from services.use_cases.tutor.policy import Move
from services.use_cases.tutor.repair import MAX_TITLE, last_question
from services.use_cases.tutor.state import Check, State, Step, dump
from services.use_cases.tutor.writer import Value, Writer, joined

IMPLICIT_AFTER = 200  # characters without a mark; then a step opens by itself

_NUMBER = re.compile(r"^\d+(?:[.:)]+\s*|\s+|$)")


class Lesson:
    """Builds one turn; ``state`` is changed as the turn goes on."""

    def __init__(self, state: State, move: Move, language: Language, new_id: Callable[[], str]) -> None:
        self.state = state
        self.check: Check | None = None  # the one asked in this turn
        self._move = move
        self._language = language
        self._new_id = new_id
        self._writer = Writer(language, students=move.words)
        self._step: Step | None = None
        self._given = 0  # steps opened in this turn
        self._headed = False  # a step made anew has had its heading
        self._draft: Draft | None = None
        self._expected = ""  # told without a check
        self._asks = move.asks
        self._only_question = False
        self._plain = 0  # characters before any step
        self._line_start = True
        self._text: list[str] = []
        self._text_from = 0  # where the open step's text begins
        self._tail = ""  # the step's last sentence, where it is the check's question

    @property
    def text(self) -> str:
        """Return all that was shown."""
        return "".join(self._text)

    @property
    def is_answered(self) -> bool:
        """Tell whether only a question was wanted, and it has its answer."""
        return self._only_question and self._draft is not None and self._draft.told

    @property
    def steps_text(self) -> str:
        """Return what this turn's last step says, or all that it said without one."""
        return self.state.steps[-1].text if self._given and self.state.steps else self.text

    def say(self, text: str) -> list[Value]:
        """Write a sentence of the server's own."""
        return self._keep(self._writer.paragraph(text))

    def take(self, items: Iterable[Item]) -> list[Value]:
        """Return what the items come to; neighbouring text is joined."""
        values: list[Value] = []
        for item in items:
            if self.is_answered:
                break
            values += self._mark(item) if isinstance(item, Mark) else self._prose(item)
        return joined(values)

    def open_again(self, step: Step) -> list[Value]:
        """Open a step that is made anew, under its number and title."""
        return self._open(Step(n=step.n, title=step.title, rev=step.rev + 1, ways=step.ways), heading=True)

    def settle(self) -> list[Value]:
        """End the line and the question that stand open, not the step."""
        return joined([*self._keep(self._writer.end()), *self._close_check()])

    def end(self) -> list[Value]:
        """Close what is open; the turn may still go on with a question."""
        return joined([*self.settle(), *self._close_step()])

    def ask_last_question(self) -> list[Value]:
        """Make the last sentence with a question mark the check, if there is one."""
        self._tail = last_question(self.text)
        if not self._tail:
            return []
        after = self.text.rpartition(self._tail)[2]
        return self._asked(Draft(text=f"{self._tail}\n{after}", expected=self._expected))

    def wants_question(self) -> None:
        """Take a question from here on, and nothing after its answer."""
        self._asks = self._only_question = True

    def ask(self, question: str) -> list[Value]:
        """Ask a question of the server's own."""
        return [*self.say(question), *self._asked(Draft(text=question))]

    def ask_again(self, check: Check, lead: str) -> list[Value]:
        """Ask the pending check once more, as text and as an event."""
        self.check = check
        options = [f"{label}) {text}" for label, text in check.choices]
        asked = "\n".join([f"{lead} {check.question}".strip(), *options])
        return [*self.say(asked), check.asked()]

    def finish(self) -> Remember:
        """Keep what was taught; without a plan it was the plan, and applying it is still to come."""
        if self._move.teaches and not self._given and self.text:
            self.state.add(self._untitled(self.text))
            self.state.taught += 1
        self.state.make_plan_of_steps()
        return self._remember()

    def _untitled(self, text: str = "") -> Step:
        return Step(n=self.state.last_n + 1, title=self.state.subject[:MAX_TITLE], text=text)

    def _mark(self, mark: Mark) -> list[Value]:
        match mark.name:
            case "step":
                return self._begin_step(_NUMBER.sub("", mark.args).strip())
            case "check":
                return self._begin_check(mark.args)
            case "choice":
                return self._choice(mark.args)
            case "calc":
                return [] if mark.cut else self._calc(mark.args)
            case "expect":
                self._expect("" if mark.cut else mark.args)
            case "plan":
                self.state.make_plan("" if mark.cut else mark.args)
            case "recap":
                self.state.recap(mark.args)
            case _:  # end, hint, say
                return [*self._close_check(), *self._close_step()]
        return []

    def _prose(self, text: str) -> list[Value]:
        values: list[Value] = []
        for line in re.findall(r"[^\n]*\n|[^\n]+", text):
            values += self._implicit() if self._line_start and line.strip() else []
            self._line_start = line.endswith("\n") or (self._line_start and not line.strip())
            if self._draft and self._draft.told:
                continue  # a model that goes on after the answer explains it
            if self._draft:
                self._draft.text += line
            self._plain += len("".join(line.split()))
            values += self._keep(self._writer.write(line))
        return values

    def _implicit(self) -> list[Value]:
        wanted = self._move.teaches and not self._given and not self._draft and not self.check
        if not wanted or self._plain < IMPLICIT_AFTER:
            return []
        notice = Notice(code="structure-implicit", detail="The model named no steps; one was opened.")
        return [notice, *self._open(self._untitled(), heading=False)]

    def _begin_step(self, title: str) -> list[Value]:
        self._line_start = True
        if self._move.teaches:
            closed = [*self._close_check(), *self._close_step()]
            return [*closed, *self._open(Step(n=self.state.last_n + 1, title=title), heading=True)]
        if self._move.step and not self._headed:
            self._headed = True  # it is the heading that already stands there
            return []
        return self._keep(self._writer.paragraph(f"**{title}**")) if title else []

    def _open(self, step: Step, *, heading: bool) -> list[Value]:
        self._step = step
        self._given += 1
        self._writer.n = step.n
        self.state.add(step)
        start = StepStart(n=step.n, title=step.title, rev=step.rev)
        lines = self._keep(self._writer.paragraph(f"### {step.n}. {step.title}".strip())) if heading else []
        self._text_from = len(self._text)
        return [start, self._remember(), *lines]

    def _close_step(self) -> list[Value]:
        if self._step is None:
            return []
        last = self._keep(self._writer.paragraph())
        step, self._step = self._step, None
        step.text = (
            "".join(self._text[self._text_from :]).strip().removesuffix(self._tail).strip() or step.title
        )
        self.state.add(step)
        self.state.taught += self._move.job == "explain"
        return [*last, StepEnd(n=step.n), self._remember()]

    def _begin_check(self, args: str) -> list[Value]:
        self._line_start = True
        if self.check or self._draft or not self._asks:
            return [*self._close_check(), *self._keep(self._writer.paragraph())]
        closed = [*self._close_step(), *self._keep(self._writer.paragraph())]
        self._draft = Draft.begun(args)
        return closed

    def _choice(self, args: str) -> list[Value]:
        label, body = checks.option(args)
        if self._draft and body:
            self._draft.choices.append((label, body))
        return self._keep(self._writer.write(f"{label}) {body}\n"))

    def _expect(self, expected: str) -> None:
        if self._draft and not self._draft.expected:
            self._draft.expected = expected
            self._draft.told = bool(expected) and bool(self._draft.text.strip())
        elif not self.check:
            self._expected = self._expected or expected

    def _calc(self, args: str) -> list[Value]:
        """Show our value, whatever the model's was; a value that is asked for stays hidden."""
        worked, secret = Calc.worked_out(args.rpartition("=")[0].strip()), self._draft or self.state.pending
        hidden = worked and secret and secret.expected and same_value(worked.value, secret.expected)
        return [worked] if worked and not hidden else []

    def _close_check(self) -> list[Value]:
        if self._draft is None:
            return []
        draft, self._draft = self._draft, None
        return [*self._keep(self._writer.paragraph()), *self._asked(draft)]

    def _asked(self, draft: Draft) -> list[Value]:
        n = self._step.n if self._step else self.state.last_n or 1
        made = checks.made(draft, n=n, new_id=self._new_id, language=self._language)
        if made is None:
            return []
        if self._move.asks_again and self._move.check:  # it goes on where the other question was
            made.tries, made.strategies = self._move.check.tries, self._move.check.strategies
        self.check = made
        self.state.ask(made)
        return [made.asked(), self._remember()]

    def _keep(self, events: list[Event]) -> list[Value]:
        self._text += [event.text for event in events if isinstance(event, Text)]
        return list(events)

    def _remember(self) -> Remember:
        return Remember(dump(self.state))
