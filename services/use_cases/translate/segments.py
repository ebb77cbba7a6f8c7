"""Structure in, structure out: a text is cut into what is translated and what is copied.

    text = (lead source)* , the last source empty

A *lead* is copied as it stands: line ends, indentation, list marks, lines without letters,
white space between sentences. A *source* is one line, or a part of a long one, and goes to the
model alone. So the structure survives by construction, whatever the model does.

Lines end at LF, CRLF and CR only: ``str.splitlines`` also cuts at U+2028, U+0085 and U+001C.
Every function is linear in its input; ``split`` is lazy, so that a large text is cut while its
first segments are already being translated.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sentencex  # type: ignore[import-untyped]  # it ships no types

from services.use_cases.translate.literals import LETTER, has_letters, without_literals

LONG_TOKENS = 300  # a longer line is cut at sentence borders
HELD_TOKENS = 100  # the same for a line that is shown only when it is checked: 2 s at 50 tokens/s
SURELY_SHORT = 100  # characters: not worth counting
SURELY_LONG = 4_000  # characters: counting would stall, the line is cut anyway
WINDOW = 8_000  # characters given to the sentence splitter at a time

LINE_END = re.compile(r"[\r\n]")
MARK = re.compile(
    r"""\s*(?:(?:
        >                                   # a quoted reply
      | (?:[-*+•◦‣▪·–—]                     # a bullet
        | \#{1,6}                           # a heading
        | \d{1,3}(?:\.\d{1,3})*[.)]         # 1.  2)  1.2.
        | \(\d{1,3}\)                       # (1)
        | \(?[A-Za-z]\)                     # a)  (b)
        | [ivxIVX]{1,5}\)                   # iv)
        | \[[ xX]\]                         # a box to tick
        )(?=\s)
    )\s*)*""",
    re.VERBOSE,
)
BORDERS = ",;:،、，； \t\u3000"  # where an over-long sentence may be cut
JOINERS = "\u200d\u200c\ufe0f\ufe0e"  # never cut beside one


@dataclass(frozen=True, slots=True)
class Piece:
    """What is copied, then what is translated; ``source`` is empty only in the last piece."""

    lead: str
    source: str


@dataclass(frozen=True)
class Cutter:
    """Cuts texts into pieces.

    ``count`` gives the tokens of a string; ``held`` tells whether a line is shown only as a
    whole, and so is cut finer; ``language`` is a hint for the sentence splitter.
    """

    count: Callable[[str], int]
    held: Callable[[str], bool]
    language: str

    def split(self, text: str) -> Iterator[Piece]:
        """Cut a text into pieces; joined they equal it."""
        copied = place = 0
        while letter := LETTER.search(text, place):
            start = _line_start(text, place, letter.start())
            end = LINE_END.search(text, letter.end())
            place = end.start() if end else len(text)
            for first, last in self._sources(text, start, place):
                yield Piece(text[copied:first], text[first:last])
                copied = last
        yield Piece(text[copied:], "")

    def _sources(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield where the sources of one line begin and end."""
        mark = MARK.match(text, start, end)
        first = mark.end() if mark else start
        for part in self._parts(text[first:end]):
            body = part.strip()
            if has_letters(without_literals(body)):
                begins = first + len(part) - len(part.lstrip())
                yield begins, begins + len(body)
            first += len(part)

    def _parts(self, line: str) -> Iterator[str]:
        """Cut a line that is too long for one call into groups of sentences."""
        if len(line) <= SURELY_SHORT or (len(line) <= SURELY_LONG and self.count(line) <= self._most(line)):
            yield line
            return
        group, weight, most = "", 0, LONG_TOKENS
        for part, tokens, its_most in self._small(line):
            if group and (not tokens or weight + tokens > min(most, its_most)):
                yield group
                group, weight, most = "", 0, LONG_TOKENS
            group, weight, most = group + part, weight + tokens, min(most, its_most)
        yield group

    def _small(self, line: str) -> Iterator[tuple[str, int, int]]:
        """Yield sentences, or parts of them, with their tokens and the most there may be.

        What has no letters is copied, so it is not weighed, however long it is.
        """
        for sentence in _sentences(line, self.language):
            if not has_letters(sentence):
                yield sentence, 0, 0
                continue
            tokens, most = self.count(sentence), self._most(sentence)
            parts = list(_bounded(sentence, tokens, most))
            for part in parts:
                yield part, self.count(part) if len(parts) > 1 else tokens, most

    def _most(self, text: str) -> int:
        return HELD_TOKENS if self.held(text) else LONG_TOKENS


def _line_start(text: str, place: int, letter: int) -> int:
    """Return where the line of a letter begins, not before ``place``."""
    return 1 + max(text.rfind("\n", place, letter), text.rfind("\r", place, letter), place - 1)


def _sentences(line: str, language: str) -> Iterator[str]:
    """Yield sentences that joined equal the line; the splitter sees a bounded window at a time."""
    place = 0
    while place < len(line):
        window = line[place : place + WINDOW]
        found = sentencex.segment(language, window)
        whole = found if place + WINDOW >= len(line) or len(found) == 1 else found[:-1]
        yield from whole
        place += sum(map(len, whole))


def _bounded(sentence: str, tokens: int, most: int) -> Iterator[str]:
    """Cut a sentence of too many tokens at its last comma or space before the limit."""
    size = len(sentence) if tokens <= most else max(1, len(sentence) * most // tokens)
    place = 0
    while len(sentence) - place > size:
        cut = _border(sentence, place, place + size)
        yield sentence[place:cut]
        place = cut
    yield sentence[place:]


def _border(text: str, start: int, end: int) -> int:
    """Return the best place to cut in the second half of ``text[start:end]``."""
    for place in range(end, start + (end - start) // 2, -1):
        if text[place - 1] in BORDERS:
            return place
    for place in range(end, max(start + 1, end - 32), -1):
        if not _inside_character(text, place):
            return place
    return end


def _inside_character(text: str, place: int) -> bool:
    """Tell whether a cut here would part what a reader sees as one character."""
    before, after = text[place - 1], text[place : place + 1]
    return before in JOINERS or (
        bool(after) and (after in JOINERS or unicodedata.category(after).startswith("M"))
    )
