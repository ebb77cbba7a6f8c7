"""From what a model wrote as a question to a check that can be graded.

What is expected is worked out here where it can be (the letter of a linear equation, a sum), else
it is the model's word; a key that cannot be used leaves the check to the classifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from services.use_cases.tutor import arithmetic, linear
from services.use_cases.tutor.events import CheckType
from services.use_cases.tutor.grading import same_value, usable
from services.use_cases.tutor.phrases import Language
from services.use_cases.tutor.quantities import readings
from services.use_cases.tutor.repair import options
from services.use_cases.tutor.state import Check

MAX_QUESTION = 600  # characters
MAX_PHRASE = 6  # words: no two people write a longer one alike, so it is read, not compared

_ARGUMENT = re.compile(r"(concept|type)=(?:\"([^\"]*)\"|(\S+))")
_RESULT = re.compile(r"\b([A-Za-z]\s*=\s*-?\d[\d./,]*)\W*$")
_OPTION_LINE = re.compile(r"^ {0,3}(?:[-*] )?[*(]{0,3}[A-H][.):][*)]{0,3} .*$", re.MULTILINE)


@dataclass
class Draft:
    """A check as it is being written; ``told`` ends its text: what follows the answer is no question."""

    text: str = ""
    concept: str = ""
    declared: str = ""
    expected: str = ""
    choices: list[tuple[str, str]] = field(default_factory=list)
    told: bool = False

    @classmethod
    def begun(cls, args: str) -> Draft:
        """Read ``concept=fractions type=number``."""
        found = {name: quoted or plain for name, quoted, plain in _ARGUMENT.findall(args)}
        return cls(concept=found.get("concept", "")[:80], declared=found.get("type", ""))


def option(args: str) -> tuple[str, str]:
    """Read ``A Title``: the option's letter and its text."""
    label, _, body = args.partition(" ")
    return label.strip(").:(").upper()[:1], body.strip()


def made(draft: Draft, *, n: int, new_id: Callable[[], str], language: Language) -> Check | None:
    """Return the check, or None where nothing was asked."""
    question = _question(draft.text)
    if not question:
        return None
    choices = draft.choices or options(draft.text)
    kind, expected = _kind(draft, question, choices, comma=language.decimal_comma)
    return Check(
        id=new_id(),
        n=n,
        kind=kind,
        question=question,
        concept=draft.concept,
        choices=choices if kind == "choice" else [],
        expected=expected,
    )


def _question(text: str) -> str:
    """Return the paragraph that asks, without marks and options."""
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", _OPTION_LINE.sub("", text)) if p.strip()]
    asking = next((p for p in paragraphs if "?" in p or "？" in p), paragraphs[0] if paragraphs else "")
    return " ".join(asking.replace("**", "").split())[:MAX_QUESTION].strip("*_# ")


def _kind(
    draft: Draft, question: str, choices: list[tuple[str, str]], *, comma: bool
) -> tuple[CheckType, str]:
    """Decide how it is graded, and against what."""
    known = linear.asked_value(question)
    if choices:
        return _of_choices(draft.expected, choices, "" if known is None else arithmetic.shown(known))
    if known is not None:
        return "number", arithmetic.shown(known)
    expected = _result(draft.expected)
    if readings(expected, comma=comma):
        return "number", expected
    if not expected or draft.declared in {"number", "choice"}:
        return "explain", ""
    return ("explain" if _is_long(expected) or draft.declared == "explain" else "short"), expected


def _of_choices(expected: str, choices: list[tuple[str, str]], known: str) -> tuple[CheckType, str]:
    by_value = [label for label, body in choices if known and same_value(body, known)]
    key = by_value[0] if len(by_value) == 1 else expected
    if key and usable(key, tuple(choices)):
        return "choice", key
    return "explain", ""


def _result(expected: str) -> str:
    """Return ``x = 3`` of a way that ends with it, else what was expected."""
    found = _RESULT.search(expected) if _is_long(expected) else None
    return found[1] if found else expected


def _is_long(expected: str) -> bool:
    return max(len(form.split()) for form in expected.split("|")) > MAX_PHRASE
