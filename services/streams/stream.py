"""One stream: its log, its clock, who reads it, and the one way to stop it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakMethod

import msgspec
from gevent.event import Event as Signal

from services.cost.reservation import Reservation
from services.events import Finish, FinishReason, Usage
from services.streams.clock import Clock
from services.streams.known import Said
from services.streams.log import Log
from services.streams.presence import Attendance, OnDisconnect, Presence
from services.telemetry.ends import Course


class Stopped(BaseException):
    """Raised inside a producer that is to end as was meant.

    Not an ``Exception``: no ``except Exception`` between the core and a socket may eat it.
    """

    def __init__(self, reason: FinishReason, *, discard: bool = False) -> None:
        """End it for that reason; ``discard`` if what was said is to be remembered nowhere."""
        super().__init__(reason)
        self.reason: FinishReason = reason
        self.discard = discard


class Opener(msgspec.Struct, frozen=True, array_like=True):
    """By what a stream was opened: the id of a key; of a client token also when it was made and is over.

    Moments are seconds since 1970.
    """

    key: str
    made: float | None = None
    until: float | None = None


class Gone(BaseException):
    """Raised inside a producer whose stream is to be another process's: it writes no end.

    ``handed_over(answers)`` is called when all is closed, with what is known of the answers to the
    stream's calls; where it returns False there is nobody to go on.
    """

    def __init__(self, handed_over: Callable[[tuple[Said | None, ...]], bool]) -> None:
        super().__init__()
        self.handed_over = handed_over


@dataclass(kw_only=True, eq=False)
class Stream:
    """What the registry keeps; ``owner`` is the id of the caller to whom it belongs.

    ``own_cap`` is true where the caller named an output cap, ``at_cap()`` once it was reached.
    ``is_copy`` is true where another process makes it, ``torn`` where the one that made it died:
    the numbers of what it showed last may be given to something else.
    ``answer`` is the key under which its answer may serve again, None where it may not; ``session``
    the one that it is a turn of. ``discarded`` tells that its answer was wrong: no session gets it, and
    once it has ended nobody reads it. ``gone``: so it is with this one, of which there is nothing left.
    ``opener`` is by what it was opened, None where there are no keys.
    ``deadline_at`` is by the monotonic clock of who makes it.
    ``confirm()`` returns when it is known that this process still is who makes it;
    ``doubtful()`` tells whether that would take a wait.
    ``settle(s)`` waits at most so long until other processes know what the log holds now, and tells
    whether they do.
    ``reservation`` is what it may cost, while it is made here. ``unchecked`` tells that the store was
    away when it began, and that its limits were those of this process alone.
    """

    id: str
    owner: str
    use_case: str
    model: str
    clock: Clock
    log: Log = field(default_factory=Log)
    on_disconnect: OnDisconnect = "cancel"
    is_copy: bool = False
    own_cap: bool = False
    torn: bool = False
    answer: str | None = None
    session: str | None = None
    discarded: bool = False
    gone: bool = False
    opener: Opener | None = None
    deadline_at: float = 0.0
    at_cap: Callable[[], bool] = bool
    usage: Callable[[], Usage] = Usage
    settle: Callable[[float], bool] = lambda _seconds: True
    owed: Callable[[], None] = lambda: None
    confirm: Callable[[], None] = lambda: None
    doubtful: Callable[[], bool] = bool
    interrupt: Callable[[BaseException], None] | None = None
    reservation: Reservation | None = None
    unchecked: bool = False
    course: Course = field(default_factory=Course)

    def __post_init__(self) -> None:
        """Nobody is there yet."""
        self.course.began = self.clock.monotonic()
        weakly = WeakMethod(self.stop)  # a cycle would keep each stream until a full garbage collection

        def abandoned() -> None:
            if stop := weakly():
                stop("disconnected")

        self.presence: Attendance = Presence(self.clock, self.on_disconnect, abandoned)

    @property
    def url(self) -> str:
        """Return the path under which the stream can be read again."""
        return f"/v1/streams/{self.id}"

    @property
    def whole(self) -> bool:
        """Tell whether the bare text is complete, or as long as the caller asked for."""
        end = self.log.end
        if not isinstance(end, Finish):
            return False
        return end.reason == "stop" or (end.reason == "length" and self.own_cap and self.at_cap())

    def await_end(self, most_s: float | None = None) -> None:
        """Wait until the log has its end or breaks off; of a copy somebody has to be present."""
        grown = Signal()
        self.log.watch(grown.set)
        until = None if most_s is None else self.clock.monotonic() + most_s
        while self.log.end is None and not self.log.broken:
            left = None if until is None else until - self.clock.monotonic()
            if (left is not None and left <= 0) or not grown.wait(left):
                break
            grown.clear()
        self.log.unwatch(grown.set)

    def attend_end(self, most_s: float) -> None:
        """Wait as ``await_end`` does, as one of its readers: a copy grows while somebody reads it."""
        self.presence.enter()
        self.await_end(most_s)
        self.presence.leave()

    def stop(self, reason: FinishReason) -> None:
        """End the stream for this reason; the first reason counts, an ended stream is left alone."""
        self.throw(Stopped(reason))

    def throw(self, cause: BaseException) -> None:
        """Interrupt whoever makes the stream; only the first cause counts."""
        self.discarded = self.discarded or (isinstance(cause, Stopped) and cause.discard)
        interrupt = self.interrupt
        if not self.is_copy:  # a message may come to nobody: it can be sent again
            self.interrupt = None
        if interrupt is not None and self.log.end is None:
            interrupt(cause)
