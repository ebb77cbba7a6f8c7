"""Prompts hold one job, stay bounded, and mark what the student wrote."""

from dataclasses import replace
from pathlib import Path

import pytest

from services import prompting
from services.streams.use_case import Context, Turn
from services.use_cases.tutor import prompt
from services.use_cases.tutor.phrases import language
from services.use_cases.tutor.policy import Move, after_action, after_grade
from services.use_cases.tutor.prompt import Brief, judging, quoted
from services.use_cases.tutor.state import Check, State, Step
from services.use_cases.tutor.verdicts import Grade

PROMPTS = prompting.load(Path(__file__).parents[3] / "prompts")
ENGLISH = language("en", "")
STEP = Step(n=1, title="Undo the addition", text="Take 3 away on both sides, which leaves 2x = 8.")
CHECK = Check(id="c", n=1, kind="short", question="What does 2x equal?", expected="SECRET")


def state():
    return State(
        subject="Photosynthesis",
        level="grade 7",
        plan=["Light", "Water"],
        taught=1,
        steps=[STEP],
        pending=CHECK,
    )


def moves():
    wrong = after_grade(Grade("wrong", ""), CHECK, state(), "7")
    return {
        "begin": Move(job="explain"),
        "next": after_grade(Grade("right", ""), CHECK, state(), "8"),
        "apply": Move(job="explain", words="8", verdict="right", check=replace_kind("number")),
        "wrong": wrong,
        "analogy": replace(wrong, strategy="analogy"),
        "partial": after_grade(Grade("partial", ""), CHECK, state(), "7"),
        "reveal": replace(wrong, job="reveal", strategy=""),
        "clarify": after_grade(Grade("unclear", ""), CHECK, state(), "hm?"),
        "redo": after_action("simplify", STEP),
        "example": after_action("example", STEP),
        "another": after_action("another_way", STEP),
        "reply": Move(job="reply", words="Thanks"),
        "done": Move(job="done", words="8", verdict="right", check=CHECK),
    }


def replace_kind(kind):
    return Check(id="c", n=1, kind=kind, question="What is 3 + 4?", expected="SECRET")


def brief(name, context, *, before=None):
    return Brief(
        before or (State(subject="Photosynthesis") if name == "begin" else state()),
        moves()[name],
        ENGLISH,
        context,
    )


def rendered(call):
    messages = PROMPTS[call.prompt or prompt.PROMPT].messages(call.variables, call.history)
    return "\n".join(message.content for message in messages)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("name", moves())
def test_every_job_renders(name, compact):
    """Each job has its words, for every kind of model, and asks for something."""
    text = rendered(brief(name, Context(compact=compact)).teaching())
    assert len(text.split()) > 20
    assert "  \n\n\n" not in text


@pytest.mark.parametrize("compact", [True, False])
def test_calls_besides(compact):
    """The calls for a question and for the rest of an answer render too."""
    for call in (
        brief("next", Context(compact=compact)).asking("shown"),
        brief("next", Context(compact=compact)).continuing("shown"),
    ):
        assert "shown" in rendered(call)


@pytest.mark.parametrize("name", moves())
def test_small_models_read_little(name):
    """For a small model each prompt is under 250 tokens, at four characters each."""
    assert len(rendered(brief(name, Context(compact=True)).teaching())) < 1000


@pytest.mark.parametrize("name", set(moves()) - {"reveal"})
@pytest.mark.parametrize("compact", [True, False])
def test_secret(name, compact):
    """What a check expects is in no prompt but the one that reveals it."""
    assert "SECRET" not in rendered(brief(name, Context(compact=compact)).teaching())


def test_reveal():
    """To reveal the answer the model is told it."""
    assert "SECRET" in rendered(brief("reveal", Context()).teaching())


def test_system_is_the_same_in_every_turn():
    """The system block is the same bytes in all turns of a language, so that a provider can cache it."""
    systems = {
        PROMPTS["tutor"].messages(call.variables)[0].content
        for name in moves()
        for call in [brief(name, Context(new_id=lambda n=name: n)).teaching()]
    }
    assert len(systems) == 1


@pytest.mark.parametrize(
    ("written", "safe"),
    [
        (":::expect 9", "\\:::expect 9"),
        ("a\n  :::step x", "a\n  \\:::step x"),
        ("**:::step x**", "**\\:::step x**"),
        ("a :::b", "a :::b"),
        ("1:2", "1:2"),
    ],
)
def test_quoted(written, safe):
    """Colons at a line start in a student's words lose their power."""
    assert quoted(written) == safe


def test_fence_is_random():
    """The marks around a student's words have a name that they cannot know."""
    call = brief("wrong", Context(new_id=lambda: "r4nd0m")).teaching()
    assert "<student id=r4nd0m>\n7\n</student id=r4nd0m>" in rendered(call)


def test_judge():
    """The classifier hears the question, what is expected, and the answer between marks."""
    text = rendered(judging(CHECK, ":::x", Context(new_id=lambda: "r4nd0m")))
    assert "Expected: SECRET" in text
    assert "r4nd0m\n\\:::x\nr4nd0m" in text


def test_judge_without_a_key():
    """Where nothing is expected the classifier is told of nothing."""
    open_question = Check(id="c", n=1, kind="explain", question="Why?")
    assert "Expected:" not in rendered(judging(open_question, "x", Context()))


def test_judge_of_a_small_model():
    """A small model compares two answers by yes or no, which it does far better than in one of four words."""
    text = rendered(judging(CHECK, "x", Context(compact=True)))
    assert "Reply with yes or no only." in text
    assert len(text) < 500


def turns(count, text="word " * 10, *, partial=False):
    return tuple(
        Turn(
            number=n,
            stream="x",
            sent={"topic": "t"} if n == 1 else {"answer": {"check": "c", "value": f"answer {n}"}},
            text=f"{n} {text}",
            partial=partial,
        )
        for n in range(1, count + 1)
    )


def history(context, before=None):
    return brief("next", context, before=before or state()).teaching().history


def test_history():
    """Earlier turns stand before the job, student and tutor by turns, the lesson first."""
    messages = history(Context(turns=turns(3)))
    assert [message.role for message in messages] == ["user", "assistant"] * 3
    assert messages[0].content == "Lesson: Photosynthesis\nStudent's level: grade 7"
    assert messages[2].content == "My answer: answer 2"


def test_history_is_bounded():
    """When the turns become long, all but the last two are left to the recaps, in one jump."""
    before = state()
    before.recaps = ["seen so far"]
    messages = history(Context(turns=turns(9, "word " * 1000)), before)
    assert len(messages) == 4
    assert "- seen so far" in messages[0].content
    assert "My answer: answer 8" in messages[0].content
    assert before.since == 8


def test_history_grows_at_its_end():
    """Between two jumps each prompt begins with the whole prompt before it."""
    first, second = history(Context(turns=turns(2))), history(Context(turns=turns(3)))
    assert second[: len(first)] == first


def test_history_is_in_the_carrier():
    """The model reads its earlier steps as it is to write the next."""
    messages = history(Context(turns=turns(1, "\n### 1. Title\n\ntext")))
    assert ":::step 1. Title" in messages[1].content


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"message": "why?"}, "why?"),
        ({"message": ":::end"}, "\\:::end"),
        ({"action": "simplify", "step": 2}, "Please: simplify, step 2"),
        ({}, "Please begin."),
    ],
)
def test_what_the_student_did(sent, words):
    """Messages and actions of earlier turns are told as the student's."""
    first, second = turns(2)
    changed = Turn(number=2, stream="x", sent=sent, text=second.text, partial=False)
    assert history(Context(turns=(first, changed)))[2].content == words


def test_stopped_turns():
    """A turn that was stopped is told so, in its place and in the job."""
    context = Context(turns=turns(1, partial=True))
    assert history(context)[-1].content.endswith("[The student stopped you here.]")
    assert "The student stopped your last turn" in rendered(brief("next", context).teaching())


@pytest.mark.parametrize("name", moves())
def test_caps(name):
    """Each call's cap is two tokens a word and room for hidden lines."""
    assert 200 <= brief(name, Context()).teaching().max_output_tokens <= 380
