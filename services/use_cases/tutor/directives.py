"""The carrier: Markdown with lines that start with ``:::``, read as it comes.

    directive = indent deco ":::" [sp] [name [sp args]] deco EOL
    indent    = 0-3 spaces
    deco      = 0-6 of "*_`#>- "

A line is held only while it can still become a directive; once it cannot, what was held is
released and the rest of the line passes as it comes. Once it must, it is held to its end and
becomes a ``Mark``: a line of ``:::expect 24`` is never text, however the stream ends.

The law: the same items (neighbouring text joined) however the deltas are cut. It holds because
each character is decided upon by those before it in its line, never by where a delta ends; the
only long step taken at once, the rest of a line that is text, is the same in pieces.

Other forms of line that mean the same (``### Step 2: ...``) are handed in as ``Form`` values.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias

NAMES = ("step", "check", "expect", "choice", "calc", "plan", "hint", "say", "recap", "end")
HIDDEN = frozenset({"expect", "calc", "plan", "recap"})
MAX_LINE = 300  # characters that are read of a directive; the rest of its line is dropped


@dataclass(frozen=True)
class Mark:
    """One directive; ``cut`` is true where the model was cut off within its line."""

    name: str
    args: str = ""
    cut: bool = False


Item: TypeAlias = str | Mark


class Stage(Enum):
    """What is known of a line from its first characters."""

    NO = auto()  # it is text
    MAY = auto()  # more of it must be seen
    SURE = auto()  # it is a mark to its end


class Form(Protocol):
    """A form of line that stands for a directive."""

    def stage(self, start: str) -> Stage:
        """Tell what a line that starts so is; the answer may depend on nothing that follows."""

    def read(self, line: str) -> tuple[Item, ...] | None:
        """Return what a whole line means, or None if it is text."""

    def passed(self, line: str, means: tuple[Item, ...] | None) -> None:
        """Learn of a line that has ended, text (None) or not, outside of code fences."""


_DECO = r"[*_`#>\- ]"
_MAYBE = re.compile(
    rf" {{0,3}}{_DECO}{{0,6}}"
    rf"(?::{{0,2}}|:{{3,12}}(?:{_DECO}{{0,6}}|[ \t]{{0,3}}\{{?[ \t]{{0,3}}(?P<name>[a-z]*)))"
)
_KNOWN = re.compile(
    rf" {{0,3}}{_DECO}{{0,6}}:{{3,12}}[ \t]{{0,3}}\{{?[ \t]{{0,3}}(?:{'|'.join(NAMES)})[^a-z]", re.IGNORECASE
)
_WHOLE = re.compile(
    rf" {{0,3}}(?P<deco>{_DECO}{{0,6}}):{{3,12}}[ \t]{{0,3}}\{{?[ \t]{{0,3}}(?P<name>[a-z]*)\}}?(?P<args>.*)",
    re.IGNORECASE,
)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class Colons:
    """The form itself: ``:::name args``, its case, extra colons and braces forgiven."""

    def stage(self, start: str) -> Stage:
        """Hold what may be a known name; an unknown one (``:::warning``) is text."""
        if _KNOWN.match(start):
            return Stage.SURE
        maybe = _MAYBE.fullmatch(start.lower())
        if maybe is None:
            return Stage.NO
        name = maybe["name"] or ""
        return Stage.MAY if any(known.startswith(name) for known in NAMES) else Stage.NO

    def read(self, line: str) -> tuple[Item, ...] | None:
        """Return the mark; a bare ``:::`` is an end."""
        found = _WHOLE.fullmatch(line[:MAX_LINE])
        if found is None:
            return None
        name, args = found["name"].lower(), found["args"]
        if found["deco"].strip():
            args = re.sub(rf"{_DECO}+$", "", args)
        args = args.strip().removeprefix(":").removesuffix("}").strip() if name else args.strip(" *_`#>-")
        if name in NAMES:
            return (Mark(name, args),)
        return (Mark("end"),) if not name and not args else None

    def passed(self, line: str, means: tuple[Item, ...] | None) -> None:
        """Nothing to learn: a directive is known by its line alone."""


class Reader:
    """Turns deltas into text and marks; one reader reads one answer."""

    def __init__(self, *forms: Form) -> None:
        self._forms: tuple[Form, ...] = (Colons(), *forms)
        self._held = ""
        self._state = Stage.MAY  # at a line start all is possible
        self._line: list[str] = []  # the line so far, if it is text: it may be a fence
        self._fence = ""

    def feed(self, delta: str) -> list[Item]:
        """Return what the delta makes certain."""
        out: list[Item] = []
        at = 0
        while at < len(delta):
            if self._state is Stage.NO:
                end = delta.find("\n", at) + 1 or len(delta)
                out.append(self._pass(delta[at:end]))
                at = end
            else:
                out += self._hold(delta[at])
                at += 1
        return _joined(out)

    def end(self) -> list[Item]:
        """Return what is left when the model has ended by itself."""
        held, self._held = self._held, ""
        if not held:
            return []
        self._state = Stage.MAY
        means = self._read(held.removesuffix("\r"))
        return _joined((held,) if means is None else means)

    def cut(self) -> list[Item]:
        """Return what is left when the model was cut off: a mark's line is void, and says so."""
        surely = self._state is Stage.SURE
        return [Mark(i.name, i.args, cut=surely) if isinstance(i, Mark) else i for i in self.end()]

    def drop(self) -> None:
        """Forget a line that was begun and not shown: the model will write it again."""
        if self._held:
            self._held, self._state = "", Stage.MAY

    def _pass(self, text: str) -> str:
        self._line.append(text)
        if text.endswith("\n"):
            self._end_of_text_line("".join(self._line).rstrip("\r\n"))
        return text

    def _end_of_text_line(self, line: str) -> None:
        """Keep track of code fences: within one nothing is a directive."""
        self._line.clear()
        self._fence = fence_after(self._fence, line)
        self._state = Stage.NO if self._fence else Stage.MAY
        if not self._fence:
            self._tell(line, None)

    def _hold(self, char: str) -> Iterable[Item]:
        if char == "\n":
            return self._end_of_held_line()
        self._held += char
        if self._state is Stage.MAY:
            self._state = self._stage(self._held.removesuffix("\r"))
        return self._release() if self._state is Stage.NO else ()

    def _end_of_held_line(self) -> Iterable[Item]:
        line = self._held.removesuffix("\r")
        means = self._read(line)
        if means is None:
            self._held += "\n"
            return self._release()
        self._held, self._state = "", Stage.MAY
        self._tell(line, means)
        return means

    def _release(self) -> Iterable[Item]:
        held, self._held, self._state = self._held, "", Stage.NO
        return (self._pass(held),)

    def _stage(self, start: str) -> Stage:
        stages = {form.stage(start) for form in self._forms}
        return next(stage for stage in (Stage.SURE, Stage.MAY, Stage.NO) if stage in stages)

    def _read(self, line: str) -> tuple[Item, ...] | None:
        return next((means for form in self._forms if (means := form.read(line)) is not None), None)

    def _tell(self, line: str, means: tuple[Item, ...] | None) -> None:
        for form in self._forms:
            form.passed(line, means)


def fence_after(fence: str, line: str) -> str:
    """Return the fence that is open after the line (CommonMark 0.31, section 4.5)."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    marks, info = found[1], found[2]
    if fence:
        closes = marks[0] == fence[0] and len(marks) >= len(fence) and not info.strip()
        return "" if closes else fence
    return "" if marks[0] == "`" and "`" in info else marks


def _joined(items: Iterable[Item]) -> list[Item]:
    joined: list[Item] = []
    for item in items:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        elif item != "":
            joined.append(item)
    return joined
