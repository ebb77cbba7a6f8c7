"""What do many readers of one stream cost, and how late is each of them?"""

from bench.client import client
from bench.control import Upstream
from bench.feeder import Plan
from bench.lateness import lateness_ms
from bench.machine import cpu_seconds
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running

EVERY_S = 0.1
CHUNKS = 60
JOIN_S = 0.002  # apart
LIMIT_S = 60


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Have one stream read by many, who all came before its first word."""
    if not relay.relay.resumes:
        return {}
    wait_s = 1 + 2 * JOIN_S * scale.readers
    upstream.says(Plan(chunks=CHUNKS, every_s=EVERY_S, first_after_s=wait_s, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        first = reader.open(0, relay.request(0))
        reader.run(lambda: b"Content-Location" in first.raw, limit_s=LIMIT_S)
        streams = []
        for number in range(scale.readers):
            streams.append(reader.open(number, relay.get(first.address)))
            reader.run_for(JOIN_S)
        before = cpu_seconds(relay.pids)
        reader.run(lambda: not reader.running, limit_s=LIMIT_S)
        used = cpu_seconds(relay.pids) - before
    told = upstream.journal().streams[0]
    late = [ms for stream in streams for ms in lateness_ms(relay.relay, told, stream)]
    return {
        "cpu_us_per_frame": used / len(late) * 1e6,
        "late_ms_p50": percentile(late, 50),
        "late_ms_p99": percentile(late, 99),
    }


MEASURE = Measure(
    title="readers of one stream",
    how=f"one round, {{readers}} readers of one stream of {CHUNKS} chunks, one per {EVERY_S * 1e3:.0f} ms; "
    "under way is a chunk from the provider's write to each reader's read",
    columns=lambda _: (
        Column(key="cpu_us_per_frame", heading="CPU per chunk and reader, µs", digits=1),
        Column(key="late_ms_p50", heading="under way, p50 ms", digits=1),
        Column(key="late_ms_p99", heading="p99 ms", digits=1),
    ),
    take=take,
    once=True,
)
