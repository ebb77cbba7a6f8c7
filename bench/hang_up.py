"""How soon does the provider learn that the reader has left, and what is generated until then?"""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.client import BrokenRunError, Client, Stream, client
from bench.control import Upstream
from bench.feeder import Plan, Told
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running

APART_S = 0.02
LEAVES_AFTER_S = (0.5, 1.0)
PATIENCE_S = 2.0  # who has not closed the provider by then is said never to do it


@dataclass(frozen=True)
class Moment:
    """When the reader leaves, by what the provider has said until then."""

    key: str
    heading: str
    plan: Plan


MOMENTS = (
    Moment("before", "before the first token", Plan(silent_after=0)),
    Moment("silence", "in a silence", Plan(every_s=0.01, silent_after=20)),
    Moment("middle", "in mid-stream", Plan(every_s=0.02)),
)


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Hang up at each moment, many times."""
    figures: Figures = {}
    for moment in MOMENTS:
        figures |= _at(moment, relay, upstream, scale.hang_ups)
    return figures


def _at(moment: Moment, relay: Running, upstream: Upstream, tries: int) -> Figures:
    upstream.says(replace(moment.plan, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        left = list(_leavers(reader, relay, tries))
    told = _settled(upstream, tries)
    upstream.forget()
    asked = [(stream, told[stream.tag]) for stream in left if stream.tag in told]
    if not asked:
        message = f"{relay.relay.name}: every reader left before the provider was asked"
        raise BrokenRunError(message)
    delays = [_delay_ms(stream, one) for stream, one in asked]
    after = [_chunks_after(stream, one) for stream, one in asked]
    return {
        f"{moment.key}_ms_p50": percentile(delays, 50),
        f"{moment.key}_ms_p99": percentile(delays, 99),
        f"{moment.key}_never": sum(map(math.isinf, delays)),
        f"{moment.key}_chunks": max(after),
    }


def _leavers(reader: Client, relay: Running, tries: int) -> Iterator[Stream]:
    """Open streams one after the other and hang up on each at its own time."""
    chance = random.Random(11)  # noqa: S311 - the same moments for each relay
    waiting: list[tuple[float, Stream]] = []
    begun = 0
    next_at = time.monotonic()
    while begun < tries or waiting:
        now = time.monotonic()
        if begun < tries and now >= next_at:
            stream = reader.open(begun, relay.request(begun))
            waiting.append((now + chance.uniform(*LEAVES_AFTER_S), stream))
            begun, next_at = begun + 1, next_at + APART_S
        for leaves_at, stream in [one for one in waiting if one[0] <= now]:
            waiting.remove((leaves_at, stream))
            reader.hang_up(stream)
            yield stream
        reader.run_for(0)


def _settled(upstream: Upstream, tries: int) -> dict[int, Told]:
    """Return the journal by tag, once all are closed or patience is over."""
    limit = time.monotonic() + PATIENCE_S
    while True:
        told = {one.tag: one for one in upstream.journal().streams if one.tag is not None}
        if time.monotonic() > limit or sum(one.closed_at is not None for one in told.values()) == tries:
            return told
        time.sleep(0.1)


def _delay_ms(stream: Stream, told: Told) -> float:
    if told.closed_at is None or stream.hung_up_at is None:
        return math.inf
    return (told.closed_at - stream.hung_up_at) * 1e3


def _chunks_after(stream: Stream, told: Told) -> int:
    return sum(at > (stream.hung_up_at or 0) for at in told.written)


MEASURE = Measure(
    title="hang-up",
    how="one round, {hang_ups} readers at each moment; milliseconds until the provider sees the close "
    f"(never: not within {PATIENCE_S:.0f} s), and the most chunks that it wrote after a reader had left",
    columns=lambda _: tuple(
        Column(key=f"{moment.key}_{what}", heading=heading.format(moment=moment.heading), digits=digits)
        for moment in MOMENTS
        for what, heading, digits in (
            ("ms_p50", "{moment}: p50 ms", 1),
            ("ms_p99", "p99 ms", 1),
            ("never", "never", 0),
            ("chunks", "chunks after", 0),
        )
        if not (what == "chunks" and moment.plan.silent_after is not None)
    ),
    take=take,
    once=True,
)
