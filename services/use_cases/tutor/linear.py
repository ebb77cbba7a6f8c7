"""Linear forms in one letter: ``2x + 3`` as exact numbers, ``2x + 3 = 11`` solved and compared.

Read like ``arithmetic.py`` reads numbers: over a whitelisted syntax tree, never evaluated. What is
not linear, or has two letters, is not read at all.
"""

import ast
import re
from dataclasses import dataclass
from fractions import Fraction

from services.use_cases.tutor import arithmetic
from services.use_cases.tutor.arithmetic import NotArithmeticError

_ALLOWED = re.compile(r"[0-9a-z.+\-*/() ]+")
_PRODUCT = re.compile(r"(?<=[0-9a-z)])\s*(?=[a-z(])|(?<=[a-z)])\s*(?=[0-9])")
_LETTER = re.compile(r"(?<![^\W\d_])[a-z](?![^\W\d_])")
_ATOM = r"(?:\d++(?:[.,]\d++)?|(?<![^\W\d_])[a-zA-Z](?![^\W\d_])|[-+*/()×·−÷^²³])"
_EQUATION = re.compile(rf"{_ATOM}(?:\s*{_ATOM})*+\s*=\s*{_ATOM}(?:\s*{_ATOM})*+")
_ASKS_LETTER = re.compile(
    r"\b(?:is|of|for|find|ist|von|nach|es|de|vale|vaut|est|pour|è|di|é|van)\s+(?P<before>[a-z])\b(?!\s*[-+*/=(])"
    r"|\b(?P<after>[a-z])\s*=\s*\?",
    re.IGNORECASE,
)
_ASKS_VALUE = re.compile(
    r"\b(?:is|are|calculate|compute|ist|sind|berechne|es|son|calcula|font|fait|calcule|fa)\s+"
    r"(?P<sum>[-+(]*\d[\d.,]*(?:\s*[-+*/×·−÷:()]+\s*[\d.,]+)+\)*)\s*=?\s*\?$",
    re.IGNORECASE,
)
_SOLVE = re.compile(r"^\W*(?:solve|find|löse|resuelve|résous|risolvi|resolva|los)\b", re.IGNORECASE)
_ASKS_HOW = re.compile(
    r"\b(?:how do|how can|how would|why|wie|warum|cómo|por qué|comment|pourquoi)\b", re.IGNORECASE
)


MAX_QUESTION = 600  # characters that are searched for an equation
MAX_SMALL = 100  # numbers that a student works with in the head
# What is added to the slope, the constant and the solution.
_MOVES = ((1, 1, 1), (2, 3, 2), (3, 4, 3), (1, -1, 4), (3, -2, -1), (4, 2, -2), (5, 1, 5), (2, -1, 6))


@dataclass(frozen=True)
class Linear:
    """``slope * letter + constant``; a number has no letter and slope 0."""

    slope: Fraction
    constant: Fraction

    def __add__(self, other: "Linear") -> "Linear":
        """Add part by part."""
        return Linear(self.slope + other.slope, self.constant + other.constant)

    def scaled(self, factor: Fraction) -> "Linear":
        """Return the form times a number."""
        return Linear(self.slope * factor, self.constant * factor)


def expression(source: str) -> tuple[Linear, str]:
    """Return the form and its letter ("" for a number); raises NotArithmeticError for all else."""
    text = arithmetic.plain(source).strip().lower()
    letters = set(_LETTER.findall(_PRODUCT.sub("*", text)))
    if len(text) > arithmetic.MAX_SOURCE or not _ALLOWED.fullmatch(text) or len(letters) > 1 or "//" in text:
        raise NotArithmeticError(source)
    spaced = _PRODUCT.sub("*", text)
    try:
        return _walk(ast.parse(spaced, mode="eval").body, spaced), "".join(letters)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise NotArithmeticError(source) from error


@dataclass(frozen=True)
class Equation:
    """``left = right`` in one letter."""

    letter: str
    left: Linear
    right: Linear

    def __str__(self) -> str:
        """Write ``3x + 4 = 19``, for whole numbers."""
        sign = "-" if self.left.constant < 0 else "+"
        tail = f" {sign} {abs(self.left.constant)}" if self.left.constant else ""
        slope = {1: "", -1: "-"}.get(int(self.left.slope), str(self.left.slope))
        return f"{slope}{self.letter}{tail} = {self.right.constant}"

    @property
    def solution(self) -> Fraction | None:
        """Return the one value of the letter, or None where there is none or any does."""
        slope = self.left.slope - self.right.slope
        return (self.right.constant - self.left.constant) / slope if slope else None

    def is_written_like(self, other: "Equation") -> bool:
        """Tell whether both have the same sides, whichever stands first."""
        return {self.left, self.right} == {other.left, other.right}


def equation(source: str) -> Equation | None:
    """Return the one equation that the whole text is, or None."""
    sides = source.split("=")
    if len(sides) != 2:  # noqa: PLR2004 - an equation has two sides
        return None
    try:
        (left, one), (right, two) = (expression(side) for side in sides)
    except NotArithmeticError:
        return None
    letters = {one, two} - {""}
    return Equation(letters.pop(), left, right) if len(letters) == 1 else None


def another(text: str, index: int) -> Equation | None:
    """Set the text's one equation ``ax + b = c`` again with other small numbers and a whole solution.

    Each index gives other numbers, until the table begins anew.
    """
    found = [known for written in _EQUATION.findall(text[:MAX_QUESTION]) if (known := equation(written))]
    if len(found) != 1 or found[0].right.slope or found[0].solution is None:
        return None
    given = found[0]
    numbers = (given.left.slope, given.left.constant, given.solution or Fraction(1))
    if any(number.denominator != 1 or abs(number) > MAX_SMALL for number in numbers):
        return None
    moved = [_moved(number, by) for number, by in zip(numbers, _MOVES[index % len(_MOVES)], strict=True)]
    slope, constant, solution = moved
    return Equation(given.letter, Linear(slope, constant), Linear(Fraction(0), slope * solution + constant))


def _moved(number: Fraction, by: int) -> Fraction:
    """Change a number without changing its sign; 0 stays, and nothing else becomes 0 or 1."""
    if not number:
        return number
    size = abs(number) + by
    return (size if size > 1 else abs(number) + 1 - by) * (1 if number > 0 else -1)


def asked_value(question: str) -> Fraction | None:
    """Return what a question asks for, if it asks for the letter of its one equation or for a sum.

    ``What is x in 2x + 3 = 11?`` gives 4; ``What is 11 - 3?`` gives 8; a question about how to do
    it asks for neither, and gives None.
    """
    question = re.sub(r"\\[()\[\]]|[$*_`]", " ", question[:MAX_QUESTION]).strip()
    if _ASKS_HOW.search(question):
        return None
    found = [known for text in _EQUATION.findall(question) if (known := equation(text))]
    if found:
        letter = _ASKS_LETTER.search(_EQUATION.sub(" ", question))
        named = letter is not None and found[0].letter in {letter["before"], letter["after"]}
        asks = named or (_SOLVE.match(question) and "?" not in question)
        return found[0].solution if asks and len(found) == 1 else None
    asked = _ASKS_VALUE.search(question)
    return _value(asked["sum"]) if asked else None


def _value(source: str) -> Fraction | None:
    try:
        return arithmetic.value(arithmetic.plain(source))
    except NotArithmeticError:
        return None


def _walk(node: ast.expr, source: str) -> Linear:  # noqa: PLR0911 - one way for each kind of node
    match node:
        case ast.Name():
            return Linear(Fraction(1), Fraction(0))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _walk(operand, source).scaled(Fraction(-1))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _walk(left, source) + _walk(right, source)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _walk(left, source) + _walk(right, source).scaled(Fraction(-1))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _product(_walk(left, source), _walk(right, source))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _quotient(_walk(left, source), _walk(right, source))
        case _:
            return Linear(Fraction(0), arithmetic.value(source[node.col_offset : node.end_col_offset]))


def _product(one: Linear, two: Linear) -> Linear:
    if one.slope and two.slope:
        raise NotArithmeticError("not linear")
    return two.scaled(one.constant) if not one.slope else one.scaled(two.constant)


def _quotient(one: Linear, two: Linear) -> Linear:
    if two.slope or not two.constant:
        raise NotArithmeticError("not linear")
    return one.scaled(1 / two.constant)
