"""How much memory does an open stream hold?"""

from bench.client import Client, client, load
from bench.control import Upstream
from bench.feeder import Plan
from bench.machine import memory_bytes
from bench.measure import Column, Figures, Measure, Scale
from bench.relays import Running

CHUNKS_BEFORE = 30
APART_S = 0.004
SETTLE_S = CHUNKS_BEFORE * 0.02 + 0.5
WARM_UP = 32
LIMIT_S = 30


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Compare the relay with many open streams, each with a few chunks behind it, and with fewer."""
    upstream.says(Plan(chunks=2, every_s=0, deltas=relay.relay.in_pieces(2)))
    load(relay.address, relay.request, total=WARM_UP, at_once=WARM_UP)
    figures = {"base_mb": memory_bytes(relay.pids) / 2**20}
    upstream.says(Plan(silent_after=CHUNKS_BEFORE, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        for count in scale.open_streams:
            figures[f"kb_at_{count}"] = _slope(reader, relay, count) / 1024
    return figures


def _slope(reader: Client, relay: Running, count: int) -> float:
    """Open streams until there are so many; return the bytes that each of the last four fifths added.

    The first ones fill what the allocator kept from before, and would look free.
    """
    few = max(reader.running, count // 5)
    before = _with_open(reader, relay, few)
    return (_with_open(reader, relay, count) - before) / (count - few)


def _with_open(reader: Client, relay: Running, count: int) -> int:
    """Open streams until there are so many, all of them silent; return the relay's bytes."""
    streams = []
    for number in range(reader.running, count):
        streams.append(reader.open(number, relay.request(number)))
        reader.run_for(APART_S)
    reader.run(lambda: all(stream.first_word_at for stream in streams), limit_s=LIMIT_S)
    reader.run_for(SETTLE_S)
    return memory_bytes(relay.pids)


MEASURE = Measure(
    title="memory",
    how="one round, each relay just started; sockets' buffers belong to the kernel and are not counted",
    columns=lambda scale: (
        *(
            Column(key=f"kb_at_{count}", heading=f"per stream at {count:,} open, KB", digits=1, ratio=True)
            for count in scale.open_streams
        ),
        Column(key="base_mb", heading="with none open, MB", digits=1),
    ),
    take=take,
    once=True,
    fresh=True,
)
