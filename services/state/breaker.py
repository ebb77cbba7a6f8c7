"""Spares everybody the wait for a server that has just failed to answer."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.state.store import StoreDownError
from services.state.trouble import Trouble

REST_S = 1.0

log = logging.getLogger("gloss.state")


class RefusedError(StoreDownError):
    """The server answered, and said no: it is full, or may not do this."""


class Breaker:
    """Lets calls through until one fails; then none for ``rest_s``, then one to see, and so on."""

    def __init__(self, *, rest_s: float = REST_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._monotonic = monotonic
        self._rests_until: float | None = None
        self._probing = False
        self.trouble = Trouble()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch one call; raises StoreDownError at once where it would most likely wait in vain.

        A call that is killed says nothing about the server.
        """
        probe = self._begin()
        try:
            yield
        except RefusedError:
            self.trouble.failures += 1
            self._answered()
            raise
        except StoreDownError as error:
            self._failed(error)
            raise
        else:
            self._answered()
        finally:
            self._probing &= not probe

    def _begin(self) -> bool:
        if self._rests_until is None:
            return False
        if self._probing or self._monotonic() < self._rests_until:
            raise StoreDownError("it did not answer a moment ago")
        self._probing = True
        return True

    def _answered(self) -> None:
        if self._rests_until is not None:
            log.info("redis answers again")
        self._rests_until = None
        self.trouble.down = False

    def _failed(self, error: StoreDownError) -> None:
        self.trouble.failures += 1
        self.trouble.down = True
        if self._rests_until is None:
            log.warning("redis does not answer: %s", error)
        self._rests_until = self._monotonic() + self._rest_s
