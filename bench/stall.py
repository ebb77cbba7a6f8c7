"""How long does the longest of all stalls last, while streams come, go and run?

A small request beside them, every few milliseconds, on a connection of its own, waits as long as
the process is busy with something else.
"""

import time

from bench.client import Client, Stream, client
from bench.control import Upstream
from bench.feeder import Plan
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running

EVERY_S = 0.01
PING_S = 0.002
APART_S = 0.02
LIMIT_S = 60


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Ask whether it is well, while streams are opened one after the other and run."""
    if not relay.relay.resumes:
        return {}
    upstream.says(Plan(chunks=len(relay.relay.deltas), every_s=EVERY_S, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        asked = _beside(reader, relay, scale.streams)
    waits = [((one.ended_at or one.first_byte_at or 0) - one.opened_at) * 1e3 for one in asked]
    return {
        "ping_ms_p50": percentile(waits, 50),
        "ping_ms_p99": percentile(waits, 99),
        "ping_ms_max": max(waits),
    }


def _beside(reader: Client, relay: Running, count: int) -> list[Stream]:
    streams: list[Stream] = []
    asked: list[Stream] = []
    next_at = time.monotonic()
    while len(streams) < count or not all(stream.over for stream in streams):
        now = time.monotonic()
        if len(streams) < count and now >= next_at:
            streams.append(reader.open(len(streams), relay.request(len(streams))))
            next_at += APART_S
        if not asked or asked[-1].first_byte_at:
            if asked and not asked[-1].over:
                reader.hang_up(asked[-1])
            asked.append(reader.open(-1, relay.get("/healthz")))
        reader.run_for(PING_S)
    reader.run(lambda: asked[-1].first_byte_at is not None, limit_s=LIMIT_S)
    return asked


MEASURE = Measure(
    title="stalls",
    how="one round, {streams} streams begun 20 ms apart, at 100 chunks a second each; beside them one small "
    "request after the other (`GET /healthz`): what it waits is what the process stood still at most",
    columns=lambda _: (
        Column(key="ping_ms_p50", heading="p50 ms", digits=1),
        Column(key="ping_ms_p99", heading="p99 ms", digits=1),
        Column(key="ping_ms_max", heading="longest, ms", digits=1),
    ),
    take=take,
    once=True,
)
