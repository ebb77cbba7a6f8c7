"""A provider with two verbs: what it will say, and what it was asked."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from gevent.event import Event

from services.llm import Done, DoneReason, Request, Tokens, Value

USED = Tokens(input=7, output=3)


class Gate:
    """A place in a script where the provider waits; ``reached`` tells that it is there."""

    def __init__(self) -> None:
        self.reached = Event()
        self._opened = Event()

    def open(self) -> None:
        self._opened.set()

    def wait(self) -> None:
        self.reached.set()
        self._opened.wait()


Line: TypeAlias = Value | Gate | Exception
Script: TypeAlias = Iterable[Line] | Callable[[Request], Iterable[Line]]


@dataclass(eq=False)
class Asked:
    """One attempt: what was asked, and whether it was heard to its end."""

    request: Request
    said: list[str] = field(default_factory=list)
    open: bool = False
    closed_early: bool = False

    @property
    def prompt(self) -> str:
        return self.request.messages[-1].content


class ScriptedProvider:
    """Says what the test wrote: values, gates to wait at, exceptions to raise."""

    def __init__(self, says: Script = (), *, models: Iterable[str] = ("scripted",)) -> None:
        self.says = says
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self.listed = tuple(models)

    @property
    def open(self) -> list[Asked]:
        """The attempts whose connection is open now."""
        return [asked for asked in self.asked if asked.open]

    def stream(self, request: Request) -> Generator[Value, None, None]:
        asked = Asked(request)
        self.asked.append(asked)
        lines = self.says(request) if callable(self.says) else self.says
        asked.open = True
        try:
            self.most_at_once = max(self.most_at_once, len(self.open))
            for line in lines:
                if isinstance(line, Gate):
                    line.wait()
                elif isinstance(line, Exception):
                    raise line  # noqa: TRY301 - it is the script's
                else:
                    if isinstance(line, str):
                        asked.said.append(line)
                    yield line
        except BaseException as error:
            asked.closed_early = not isinstance(error, Exception)
            raise
        finally:
            asked.open = False

    def models(self) -> tuple[str, ...]:
        return self.listed


def whole(*deltas: str, reason: DoneReason = "stop", tokens: Tokens | None = USED) -> tuple[Line, ...]:
    """A script that says these pieces and comes to its end."""
    return (*deltas, Done(reason, tokens))
