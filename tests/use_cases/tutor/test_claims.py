"""False equations are found, and nothing that is true, asked, quoted or cut out of something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.use_cases.tutor.claims import false_claims


@pytest.mark.parametrize(
    ("line", "said", "is_"),
    [
        ("11 - 3 = 7", "11 - 3 = 7", "11 - 3 = 8"),
        ("So 11 - 3 = 7, and then", "11 - 3 = 7", "11 - 3 = 8"),
        ("1. 2 + 3 = 6", "2 + 3 = 6", "2 + 3 = 5"),
        ("- 2 + 3 = 6", "2 + 3 = 6", "2 + 3 = 5"),
        ("**2 + 3 = 6**", "2 + 3 = 6", "2 + 3 = 5"),
        ("2 + 3 = **6**.", "2 + 3 = 6", "2 + 3 = 5"),
        ("(2 + 3 = 6)", "2 + 3 = 6", "2 + 3 = 5"),
        ("2(4) + 3 = 12", "2 × 4 + 3 = 12", "2 × 4 + 3 = 11"),
        ("\\[ 2(4) + 3 = 12 \\]", "2 × 4 + 3 = 12", "2 × 4 + 3 = 11"),
        ("\\frac{8}{2} = 5", "8/2 = 5", "8/2 = 4"),
        ("8 : 2 = 5", "8 / 2 = 5", "8 / 2 = 4"),
        ("Step 2: 3 × 4 = 13", "3 × 4 = 13", "3 × 4 = 12"),
        ("x = 8 / 2 = 5", "8 / 2 = 5", "8 / 2 = 4"),
        ("2x = 11 - 3 = 7", "11 - 3 = 7", "11 - 3 = 8"),
        ("2 × 4 + 3 = 8 + 3 = 12", "8 + 3 = 12", "8 + 3 = 11"),
        ("5 * 2 = 10 = 4 + 7", "10 = 4 + 7", "4 + 7 = 11"),
        ("7 = 3 + 5", "7 = 3 + 5", "3 + 5 = 8"),
        ("The sum is 5. 3 + 4 = 8. Good", "3 + 4 = 8", "3 + 4 = 7"),
        ("1,000 + 500 = 1,600", "1000 + 500 = 1600", "1000 + 500 = 1500"),
        ("20% + 5% = 26%", "20% + 5% = 26%", "20% + 5% = 25%"),
        ("$5 + $3 = $9", "5 + 3 = 9", "5 + 3 = 8"),
        ("-3 + 5 = 3", "-3 + 5 = 3", "-3 + 5 = 2"),
        ("5 + 3 = 9 apples", "5 + 3 = 9", "5 + 3 = 8"),
        ("2^3 = 6", "2^3 = 6", "2^3 = 8"),
        ("3² = 6", "3^2 = 6", "3^2 = 9"),
        ("10/3 = 3.4", "10/3 = 3.4", "10/3 ≈ 3.3"),
        ("6/3 = 2.1", "6/3 = 2.1", "6/3 = 2"),
        ("2 + 2 = 4 + 1", "2 + 2 = 4 + 1", "2 + 2 = 4"),
    ],
)
def test_false(line, said, is_):
    """A false equation is found, with what is right."""
    assert [(said, is_)] == [(claim.said, claim.is_) for claim in false_claims(line)]


@pytest.mark.parametrize(
    "line",
    [
        "2 + 3 = 5",
        "2x + 3 - 3 = 11 - 4",
        "x - 3 + 5 = 3",
        "half of 6 + 2 = 5",
        "three times 6 + 2 = 5",
        "divided by 6 + 2 = 5",
        "0.7x = 3 + 1",
        "3 + 1 = 4x",
        "3 + 1 = 5 x",
        "3 + 1 = 5 + y",
        "2 + 3 ≈ 6",
        "2 + 3 == 6",
        "2 + 3 <= 6",
        "2 + 3 != 6",
        "1/2 = 3",
        "10/3 = 3.33",
        "20/3 = 6.67",
        "20/3 = 6.66",
        "-10/3 = -3.33",
        "7/2 = 3 remainder 1",
        "f(2) = 3 + 4 = 7",
        "x_1 + 2 = 5",
        "\\sqrt{9} + 1 = 5",
        "5! + 1 = 7",
        "3 + 4 = 5\\sqrt{2}",
        "50% = 10 * 2",
        "step 5 = 2 + 2",
        "((2 + 3) = 6 + (1",
        "a = b = c",
        "1 + 1 = 9**9**9",
        "100 + " + "1 + " * 60 + "1 = 2",
        "",
        "=",
        "2 + 2 = 5 " + "x" * 2000,
    ],
)
def test_no_claim(line):
    """What is true, or only a part of something, is no false claim."""
    assert false_claims(line) == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("Is 2 + 2 = 5?", 0),
        ("Is it right that 2 + 2 = 5?", 1),
        ('You said "2 + 2 = 5".', 0),
        ("You said “2 + 2 = 5”.", 0),
        ("«2 + 2 = 5» is what you wrote.", 0),
        ("It is wrong to say 2 + 2 = 5.", 0),
        ("2 + 2 = 5 is not true.", 0),
        ("It isn't 2 + 2 = 5.", 0),
        ('You are right: "2 + 2 = 5".', 1),
        ("You are not right: 2 + 2 = 5.", 0),
        ("What is left? 2 + 2 = 5. Good.", 1),
    ],
)
def test_asked_quoted_denied(line, count):
    """Questions, quotations and denials claim nothing, unless they affirm it."""
    assert count == len(false_claims(line))


def test_students_own():
    """What the student wrote is theirs, with or without quotation marks."""
    assert false_claims("You wrote 15 - 6 = 11 there.", students="I got 15-6=11") == []


def test_students_own_affirmed():
    """A student's false equation that is affirmed is the tutor's."""
    assert len(false_claims("You're correct, 15 - 6 = 11", students="15 - 6 = 11")) == 1


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("3,5 + 1 = 4,5", 0),
        ("3,5 + 1 = 4,6", 1),
        ("1.000 + 500 = 1.500", 0),
        ("0.125 + 0.125 = 0.25", 0),
        ("0.125 + 0.125 = 0.26", 1),
    ],
)
def test_decimal_comma(line, count):
    """Where decimals have a comma, a claim is false only in every way to read it."""
    assert count == len(false_claims(line, comma=True))


def test_several():
    """Each false equation of a line is found."""
    assert [claim.result for claim in false_claims("2 + 3 = 6 and 3 + 4 = 8")] == ["6", "8"]


@given(st.integers(-99, 99), st.integers(1, 99), st.sampled_from("+-*"))
def test_true_sums(one, two, sign):
    """No true sum is called false."""
    result = {"+": one + two, "-": one - two, "*": one * two}[sign]
    assert false_claims(f"We see that {one} {sign} {two} = {result}.") == []


@given(st.integers(0, 99), st.integers(1, 99), st.integers(1, 9))
def test_corrupted_sums(one, two, off):
    """Every sum with a wrong result is found."""
    assert len(false_claims(f"We see that {one} + {two} = {one + two + off}.")) == 1


@given(st.text(alphabet="0123456789.+-*/()= x,%$of\\{}frac?\"'", max_size=80))
def test_any_line(line):
    """No line breaks it."""
    false_claims(line, comma=True, students=line)
