"""Equal forms are accepted, near misses refused, and what is not sure is left to be judged."""

import pytest

from services.use_cases.tutor.grading import grade, is_form, tells, usable
from services.use_cases.tutor.verdicts import Key

ABC = (("A", "3"), ("B", "4"), ("C", "5"))
BODIES = (("A", "oxygen"), ("B", "carbon dioxide"))


def verdict(answer, expected, question="What is it?", choices=(), *, comma=False):
    found = grade(answer, Key(question=question, expected=expected, choices=choices, comma=comma))
    return found and found.verdict


@pytest.mark.parametrize(
    ("expected", "answers"),
    [
        (
            "4",
            "4|4.0|+4|04|x = 4|x=4|4 = x|four|Four.|vier|8/2|8 / 2 = 4|I think it is 4|it's 4!|**4**",
        ),
        (
            "4.00",
            "\\(x = 4\\)|\uff14|\u0664",
        ),
        ("x = 4", "4|x=4|X = 4|four|the answer is 4|x is 4"),
        ("-3", "-3|−3|minus three|negative three|x = -3"),
        ("1/2", "1/2|0.5|.5|50 %|50%|½|one half|half|2/4|0,5|\\frac{1}{2}|50 percent"),
        ("0.75", "3/4|75 %|three quarters|¾"),
        ("1.5", "1 1/2|1½|3/2|150%"),
        ("12 %", "12%|0.12|12 percent|3/25|twelve percent"),
        ("1500", "1,500|1500|1500.00"),
        ("72", "72.0|72|72.00"),
        ("$5", "$5|5 dollars|5|5.00"),
        ("1.5 km", "1.5 km|1500 m|1500m|150000 cm"),
        ("90 min", "1.5 h|90 min|5400 s"),
        ("2x = 8", "2x = 8|2x=8|8 = 2x|x*2 = 8|2 · x = 8"),
        ("x + 4", "x+4|4 + x"),
        ("2x + 2", "2(x + 1)"),
        ("2 or -2", "2, -2|-2 and 2|x = 2 or x = -2|2; -2"),
        (
            "carbon dioxide | CO2",
            "carbon dioxide|Carbon Dioxide.|the carbon dioxide|co2| CO2 |“carbon dioxide”",
        ),
        (
            "chlorophyll",
            "Chlorophyll|chlorophyll!|It is chlorophyll.|I think it's the chlorophyll",
        ),
    ],
)
def test_equal_forms(expected, answers):
    """An equal form is right."""
    assert {"right"} == {verdict(answer, expected) for answer in answers.split("|")}


@pytest.mark.parametrize(
    ("expected", "answers"),
    [
        ("4", "5|-4|40|0.4|4.01|four hundredths is 5|1/4|4 %|5/2|x = 5|fourteen|14|I say 5"),
        ("12.25", "12.35|12|12.2|1225"),
        ("1234567", "1234568"),
        ("x = 4", "y = 4|x = 5"),
        ("1/2", "1/3|50|2/1|5"),
        ("12 %", "12|1.2"),
        ("1.5 km", "1.5 kg|15 km|1500 km|150 m"),
        ("2x = 8", "2x = 9|3x = 8|2y = 8"),
        ("2x + 2", "2x + 1|2y + 2"),
        ("2 or -2", "3; 5"),
    ],
)
def test_near_misses(expected, answers):
    """A near miss is wrong."""
    assert {"wrong"} == {verdict(answer, expected) for answer in answers.split("|")}


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("4", "8 - 4"),
        ("4", "2x = 8"),
        ("x = 4", "2x + 3 = 11"),
        ("2x = 8", "x = 4"),
        ("2 or -2", "2"),
        ("2 or -2", "2; 3"),
    ],
)
def test_partial(expected, answer):
    """The right value in another form, or a part of the values, is partly right."""
    assert verdict(answer, expected) == "partial"


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("4", "not 4"),
        ("4", "4 or 5"),
        ("4", "because"),
        ("4", "4x"),
        ("4", "between 3 and 5"),
        ("increases by 12%", "decreases by 12%"),
        ("carbon dioxide", "carbon monoxide"),
        ("the sky", "skies"),
        ("glucose", "it is not glucose"),
        ("glucose", "it is glucose or starch"),
        ("", "4"),
        ("twenty", "twenty one"),
    ],
)
def test_left_to_be_judged(expected, answer):
    """What the server cannot know it does not grade; likeness is nothing."""
    assert verdict(answer, expected) is None


@pytest.mark.parametrize("answer", [".", "**", " ! "])
def test_empty(answer):
    """An answer of nothing but marks is unclear."""
    assert verdict(answer, "4") == "unclear"


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("B", "right"), ("b", "right"), ("b)", "right"), ("(B)", "right"), ("B) 4", "right"),
        ("option B", "right"),
        ("4", "right"), ("x = 4", "right"), ("four", "right"), ("A", "wrong"), ("5", "wrong"),
        ("B) 5", None), ("D", None), ("the second", None), ("A or B", None),
    ],
)  # fmt: skip
def test_choices(answer, result):
    """A choice is known by its label, its body, or the body's value."""
    assert result == verdict(answer, "B", choices=ABC)


@pytest.mark.parametrize(
    ("answer", "result"), [("carbon dioxide", "right"), ("Oxygen.", "wrong"), ("b", "right")]
)
def test_choices_of_words(answer, result):
    """A choice is known by its words, and so may be what is expected."""
    assert result == verdict(answer, "carbon dioxide", choices=BODIES)


@pytest.mark.parametrize(
    ("question", "answer", "expected", "result", "reason"),
    [
        ("How many percent?", "12", "12 %", "right", "same-value"),
        ("How long?", "1.5", "1.5 km", "right", "unit-missing"),
        ("How long? Give the unit.", "1.5", "1.5 km", "partial", "unit-missing"),
        ("How many kg?", "4 kg", "4", "right", "same-value"),
        ("How many?", "4 kg", "4", "unclear", "unexpected-unit"),
        ("How many apples?", "4 apples", "4", "right", "same-value"),
        ("Round to one decimal: 10/3?", "3.33", "3.3", "right", "same-value"),
        ("What is 10/3?", "3.33", "3.3", "wrong", "other-value"),
    ],
)
def test_by_the_question(question, answer, expected, result, reason):
    """Percent, unit and rounding are judged by what was asked for."""
    found = grade(answer, Key(question=question, expected=expected))
    assert (result, reason) == (found.verdict, found.reason)


@pytest.mark.parametrize(
    ("answer", "expected", "result"),
    [
        ("1,125", "1.125", "right"),
        ("12,25", "12.25", "right"),
        ("1.500", "1500", "right"),
        ("12,35", "12,25", "wrong"),
    ],
)
def test_decimal_comma(answer, expected, result):
    """Where decimals have a comma, both ways of writing are read."""
    assert result == verdict(answer, expected, comma=True)


@pytest.mark.parametrize("expected", ["4", "x = 4", "1/2", "2x = 8", "CO2"])
def test_reasons_tell_nothing(expected):
    """No reason holds what was expected."""
    for answer in ("5", "4 kg", "8 - 4", "12 %", "y = 1", "2, 3"):
        found = grade(answer, Key(question="?", expected=expected))
        assert found is None or expected not in found.reason


@pytest.mark.parametrize(
    ("text", "expected", "form"),
    [
        ("4", "5", True),
        ("x = 4", "5", True),
        ("2x = 8", "5", True),
        ("CO2", "CO2", True),
        ("oxygen", "CO2", False),
        ("Why do we subtract 3?", "5", False),
        ("I don't know", "5", False),
    ],
)
def test_is_form(text, expected, form):
    """Free text is an answer by its form if it is a number, an equation, or the very phrase."""
    assert form is is_form(text, Key(question="?", expected=expected))


@pytest.mark.parametrize(
    ("expected", "choices", "result"),
    [
        ("B", ABC, True),
        ("4", ABC, True),
        ("D", ABC, False),
        ("", ABC, False),
        ("A", (("A", "4"), ("B", "4.0")), False),
        ("A", (("A", "the sun"), ("B", "Sun")), False),
    ],
)
def test_usable(expected, choices, result):
    """A key names one of the options, and no two of them are equal."""
    assert result is usable(expected, choices)


@pytest.mark.parametrize(
    ("text", "question", "expected", "result"),
    [
        ("So x = 4.", "What is x?", "4", True),
        ("That is 4.0 then", "What is x?", "x = 4", True),
        ("2x + 3 = 11", "What is x?", "4", False),
        ("14 and 40", "What is x?", "4", False),
        ("Take 4 from 8", "What is 8 - 4?", "4", False),
        ("It is chlorophyll, see", "What is green?", "Chlorophyll", True),
        ("It is CO2.", "Which gas?", "carbon dioxide | CO2", True),
        ("It is oxygen.", "Which gas?", "carbon dioxide | CO2", False),
        ("x = 4", "What is x?", "", False),
    ],
)
def test_tells(text, question, expected, result):
    """A text tells the answer if it has its value, not named in the question, or its words."""
    assert result is tells(text, Key(question=question, expected=expected))


def test_tells_no_choice():
    """A text cannot tell a choice: all options are named anyway."""
    assert not tells("4", Key(question="?", expected="B", choices=ABC))
