"""What the stage adds to the scripted provider: gates, and who is being answered right now."""

from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from gevent.event import Event

from services.llm import Done, DoneReason, Request, Tokens, Value
from tests.providers.scripted import Line, ScriptedProvider

USED = Tokens(input=7, output=3)
Lines: TypeAlias = Iterable[Line]


class Gate(Event):
    """A line at which the provider waits until it is set; ``reached`` tells that it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


class WatchedProvider(ScriptedProvider):
    """Knows which prompts are being answered, and how many were at most at a time.

    ``says`` can be set anew between two requests.
    """

    def __init__(self, says: Lines | Callable[[Request], Lines]) -> None:
        super().__init__(self._current)
        self.says = says
        self.open: list[Request] = []
        self.most_at_once = 0

    def stream(self, request: Request) -> Generator[Value, None, None]:
        self.open.append(request)
        self.most_at_once = max(self.most_at_once, len(self.open))
        try:
            yield from super().stream(request)
        finally:
            self.open.remove(request)

    @property
    def prompts(self) -> list[str]:
        """What the user block said in each request."""
        return [asked.request.messages[-1].content for asked in self.asked]

    @property
    def closed_early(self) -> list[bool]:
        return [asked.closed_early for asked in self.asked]

    def _current(self, request: Request) -> Lines:
        return self.says(request) if callable(self.says) else self.says


def whole(*lines: Line, reason: DoneReason = "stop", tokens: Tokens | None = USED) -> tuple[Line, ...]:
    """A script that says these pieces and comes to its end."""
    return (*lines, Done(reason, tokens))
