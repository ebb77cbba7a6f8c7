"""What does opening and ending a stream cost, in CPU?"""

from bench.client import load
from bench.control import Upstream
from bench.feeder import Plan
from bench.machine import cpu_seconds
from bench.measure import Column, Figures, Measure, Scale, require_same_text
from bench.relays import Running

AT_ONCE = 16
WARM_UP = 32


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Relay many streams of two chunks, unpaced, after a few that are not counted."""
    plan = Plan(chunks=2, every_s=0, deltas=relay.relay.in_pieces(2))
    upstream.says(plan)
    load(relay.address, relay.request, total=WARM_UP, at_once=AT_ONCE)
    upstream.forget()
    before = cpu_seconds(relay.pids)
    streams = load(relay.address, relay.request, total=scale.short_streams, at_once=AT_ONCE)
    used = cpu_seconds(relay.pids) - before
    require_same_text(relay, plan, streams)
    return {
        "cpu_ms_per_stream": used / len(streams) * 1e3,
        "connections_per_100": upstream.journal().connections / len(streams) * 100,
    }


MEASURE = Measure(
    title="CPU per stream",
    how=f"{{short_streams}} streams of two chunks, {AT_ONCE} at once",
    columns=lambda _: (
        Column(key="cpu_ms_per_stream", heading="CPU per stream, ms", digits=2, ratio=True),
        Column(key="connections_per_100", heading="connections to the provider per 100 streams"),
    ),
    take=take,
)
