"""Listening to a provider: text goes on, everything else is kept, and silence is minded."""

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent

from services import llm
from services.errors import ProviderFailure, ProviderIncomplete, ProviderTimeout
from services.streams.clock import Alarm, Clock


@dataclass(frozen=True, kw_only=True)
class Silences:
    """How long a provider may send no content: before its first, and then between two."""

    first_s: float
    between_s: float


class Hearing:
    """Listens to one attempt: passes deltas on, keeps the rest, and minds the silence.

    ``thought`` tells whether the model has reasoned, which costs what text costs.
    """

    def __init__(self, clock: Clock, silences: Silences, notice: Callable[[str, str], None]) -> None:
        self.done: llm.Done | None = None
        self._notice = notice
        self._between_s = silences.between_s
        self.thought = False
        self._spoke = False
        reader = gevent.getcurrent()
        self._alarm = Alarm(clock, silences.first_s, lambda: self._silent(reader))

    @property
    def reason(self) -> llm.DoneReason:
        """Return why the provider was done; raises ProviderIncomplete if it never said."""
        if self.done is None:
            raise ProviderIncomplete("The provider ended without saying why.", retryable=True)
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

    def end(self, values: Iterator[llm.Value], within_s: float) -> None:
        """Wait so long for an end that is due, and for what was used; anything else is not waited for.

        Whatever the provider fails of now, what was heard is enough.
        """
        self._alarm.restart(within_s)
        with suppress(ProviderFailure):
            value = next(values, None)
            if isinstance(value, llm.Done):
                self.done = value

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
            if not self.thought:
                self.thought = True
                self._notice("thinking", "The model is reasoning; no text yet.")

    def _silent(self, reader: Any) -> None:
        if self._spoke:
            late = ProviderTimeout("The provider fell silent after its last words.", retryable=True)
        else:  # waited for as long as anybody may wait for it
            late = ProviderTimeout("The provider fell silent before its first word.")
        reader.kill(late, block=False)
