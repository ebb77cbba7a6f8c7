"""When what a model says is shown: text that was sent cannot be taken back.

A segment's answer goes through four stages while it streams:

    peel     what models wrap around a translation is taken off          (peel.py)
    loop     a phrase that comes again and again ends the reading        (loop.py)
    head     the first words are held until they look like a translation
    checks   the whole is held against the source                        (checks.py)

The head is 24 letters, some 100 ms at 50 tokens/s; when its language is not clear, 40. Then
the rest passes as it comes. An answer is held as a whole, and shown only when every check has
passed, when its source is a question, an order, or has literals, when it is shorter than the
head, or when its head looks like the source, like a refusal, or like another language.

What is wrong with a segment that was not shown yet is mended by another attempt; what is
found later can only be said (a notice).
"""

from dataclasses import dataclass, field

from services.llm import DoneReason
from services.use_cases.translate.checks import Fault, Wanted, fault, held, is_foreign
from services.use_cases.translate.languages import alike, detect, name
from services.use_cases.translate.literals import LETTER
from services.use_cases.translate.loop import Loop
from services.use_cases.translate.peel import Peel, unwrapped
from services.use_cases.translate.phrases import REFUSAL

HEAD_LETTERS = 24
FAR_LETTERS = 40


@dataclass
class Release:
    """Shows one answer as soon as that is safe.

    ``shown`` tells that some of it left, ``done`` that the rest is not wanted.
    """

    wanted: Wanted
    hold: bool = False
    shown: bool = False
    done: bool = False
    _said: str = ""
    _waiting: str = ""
    _fault: Fault | None = None
    _passes: bool = False
    _peel: Peel = field(init=False)
    _loop: Loop = field(init=False)

    def __post_init__(self) -> None:
        """Decide by the source alone whether it is held."""
        wanted = self.wanted
        self.hold = self.hold or held(wanted.source)
        self._peel = Peel(source=wanted.source, label=wanted.label, language=name(wanted.target))
        self._loop = Loop(wanted)

    def feed(self, delta: str) -> str:
        """Take a delta; return what may be shown now."""
        self._hear(self._peel.feed(delta))
        self._passes = self._passes or self._may_pass()
        if not self._passes:
            return ""
        passed, self._waiting = self._waiting, ""
        self.shown = self.shown or bool(passed)
        return passed

    def end(self, reason: DoneReason | None) -> tuple[str, Fault | None]:
        """Return what is left to show, and the first thing that is wrong.

        A faulty answer of which nothing was shown stays hidden.
        """
        if not self._fault:
            self._hear(self._peel.end())
        if not self.shown:
            self._said = self._waiting = unwrapped(self._said, self.wanted.source)
        self._fault = self._fault or self._judge(reason)
        return self._waiting if self.shown or not self._fault else "", self._fault

    @property
    def text(self) -> str:
        """Return all that was said, without its shell."""
        return self._said

    def _hear(self, clean: str) -> None:
        end = self._loop.feed(clean)
        if end is not None:
            self._fault, clean = "loop", clean[:end]
        self.done = self._peel.done or self._fault is not None
        self._said += clean
        self._waiting += clean

    def _may_pass(self) -> bool:
        if self.hold or self._peel.wrapped:
            return False
        looks = head(self.wanted, self._said)
        self.hold = looks is False
        return bool(looks)

    def _judge(self, reason: DoneReason | None) -> Fault | None:
        if reason == "content_filter":
            return "filtered"
        if reason == "length":
            return "length"
        return "comment" if self._peel.unclosed else fault(self.wanted, self._said)


def head(wanted: Wanted, text: str) -> bool | None:
    """Tell whether an answer that begins so may be shown; None while it is too short to tell."""
    near = _beginning(wanted, text, HEAD_LETTERS)
    if near is None:
        return None
    if REFUSAL.match(near) or (wanted.changes_language and _same_letters(near, wanted.source)):
        return False
    if alike(detect(near).language, wanted.target):
        return True
    far = _beginning(wanted, text, FAR_LETTERS)
    return None if far is None else not is_foreign(wanted, far)


def _beginning(wanted: Wanted, text: str, letters: int) -> str | None:
    """Return the text up to its n-th letter: the same however the deltas were cut."""
    needed = letters // wanted.weight
    for number, letter in enumerate(LETTER.finditer(text), 1):
        if number == needed:
            return text[: letter.end()]
    return None


def _same_letters(beginning: str, source: str) -> bool:
    said, there = (LETTER.findall(text.casefold()) for text in (beginning, source[: 4 * len(beginning)]))
    return said == there[: len(said)]
