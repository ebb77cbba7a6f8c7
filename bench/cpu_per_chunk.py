"""What does one relayed chunk cost, and how late is it, when many streams run at 50 tokens a second?"""

from bench.client import Stream, load
from bench.control import Journal, Upstream
from bench.feeder import Plan
from bench.lateness import lateness_ms
from bench.machine import cpu_seconds
from bench.measure import Column, Figures, Measure, Scale, percentile, require_same_text
from bench.relays import Relay, Running

EVERY_S = 0.02
APART_S = 0.01  # between beginnings: a rush of openings would be measured instead of chunks


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Relay paced streams; all that they cost, openings included, over the chunks written."""
    plan = Plan(chunks=len(relay.relay.deltas), every_s=EVERY_S, deltas=relay.relay.deltas)
    upstream.says(plan)
    before = cpu_seconds(relay.pids)
    streams = load(relay.address, relay.request, total=scale.streams, at_once=scale.streams, apart_s=APART_S)
    used = cpu_seconds(relay.pids) - before
    require_same_text(relay, plan, streams)
    seconds = max(stream.ended_at or 0 for stream in streams) - streams[0].opened_at
    journal = upstream.journal()
    figures = {"cpu_us_per_chunk": used / journal.chunks * 1e6, "core_percent": used / seconds * 100}
    return figures | _lateness(relay.relay, journal, streams)


def _lateness(relay: Relay, journal: Journal, streams: list[Stream]) -> Figures:
    """Say how late chunks come; nothing of a relay that makes other pieces of them."""
    if not relay.mark:
        return {}
    told = {one.tag: one for one in journal.streams}
    late = [ms for stream in streams for ms in lateness_ms(relay, told[stream.tag], stream)]
    return {
        "late_ms_p50": percentile(late, 50),
        "late_ms_p99": percentile(late, 99),
        "late_ms_max": max(late),
    }


MEASURE = Measure(
    title="CPU per chunk",
    how="{streams} streams of about 190 chunks, one per 20 ms; openings and ends included; "
    "under way is a chunk from the provider's write to the reader's read",
    columns=lambda _: (
        Column(key="cpu_us_per_chunk", heading="CPU per chunk, µs", digits=1, ratio=True),
        Column(key="core_percent", heading="of one core, %"),
        Column(key="late_ms_p50", heading="under way, p50 ms", digits=1),
        Column(key="late_ms_p99", heading="p99 ms", digits=1),
        Column(key="late_ms_max", heading="longest, ms"),
    ),
    take=take,
)
