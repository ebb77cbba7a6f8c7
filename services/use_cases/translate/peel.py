"""What models wrap around a translation, taken off while it streams.

    <think>…</think> · ``` · Here is the translation: · k7qz: · "…" · </k7qz2m4x> · Note: …

The shell before the first word is taken off layer by layer; nothing passes while a layer may
still be growing. After it text passes as it comes, except for what may belong to the shell
behind the last word: white space, the closing quote, the beginning of a tag.
A source is one line, so a line end in the answer is a space, or the end: what follows a
translation that is already whole is a comment.

Every decision, once made, is the same for whatever comes later; so the text that passes does
not depend on how the answer was cut into deltas.
"""

import re
from dataclasses import dataclass, field

from services.use_cases.translate.phrases import OF_TRANSLATING, OPENERS

QUOTES = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "`": "`"}
ANY_QUOTE = frozenset("".join((*QUOTES, *QUOTES.values()))) - {"`"}
STRAIGHT = '"'
QUOTE = re.compile(r"[\"“”„«»「」『』]|(?<!\w)['\u2018]|['\u2019](?!\w)")  # not an apostrophe in a word
THINK = "<think"
THOUGHT = "</think>"
FENCE = "```"
COLONS = ":："
COLON = re.compile(f"[{COLONS}]")
LONGEST_PREAMBLE = 80  # characters up to its colon

STOPS = re.compile(r"[.!?…。！？।؟]+")


@dataclass(frozen=True)
class Layer:
    """A layer of the shell: ``length`` characters that are dropped; ``closing`` what ends it."""

    length: int
    closing: str = ""


BARE = Layer(0)


@dataclass(kw_only=True)
class Peel:
    """Takes the shell off one answer; ``done`` tells that the rest of it is not wanted.

    ``wrapped`` tells that the answer begins with a quote that may or may not be its own, so
    that only the whole can tell; ``unclosed`` that a quote was taken off which never closed.
    """

    source: str
    label: str
    language: str
    done: bool = False
    wrapped: bool = False
    _head: bool = True
    _tail: str = ""
    _closing: str = ""
    _closed: bool = True
    _passed: str = ""
    _tags: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Name the delimiters once."""
        self._tags = (f"<{self.label}", f"</{self.label}")

    def feed(self, delta: str) -> str:
        """Take a delta, until ``done``; return what has become sure."""
        self._tail += delta.replace("\r", " ")
        if self._head:
            self._tail = self._tail.lstrip()
            self._head = not self._bare(ended=False)
        return "" if self._head else self._pass(ended=False)

    def end(self) -> str:
        """Return the rest: the answer has ended."""
        if self._head and _thoughts(self._tail, self.source, self.label, self.language) is None:
            self._tail = self._tail if THINK.startswith(self._tail) else ""  # it never stopped thinking
        if self._head:
            self._bare(ended=True)
            self._head = False
        passed = self._pass(ended=True)
        self.done = True
        return passed

    @property
    def unclosed(self) -> bool:
        """Tell whether an opening quote was dropped and no closing one was found at the end."""
        return not self._closed

    def _bare(self, *, ended: bool) -> bool:
        """Take off every layer there is; tell whether the answer is bare now."""
        while (layer := shell(self._tail, self.source, self.label, self.language, ended=ended)) != BARE:
            if layer is None:
                return False
            self._closing += layer.closing
            self._tail = self._tail[layer.length :].lstrip()
        self._closed = not ANY_QUOTE & set(self._closing)
        self.wrapped = self._tail[:1] in ANY_QUOTE and self.source[:1] not in ANY_QUOTE
        return True

    def _pass(self, *, ended: bool) -> str:
        self._cut_at_tag()
        self._join_lines()
        sure = len(self._tail) if self.done or ended else len(self._tail) - self._held()
        passed, self._tail = self._tail[:sure], self._tail[sure:]
        if self.done or ended:
            passed = self._close(passed)
        self._passed += passed
        return passed

    def _cut_at_tag(self) -> None:
        """End where a delimiter is repeated."""
        for tag in self._tags:
            place = self._tail.find(tag)
            if place >= 0:
                self._tail = self._tail[:place]
                self.done = True

    def _join_lines(self) -> None:
        """Make line ends spaces, or the end where the translation is whole."""
        place = self._tail.find("\n")
        while place >= 0 and not self.done:
            before = self._tail[:place].rstrip()
            after = self._tail[place:].lstrip()
            if not after:
                return  # white space at the end, until something follows
            blank = self._tail[place : len(self._tail) - len(after)].count("\n") > 1
            self.done = is_whole(self._passed + before, self.source, blank=blank)
            self._tail = before if self.done else f"{before} {after}"
            place = self._tail.find("\n", len(before) + 1)

    def _held(self) -> int:
        """Return how many characters at the end may belong to the shell."""
        kept = self._tail.rstrip()
        if kept[-1:] == STRAIGHT or (self._closing and kept[-1:] in self._closing):
            kept = kept[:-1].rstrip(self._closing).rstrip()
        place = kept.rfind("<", max(0, len(kept) - len(self.label) - 3))
        if place >= 0 and any(tag.startswith(kept[place:]) for tag in self._tags):
            kept = kept[:place].rstrip()
        return len(self._tail) - len(kept)

    def _close(self, text: str) -> str:
        """Take off what closes behind the last word, also a quote that nothing opened."""
        text = text.rstrip()
        kept = text.rstrip(self._closing + " ") if self._closing else text
        self._closed = self._closed or len(kept) < len(text)
        stray = (
            kept.endswith(STRAIGHT)
            and (self._passed + kept).count(STRAIGHT) % 2 > self.source.count(STRAIGHT) % 2
        )
        return kept[:-1].rstrip() if stray else kept


def shell(head: str, source: str, label: str, language: str, *, ended: bool) -> Layer | None:
    """Return the outermost layer around an answer that begins so; None while it may be one.

    With ``ended`` nothing more follows, and a layer that is not complete is none.
    """
    for find in (_thoughts, _label, _fence, _preamble, _quote):
        layer = find(head, source, label, language)
        if layer is None and not ended:
            return None
        if layer is not None and layer.length:
            return layer
    return BARE


def is_whole(text: str, source: str, *, blank: bool) -> bool:
    """Tell whether a line of the answer is the whole translation of a one-line source.

    It has as many sentences as the source, or ends like one before an empty line.
    """
    if len(STOPS.findall(text)) >= len(STOPS.findall(source)):
        return True
    return blank and bool(STOPS.search(text[-2:]))


def unwrapped(text: str, source: str) -> str:
    """Return the text without a pair of quotes around it that the source does not have."""
    added = len(QUOTE.findall(text)) - len(QUOTE.findall(source))
    pair = len(text) > 1 and text[-1] in QUOTES.get(text[0], "")
    return text[1:-1].strip() if pair and added > 1 else text


def _thoughts(head: str, source: str, _label: str, _language: str) -> Layer | None:
    if source.startswith("<") or not _may_be(head, THINK):
        return BARE
    end = head.find(THOUGHT)
    return Layer(end + len(THOUGHT)) if end >= 0 else None


def _label(head: str, _source: str, label: str, _language: str) -> Layer | None:
    for opening in (label, f"<{label}", f"[{label}"):
        if head.startswith(opening):
            rest = head[len(opening) :].lstrip(">]:= ")
            return Layer(len(head) - len(rest)) if rest else None
        if opening.startswith(head):
            return None
    return BARE


def _fence(head: str, source: str, _label: str, _language: str) -> Layer | None:
    if source.startswith("`") or not _may_be(head, FENCE):
        return BARE
    end = head.find("\n")
    return Layer(end + 1, "`") if end >= 0 else None


def _preamble(head: str, source: str, _label: str, language: str) -> Layer | None:
    named = language.casefold()
    folded = head[:LONGEST_PREAMBLE].casefold()
    if not any(_may_be(folded, opener) for opener in (*OPENERS, f"{named}:", f"{named} ")):
        return BARE
    colon = COLON.search(head, 0, LONGEST_PREAMBLE)
    line = head.find("\n", 0, colon.start() if colon else LONGEST_PREAMBLE)
    if line >= 0:
        return _greeting(head[:line], source, line)
    if not colon:
        return BARE if len(head) >= LONGEST_PREAMBLE else None
    rest = head[colon.end() :].lstrip(" ")
    if not rest:
        return None
    before = head[: colon.start()]
    spoken = OF_TRANSLATING.search(before) or before.casefold().strip() == named
    own_colon = COLON.search(source, 0, 2 * LONGEST_PREAMBLE)
    return Layer(len(head) - len(rest)) if spoken and (rest[0] == "\n" or not own_colon) else BARE


def _greeting(line: str, source: str, length: int) -> Layer:
    """Return a first line like "Sure!", which no translation of a longer source is."""
    is_one = len(line) < len(source) / 2 and not COLON.search(source) and line[-1:] in "!.,"
    return Layer(length + 1) if is_one else BARE


def _quote(head: str, source: str, _label: str, _language: str) -> Layer | None:
    closing = QUOTES.get(head[:1])
    if closing is None:
        return BARE if head else None
    if head[0] == "`":
        return BARE if "`" in source else Layer(1, closing)
    return BARE if QUOTE.search(source) else Layer(1, closing)


def _may_be(head: str, opening: str) -> bool:
    """Tell whether a text that begins so has, or may come to have, the opening."""
    return head.startswith(opening) or opening.startswith(head)
