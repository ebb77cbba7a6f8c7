"""Ten times more come than there are slots for: who is answered, how soon are others refused, who is late?

Once streamed, and once with answers in one piece: the same load without streaming.
"""

import time
from dataclasses import dataclass, replace

from bench.client import BrokenRunError, Stream, client
from bench.control import Upstream
from bench.feeder import Plan, Told
from bench.lateness import lateness_ms
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import Running, running

SLOTS, PLACES = 40, 20
CHUNKS, EVERY_S = 40, 0.05  # an answer takes two seconds, so twenty a second fit
FIT_PER_S = SLOTS / (CHUNKS * EVERY_S)
TIMES = 10
SETTINGS = {"GLOSS_MAX_STREAMS": str(SLOTS), "GLOSS_MAX_QUEUED": str(PLACES), "GLOSS_QUEUE_S": "5"}
LIMIT_S = 30.0
STREAMED = b"Accept: application/x-ndjson, text/event-stream;q=0.5\r\n"
# Closed at its end, as our reader looks for a last chunk and such an answer has none.
IN_ONE_PIECE = b"Accept: application/json\r\nConnection: close\r\n"


@dataclass(frozen=True)
class Load:
    """So many a second, asked for in one encoding."""

    key: str
    heading: str
    per_s: float
    accept: bytes = STREAMED


LOADS = (
    Load("full", "as many as fit", FIT_PER_S),
    Load("streamed", "ten times more", FIT_PER_S * TIMES),
    Load("whole", "the same in one piece", FIT_PER_S * TIMES, IN_ONE_PIECE),
)


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Put each load on a process of its own that has few slots."""
    if not (relay.relay.resumes and relay.relay.text_of):
        return {}
    figures: Figures = {}
    for load in LOADS:
        with running(replace(relay.relay, settings=SETTINGS), upstream.port) as small:
            figures |= _under(load, small, upstream, scale.overload_s)
    return figures


def _under(load: Load, relay: Running, upstream: Upstream, seconds: float) -> Figures:
    upstream.says(Plan(chunks=CHUNKS, every_s=EVERY_S, deltas=relay.relay.in_pieces(CHUNKS)))
    streams = _arrive(relay, load, int(load.per_s * seconds))
    told = {one.tag: one for one in upstream.journal().streams}
    answered = [stream for stream in streams if b'"reason":"stop"' in stream.raw]
    refused = [stream for stream in streams if stream.status == 503]
    if not answered:
        message = f"{relay.relay.name}: nobody was answered under load ({load.heading})"
        raise BrokenRunError(message)
    waits = [((stream.ended_at or 0) - stream.opened_at) * 1e3 for stream in refused]
    late = _late_ms(relay, load, answered, told)
    figures = {
        "answered": len(answered),
        "neither": len(streams) - len(answered) - len(refused),
        "late_ms_p99": percentile(late, 99),
    }
    if waits:
        figures |= {"refused_ms_p50": percentile(waits, 50), "refused_ms_p99": percentile(waits, 99)}
    return {f"{load.key}_{key}": value for key, value in figures.items()}


def _arrive(relay: Running, load: Load, count: int) -> list[Stream]:
    """Let so many come one after the other, whatever becomes of those before them."""
    streams: list[Stream] = []
    next_at = time.monotonic()
    with client(relay.address) as reader:
        while len(streams) < count:
            if time.monotonic() >= next_at:
                request = relay.request(len(streams)).replace(STREAMED, load.accept)
                streams.append(reader.open(len(streams), request))
                next_at += 1 / load.per_s
            reader.run_for(0)
        reader.run(lambda: not reader.running, limit_s=LIMIT_S)
    return streams


def _late_ms(relay: Running, load: Load, answered: list[Stream], told: dict[int | None, Told]) -> list[float]:
    """Return how late each chunk was; of an answer in one piece, how long after the last one it came."""
    if load.accept == STREAMED:
        return [ms for one in answered for ms in lateness_ms(relay.relay, told[one.tag], one)]
    return [((one.ended_at or 0) - told[one.tag].written[-1]) * 1e3 for one in answered]


def _columns(load: Load) -> list[Column]:
    columns = [
        Column(key=f"{load.key}_answered", heading=f"{load.heading}: answered"),
        Column(key=f"{load.key}_late_ms_p99", heading="late, p99 ms", digits=1),
    ]
    if load.per_s > FIT_PER_S:
        columns += [
            Column(key=f"{load.key}_refused_ms_p50", heading="refused within, p50 ms", digits=1),
            Column(key=f"{load.key}_refused_ms_p99", heading="p99 ms", digits=1),
        ]
    return [*columns, Column(key=f"{load.key}_neither", heading="neither")]


MEASURE = Measure(
    title="overload",
    how=f"one round, {SLOTS} slots, {PLACES} places in the queue, answers of {CHUNKS * EVERY_S:.0f} s: so "
    f"{FIT_PER_S:.0f} a second fit; for {{overload_s:.0f}} s as many come, then {TIMES} times more, then as "
    "many again who want their answers in one piece; late is what a chunk was under way, of an answer in "
    "one piece the time from the provider's last chunk to its end",
    columns=lambda _: tuple(column for load in LOADS for column in _columns(load)),
    take=take,
    once=True,
)
