"""How soon does one who comes back, or comes along, get the first byte of a running stream?

From the process that makes it, and from another one, over Redis.
"""

from collections.abc import Iterator
from dataclasses import replace

from bench.client import Client, Stream, client
from bench.control import Upstream
from bench.feeder import Plan
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running, running
from bench.store import SERVER, redis

SAID = 50  # chunks before silence: what a join reads
LIMIT_S = 10
STORED_S = 0.2  # until other processes find all of it


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Read a stream that has fallen silent again, one reader after the other: all of it, or one event."""
    if not relay.relay.resumes:
        return {}
    figures = _figures("", _read(relay, relay, upstream, scale.resumes))
    if SERVER is None:
        return figures
    with redis() as url:
        shared = replace(relay.relay, settings={**relay.relay.settings, "REDIS_URL": url})
        with running(shared, upstream.port) as here, running(shared, upstream.port) as there:
            return figures | _figures("redis_", _read(here, there, upstream, scale.resumes))


def _read(here: Running, there: Running, upstream: Upstream, times: int) -> tuple[list[float], list[float]]:
    """Return how long it took ``there`` to resume and to join what ``here`` makes, in milliseconds."""
    upstream.says(Plan(every_s=0.005, silent_after=SAID, deltas=here.relay.deltas))
    with client(here.address) as maker, client(there.address) as reader:
        first = maker.open(0, here.request(0))
        maker.run(lambda: first.raw.count(here.relay.mark) >= SAID, limit_s=LIMIT_S)
        maker.run_for(STORED_S)
        # The start is an event too: one is left to read.
        resumed = list(_again(reader, there, f"{first.address}?after={SAID}", times))
        return resumed, list(_again(reader, there, first.address, times))


def _figures(prefix: str, taken: tuple[list[float], list[float]]) -> Figures:
    resumed, joined = taken
    return {
        f"{prefix}resume_ms_p50": percentile(resumed, 50),
        f"{prefix}resume_ms_p99": percentile(resumed, 99),
        f"{prefix}join_ms_p50": percentile(joined, 50),
        f"{prefix}join_ms_p99": percentile(joined, 99),
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
    how="one round, {resumes} readers one after the other of a stream that runs, at the process that "
    "makes it (from memory) and at another one; milliseconds from connecting to the first event",
    columns=lambda _: (
        Column(key="resume_ms_p50", heading="from the last event on, p50 ms", digits=2),
        Column(key="resume_ms_p99", heading="p99 ms", digits=2),
        Column(key="join_ms_p50", heading=f"from the start, {SAID} events, p50 ms", digits=2),
        Column(key="join_ms_p99", heading="p99 ms", digits=2),
        Column(key="redis_resume_ms_p50", heading="through Redis, from the last event on, p50 ms", digits=2),
        Column(key="redis_resume_ms_p99", heading="p99 ms", digits=2),
        Column(key="redis_join_ms_p50", heading="through Redis, from the start, p50 ms", digits=2),
        Column(key="redis_join_ms_p99", heading="p99 ms", digits=2),
    ),
    take=take,
    once=True,
)
