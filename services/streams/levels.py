"""How things stand in this process: what rises and falls, read once a second."""

from contextlib import suppress

from services.state.store import StoreDownError
from services.state.trouble import Trouble
from services.streams.core import Core
from services.streams.resources import resident_bytes
from services.telemetry import names


class Levels:
    """Sets the gauges of one process; ``trouble`` is what its store had, None where it can have none."""

    def __init__(self, core: Core, trouble: Trouble | None, *, version: str) -> None:
        self._core = core
        self._trouble = trouble
        self._failures = 0  # of the store, as counted until now
        core.metrics.set(names.VERSION, 1, version)

    def __call__(self) -> None:
        """Read and set them all."""
        core, gauge = self._core, self._core.metrics.set
        running = core.streams.running
        gauge(names.PROCESSES, 1)
        gauge(names.OPEN, len(running))
        gauge(names.READERS, sum(len(stream.presence) for stream in running))
        gauge(names.WORKING, core.capacity.slots.working)
        gauge(names.QUEUED, core.capacity.slots.waiting)
        gauge(names.STORE_WAITING, core.exchange.waiting)
        gauge(names.MEMORY, resident_bytes() or 0)
        gauge(names.LEDGER_WAITING, core.ledger.waiting)
        if self._trouble is not None:
            self._store(self._trouble)

    def reserved(self) -> None:
        """Ask the store what is reserved, where anybody wants to know; while it is away nothing is said."""
        ledger, gauge = self._core.ledger, self._core.metrics.set
        with suppress(StoreDownError):
            standing, *_ = ledger.standing(ledger.deployment)
            gauge(names.RESERVED_TOKENS, standing.reserved_tokens)
            gauge(names.RESERVED_USD, float(standing.reserved_usd))

    def _store(self, trouble: Trouble) -> None:
        self._core.metrics.set(names.STORE_DOWN, trouble.down)
        new, self._failures = trouble.failures - self._failures, trouble.failures
        if new:
            self._core.metrics.count(names.STORE_ERRORS, by=new)
