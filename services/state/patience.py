"""How long one request may wait for the store, all its calls together.

Who asks begins it; greenlets that are nobody's request wait as long as each call may take. A call
is not begun that could outlast what is left: cut short, it would look like a server that is down.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from services.state.store import StoreDownError
from services.state.waiting import Waiting

FRESH = 0.9  # of its patience: less is left for what it cannot do without
CALLS = 2  # that take as long as they may; then a request has waited long enough

_left: ContextVar[float | None] = ContextVar("left", default=None)  # of one greenlet
_whole: ContextVar[float] = ContextVar("whole", default=0.0)


def begin(call_s: float) -> None:
    """Let this greenlet wait, from now on and in all, as long as two calls may take."""
    _left.set(CALLS * call_s)
    _whole.set(CALLS * call_s)


def is_fresh() -> bool:
    """Tell whether this greenlet has hardly waited: else it does without what is only good to have."""
    left = _left.get()
    return left is None or left >= FRESH * _whole.get()


def left() -> float:
    """Return how long this greenlet may still wait; for ever, where it is nobody's request."""
    left_s = _left.get()
    return math.inf if left_s is None else left_s


@contextmanager
def spent(most_s: float, *, waits: Callable[[float], Waiting] = Waiting) -> Iterator[None]:
    """Count a call that takes ``most_s`` at most; raises StoreDownError where it is not to be begun."""
    left_s = _left.get()
    if left_s is None:
        yield
        return
    if left_s < most_s:
        raise StoreDownError("this request has waited for it long enough")
    with waits(most_s) as waiting:
        try:
            yield
        finally:
            _left.set(left_s - waiting.seconds)
