"""What every stream shares; the composition root makes one."""

from dataclasses import dataclass

from services.cost.ledger import Ledger
from services.prompting import Prompt
from services.settings import Settings
from services.streams.answers.flight import Flights
from services.streams.capacity import Capacity
from services.streams.claims import Claims
from services.streams.clock import Clock
from services.streams.drain import Drain
from services.streams.models import Models
from services.streams.registry import Streams
from services.streams.retry import Retry
from services.streams.sessions import Sessions
from services.streams.sharing.exchange import Exchange
from services.streams.use_case import UseCase
from services.telemetry.metrics import Metrics
from services.telemetry.traces import Traces


@dataclass(frozen=True, kw_only=True)
class Core:
    """The parts of one process, handed to whoever opens, reads or ends a stream."""

    settings: Settings
    use_cases: dict[str, UseCase]
    models: Models
    retry: Retry
    prompts: dict[str, Prompt]
    clock: Clock
    streams: Streams
    sessions: Sessions
    claims: Claims
    exchange: Exchange
    drain: Drain
    capacity: Capacity
    ledger: Ledger
    flights: Flights
    metrics: Metrics
    traces: Traces

    @property
    def unfinished(self) -> bool:
        """Tell whether streams run, or something of them is not yet where other processes find it."""
        return bool(self.streams.running) or self.exchange.unsent or bool(self.ledger.waiting)
