"""Equations in prose, checked: which of them a line asserts, and which of those are false.

What is no claim is let pass, since a false alarm in front of a student costs more than a miss:
something that is only a part of an expression (an operator, a letter or a digit touches it, or
``of``, ``times``, ``by`` stand before it), a bare fraction (``1/2``), a division cut to whole numbers,
an equation that is asked, quoted, denied, or was the student's own, unless the sentence affirms it.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from services.use_cases.tutor import arithmetic
from services.use_cases.tutor.arithmetic import NotArithmeticError

NEAR = 60  # characters beside an equation that may make it a part of something
MAX_LINE = 2_000  # characters of a line that are worth the time
MAX_SIDE = 40  # characters of a right side: longer ones are no school arithmetic

_RUN = re.compile(r"(?<![0-9.+\-*/() ])[0-9.+\-*/() ]+(?:=[0-9.+\-*/() ]+)+")
_MARKER = re.compile(r"^[ \t]*(?:[-*>+] +|#{1,6} +)*(?:\d{1,3}[.)] +)?")
_BOLD = re.compile(r"(?<!\d)\*\*|\*\*(?!\d)|[`$€£¥]|\\[()\[\]$]|&")
_PARTIAL_BEFORE = re.compile(
    r"(?:\b(?:of|times|by|plus|minus|over|von|mal|de|por|fois|sur)|\b[^\W\d_]|[\d}{|!\\_^<>=≈≠*/+-])\s*$"
)
_GLUED_BEFORE = re.compile(r"[\w\\})\].,:]$")
_PARTIAL_AFTER = re.compile(r"^(?:[^\W\d_]\b|[%,]?\d|[\^_{}!|<>≈≠]|\\(?!text|quad|mathrm|,|;|\s|\\))")
_OPERATOR = re.compile(r"(?<=[\d).])\s*[-+*/]")
_FRACTION = re.compile(r"(\d+)/(\d+)")
_GROUPED_BY_DOTS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.])")
_SENTENCE = re.compile(r"[^.!?]*(?:[.!?](?!\s|$)[^.!?]*)*[.!?]*")
_QUOTES = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|\u2018[^\u2019]*\u2019|「[^」]*」')
_AFFIRMS = re.compile(
    r"\b(?:correct|right|exactly|yes|true|indeed|well done|richtig|genau|stimmt|ja|correcto|sí|exacto"
    r"|juste|exact|oui|giusto|esatto|certo|goed|klopt)\b",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\b(?:not|wrong|incorrect|false|mistake|error|never|nicht|falsch|fehler|incorrecto|falso|pas|faux"
    r"|erreur|sbagliato|errado|niet|fout|almost|nearly|fast)\b|n['’]t\b|≠",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Claim:
    """A false equation: as it was said, as it is, and the wrong result alone."""

    said: str
    is_: str
    result: str


@dataclass(frozen=True)
class _Link:
    """One ``left = right``; ``holds`` is None where nothing is claimed."""

    left: str
    right: str
    holds: bool | None
    value: Fraction = Fraction(0)


def false_claims(line: str, *, comma: bool = False, students: str = "") -> list[Claim]:
    """Return the false equations that a line of prose asserts.

    ``comma`` tells that the language writes decimals with a comma; a claim is false only if it
    is in every way of reading its numbers. ``students`` is what the student wrote.
    """
    if len(line) > MAX_LINE:
        return []
    readings = [_links(reading) for reading in _readings(line, comma=comma)]
    claims = []
    for index, link in readings[0].items():
        true_somewhere = any(reading[index].holds for reading in readings if index in reading)
        if link.holds is False and not true_somewhere and not _exempt(line, index, link, students):
            claims.append(_claim(link))
    return claims


def _readings(line: str, *, comma: bool) -> list[str]:
    line = _BOLD.sub(" ", _MARKER.sub("", line))
    readings = [arithmetic.plain(line, comma=comma)]
    if comma:
        ungrouped = _GROUPED_BY_DOTS.sub(lambda number: number[0].replace(".", ""), line)
        readings += [arithmetic.plain(line), arithmetic.plain(ungrouped, comma=True)]
    return readings


def _links(line: str) -> dict[int, _Link]:
    """Return each equation of the line by the number of its equals sign."""
    links = {}
    for run in _RUN.finditer(line):
        before, after = line[: run.start()], line[run.end() : run.end() + NEAR]
        sides = run[0].split("=")
        first = before.count("=")
        for index, (left, right) in enumerate(pairwise(sides)):
            whole_left = index > 0 or _stands_alone(before[-NEAR:], left)
            whole_right = index < len(sides) - 2 or not _touched(right, after)
            links[first + index] = _link(left, right, whole=whole_left and whole_right)
    return links


def _stands_alone(before: str, left: str) -> bool:
    """Tell whether the left side begins where the run does, and is not the end of something."""
    if ". " in left.strip():
        return True  # a sentence ended within the run: what follows it stands alone
    if not left.startswith((" ", "(")) and _GLUED_BEFORE.search(before):
        return False
    bare = not _OPERATOR.search(left.strip())
    return not _PARTIAL_BEFORE.search(before) and not (bare and before.strip())


def _touched(right: str, after: str) -> bool:
    glued = not right.endswith(" ") and bool(re.match(r"[^\W\d_]", after))
    return glued or bool(_PARTIAL_AFTER.match(after))


def _link(left: str, right: str, *, whole: bool) -> _Link:
    left = _balanced(left.strip().rsplit(". ", 1)[-1].strip())
    right = _balanced(right.strip().split(". ", 1)[0].strip().removesuffix("."))
    nothing = _Link(left, right, None)
    operators = _OPERATOR.search(left) or _OPERATOR.search(right)
    if not whole or not operators or len(right) > MAX_SIDE or left.startswith(("+", "- ")):
        return nothing
    if ("/100)" in left) != ("/100)" in right) or _proper_fraction(left):
        return nothing
    try:
        value, said = arithmetic.value(left), arithmetic.value(right)
    except NotArithmeticError:
        return nothing
    return _Link(left, right, value == said or _rounded(value, said, right), value)


def _balanced(side: str) -> str:
    """Drop brackets that are the sentence's, not the expression's."""
    while side.startswith("(") and side.count("(") > side.count(")"):
        side = side[1:].strip()
    while side.endswith(")") and side.count(")") > side.count("("):
        side = side[:-1].strip()
    return side


def _proper_fraction(side: str) -> bool:
    found = _FRACTION.fullmatch(side)
    return found is not None and int(found[1]) < int(found[2])


def _rounded(value: Fraction, said: Fraction, written: str) -> bool:
    """Tell whether a value that is not whole was rounded, or cut, to the decimals written."""
    if value.denominator == 1 or not re.fullmatch(r"-?\d+(?:\.\d+)?", written):
        return False
    scale = 10 ** len(written.partition(".")[2])
    cut = Fraction(int(value * scale), scale)
    half_up = Fraction((abs(value) * scale * 2 + 1) // 2, scale) * (1 if value > 0 else -1)
    return said in {cut, half_up}


def _claim(link: _Link) -> Claim:
    """Put the claim right on the side where one number stands alone."""
    left, right = (_as_written(side) for side in (link.left, link.right))
    said = f"{left} = {right}"
    if not _OPERATOR.search(link.left):
        return Claim(
            said=said, is_=f"{right} = {arithmetic.shown(arithmetic.value(link.right))}", result=left
        )
    if "/100)" in link.right:
        return Claim(said=said, is_=f"{left} = {arithmetic.shown(link.value * 100)}%", result=right)
    is_, decimals = arithmetic.shown(link.value), len(link.right.partition(".")[2])
    if "/" in is_ and decimals:
        return Claim(said=said, is_=f"{left} ≈ {float(link.value):.{decimals}f}", result=right)
    return Claim(said=said, is_=f"{left} = {is_}", result=right)


def _as_written(side: str) -> str:
    """Turn Python's operators back into a person's."""
    side = re.sub(r"\((\d+(?:\.\d+)?)/100\)", r"\1%", side.replace("**", "^"))
    side = re.sub(r"\(\((\d+)\)/\((\d+)\)\)", r"\1/\2", side)  # what was LaTeX's fraction
    side = re.sub(r"\s*\*\s*(?:\((\d+)\))?", lambda factor: f" × {factor[1] or ''}", side)
    return re.sub(r"\s+", " ", side).strip()


def _exempt(line: str, index: int, link: _Link, students: str) -> bool:
    at = _position(line, index)
    sentence = next((s[0] for s in _SENTENCE.finditer(line) if s.start() <= at < s.end()), line)
    denies = bool(_DENIES.search(sentence))
    if _AFFIRMS.search(sentence) and not denies:
        return False
    quoted = any(quote.start() < at < quote.end() for quote in _QUOTES.finditer(line))
    return denies or quoted or sentence.rstrip(' "”*_').endswith("?") or _said_by_student(link, students)


def _position(line: str, index: int) -> int:
    return [found.start() for found in re.finditer("=", line)][index]


def _said_by_student(link: _Link, students: str) -> bool:
    spoken = re.sub(r"\s", "", arithmetic.plain(students[:MAX_LINE]))
    return bool(spoken) and re.sub(r"\s", "", f"{link.left}={link.right}") in spoken
