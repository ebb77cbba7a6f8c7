"""The data of one event in, what it says out: text, a sign of thinking, an end, a count.

Only the fields that are used are decoded: building the whole typed object costs a hundred
times as much as all the rest of relaying a piece of text.
"""

import json
import re
from typing import Annotated, Any, TypeAlias

import msgspec

from services.errors import ProviderError, ProviderIncomplete
from services.llm import Done, DoneReason, Tokens

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)] | None

REASONS: dict[str, DoneReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}
HALF = re.compile("[\ud800-\udfff]")
HIGH_HALVES = ("\ud800", "\udbff")
REPLACEMENT = "\ufffd"


class _Details(msgspec.Struct):
    cached_tokens: Count = None
    reasoning_tokens: Count = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    reasoning_content: Any = None  # DeepSeek, vLLM, llama.cpp
    reasoning: Any = None  # OpenRouter, Ollama


class _Choice(msgspec.Struct):
    delta: _Said | None = None
    message: _Said | None = None  # where the answer comes in one piece
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event of a stream, or a whole answer in one piece."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def decode(data: bytes) -> Chunk:
    """Return what the event holds; raises ``ProviderError`` on what is not the protocol."""
    try:
        return _decode(data)
    except (ValueError, RecursionError) as failure:  # msgspec's errors are ValueErrors
        if rb"\u" not in data:
            raise _nonsense() from failure
    return _decode_halves(data)


def _decode_halves(data: bytes) -> Chunk:
    """Decode once more with the decoder that lets half a surrogate pair pass."""
    try:
        return msgspec.convert(json.loads(data), Chunk)
    except (ValueError, RecursionError) as failure:
        raise _nonsense() from failure


def _nonsense() -> ProviderError:
    return ProviderError("The provider sent an event that is not a chat completion in JSON.")


class Reading:
    """What a provider has said so far in one answer."""

    def __init__(self) -> None:
        self.finished = False
        self._reason: DoneReason | None = None
        self._tokens: Tokens | None = None
        self._high = ""  # the first half of a surrogate pair whose second half has not come

    def take(self, chunk: Chunk) -> tuple[str, bool]:
        """Return the text that the chunk adds, and whether it is a sign of thinking.

        The first finish reason counts; what is said after it does not, except the usage.
        """
        if chunk.usage is not None:
            self._tokens = _tokens(chunk.usage) or self._tokens
        if not chunk.choices or self.finished:
            return "", False
        choice = chunk.choices[0]
        said = choice.delta or choice.message or _Said()
        text = said.content or ""
        if self._high or not text.isascii():
            text = self._whole(text)
        if choice.finish_reason is not None:
            text += self._finish(choice.finish_reason)
        return text, bool(said.reasoning_content or said.reasoning)

    def done(self) -> Done:
        """Return the end; raises ``ProviderIncomplete`` where the provider gave no reason that is known."""
        if self._reason is None:
            raise ProviderIncomplete(
                "The provider ended without saying that it was done.", retryable=not self.finished
            )
        return Done(self._reason, self._tokens)

    def _finish(self, reason: str) -> str:
        self.finished = True
        self._reason = REASONS.get(reason)
        lone, self._high = self._high, ""
        return REPLACEMENT if lone else ""

    def _whole(self, text: str) -> str:
        """Join what was cut between two deltas; a half that has no other becomes U+FFFD."""
        if not text or not (self._high or HALF.search(text)):
            return text
        text, self._high = self._high + text, ""
        if HIGH_HALVES[0] <= text[-1] <= HIGH_HALVES[1]:
            text, self._high = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _tokens(usage: _Usage) -> Tokens | None:
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    asked = usage.prompt_tokens_details or _Details()
    answered = usage.completion_tokens_details or _Details()
    return Tokens(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cached_input=min(asked.cached_tokens or 0, usage.prompt_tokens),
        reasoning=min(answered.reasoning_tokens or 0, usage.completion_tokens),
    )
