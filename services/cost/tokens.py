"""What text weighs in tokens, counted here and without a network.

The vocabularies stand beside this file, under the names by which tiktoken looks for them
(SHA-1 of their address). tiktoken deletes a file whose hash is wrong and fetches another, so
the hash is checked before tiktoken sees the file.

Counts of arbitrary pieces do not add up: a word cut in two weighs more than the whole. They
do add up at a *border*: the end of a word before a space or a mark, where both vocabularies'
patterns always split. So a growing text is counted from its last border on.
"""

import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import gevent
import tiktoken
from tiktoken.model import encoding_name_for_model

from services.llm import Message

T = TypeVar("T")

VOCABULARY = Path(__file__).parent / "vocabulary"
FILES = {
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}
NEWEST = "o200k_base"
SAME_FOR_TEXT = {"o200k_harmony": "o200k_base"}  # it adds special tokens only

PIECE_CHARS = 100_000  # tiktoken panics on a run of a million spaces, and no handler sees that
LONG_CHARS = 8_000  # longer text is counted off the hub: about 0.2 ms of everybody's time
TAIL_CHARS = 2_000  # a text without borders is settled here all the same, else it costs a square
TAIL_PIECES = 16  # so many are kept apart
COUNTS_KEPT = 256  # of roles and system messages
PER_MESSAGE = 3  # openai-cookbook, "How to count tokens with tiktoken", section 6
PER_ANSWER = 3  # the same: each answer is primed with <|start|>assistant<|message|>

BORDER = re.compile(r".*(?<=[^\W\d_])(?=[ \n,.;:!?、。，！？])", re.DOTALL)


class BrokenVocabularyError(Exception):
    """A vocabulary is missing, or is not the file that it should be."""


@dataclass(frozen=True)
class Counter:
    """Count as one vocabulary does; ``estimated`` where the model's own may be another."""

    vocabulary: str
    estimated: bool

    def count(self, text: str) -> int:
        """Return the tokens of a text; past 100,000 characters it may be a few per piece too many."""
        return self._off_the_hub(_count, text)

    def count_messages(self, messages: Iterable[Message]) -> int:
        """Return the tokens of a whole prompt, with those that frame its messages."""
        return PER_ANSWER + sum(
            PER_MESSAGE + _count_again(self, message.role) + self._count_content(message)
            for message in messages
        )

    def _count_content(self, message: Message) -> int:
        """Count a message; what is said to the model is the same for many callers."""
        if message.role == "system" and len(message.content) <= LONG_CHARS:
            return _count_again(self, message.content)
        return self.count(message.content)

    def clip(self, text: str, tokens: int) -> str:
        """Return a beginning of at most so many tokens, whole characters only."""
        return self._off_the_hub(_clip, text, tokens)

    def _off_the_hub(self, work: Callable[..., T], text: str, *more: int) -> T:
        encoding = load(self.vocabulary)
        if len(text) <= LONG_CHARS:
            return work(encoding, text, *more)
        return gevent.get_hub().threadpool.apply(work, (encoding, text, *more))


class OutputMeter:
    """Let at most ``cap`` tokens of a growing text pass, and know how many did.

    A token is at least one byte, so nothing is counted before the bytes could pass the cap.
    """

    def __init__(self, counter: Counter, cap: int) -> None:
        self.full = False
        self._counter = counter
        self._left = cap  # tokens that may follow what is settled
        self._settled = 0  # tokens up to the last border that was looked at
        self._tail: list[str] = []  # what passed since
        self._tail_bytes = 0

    def add(self, delta: str) -> str:
        """Return the part of the delta that fits; ``full`` tells that something did not."""
        if self.full:
            return ""
        self._tail_bytes += len(delta.encode())
        self._tail.append(delta)
        if len(self._tail) == TAIL_PIECES:  # fifty bytes of Python for four of text
            self._tail = ["".join(self._tail)]
        if self._tail_bytes <= self._left:
            return delta
        return self._weigh(delta)

    @property
    def tokens(self) -> int:
        """How many tokens have passed, counted now."""
        return self._settled + self._counter.count("".join(self._tail))

    def _weigh(self, delta: str) -> str:
        tail = "".join(self._tail)
        if self._counter.count(tail) <= self._left:
            self._settle(tail)
            return delta
        self.full = True
        before = len(tail) - len(delta)
        fits = self._counter.clip(tail, self._left)[before:]
        self._tail = [tail[:before], fits]
        return fits

    def _settle(self, tail: str) -> None:
        border = _border(tail)
        tokens = self._counter.count(tail[:border])
        self._settled += tokens
        self._left -= tokens
        self._tail = [tail[border:]]
        self._tail_bytes = len(tail[border:].encode())


@functools.lru_cache(COUNTS_KEPT)
def _count_again(counter: Counter, text: str) -> int:
    return counter.count(text)


@functools.cache
def counter_of(model: str) -> Counter:
    """Return the counter for a model; one that is not known is counted as the newest are."""
    try:
        named = encoding_name_for_model(model)
    except KeyError:
        return Counter(NEWEST, estimated=True)
    named = SAME_FOR_TEXT.get(named, named)
    return Counter(named, estimated=False) if named in FILES else Counter(NEWEST, estimated=True)


@functools.cache
def load(vocabulary: str) -> tiktoken.Encoding:
    """Load a vocabulary, once (a quarter of a second, 84 MB); raises ``BrokenVocabularyError``."""
    name, sha256 = FILES[vocabulary]
    verify(VOCABULARY / name, sha256)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(VOCABULARY)  # the only way to tell tiktoken
    return tiktoken.get_encoding(vocabulary)


def verify(file: Path, sha256: str) -> None:
    """Raise ``BrokenVocabularyError`` unless the file is there and has this hash."""
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as failure:
        raise BrokenVocabularyError(f"{file} cannot be read") from failure
    if found != sha256:
        raise BrokenVocabularyError(f"{file} is not the vocabulary that it should be: its sha256 is {found}")


def warm() -> None:
    """Load the newest vocabulary now, so that no request has to wait for it."""
    load(NEWEST)


def _count(encoding: tiktoken.Encoding, text: str) -> int:
    return sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def _clip(encoding: tiktoken.Encoding, text: str, tokens: int) -> str:
    kept = []
    for piece in _pieces(text):
        encoded = encoding.encode_ordinary(piece)
        if len(encoded) > tokens:
            kept.append(_cut(encoding, encoded, tokens))
            break
        kept.append(piece)
        tokens -= len(encoded)
    return "".join(kept)


def _cut(encoding: tiktoken.Encoding, encoded: list[int], tokens: int) -> str:
    for end in range(tokens, 0, -1):
        part = encoding.decode_bytes(encoded[:end]).decode(errors="ignore")  # a character cut in two goes
        if len(encoding.encode_ordinary(part)) <= tokens:  # a word cut in two may weigh more than its tokens
            return part
    return ""


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS))


def _border(text: str) -> int:
    """Return where the text can be cut without changing its count, as late as possible."""
    found = BORDER.match(text)
    if found:
        return found.end()
    return len(text) if len(text) > TAIL_CHARS else 0
