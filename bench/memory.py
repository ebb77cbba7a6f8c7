"""How much memory does an open stream hold?"""

from bench.client import client, load
from bench.control import Upstream
from bench.feeder import Plan
from bench.machine import memory_bytes
from bench.measure import Column, Figures, Measure, Scale
from bench.relays import Running

CHUNKS_BEFORE = 5
APART_S = 0.004
SETTLE_S = 0.5
LIMIT_S = 30


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Compare the relay with many open streams, each with a few chunks behind it, and with none."""
    upstream.says(Plan(chunks=2, every_s=0, deltas=relay.relay.deltas))
    load(relay.address, relay.request, total=32, at_once=16)
    base = memory_bytes(relay.pids)
    figures = {"base_mb": base / 2**20}
    for count in scale.open_streams:
        figures[f"kb_at_{count}"] = _with_open(relay, upstream, count, base) / count / 1024
    return figures


def _with_open(relay: Running, upstream: Upstream, count: int, base: int) -> int:
    """Return the bytes that so many open streams add."""
    upstream.says(Plan(chunks=100, silent_after=CHUNKS_BEFORE, deltas=relay.relay.deltas))
    with client(relay.address) as reader:
        streams = []
        for number in range(count):
            streams.append(reader.open(number, relay.request(number)))
            reader.run_for(APART_S)
        reader.run(lambda: all(stream.first_word_at for stream in streams), limit_s=LIMIT_S)
        reader.run_for(SETTLE_S)
        return memory_bytes(relay.pids) - base


MEASURE = Measure(
    title="memory",
    how="of a relay that has just been started; sockets' buffers belong to the kernel and are not in it",
    columns=lambda scale: (
        *(
            Column(key=f"kb_at_{count}", heading=f"per stream at {count:,} open, KB", digits=1, ratio=True)
            for count in scale.open_streams
        ),
        Column(key="base_mb", heading="with none open, MB", digits=1),
    ),
    take=take,
    fresh=True,
)
