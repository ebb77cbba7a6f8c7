"""Answers that another process got before it let go of a stream: nobody is asked for them again."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from services import llm
from services.cost.paying import State
from services.cost.tally import Tally
from services.events import Usage
from services.streams.allowance import Allowance


class Said(msgspec.Struct, frozen=True):
    """A whole answer to one call, why it ended, and whether it could say less than was asked for."""

    text: str
    reason: llm.DoneReason
    curbed: bool = False


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What was used and answered before; ``answers`` in the order of the calls, None for a part of one.

    ``left_s`` is what was left of the deadline: two machines' clocks need not agree on it. ``paid`` is
    how its reservation stood.
    """

    used: Usage
    left_s: float = 0.0
    answers: tuple[Said | None, ...] = ()
    paid: State | None = None

    def answer(self, number: int) -> Said | None:
        """Return the answer to the call of that number, from 0 on, if it is known."""
        return self.answers[number] if number < len(self.answers) else None

    def count(self, tally: Tally) -> None:
        """Add what was used to what will be."""
        used, cost = self.used, self.used.cost_usd
        tokens = llm.Tokens(
            input=used.input_tokens,
            output=used.output_tokens,
            cached_input=used.cached_input_tokens,
            reasoning=used.reasoning_tokens,
        )
        tally.add(tokens, lambda _: None if cost is None else Decimal(cost), estimated=used.estimated)


class Known:
    """A known answer, as a transform reads any other; it draws on the allowance once more."""

    def __init__(self, said: Said, tokens: int, allowance: Allowance) -> None:
        self.reason: llm.DoneReason | None = None
        self.said: str | None = said.text
        self.curbed = said.curbed
        self.wanted = tokens
        self._answer = said
        self._allowance: Allowance | None = allowance

    def __iter__(self) -> Iterator[str]:
        self.reserve()
        if self._answer.text:
            yield self._answer.text
        self.reason = self._answer.reason

    def reserve(self) -> int:
        """Take what it has said from the allowance, once."""
        allowance, self._allowance = self._allowance, None
        if allowance is not None:
            granted = allowance.reserve(self.wanted)
            allowance.settle(granted, lambda: granted)
        return self.wanted

    def close(self) -> None:
        """Close nothing: nobody was asked."""
