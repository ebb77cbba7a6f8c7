"""Grading by the server: equal forms are accepted, near misses refused, likeness never counts.

In this order: choice, number (fraction, percent, word, unit, ``x = ...``), equation, exact phrase.
What none of them decides is left to a classifier, and is None here.
"""

import re
from fractions import Fraction

from services.use_cases.tutor import arithmetic, linear
from services.use_cases.tutor.arithmetic import NotArithmeticError
from services.use_cases.tutor.linear import Equation
from services.use_cases.tutor.quantities import Quantity, quantity, readings, tidy
from services.use_cases.tutor.verdicts import RIGHT_VALUE, WRONG_VALUE, Grade, Key

_ASKS_PERCENT = re.compile(r"%|percent|prozent|por ciento|pour cent|per cento|procent", re.IGNORECASE)
_ASKS_UNIT = re.compile(r"\bunit|einheit|unidad|unité|unità", re.IGNORECASE)
_ASKS_ROUNDED = re.compile(
    r"\b(?:round|nearest|approximate|about|rund|gerundet|redonde|arrond|environ|circa)", re.IGNORECASE
)
_ARTICLES = re.compile(
    r"^(?:the|an?|der|die|das|eine?|el|la|los|las|una?|le|les|une|il|lo|gli|o|os|as|um|de|het|een) "
)
_LEAD_IN = re.compile(
    r"^(?:i (?:think|guess|believe) )?(?:that )?(?:(?:it is|it's|that is|that's|they are|the answer is|es ist"
    r"|das ist|die antwort ist|c'est|es|son|è|é|het is) )?"
)
_SEPARATED = re.compile(r"\s*(?:;|\bor\b|\band\b|\bund\b|\boder\b|\by\b|\bou\b|\bet\b|,\s)\s*")
_LABEL = re.compile(r"(?:option |choice |answer |antwort )?\(?(?P<label>[a-h])(?:[).:]\s*(?P<body>.+)|\))?")
_NUMBERS = re.compile(r"[-+]?(?<![\w.,])\d[\d.,]*(?:/\d+)?\s?%?(?![\w/])")
_NEGATED = re.compile(r"\b(?:not|no|never|nicht|kein|pas|non|niet)\b|n['’]t\b")


def grade(answer: str, key: Key) -> Grade | None:
    """Return the verdict on an answer, or None where the server cannot know."""
    if not key.expected or not tidy(answer):
        return None if tidy(answer) else Grade("unclear", "empty")
    if key.choices:
        return _choice(answer, key)
    grades = [_against(answer, form.strip(), key) for form in key.expected.split("|") if form.strip()]
    return max(filter(None, grades), key=_preferred, default=None)


def is_form(answer: str, key: Key) -> bool:
    """Tell whether free text is an answer by its form alone: a choice, a number, the very phrase."""
    text = tidy(answer)
    if key.choices:
        return _chosen(text, key) is not None
    if linear.equation(text) or quantity(text, comma=key.comma):
        return True
    return any(_phrase(text) == _phrase(tidy(form)) for form in key.expected.split("|") if form.strip())


def same_value(one: str, two: str, *, comma: bool = False) -> bool:
    """Tell whether two texts are the same number."""
    first, second = readings(one, comma=comma), readings(two, comma=comma)
    return any(a.amount == b.amount for a in first for b in second)


def tells(text: str, key: Key) -> bool:
    """Tell whether a text gives the answer away: its value, if the question doesn't name it, or its words."""
    if key.choices or not key.expected:
        return False
    forms = [form for form in key.expected.split("|") if tidy(form)]
    said, asked = _amounts(text, comma=key.comma), _amounts(key.question, comma=key.comma)
    amounts = {q.amount for form in forms for q in readings(form, comma=key.comma)}
    words = any(not readings(form) and _phrase(tidy(form)) in _phrase(tidy(text)) for form in forms)
    return words or bool(amounts & said - asked)


def _amounts(text: str, *, comma: bool) -> set[Fraction]:
    numbers = (quantity(found.strip(" .,"), comma=comma) for found in _NUMBERS.findall(tidy(text)))
    return {number.amount for number in numbers if number}


def usable(expected: str, choices: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether an expected answer names one of the choices, and no two of them are equal."""
    bodies = {_phrase(tidy(body)) for _, body in choices}
    values = [body for _, body in choices if readings(body)]
    equal = len(bodies) < len(choices) or any(
        same_value(one, two) for at, one in enumerate(values) for two in values[at + 1 :]
    )
    return not equal and _chosen(tidy(expected), Key(question="", expected="", choices=choices)) is not None


def _preferred(found: Grade) -> int:
    return ("unclear", "wrong", "partial", "right").index(found.verdict)


def _choice(answer: str, key: Key) -> Grade | None:
    chosen, wanted = _chosen(tidy(answer), key), _chosen(tidy(key.expected), key)
    if chosen is None or wanted is None:
        return None
    return Grade("right", "same-choice") if chosen == wanted else Grade("wrong", "other-choice")


def _chosen(text: str, key: Key) -> str | None:
    """Return the label that a text means: by label, by body, by the body's value."""
    labels = {label.casefold(): tidy(body) for label, body in key.choices}
    by_body = [label for label, body in labels.items() if _phrase(body) == _phrase(text)]
    found = _LABEL.fullmatch(text)
    if found and found["label"] in labels and len(by_body) != 1:
        agrees = not found["body"] or _phrase(labels[found["label"]]) == _phrase(found["body"])
        return found["label"] if agrees else None
    by_value = [label for label, body in labels.items() if same_value(body, text, comma=key.comma)]
    matches = by_body or by_value
    return matches[0] if len(matches) == 1 else None


def _against(answer: str, form: str, key: Key) -> Grade | None:
    text, wanted = tidy(answer), tidy(form)
    if _phrase(wanted) in {_phrase(text), _phrase(_LEAD_IN.sub("", text))}:
        return Grade("right", "same-words")
    several = _several(wanted, key)
    if several:
        return _same_several(_several(text, key) or _one(text, key), several)
    if quantities := readings(form, comma=key.comma):
        return _quantity(answer, quantities, key)
    return _algebra(text, wanted)


def _phrase(text: str) -> str:
    return re.sub(r"\s*([=+\-*/^(),])\s*", r"\1", _ARTICLES.sub("", re.sub(r"[!?]", "", text)))


def _several(text: str, key: Key) -> frozenset[Fraction]:
    """Return the numbers of ``x = 2 or x = -2``, if there are several and nothing else."""
    parts = [part for part in _SEPARATED.split(text.strip("{}")) if part]
    numbers = [quantity(part, comma=key.comma) for part in parts]
    if len(parts) < 2 or None in numbers:  # noqa: PLR2004 - one number is no set
        return frozenset()
    return frozenset(number.amount for number in numbers if number)


def _one(text: str, key: Key) -> frozenset[Fraction]:
    return frozenset(found.amount for found in readings(text, comma=key.comma))


def _same_several(found: frozenset[Fraction], wanted: frozenset[Fraction]) -> Grade | None:
    if found == wanted:
        return RIGHT_VALUE
    if not found:
        return None
    return Grade("partial", "some-values") if found & wanted else WRONG_VALUE


def _quantity(answer: str, wanted: list[Quantity], key: Key) -> Grade | None:
    given = readings(answer, comma=key.comma)
    if given:
        return max((_measure(a, b, key) for a in given for b in wanted), key=_preferred)
    return _worked(answer, wanted) or _in_prose(answer, wanted, key)


def _measure(given: Quantity, wanted: Quantity, key: Key) -> Grade:  # noqa: PLR0911 - a list of rules
    """Compare letters, percents and units, then the values."""
    if given.letter and wanted.letter and given.letter != wanted.letter:
        return Grade("wrong", "other-letter")
    if given.dimension and wanted.dimension and given.dimension != wanted.dimension:
        return Grade("wrong", "other-unit")
    if given.dimension and not wanted.dimension and not wanted.unit and given.unit not in key.question:
        return Grade("unclear", "unexpected-unit")
    if wanted.dimension and not given.dimension:
        return _without_unit(given, wanted, key)
    if given.measured() == wanted.measured() or (not wanted.dimension and given.amount == wanted.amount):
        return RIGHT_VALUE
    if wanted.percent and not given.percent and given.amount == wanted.amount * 100:
        return RIGHT_VALUE if _ASKS_PERCENT.search(key.question) else Grade("wrong", "percent-missing")
    return RIGHT_VALUE if _rounded(given, wanted, key) else WRONG_VALUE


def _without_unit(given: Quantity, wanted: Quantity, key: Key) -> Grade:
    if given.amount != wanted.amount:
        return WRONG_VALUE
    return Grade("partial" if _ASKS_UNIT.search(key.question) else "right", "unit-missing")


def _rounded(given: Quantity, wanted: Quantity, key: Key) -> bool:
    """Accept more decimals than were expected, if the question asks to round."""
    if not _ASKS_ROUNDED.search(key.question):
        return False
    places = next((k for k in range(7) if (wanted.amount * 10**k).denominator == 1), None)
    return places is not None and round(given.amount, places) == wanted.amount


def _worked(answer: str, wanted: list[Quantity]) -> Grade | None:
    """Grade a way that leads there: ``8 / 2 = 4`` is right, ``8 - 4`` and ``2x = 8`` only partly."""
    amounts, sides = {q.amount for q in wanted}, tidy(answer).split("=")
    if equation := linear.equation(tidy(answer)):
        return Grade("partial", "other-form") if equation.solution in amounts else WRONG_VALUE
    try:
        values = [arithmetic.value(arithmetic.plain(side)) for side in sides]
    except NotArithmeticError:
        return None
    if values[-1] not in amounts:
        return WRONG_VALUE
    return RIGHT_VALUE if readings(sides[-1]) else Grade("partial", "not-worked-out")


def _in_prose(answer: str, wanted: list[Quantity], key: Key) -> Grade | None:
    """Grade the one number of a sentence (``I think it is 5``); with several nothing is known."""
    text = tidy(answer)
    found = {quantity(number.strip(" .,"), comma=key.comma) for number in _NUMBERS.findall(text)}
    if len(found) != 1 or None in found or _NEGATED.search(text) or re.search(r"[=+*/^]|\d\s*[a-z]\b", text):
        return None
    number = found.pop()
    return max((_measure(number, b, key) for b in wanted), key=_preferred) if number else None


def _algebra(text: str, wanted: str) -> Grade | None:
    """Compare equations in one letter: the same sides, or only the same solution."""
    given, expected = linear.equation(text), linear.equation(wanted)
    if given and expected:
        return _equations(given, expected)
    try:
        (one, a), (two, b) = linear.expression(text), linear.expression(wanted)
    except NotArithmeticError:
        return None
    return RIGHT_VALUE if (one, a) == (two, b) else WRONG_VALUE


def _equations(given: Equation, expected: Equation) -> Grade:
    if given.letter != expected.letter:
        return Grade("wrong", "other-letter")
    if given.is_written_like(expected):
        return Grade("right", "same-equation")
    same = given.solution is not None and given.solution == expected.solution
    return Grade("partial", "other-form") if same else Grade("wrong", "other-equation")
