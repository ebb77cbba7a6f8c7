"""How soon does one who comes back, or comes along, get the first byte of a running stream?"""

from collections.abc import Iterator

from bench.client import Client, Stream, client
from bench.control import Upstream
from bench.feeder import Plan
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running

SAID = 50  # chunks before silence: what a join reads
LIMIT_S = 10


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Read a stream that has fallen silent again, one reader after the other: all of it, or one event."""
    if not relay.relay.resumes:
        return {}
    upstream.says(Plan(every_s=0.005, silent_after=SAID, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        first = reader.open(0, relay.request(0))
        reader.run(lambda: first.raw.count(relay.relay.mark) >= SAID, limit_s=LIMIT_S)
        after = SAID  # the start is an event too: one is left to read
        joined = list(_again(reader, relay, first.address, scale.resumes))
        resumed = list(_again(reader, relay, f"{first.address}?after={after}", scale.resumes))
    return {
        "join_ms_p50": percentile(joined, 50),
        "join_ms_p99": percentile(joined, 99),
        "resume_ms_p50": percentile(resumed, 50),
        "resume_ms_p99": percentile(resumed, 99),
    }


def _again(reader: Client, relay: Running, path: str, times: int) -> Iterator[float]:
    """Yield the milliseconds until the first byte of the body."""
    for number in range(times):
        stream = reader.open(number, relay.get(path))
        reader.run(lambda one=stream: _has_body(one), limit_s=LIMIT_S)
        yield (stream.reads[-1][0] - stream.opened_at) * 1e3
        reader.hang_up(stream)


def _has_body(stream: Stream) -> bool:
    return bool(stream.body_so_far)


MEASURE = Measure(
    title="resume",
    how="one round, {resumes} readers one after the other of a stream that runs, from memory; milliseconds "
    "from connecting to the first event",
    columns=lambda _: (
        Column(key="resume_ms_p50", heading="from the last event on, p50 ms", digits=2),
        Column(key="resume_ms_p99", heading="p99 ms", digits=2),
        Column(key="join_ms_p50", heading=f"from the start, {SAID} events, p50 ms", digits=2),
        Column(key="join_ms_p99", heading="p99 ms", digits=2),
    ),
    take=take,
    once=True,
)
