"""Answers to a use case's calls: attempts, caps, silence and accounts.

A call that stands alone is read by the producer itself; calls that come in a tuple are read
ahead (``ahead.py``).
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from services import llm
from services.cost.tally import Tally
from services.cost.tokens import OutputMeter
from services.errors import InputTooLong, ProviderFailure, ProviderIncomplete, ProviderTimeout
from services.events import Event, Notice, Usage
from services.streams.ahead import Ahead, Batch
from services.streams.allowance import Allowance
from services.streams.clock import Clock
from services.streams.hearing import Hearing, Silences
from services.streams.retry import Retry


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A call that was rendered, counted and found to fit; ``input_tokens`` is our own count."""

    request: llm.Request
    input_tokens: int


@dataclass(kw_only=True, eq=False)
class Calls:
    """What all calls of one stream share."""

    provider: llm.Provider
    clock: Clock
    silences: Silences
    retry: Retry
    allowance: Allowance
    tally: Tally
    meter: Callable[[int], OutputMeter]
    emit: Callable[[Event], None]
    parallel: int
    most: int
    open: set["Reply"] = field(default_factory=set)
    made: list["Reply | Batch"] = field(default_factory=list)
    asked: int = 0

    def answer(self, planned: Planned) -> "Reply":
        """Answer one call; nothing is sent before the first delta is asked for.

        Raises InputTooLong past ``most`` calls; so does ``answers``.
        """
        self._admit(1)
        reply = Reply(self, planned)
        self.made.append(reply)
        return reply

    def answers(self, planned: Sequence[Planned]) -> tuple[Ahead, ...]:
        """Answer several: the first few are sent now, each next one when one has ended."""
        self._admit(len(planned))
        batch = Batch([Reply(self, one) for one in planned], self.allowance, self.parallel)
        self.made.append(batch)
        return batch.answers

    def _admit(self, calls: int) -> None:
        self.asked += calls
        if self.asked > self.most:
            raise InputTooLong("This needs more calls than one stream may make.", limit=self.most)

    def close(self) -> None:
        """Close the provider of every call that is not done."""
        for answered in self.made:
            answered.close()

    def usage(self) -> Usage:
        """Return what the calls have cost until now, those that still run as counted here."""
        return self.tally.usage(running=[reply.counted for reply in self.open])


class Reply:
    """The answer to one call, read from the provider by whoever iterates it."""

    def __init__(self, calls: Calls, planned: Planned) -> None:
        self.reason: llm.DoneReason | None = None
        self.wanted = planned.request.max_output_tokens
        self._calls = calls
        self._planned = planned
        self._granted: int | None = None
        self._meter: OutputMeter | None = None
        self._spoke = False
        self._deltas = self._read()

    def __iter__(self) -> Iterator[str]:
        return self._deltas

    def close(self) -> None:
        """Close the provider; what it did not say is not paid for."""
        self._deltas.close()
        self._settle()  # a reading that never began has no ``finally``

    @property
    def counted(self) -> llm.Tokens:
        """Return what the running attempt has used, counted here."""
        said = self._meter.tokens if self._meter else 0
        return llm.Tokens(input=self._planned.input_tokens, output=said)

    def reserve(self) -> int:
        """Take what it may say from the stream's allowance, once."""
        if self._granted is None:
            self._granted = self._calls.allowance.reserve(self.wanted)
        return self._granted

    def _settle(self) -> None:
        granted, self._granted = self._granted or 0, 0
        if granted:
            used = self._meter.tokens if self._meter else 0
            self._calls.allowance.settle(granted, used, cut=self.reason == "length")

    def _read(self) -> Generator[str, None, None]:
        granted = self.reserve()
        if not granted:
            self.reason = "length"
            return
        meter = self._meter = self._calls.meter(granted)
        try:
            yield from self._attempts(self._planned.request.limited_to(granted), meter)
        finally:
            self._settle()

    def _attempts(self, request: llm.Request, meter: OutputMeter) -> Generator[str, None, None]:
        tries = self._calls.retry.begin(self._calls.clock)
        while True:
            try:
                yield from self._attempt(request, meter)
            except ProviderFailure as failure:
                pause = None if self._spoke else tries.pause_after(failure)
                if pause is None:
                    raise
                self._notice("provider-retry", "The provider failed before its first word; asked again.")
                self._calls.clock.sleep(pause)
            else:
                return

    def _attempt(self, request: llm.Request, meter: OutputMeter) -> Generator[str, None, None]:
        hearing = Hearing(self._calls.clock, self._calls.silences, self._notice)
        free = False
        self._calls.open.add(self)
        try:
            with closing(self._calls.provider.stream(request)) as values:
                yield from self._metered(hearing.deltas(values), meter)
            self.reason = self.reason or hearing.reason
        except ProviderFailure as failure:
            free = not self._spoke and not isinstance(failure, ProviderTimeout | ProviderIncomplete)
            raise
        finally:
            hearing.close()
            self._calls.open.discard(self)
            if not free:
                self._account(hearing.done)

    def _metered(self, deltas: Iterator[str], meter: OutputMeter) -> Generator[str, None, None]:
        for delta in deltas:
            self._spoke = True
            fits = meter.add(delta)
            if fits:
                yield fits
            if meter.full:  # a provider that does not heed its cap
                self.reason = "length"
                return

    def _account(self, done: llm.Done | None) -> None:
        if done and done.tokens:
            self._calls.tally.add(done.tokens)
        else:
            self._calls.tally.add(self.counted, estimated=True)

    def _notice(self, code: str, detail: str) -> None:
        self._calls.emit(Notice(code=code, detail=detail))
