"""What some models put around an answer: their thoughts, and a fence. Both are dropped.

A leading ``<think>...</think>`` and a ```` ```markdown ```` fence opened in the first line are decided by
the characters they begin with, so the law of ``directives.py`` holds.
"""

import re
from dataclasses import dataclass

from services.use_cases.tutor.directives import Item, Stage

_THINK, _UNTHINK = "<think>", "</think>"
_OUTER = re.compile(r"(`{3,}|~{3,})[ \t]*(?:markdown|md)[ \t]*", re.IGNORECASE)


class Opening:
    """Drops what some models put before the answer: their thoughts, and a fence around it all."""

    def __init__(self) -> None:
        self._held = ""
        self._stage = self._before
        self.fence = ""  # the outer fence, if one was opened: its end is no text either

    def feed(self, delta: str) -> str:
        """Return what belongs to the answer."""
        self._held += delta
        return self._stage()

    def end(self) -> str:
        """Return what was held and turned out to be the answer after all."""
        unfinished_thought = self._stage == self._thinking
        return "" if unfinished_thought or _OUTER.fullmatch(self._held) else self._held

    def _before(self) -> str:
        start = self._held.lstrip()
        if not start or _THINK.startswith(start):
            return ""
        self._held = start
        if start.startswith(_THINK):
            self._stage = self._thinking
        else:
            self._stage = self._first_line
        return self._stage()

    def _thinking(self) -> str:
        _, found, rest = self._held.partition(_UNTHINK)
        if not found:
            self._held = self._held[1 - len(_UNTHINK) :]
            return ""
        self._held, self._stage = rest, self._after
        return self._stage()

    def _after(self) -> str:
        self._held = self._held.lstrip()
        if not self._held:
            return ""
        self._stage = self._first_line
        return self._stage()

    def _first_line(self) -> str:
        line, end, rest = self._held.partition("\n")
        if not end and _may_be_outer(line):
            return ""
        opened = _OUTER.fullmatch(line.rstrip("\r")) if end else None
        answer = rest if opened else self._held
        self.fence = opened[1] if opened else ""
        self._held, self._stage = "", self._through
        return answer

    def _through(self) -> str:
        answer, self._held = self._held, ""
        return answer


def _may_be_outer(line: str) -> bool:
    found = re.fullmatch(r"(?:`+|~+)(.*)", line)
    return found is not None and any(info.startswith(found[1].strip().lower()) for info in ("markdown", "md"))


@dataclass
class OuterEnd:
    """The end of the fence around it all: dropped like its beginning."""

    opening: Opening

    def stage(self, start: str) -> Stage:
        """Hold a line of nothing but the fence's own marks, while that fence is open."""
        fence = self.opening.fence
        return Stage.MAY if fence and not start.strip(f" {fence[0]}") else Stage.NO

    def read(self, line: str) -> tuple[Item, ...] | None:
        """Return nothing at all for the end of the fence."""
        fence = self.opening.fence
        return () if fence and line.strip().startswith(fence) and not line.strip(f" {fence[0]}") else None

    def passed(self, line: str, means: tuple[Item, ...] | None) -> None:
        """Close the fence once its end has passed."""
        if not means and means is not None and self.read(line) is not None:
            self.opening.fence = ""
