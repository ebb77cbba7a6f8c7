"""Making an answer again that was shown in part: what was shown is swallowed, the rest goes on.

Another process made the beginning. Nothing of it may be repeated, withdrawn or changed, so what
is made now has to begin with the very same events; pieces of text may be cut differently.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from services.errors import ProviderIncomplete
from services.events import Event, Notice, Start, Text


class Replay:
    """Compares with what was shown until all of it has come again; then passes everything on.

    Notices are told once: those of the beginning are neither expected nor repeated.
    """

    def __init__(self, shown: Iterable[Event], emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._expected = deque(_joined(shown))
        self.text_shown = any(isinstance(event, Text) for event in self._expected)

    @property
    def complete(self) -> bool:
        """Tell whether all that was shown has been made again."""
        return not self._expected

    def put(self, event: Event) -> None:
        """Swallow or pass on; raises ProviderIncomplete where the answer differs from what was shown."""
        if self.complete:
            self._emit(event)
        elif isinstance(event, Text):
            self._put_text(event)
        elif not isinstance(event, Notice):
            if event != self._expected[0]:
                raise differs()
            self._expected.popleft()

    def _put_text(self, event: Text) -> None:
        expected = self._expected[0]
        if not isinstance(expected, Text) or _place(expected) != _place(event):
            raise differs()
        if expected.text.startswith(event.text):
            self._expect(expected, expected.text[len(event.text) :])
        elif event.text.startswith(expected.text):
            self._expected.popleft()
            self.put(msgspec.structs.replace(event, text=event.text[len(expected.text) :]))
        else:
            raise differs()

    def _expect(self, expected: Text, rest: str) -> None:
        self._expected.popleft()
        if rest:
            self._expected.appendleft(msgspec.structs.replace(expected, text=rest))


def _joined(events: Iterable[Event]) -> Iterable[Event]:
    """Give what is to come again: no start, no notices, neighbouring texts as one."""
    held: Text | None = None
    for event in events:
        if isinstance(event, Start | Notice):
            continue
        if isinstance(event, Text) and held is not None and _place(held) == _place(event):
            held = msgspec.structs.replace(held, text=held.text + event.text)
            continue
        if held is not None:
            yield held
        held = event if isinstance(event, Text) else None
        if held is None:
            yield event
    if held is not None:
        yield held


def _place(event: Text) -> tuple[str | None, int | None]:
    return event.target, event.text_index


def differs() -> ProviderIncomplete:
    """Return the problem of an answer that did not come again as it was shown."""
    return ProviderIncomplete("The answer broke off, and could not be taken up again word by word.")
