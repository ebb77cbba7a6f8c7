"""A lesson played turn by turn: a scripted model, a scripted student."""

from dataclasses import dataclass, field, replace
from itertools import count

from services.events import Text
from services.streams.use_case import Call, Context, Turn
from services.use_cases.tutor import USE_CASE
from tests.use_cases.drive import FakeAnswer, drive

COMPLIANT = """:::plan Undo the addition | Undo the multiplication
:::step Undo the addition
We want x alone. Take 3 away on both sides.
:::calc 11 - 3 = 8
So 2x + 3 - 3 = 11 - 3 = 8, which leaves 2x = 8.

:::check concept=inverse type=number
:::expect 8
What does 2x equal now?
:::recap undid + 3
"""

NEXT = """:::step Undo the multiplication
Divide both sides by 2.
:::check type=choice
:::expect B
What is x?
:::choice A 3
:::choice B 4
:::end
"""

QUESTION = "Question: What is x in 3x = 12?\nAnswer: 4\n"


@dataclass
class Lesson:
    """One session; ``play`` runs a turn and returns what happened in it."""

    compact: bool = False
    ids: count = field(default_factory=lambda: count(1))
    context: Context = field(init=False)

    def __post_init__(self):
        self.context = Context(compact=self.compact, new_id=lambda: f"id{next(self.ids)}")

    def play(self, body, *says, partial=False):
        """Play a turn; ``says`` are the model's answers in their order."""
        turns = self.context.turns
        body = body if not turns else {"session": "s", **body}
        replies = iter(says)
        played = drive(USE_CASE, body, lambda _call: next(replies), self.context)
        assert not list(replies), "the model was asked less often than the test expects"
        turn = Turn(number=len(turns) + 1, stream="x", sent=body, text=played.text, partial=partial)
        self.context = replace(self.context, state=played.state, turns=(*turns, turn))
        return played

    def begin(self, said=COMPLIANT, **more):
        return self.play({"topic": "Solve 2x + 3 = 11", **more}, said)

    def answer(self, value, *says):
        return self.play({"answer": {"check": self.pending["id"], "value": value}}, *says)

    @property
    def pending(self):
        return self.context.state["pending"]


def types(played):
    """Return the events in their order, text left out."""
    return [event.__struct_config__.tag for event in played.events if not isinstance(event, Text)]


def named(played, tag):
    return [event for event in played.events if event.__struct_config__.tag == tag]


def joined_events(played):
    """Join neighbouring text events."""
    out = []
    for event in played.events:
        if isinstance(event, Text) and out and isinstance(out[-1], Text):
            out[-1] = Text(text=out[-1].text + event.text)
        else:
            out.append(event)
    return out


def finish(transform, answers):
    """Run a transform to its end; returns its finish reason and its text."""
    back, text, answers = None, "", iter(answers)
    while True:
        try:
            value = transform.send(back)
        except StopIteration as end:
            return end.value, text
        text += value.text if isinstance(value, Text) else ""
        back = next(answers) if isinstance(value, Call) else None


def cut_off(text):
    return FakeAnswer([text], ends="length")
