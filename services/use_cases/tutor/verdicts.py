"""What an answer is graded against, and what a grade is."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["right", "wrong", "partial", "unclear"]


@dataclass(frozen=True)
class Grade:
    """A verdict and why; the reason is a word of ours and never holds what was expected."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a check asks and what it expects; ``expected`` may offer several forms with ``|``."""

    question: str
    expected: str
    choices: tuple[tuple[str, str], ...] = ()
    comma: bool = False


RIGHT_VALUE = Grade("right", "same-value")
WRONG_VALUE = Grade("wrong", "other-value")
