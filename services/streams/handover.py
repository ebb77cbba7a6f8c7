"""What becomes of running streams when this process stops, or when another has taken one over."""

from functools import partial

import gevent

from services.streams.core import Core
from services.streams.known import Before, Said
from services.streams.stream import Gone, Stream

SETTLE_S = 2.0  # for the rest of a log to be stored: with the grace it stays below gunicorn's


def let_go_later(core: Core) -> None:
    """Give running streams their grace to come to an end, then let go of them; called from the hub."""
    core.exchange.retire()

    def due() -> None:
        gevent.spawn(let_go, core)

    core.clock.later(core.settings.grace_s, due)


def let_go(core: Core) -> None:
    """Hand running streams over to other processes; where there are none, they end as ``shutting-down``."""
    for stream in core.streams.running:
        stream.throw(Gone(partial(_handed_over, core, stream)))
    for stream in core.flights.running:  # whoever reads it elsewhere makes it there
        stream.throw(Gone(lambda _answers: False))


def _handed_over(core: Core, stream: Stream, answers: tuple[Said | None, ...]) -> bool:
    left_s = stream.deadline_at - core.clock.monotonic()
    paid = stream.reservation.state if stream.reservation else None
    before = Before(used=stream.usage(), left_s=left_s, answers=answers, paid=paid)
    causes: list[BaseException] = []
    stream.interrupt = causes.append
    handed = core.exchange.hand_over(stream, before, SETTLE_S)
    stream.interrupt = None
    if handed:
        core.streams.dropped(stream)
        stream.log.break_off()
        for cause in causes:  # who wanted to stop it meanwhile, wants that of whoever goes on
            core.exchange.interrupt(stream, cause)
    return handed


def lose(core: Core, stream: Stream) -> None:
    """Stop making a stream that another process has taken: what comes from here comes too late."""
    core.streams.dropped(stream)
    stream.throw(Gone(lambda _answers: True))
    stream.log.break_off()
