"""Linear forms and equations are read exactly, and only those."""

from fractions import Fraction

import pytest

from services.use_cases.tutor.arithmetic import NotArithmeticError
from services.use_cases.tutor.linear import Linear, another, asked_value, equation, expression


@pytest.mark.parametrize(
    ("written", "slope", "constant", "letter"),
    [
        ("2x + 3", 2, 3, "x"),
        ("3(x - 1)/2", Fraction(3, 2), Fraction(-3, 2), "x"),
        ("-y", -1, 0, "y"),
        ("x2", 2, 0, "x"),
        ("2 · x · 3", 6, 0, "x"),
        ("7", 0, 7, ""),
        ("2^3 + x", 1, 8, "x"),
    ],
)
def test_expression(written, slope, constant, letter):
    """A linear form is its slope and its constant."""
    assert (Linear(Fraction(slope), Fraction(constant)), letter) == expression(written)


@pytest.mark.parametrize(
    "written", ["x*x", "1/x", "x^2", "x + y", "xy", "2**x", "x/0", "sin(x)", "", "x +", "x" * 300]
)
def test_no_expression(written):
    """What is not linear in one letter is refused."""
    with pytest.raises(NotArithmeticError):
        expression(written)


@pytest.mark.parametrize(
    ("written", "solution"),
    [("2x + 3 = 11", 4), ("3(x - 1) = 2x + 4", 7), ("5 = x", 5), ("x = x", None), ("x = x + 1", None)],
)
def test_solution(written, solution):
    """An equation has its one solution, or none."""
    assert solution == equation(written).solution


@pytest.mark.parametrize("written", ["2x + 3", "1 = 1", "x = y", "x = 1 = 1", "x^2 = 4"])
def test_no_equation(written):
    """What is not one equation in one letter is none."""
    assert equation(written) is None


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("What is x in 2x + 3 = 11?", 4),
        ("What is the value of x in the equation 2x + 3 = 11?", 4),
        ("What is \\(x\\) if \\(2x = 8\\)?", 4),
        ("Solve 3x - 2 = 13 for x. x = ?", 5),
        ("If 3x + 2 = 14, what is x?", 4),
        ("Was ist x, wenn 5x - 2 = 13?", 3),
        ("What is 11 - 3?", 8),
        ("What is 3 × 4 = ?", 12),
        ("What is 1/2 + 1/4?", Fraction(3, 4)),
        ("Cuánto es 7 + 8?", 15),
        ("Solve 3x + 5 = 14", 3),
        ("Löse 3x + 5 = 14.", 3),
        ("Solve 3x + 5 = 14: what comes first?", None),
        ("What is 2x when 2x + 3 = 11?", None),
        ("What do you get after subtracting 3 from both sides of 2x + 3 = 11?", None),
        ("How do you find x in x + 2 = 5?", None),
        ("Why is x = 4 in 2x = 8?", None),
        ("What is x in x^2 = 4?", None),
        ("What is x in x = 4 and 2x = 9?", None),
        ("What is the result of adding 1/2 and 1/4?", None),
        ("What is 12?", None),
        ("Which is 3 + 4 or 5 + 6?", None),
        ("What is next?", None),
    ],
)
def test_asked_value(question, value):
    """A question for a letter or a sum has its value, one about the way has none."""
    assert value == asked_value(question)


@pytest.mark.parametrize("index", range(9))
@pytest.mark.parametrize(
    "text", ["Solve 2x + 3 = 11", "5y - 2 = 13", "-3z = 12", "x + 1 = 2", "What is a in 4a - 8 = 0?"]
)
def test_another(text, index):
    """An equation set again has the same letter and signs, a whole solution, and other numbers."""
    found = another(text, index)
    assert equation(str(found)) == found
    assert found.solution.denominator == 1
    assert str(found) not in text


def test_others_differ():
    """Eight exercises in a row are eight."""
    assert len({str(another("2x + 3 = 11", index)) for index in range(8)}) == 8


@pytest.mark.parametrize(
    "text", ["photosynthesis", "2x = 2x", "2x = x + 1", "3x = 10", "x = 1 and x = 2", "500x = 1000", "x = x"]
)
def test_no_other(text):
    """What is no small equation with a whole solution is not set again."""
    assert another(text, 0) is None
