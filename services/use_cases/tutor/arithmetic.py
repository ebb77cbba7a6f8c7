"""Exact arithmetic on what a model or a student wrote: fractions over a whitelisted syntax tree.

Nothing is ever evaluated as Python. The source may hold digits, points, brackets and operators
only, so no name, attribute or call can even be written; then the tree is walked with bounds on
every power, so that a short text cannot ask for a long computation (``9**9**9``).
"""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

MAX_SOURCE = 200  # characters
MAX_DIGITS = 15  # of one number: what a double holds, more is no school arithmetic
MAX_EXPONENT = 64
MAX_BASE = 10**6

_ALLOWED = re.compile(r"[0-9.+\-*/() ]+")
_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_SPELLINGS = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∙": "*",
        "÷": "/",
        "\u2044": "/",
        "\u2215": "/",
        "−": "-",
        "–": "-",
        "^": "**",
    }
    | {power: f"**{exponent}" for exponent, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
)
_LATEX = (
    (re.compile(r"\\(?:times|cdot|ast)(?![a-z])"), "*"),
    (re.compile(r"\\div(?![a-z])"), "/"),
    (re.compile(r"\\(?:left|right)(?![a-z])"), ""),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"\^\{(-?\d+)\}"), r"**\1"),
)
_TIMES = re.compile(r"(?<=\d)( ?)[x×](?= ?\d)")  # `3 x 4`, never `3x`
_DIVIDED = re.compile(r"(?<=\d) : (?=\d)")  # as schools in half of Europe write it
_PRODUCT = re.compile(r"(?<=[\d)])\s*(?=\()|(?<=\))\s*(?=\d)")
_PERCENT = re.compile(r"(?<![\d.])(\d++(?:\.\d++)?) ?\\?%")
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)")

_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class NotArithmeticError(ValueError):
    """The text is not a sum that is worked out here."""


def value(source: str) -> Fraction:
    """Return the exact value of ``(1 + 2) * 3.5 / 7``; raises NotArithmeticError for all else."""
    source = source.strip()
    if len(source) > MAX_SOURCE or not _ALLOWED.fullmatch(source) or "//" in source:
        raise NotArithmeticError(source[:MAX_SOURCE])
    try:
        return _walk(ast.parse(source, mode="eval").body, source)
    except (SyntaxError, ZeroDivisionError, MemoryError, RecursionError) as error:
        raise NotArithmeticError(source) from error


def plain(text: str, *, comma: bool = False) -> str:
    """Return the text with the spellings of books and of LaTeX turned into Python's operators.

    ``comma`` tells that the comma is the decimal mark; else commas may group thousands.
    """
    for _ in range(2):  # a fraction within a fraction
        text = _LATEX_FRACTION.sub(r"((\1)/(\2))", text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = text.replace("\\$", "").replace("$", "").translate(_SPELLINGS)
    text = re.sub(r"(?<=\d),(?=\d)", ".", text) if comma else _GROUPED.sub(_ungrouped, text)
    text = _TIMES.sub("*", _DIVIDED.sub(" / ", text))
    return _PRODUCT.sub("*", _PERCENT.sub(r"(\1/100)", text))


def shown(number: Fraction) -> str:
    """Return the number as a person writes it: ``4``, ``0.125``, else ``1/3``."""
    if number.denominator == 1:
        return str(number.numerator)
    twos_and_fives = number.denominator
    for prime in (2, 5):
        while twos_and_fives % prime == 0:
            twos_and_fives //= prime
    if twos_and_fives != 1 or number.denominator > 10**6:
        return f"{number.numerator}/{number.denominator}"
    places = next(k for k in range(1, 21) if (number * 10**k).denominator == 1)
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _ungrouped(match: re.Match[str]) -> str:
    return match[0].replace(",", "")


def _walk(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.Constant():
            return _number(source[node.col_offset : node.end_col_offset])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_walk(operand, source)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _walk(operand, source)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_walk(left, source), _walk(right, source))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_walk(left, source), _walk(right, source))
        case _:
            raise NotArithmeticError(source)


def _number(written: str) -> Fraction:
    """Read the digits themselves: a float has lost what was written (0.1)."""
    if not _NUMBER.fullmatch(written) or sum(map(str.isdigit, written)) > MAX_DIGITS:
        raise NotArithmeticError(written)
    return Fraction(written)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    small = max(abs(base.numerator), base.denominator) <= MAX_BASE
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or not small:
        raise NotArithmeticError("a power out of bounds")
    return base**exponent.numerator
