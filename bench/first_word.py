"""How much later does the first word come than without a relay?

The first *byte* would flatter a relay that sends its head before the provider has said anything.
"""

from bench.client import Stream, load
from bench.control import Upstream
from bench.feeder import Plan
from bench.measure import Column, Figures, Measure, Scale, percentile
from bench.relays import DIRECT, Running

CROWD = 16
CROWDED_CHUNKS = 30  # enough for a relay that holds words back until it has looked at them
EVERY_S = 0.02


def take(relay: Running, upstream: Upstream, scale: Scale) -> Figures:
    """Time the first word alone and in a crowd; less the median of the same without a relay."""
    upstream.says(Plan(chunks=2, every_s=0, deltas=relay.relay.in_pieces(2)))
    direct = Running(relay=DIRECT, address=("127.0.0.1", upstream.port), pid=0)
    plain = percentile(_one_by_one(direct, scale), 50)
    single = _one_by_one(relay, scale)
    upstream.says(Plan(chunks=CROWDED_CHUNKS, every_s=EVERY_S, deltas=relay.relay.deltas))
    apart_s = CROWDED_CHUNKS * EVERY_S / CROWD
    streams = load(relay.address, relay.request, total=scale.crowded_streams, at_once=CROWD, apart_s=apart_s)
    crowded = _first_words_ms(streams)
    return {
        "first_word_ms_p50": percentile(single, 50) - plain,
        "first_word_ms_p99": percentile(single, 99) - plain,
        "crowded_word_ms_p50": percentile(crowded, 50) - plain,
        "crowded_word_ms_p99": percentile(crowded, 99) - plain,
    }


def _one_by_one(relay: Running, scale: Scale) -> list[float]:
    return _first_words_ms(load(relay.address, relay.request, total=scale.single_streams, at_once=1))


def _first_words_ms(streams: list[Stream]) -> list[float]:
    return [((stream.first_word_at or stream.ended_at or 0) - stream.opened_at) * 1e3 for stream in streams]


MEASURE = Measure(
    title="added time to the first word",
    how=f"one stream at a time, and {CROWD} running at once; the median without a relay is taken off",
    columns=lambda _: (
        Column(key="first_word_ms_p50", heading="alone, p50 ms", digits=2),
        Column(key="first_word_ms_p99", heading="alone, p99 ms", digits=2),
        Column(key="crowded_word_ms_p50", heading=f"{CROWD} at once, p50 ms", digits=2),
        Column(key="crowded_word_ms_p99", heading=f"{CROWD} at once, p99 ms", digits=2),
    ),
    take=take,
)
