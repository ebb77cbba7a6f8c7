"""What does one relayed chunk cost, in CPU, when many streams run at 50 tokens a second?"""

from bench.client import load
from bench.control import Upstream
from bench.feeder import Plan
from bench.machine import cpu_seconds
from bench.measure import Column, Figures, Measure, Scale, require_same_text
from bench.relays import Running

EVERY_S = 0.02
APART_S = 0.002  # between beginnings: much less than a stream lasts, and not all in step


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Relay paced streams; all that they cost, openings included, over the chunks written."""
    plan = Plan(chunks=len(relay.relay.deltas), every_s=EVERY_S, deltas=relay.relay.deltas)
    upstream.says(plan)
    before = cpu_seconds(relay.pids)
    streams = load(relay.address, relay.request, total=scale.streams, at_once=scale.streams, apart_s=APART_S)
    used = cpu_seconds(relay.pids) - before
    require_same_text(relay, plan, streams)
    seconds = max(stream.ended_at or 0 for stream in streams) - streams[0].opened_at
    return {
        "cpu_us_per_chunk": used / upstream.journal().chunks * 1e6,
        "core_percent": used / seconds * 100,
    }


MEASURE = Measure(
    title="CPU per chunk",
    how="{streams} streams of about 190 chunks, one per 20 ms; openings and ends included",
    columns=lambda _: (
        Column(key="cpu_us_per_chunk", heading="CPU per chunk, µs", digits=1, ratio=True),
        Column(key="core_percent", heading="of one core, %"),
    ),
    take=take,
)
