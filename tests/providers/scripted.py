"""A provider for tests, with two verbs: what it will say, and what it was asked."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from gevent.event import Event

from services.llm import Done, Request, Value

Line: TypeAlias = Value | Exception | Event
Script: TypeAlias = str | Iterable[Line]


@dataclass
class Asked:
    """One request; ``closed_early`` once its stream was closed or killed before its end."""

    request: Request
    closed_early: bool = False


class ScriptedProvider:
    """Say what the test wrote: a text, or lines, or what a function makes of the request.

    Among the lines an exception is raised, and a gevent Event is waited for: a silence that
    the test ends. A plain text ends with ``stop``; lines are said as they are.
    """

    def __init__(
        self, says: Script | Callable[[Request], Script] = "", *, models: tuple[str, ...] = ("scripted",)
    ) -> None:
        self.asked: list[Asked] = []
        self._says = says if callable(says) else lambda _: says
        self._models = models

    def stream(self, request: Request) -> Generator[Value, None, None]:
        """Note the request, then say the lines."""
        asked = Asked(request)
        self.asked.append(asked)
        script = self._says(request)
        lines = [script, Done("stop")] if isinstance(script, str) else script
        try:
            yield from _spoken(lines)
        except BaseException as end:
            asked.closed_early = not isinstance(end, Exception)
            raise

    def models(self) -> tuple[str, ...]:
        """Return the names that the test gave."""
        return self._models


def _spoken(lines: Iterable[Line]) -> Generator[Value, None, None]:
    for line in lines:
        if isinstance(line, Exception):
            raise line
        if isinstance(line, Event):
            line.wait()
        else:
            yield line
