"""Answers to a use case's calls: attempts, caps, silence and accounts.

A call that stands alone is read by the producer itself. Calls that come in a tuple are read
ahead by a greenlet each, a few at a time, in their order: the transform reads them one after
the other and finds most of the text there already.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.queue import SimpleQueue

from services import llm
from services.cost.tally import Tally
from services.cost.tokens import OutputMeter
from services.errors import ProviderFailure, ProviderIncomplete, ProviderTimeout
from services.events import Event, Notice, Usage
from services.streams.allowance import Allowance
from services.streams.clock import Alarm, Clock
from services.streams.retry import Retry


@dataclass(frozen=True, kw_only=True)
class Silences:
    """How long a provider may send no content: before its first, and then between two."""

    first_s: float
    between_s: float


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A call that was rendered, counted and found to fit; ``input_tokens`` is our own count."""

    request: llm.Request
    input_tokens: int


@dataclass(frozen=True, kw_only=True)
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
    open: set["Reply"] = field(default_factory=set)
    made: list["Reply | Batch"] = field(default_factory=list)

    def answer(self, planned: Planned) -> "Reply":
        """Answer one call; nothing is sent before the first delta is asked for."""
        reply = Reply(self, planned)
        self.made.append(reply)
        return reply

    def answers(self, planned: Sequence[Planned]) -> tuple["Ahead", ...]:
        """Answer several: the first few are sent now, each next one when one has ended."""
        batch = Batch(self, planned)
        self.made.append(batch)
        return batch.answers

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
        hearing = Hearing(self._calls, self._notice)
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


class Hearing:
    """Listens to one attempt: passes deltas on, keeps the rest, and minds the silence."""

    def __init__(self, calls: Calls, notice: Callable[[str, str], None]) -> None:
        self.done: llm.Done | None = None
        self._notice = notice
        self._between_s = calls.silences.between_s
        self._spoke = False
        self._thought = False
        reader = gevent.getcurrent()
        self._alarm = Alarm(calls.clock, calls.silences.first_s, lambda: self._silent(reader))

    @property
    def reason(self) -> llm.DoneReason:
        """Return why the provider was done; raises ProviderIncomplete if it never said."""
        if self.done is None:
            raise ProviderIncomplete("The provider ended without saying why.")
        return self.done.reason

    def deltas(self, values: Iterator[llm.Value]) -> Generator[str, None, None]:
        """Yield the text; content, and only content, puts the alarm off."""
        touch = self._alarm.touch
        for value in values:
            if type(value) is str:
                touch()
                if not self._spoke:
                    self._spoke = True
                    self._alarm.restart(self._between_s)
                yield value
            else:
                self._note(value)

    def close(self) -> None:
        """Stop minding."""
        self._alarm.close()

    def _note(self, value: llm.Value) -> None:
        if isinstance(value, llm.Done):
            self.done = value
        elif isinstance(value, llm.Dropped):
            self._notice("parameter-dropped", f"The model does not take {value.parameter}; sent without it.")
        elif isinstance(value, llm.Thinking):
            self._alarm.touch()
            if not self._thought:
                self._thought = True
                self._notice("thinking", "The model is reasoning; no text yet.")

    def _silent(self, reader: Any) -> None:
        where = "after its last words" if self._spoke else "before its first word"
        reader.kill(ProviderTimeout(f"The provider fell silent {where}."), block=False)


class Ahead:
    """An answer that a greenlet of its own reads, so that it is there when it is asked for.

    What it holds is bounded by the call's cap.
    """

    def __init__(self, reply: Reply) -> None:
        self.reason: llm.DoneReason | None = None
        self.closed = False
        self.reply = reply
        self._deltas: SimpleQueue[str | Exception | None] = SimpleQueue()
        self.greenlet: gevent.Greenlet[[], None] | None = None
        self._heard = self._hear()

    def __iter__(self) -> Iterator[str]:
        return self._heard

    def start(self, ended: Callable[[object], None]) -> None:
        """Begin to read; ``ended`` is called from the hub, also after a kill before the start."""
        self.greenlet = gevent.spawn(self._fill)
        self.greenlet.link(ended)

    def close(self) -> None:
        """Close the provider; waits until it is closed."""
        self.closed = True
        if self.greenlet is not None:
            self.greenlet.kill()
        self.reply.close()

    def _hear(self) -> Generator[str, None, None]:
        while not self.closed and (delta := self._deltas.get()) is not None:
            if isinstance(delta, Exception):
                raise delta
            yield delta
        self.reason = self.reply.reason

    def _fill(self) -> None:
        try:
            for delta in self.reply:
                self._deltas.put(delta)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is read
            self._deltas.put(error)
        else:
            self._deltas.put(None)


class Batch:
    """Calls that run side by side, ``parallel`` of them at a time, started in their order."""

    def __init__(self, calls: Calls, planned: Sequence[Planned]) -> None:
        self.answers = tuple(Ahead(Reply(calls, one)) for one in planned)
        self._calls = calls
        self._waiting = list(reversed(self.answers))
        self._running = 0
        self._start_more()

    def close(self) -> None:
        """Close those that run, start none of those that wait."""
        self._waiting.clear()
        gevent.killall([answer.greenlet for answer in self.answers if answer.greenlet])
        for answer in self.answers:
            answer.close()

    def _ended(self, _greenlet: object) -> None:
        self._running -= 1
        self._start_more()

    def _start_more(self) -> None:
        while self._waiting and self._running < self._calls.parallel:
            following = self._waiting[-1]
            if self._running and not self._calls.allowance.fits(following.reply.wanted):
                return  # what runs may give back what this one wants
            self._waiting.pop()
            if not following.closed:
                self._running += 1
                following.reply.reserve()
                following.start(self._ended)
