"""What is wrong with a translation: checks that look at the source and the answer only.

Each check is cheap, and was chosen for how rarely it is wrong about human translations; what
it finds is a *fault*. Before anything of a segment was shown a fault costs a second attempt,
afterwards a notice. An answer that obeys the text instead of translating it is found by what
it lacks (a question mark, the target's language, a plausible length), not by what it says.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from services.use_cases.translate.languages import NAMES, UNSPACED, alike, base, detect
from services.use_cases.translate.literals import LETTER, literals, without_literals
from services.use_cases.translate.phrases import NOTE, PREAMBLE_ALONE, REFUSAL, REFUSES_WORK, orders

Fault: TypeAlias = Literal[
    "empty", "leak", "refusal", "comment", "echo", "language", "literals", "question", "short", "long",
    "loop", "length", "filtered",
]  # fmt: skip

ECHO_LETTERS = 20  # a shorter text may be a name, and the same in both languages
LANGUAGE_LETTERS = 40  # fewer tell the detector nothing
LANGUAGE_SURE = 0.7
SHORT_TOKENS = 20  # a source of fewer may shrink to anything
SHORT_RATIO = 0.3
# Of 12,000 human translations of interface texts none of a source of 20 letters has less than a
# quarter of its letters, and 5 of one of 10 letters have more than four times as many.
SHRINKS_FROM, SHRINKS_TO = 20, 0.25
GROWS_FROM, GROWS_TO = 10, 4
LETTERS_PER_SIGN = 3  # a sign of Chinese says as much as three letters
DENSE = frozenset({"zh", "yue", "cmn", "ja", "ko"})

QUESTION_MARKS = frozenset("?？؟;՞")
ASKS = re.compile(r"[?？؟]")
ASKS_WITHOUT_MARK = frozenset({"th", "lo", "km", "my"})  # they ask by a particle
ASKS_IN_JAPANESE = re.compile(r"か[。」』)）]*\s*$")


@dataclass(frozen=True)
class Wanted:
    """What an answer is held against: the source, its languages, its weight in tokens.

    ``source_language`` is ``und`` where it is not known; ``count`` gives the tokens of a text;
    ``rate`` how many tokens of the target a token of the source becomes; ``label`` is the
    random name of the delimiters.
    """

    source: str
    source_language: str
    target: str
    tokens: int
    rate: float
    label: str
    count: Callable[[str], int]

    @cached_property
    def literals(self) -> Counter[str]:
        """What must come through letter by letter."""
        return literals(self.source)

    @cached_property
    def unspaced(self) -> bool:
        """Tell whether the target writes words without spaces."""
        return base(self.target) in UNSPACED

    @property
    def changes_language(self) -> bool:
        """Tell whether source and target differ enough for an echo to be a fault."""
        return not alike(self.source_language, self.target)

    @cached_property
    def weight(self) -> int:
        """How many letters of an alphabet one letter of the target stands for."""
        return _weight(self.target)

    @cached_property
    def source_letters(self) -> int:
        """The source's letters, as many as they would be with an alphabet."""
        return len(LETTER.findall(self.source)) * _weight(self.source_language)

    def letters(self, text: str) -> int:
        """Return the same of a text in the target."""
        return len(LETTER.findall(text)) * self.weight


def held(source: str) -> bool:
    """Tell whether a source is shown only when its translation is checked as a whole.

    Questions and orders, which a model may answer or obey; literals, which it may lose.
    """
    plain = without_literals(source)
    return len(plain) < len(source) or bool(ASKS.search(plain) or orders(plain))


def fault(wanted: Wanted, text: str) -> Fault | None:
    """Return the first thing that is wrong with a whole translation."""
    for name, found in CHECKS:
        if found(wanted, text):
            return name
    return None


def is_empty(_wanted: Wanted, text: str) -> bool:
    """Nothing was said."""
    return not text


def leaks(wanted: Wanted, text: str) -> bool:
    """The random label or a model's inner thoughts show."""
    return wanted.label in text or ("<think" in text and "<think" not in wanted.source)


def refuses(wanted: Wanted, text: str) -> bool:
    """It says that it will not, and the source says nothing of the kind."""
    return bool(REFUSAL.match(text) and REFUSES_WORK.search(text) and not REFUSES_WORK.search(wanted.source))


def comments(wanted: Wanted, text: str) -> bool:
    """It talks about the translation."""
    return any(said.search(text) and not said.search(wanted.source) for said in (NOTE, PREAMBLE_ALONE))


def echoes(wanted: Wanted, text: str) -> bool:
    """It is the source again."""
    if not wanted.changes_language:
        return False
    said = _only_letters(text)
    return len(said) > ECHO_LETTERS and said == _only_letters(wanted.source)


def is_foreign(wanted: Wanted, text: str) -> bool:
    """It is in another language than the target."""
    plain = without_literals(text)
    if base(wanted.target) not in NAMES or wanted.letters(plain) < LANGUAGE_LETTERS:
        return False
    guess = detect(plain)
    return guess.confidence >= LANGUAGE_SURE and not alike(guess.language, wanted.target)


def loses_literals(wanted: Wanted, text: str) -> bool:
    """A placeholder, tag or address does not occur as often as in the source."""
    if not wanted.literals:
        return False
    found = literals(text)
    return any(number not in (found[item], text.count(item)) for item, number in wanted.literals.items())


def answers(wanted: Wanted, text: str) -> bool:
    """The source asks and the answer does not, or it orders and the answer asks."""
    target = base(wanted.target)
    if not ASKS.search(without_literals(wanted.source)):
        return orders(wanted.source) and bool(ASKS.search(without_literals(text)))
    if target in ASKS_WITHOUT_MARK:
        return False
    return not QUESTION_MARKS & set(text) and not (target == "ja" and ASKS_IN_JAPANESE.search(text))


def is_short(wanted: Wanted, text: str) -> bool:
    """Far too little was said."""
    if wanted.source_letters >= SHRINKS_FROM and wanted.letters(text) < SHRINKS_TO * wanted.source_letters:
        return True
    return wanted.tokens > SHORT_TOKENS and wanted.count(text) < SHORT_RATIO * wanted.rate * wanted.tokens


def is_long(wanted: Wanted, text: str) -> bool:
    """Far too much was said; a long source's cap sees to that before."""
    return wanted.source_letters >= GROWS_FROM and wanted.letters(text) > GROWS_TO * wanted.source_letters


CHECKS: tuple[tuple[Fault, Callable[[Wanted, str], bool]], ...] = (
    ("empty", is_empty),
    ("leak", leaks),
    ("refusal", refuses),
    ("comment", comments),
    ("echo", echoes),
    ("language", is_foreign),
    ("literals", loses_literals),
    ("question", answers),
    ("short", is_short),
    ("long", is_long),
)


def _weight(language: str) -> int:
    return LETTERS_PER_SIGN if base(language) in DENSE else 1


def _only_letters(text: str) -> str:
    return "".join(LETTER.findall(text)).casefold()
