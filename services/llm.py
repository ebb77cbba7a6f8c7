"""The language spoken with providers: what is asked, and what comes back.

A provider is anything with ``stream(request)``; it returns a generator of values:

    (Delta | Thinking | Dropped)* Done

A delta is a plain ``str``: it is the one value made per piece of text, so it costs nothing.
Every failure is raised as an ``errors.ProviderFailure``, at any point before ``Done``.
Closing the generator, or raising inside it, closes the connection to the provider.
"""

from collections.abc import Generator
from typing import Literal, Protocol, TypeAlias

import msgspec

Role: TypeAlias = Literal["system", "user", "assistant"]
DoneReason: TypeAlias = Literal["stop", "length", "content_filter"]
Delta: TypeAlias = str


class Message(msgspec.Struct, frozen=True):
    """One turn sent to a provider."""

    role: Role
    content: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a model; ``max_output_tokens`` is always sent, whatever the caller wished."""

    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    stop: tuple[str, ...] = ()

    def limited_to(self, output_tokens: int) -> "Request":
        """Return the same request with another output cap."""
        return self.to(self.model, output_tokens)

    def to(self, model: str, output_tokens: int) -> "Request":
        """Return the same request to a model, with an output cap."""
        return msgspec.structs.replace(self, model=model, max_output_tokens=output_tokens)


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says that a call has used, in tokens.

    ``cached_input`` is a part of ``input``, ``reasoning`` a part of ``output``.
    """

    input: int
    output: int
    cached_input: int = 0
    reasoning: int = 0


class Thinking(msgspec.Struct, frozen=True):
    """The model reasons out of sight: a sign of life that carries no text."""


class Dropped(msgspec.Struct, frozen=True):
    """A parameter that the model refused was left out, once and for this model."""

    parameter: str


class Done(msgspec.Struct, frozen=True):
    """The provider said that it was done, and why; ``tokens`` is None where it did not count."""

    reason: DoneReason
    tokens: Tokens | None = None


Value: TypeAlias = Delta | Thinking | Dropped | Done


class Provider(Protocol):
    """What produces tokens, behind an adapter."""

    def stream(self, request: Request) -> Generator[Value, None, None]:
        """Ask once; see the module's docstring for the order of values and the failures."""

    def models(self) -> tuple[str, ...]:
        """Return the models that the provider offers; raises ``errors.ProviderFailure``."""
