"""A store that makes trouble as a test says: it is away, or holds up whoever asks for one thing."""

from collections.abc import Callable
from typing import Any

from services.state.store import Shared, StoreDownError
from tests.streams.scripted import Gate


class Trouble:
    """Passes everything on to the store behind it, but for what a test has set.

    ``away``: every verb fails; ``deaf``: these are done, and fail all the same. ``hold(verb)``: the
    next call of that verb waits at a gate, and then does what it would have done, or fails if the
    store is away by then.
    """

    def __init__(self, store: Shared) -> None:
        self._store = store
        self._gates: dict[str, Gate] = {}
        self.away = False
        self.deaf: set[str] = set()

    def hold(self, verb: str) -> Gate:
        """Let the next call of this verb wait; return its gate."""
        gate = self._gates[verb] = Gate()
        return gate

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        done = getattr(self._store, verb)

        def call(*given: Any, **named: Any) -> Any:
            gate = self._gates.pop(verb, None)
            if gate is not None:
                gate.wait()
            if self.away:
                if verb == "reachable":
                    return False
                raise StoreDownError("away")
            answer = done(*given, **named)
            if verb in self.deaf:
                raise StoreDownError("no answer in time")
            return answer

        return call
