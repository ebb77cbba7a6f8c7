"""What a session remembers is JSON, versioned, bounded, and keeps its secret."""

import json

from services.use_cases.tutor.policy import STRATEGIES, WAYS, after_action, after_begin, after_grade
from services.use_cases.tutor.state import (
    MAX_ASKED,
    MAX_PLAN,
    MAX_RECAPS,
    MAX_STEPS,
    VERSION,
    Check,
    State,
    Step,
    dump,
    load,
    shown,
)
from services.use_cases.tutor.verdicts import Grade


def check(**more):
    return Check(id="c", n=1, kind="short", question="Q?", expected="secret", **more)


def test_round_trip():
    """A state survives JSON."""
    state = State(subject="x", steps=[Step(n=1, title="A", text="t")], pending=check(choices=[("A", "x")]))
    assert load(json.loads(json.dumps(dump(state)))) == state


def test_version():
    """What is stored says the version of its shape."""
    assert dump(State(subject="x"))["v"] == VERSION


def test_dump_is_a_copy():
    """What was remembered does not change with the state."""
    state = State(subject="x", pending=check())
    stored = dump(state)
    state.pending.tries = 9
    assert stored["pending"]["tries"] == 0


def test_shown():
    """A caller sees all but what the check expects."""
    seen = shown(dump(State(subject="x", pending=check())))
    assert "secret" not in json.dumps(seen)
    assert seen["pending"]["question"] == "Q?"


def test_shown_without_a_check():
    """Where nothing waits there is nothing to hide."""
    assert shown(dump(State(subject="x")))["pending"] is None


def test_bounds():
    """Steps, recaps, questions and the plan are bounded."""
    state = State(subject="x")
    for n in range(1, 100):
        state.add(Step(n=n, title="A"))
        state.recap("r")
        state.ask(check())
    state.make_plan("|".join("abcdefghijkl"))
    bounds = (MAX_STEPS, MAX_RECAPS, MAX_ASKED, MAX_PLAN)
    assert (len(state.steps), len(state.recaps), len(state.asked), len(state.plan)) == bounds
    assert state.last_n == 99


def test_a_step_made_anew_takes_its_place():
    """A step of the same number replaces the earlier one, where it stood."""
    state = State(subject="x", steps=[Step(n=1, title="A"), Step(n=2, title="B")])
    state.add(Step(n=1, title="A", rev=1))
    assert [(step.n, step.rev) for step in state.steps] == [(1, 1), (2, 0)]


def test_first_plan_stays():
    """A plan is made once."""
    state = State(subject="x", plan=["A"])
    state.make_plan("B | C")
    state.make_plan_of_steps()
    assert state.plan == ["A"]


def test_strategies():
    """After a wrong answer the next unused strategy is taken, the step's own ways left out."""
    state = State(subject="x", plan=["A"], steps=[Step(n=1, title="A", text="t", ways=[STRATEGIES[1]])])
    move = after_grade(Grade("wrong", ""), check(strategies=[STRATEGIES[0]]), state, "w")
    assert (move.job, move.strategy) == ("remediate", STRATEGIES[2])


def test_step_that_was_forgotten():
    """A check whose step is no longer kept is remediated all the same."""
    move = after_grade(Grade("wrong", ""), check(), State(subject="x", plan=["A"]), "w")
    assert (move.step.n, move.step.title) == (1, "x")


def test_ways_begin_anew():
    """When all ways were used they begin anew."""
    step = Step(n=1, title="A", ways=list(WAYS))
    assert after_action("another_way", step).strategy == WAYS[0]


def test_broken_step():
    """A step without text was broken off, and is what comes next."""
    state = State(subject="x", steps=[Step(n=1, title="A", text="t"), Step(n=2, title="B")])
    assert after_begin(state).step.n == 2
