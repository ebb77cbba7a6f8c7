"""One stream: its log, its clock, who reads it, and the one way to stop it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.events import FinishReason, Usage
from services.streams.clock import Clock
from services.streams.log import Log
from services.streams.presence import OnDisconnect, Presence


class Stopped(BaseException):
    """Raised inside a producer that is to end as was meant.

    Not an ``Exception``: no ``except Exception`` between the core and a socket may eat it.
    """

    def __init__(self, reason: FinishReason) -> None:
        super().__init__(reason)
        self.reason: FinishReason = reason


@dataclass(kw_only=True, eq=False)
class Stream:
    """What the registry keeps; ``owner`` is the id of the caller to whom it belongs.

    ``own_cap`` is true where the caller named an output cap, ``at_cap()`` once it was reached.
    """

    id: str
    owner: str
    use_case: str
    model: str
    clock: Clock
    log: Log = field(default_factory=Log)
    on_disconnect: OnDisconnect = "cancel"
    own_cap: bool = False
    at_cap: Callable[[], bool] = bool
    usage: Callable[[], Usage] = Usage
    interrupt: Callable[[BaseException], None] | None = None

    def __post_init__(self) -> None:
        """Nobody is there yet."""
        self.presence = Presence(self.clock, self.on_disconnect, lambda: self.stop("disconnected"))

    @property
    def url(self) -> str:
        """Return the path under which the stream can be read again."""
        return f"/v1/streams/{self.id}"

    def stop(self, reason: FinishReason) -> None:
        """End the stream for this reason; the first reason counts, an ended stream is left alone."""
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None and self.log.end is None:
            interrupt(Stopped(reason))
