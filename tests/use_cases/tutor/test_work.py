"""No text makes the server work for long: each function is fed with what makes a bad pattern explode."""

import pytest

from services.use_cases.tutor import checks, grading, linear, phrases, quantities, repair
from services.use_cases.tutor.claims import false_claims
from services.use_cases.tutor.verdicts import Key

LENGTH = 4_000
UNITS = [
    "1",
    " ",
    "1 ",
    "1+",
    "1=1;",
    "=",
    "1=",
    "x ",
    "(",
    "1,000,",
    "2x+",
    "a",
    "is 1+1 ",
    "*",
    '"',
    "1 and ",
    "1.",
    "? ",
]
WORKERS = {
    "claims": lambda text: false_claims(f"{text}=1", comma=True, students=text),
    "asked": linear.asked_value,
    "another": lambda text: linear.another(text, 0),
    "quantity": lambda text: quantities.quantity(text, comma=True),
    "grade": lambda text: grading.grade(text, Key(question=text, expected="4")),
    "key": lambda text: grading.grade("4", Key(question=text, expected=text)),
    "several": lambda text: grading.grade(text, Key(question="?", expected="2 or 3")),
    "tells": lambda text: grading.tells(text, Key(question=text, expected="4")),
    "question": repair.last_question,
    "options": repair.options,
    "language": lambda text: phrases.language(None, text),
    "draft": lambda text: checks.made(
        checks.Draft(text=text, expected=text), n=1, new_id=str, language=phrases.language("en", "")
    ),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", WORKERS)
def test_bounded_work(name, unit):
    """The longest input, of one unit repeated, is dealt with: an exponential pattern never ends."""
    WORKERS[name](unit * (LENGTH // len(unit)))
