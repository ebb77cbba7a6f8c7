"""Finds the phrase that a model repeats without end, while it does.

A loop is the dearest way to fail: it runs to the cap. So it is looked for in every delta, and
the call is closed where it is proved.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import Protocol

from services.use_cases.translate.checks import Wanted
from services.use_cases.translate.literals import LETTER

LOOP_WORDS = 4
LOOP_LETTERS = 12
LOOP_TIMES = 3
RUNS = re.compile(r"\s+|\S+")


class Loop:
    """Watches a growing text for a phrase that comes again and again.

    A phrase is four words, or twelve letters where words have no spaces; it is a loop when it
    comes more than three times and more often than in the source.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._units = _units(wanted)
        self._seen: Counter[str] = Counter()
        self._allowed: int | None = None

    def feed(self, text: str) -> int | None:
        """Return how much of the text there is up to the end of the loop's proof; None without one."""
        for phrase, end in self._units.feed(text):
            self._seen[phrase] += 1
            if self._seen[phrase] > LOOP_TIMES and self._seen[phrase] > self._in_source():
                return end
        return None

    def _in_source(self) -> int:
        if self._allowed is None:
            spoken = Counter(phrase for phrase, _ in _units(self._wanted).feed(self._wanted.source + " "))
            self._allowed = max(spoken.values(), default=0)
        return self._allowed


class _Words:
    """Phrases of words; a word counts once it is over."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=LOOP_WORDS)
        self._word = ""

    def feed(self, text: str) -> Iterator[tuple[str, int]]:
        for run in RUNS.finditer(text):
            if not run[0].isspace():
                self._word += run[0]
            elif LETTER.search(self._word):
                self._last.append(self._word.casefold())
                self._word = ""
                if len(self._last) == LOOP_WORDS:
                    yield " ".join(self._last), run.start()


class _Letters:
    """Phrases of letters, for scripts that do not part words."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=LOOP_LETTERS)

    def feed(self, text: str) -> Iterator[tuple[str, int]]:
        for letter in LETTER.finditer(text):
            self._last.append(letter[0].casefold())
            if len(self._last) == LOOP_LETTERS:
                yield "".join(self._last), letter.end()


class _Units(Protocol):
    """Cuts a growing text into overlapping phrases, each with where it ends in what was fed."""

    def feed(self, text: str) -> Iterator[tuple[str, int]]: ...


def _units(wanted: Wanted) -> _Units:
    return _Letters() if wanted.unspaced else _Words()
