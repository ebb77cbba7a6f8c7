"""Listening to a provider: what is no text is kept, and silence is minded."""

from collections.abc import Callable, Iterator
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
    """Listens to one attempt: keeps what is no text, and minds the silence.

    ``text()`` is to be called for each text, ``begin()`` before that for the first.
    ``spoke`` tells whether there was text, ``thought`` whether the model has reasoned, which costs
    what text costs.
    """

    def __init__(self, clock: Clock, silences: Silences, notice: Callable[[str, str], None]) -> None:
        self.done: llm.Done | None = None
        self._notice = notice
        self._between_s = silences.between_s
        self.thought = False
        self.spoke = False
        reader = gevent.getcurrent()
        self._alarm = Alarm(clock, silences.first_s, lambda: self._silent(reader))
        self.text = self._alarm.touch

    @property
    def reason(self) -> llm.DoneReason:
        """Return why the provider was done; raises ProviderIncomplete if it never said."""
        if self.done is None:
            raise ProviderIncomplete("The provider ended without saying why.", retryable=True)
        return self.done.reason

    def begin(self) -> None:
        """Note the first text: the silence between two has another limit."""
        self.spoke = True
        self._alarm.restart(self._between_s)

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

    def note(self, value: llm.Value) -> None:
        """Keep what is no text; thinking, like text, puts the alarm off."""
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
        if self.spoke:
            late = ProviderTimeout("The provider fell silent after its last words.", retryable=True)
        else:  # waited for as long as anybody may wait for it
            late = ProviderTimeout("The provider fell silent before its first word.")
        reader.kill(late, block=False)
