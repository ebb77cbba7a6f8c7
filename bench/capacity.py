"""How many streams at 50 tokens a second does one process hold before it falls behind?"""

from bench.client import BrokenRunError, load
from bench.control import Upstream
from bench.feeder import Plan
from bench.lateness import lateness_ms
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running

EVERY_S = 0.02
APART_S = 0.005
STEADY_S = 2.0  # of all streams at once; that long what is late is looked at
LATE_MS = 20.0


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Take larger and larger crowds; the last one before chunks came too late counts."""
    if not relay.relay.mark:
        return {}
    held, p99 = 0, 0.0
    for crowd in scale.crowds:
        try:
            late = percentile(_late(relay, upstream, crowd), 99)
        except BrokenRunError:
            break
        if late >= LATE_MS:
            break
        held, p99 = crowd, late
    return {"held": held, "held_late_ms_p99": p99}


def _late(relay: Running, upstream: Upstream, crowd: int) -> list[float]:
    """Return how late each chunk came that was written while all streams ran."""
    seconds = crowd * APART_S + STEADY_S
    upstream.says(Plan(chunks=int(seconds / EVERY_S), every_s=EVERY_S, deltas=relay.relay.deltas))
    streams = load(relay.address, relay.request, total=crowd, at_once=crowd, apart_s=APART_S)
    from_then = streams[-1].opened_at + 0.2
    until = min(stream.ended_at or 0 for stream in streams)
    told = {one.tag: one for one in upstream.journal().streams}
    return [
        ms
        for stream in streams
        for at, ms in zip(
            told[stream.tag].written, lateness_ms(relay.relay, told[stream.tag], stream), strict=True
        )
        if from_then <= at <= max(until, from_then + STEADY_S / 2)
    ]


MEASURE = Measure(
    title="streams that one process holds",
    how="one round, crowds of {crowds} streams at 50 chunks a second; held is the last one before one in "
    f"which a hundredth of the chunks was under way for {LATE_MS:.0f} ms or more",
    columns=lambda _: (
        Column(key="held", heading="streams held", ratio=True),
        Column(key="held_late_ms_p99", heading="p99 ms", digits=1),
    ),
    take=take,
    once=True,
    fresh=True,
)
