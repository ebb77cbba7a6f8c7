"""The lesson's prose on its way to the reader: even blank lines, and false equations put right.

Blank lines are held until something follows them, so that lines that were taken out leave no hole
and no turn ends in empty lines. A line's equations are checked when the line is complete.
"""

import re
from typing import TypeAlias

from services.events import Event, Text
from services.streams.use_case import Remember
from services.use_cases.tutor.claims import Claim, false_claims
from services.use_cases.tutor.directives import fence_after
from services.use_cases.tutor.events import Correction
from services.use_cases.tutor.phrases import PHRASES, Language

Value: TypeAlias = Event | Remember


class Writer:
    """Writes text events; ``students`` is what the student wrote, whose claims are their own."""

    def __init__(self, language: Language, *, students: str = "") -> None:
        self._language = language
        self._students = students
        self._breaks = 0  # line ends that are held
        self._indent = ""  # blanks at a line start that are held
        self._line = ""
        self._fence = ""
        self._begun = False
        self.n = 0  # the step that corrections name

    def write(self, text: str) -> list[Event]:
        """Write some text, however it was cut."""
        events: list[Event] = []
        for piece in re.findall(r"\n|[^\n]+", text):
            events += self._end_line() if piece == "\n" else self._put(piece)
        return events

    def paragraph(self, text: str = "") -> list[Event]:
        """End what stands, and write a paragraph of its own, if there is any text."""
        events = self._end_line() if self._line else []
        self._breaks = max(self._breaks, 2)
        return events + (self.write(f"{text}\n\n") if text else [])

    def end(self) -> list[Event]:
        """Check the last line; blanks after it are dropped."""
        return self._end_line() if self._line else []

    def _put(self, piece: str) -> list[Event]:
        if not self._line:
            piece = self._indent + piece
            if not piece.strip():
                self._indent = piece
                return []
            self._indent = ""
            if self._begun:
                piece = "\n" * (self._breaks if self._fence else min(self._breaks, 2)) + piece
            self._breaks, self._begun = 0, True
        self._line += piece.lstrip("\n")
        return [Text(text=piece)]

    def _end_line(self) -> list[Event]:
        events = self._corrected()
        self._fence = fence_after(self._fence, self._line.rstrip("\r"))
        self._line = self._indent = ""
        self._breaks += 1
        return events

    def _corrected(self) -> list[Event]:
        if self._fence or "=" not in self._line:
            return []
        line, comma = self._line, self._language.decimal_comma
        found = false_claims(line, comma=comma, students=self._students)
        return [event for claim in found for event in self._correction(claim)]

    def _correction(self, claim: Claim) -> list[Event]:
        phrases = self._language.phrases or PHRASES["en"]
        said = phrases.correction.format(is_=claim.is_, said=claim.result)
        return [Text(text=f" ({said})"), Correction(n=self.n, said=claim.said, is_=claim.is_)]


def joined(values: list[Value]) -> list[Value]:
    """Join neighbouring text events."""
    whole: list[Value] = []
    for value in values:
        if isinstance(value, Text) and whole and isinstance(whole[-1], Text):
            whole[-1] = Text(text=whole[-1].text + value.text)
        else:
            whole.append(value)
    return whole
