"""What does a mixed load cost at the provider, and what do stops, caps and the cache save of it?

Texts come again as words do in a language (Zipf); some answers run away, some readers leave. The
provider's own journal is the bill: what it was asked, and what it had generated when it was left.
"""

import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bench.client import BrokenRunError, Stream, client
from bench.control import Upstream
from bench.feeder import Plan, Told
from bench.measure import Column, Figures, Measure, Scale
from bench.relays import GLOSS, Running, running
from bench.text import ENGLISH
from services.cost.prices import price_usd
from services.cost.tokens import counter_of
from services.llm import Tokens

MODEL = "gpt-4.1-mini"
TEXTS = 300  # different ones
AT_ONCE = 40
CHUNKS, RUNAWAY, EVERY_S = 100, 1_000, 0.002
RUNAWAY_EVERY = 20
LEAVER_EVERY, LEAVES_AFTER_S = 10, 0.05
CAP = 200  # tokens: twice an answer
LIMIT_S = 300.0
SETTLED_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Saving:
    """One way to run the service."""

    stops: bool = False
    caps: bool = False
    keeps: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """Return what differs in the environment."""
        return {"GLOSS_MAX_OUTPUT_TOKENS": str(CAP)} if self.caps else {}

    def ask(self, number: int) -> dict[str, Any]:
        """Return the body of the request of that number."""
        options = {"cache": self.keeps, "on_disconnect": "cancel" if self.stops else "finish"}
        return {"text": said(texts()[number]), "options": options}


SAVINGS = {
    "nothing is saved": Saving(),
    "who leaves stops it": Saving(stops=True),
    f"caps of {CAP} tokens": Saving(caps=True),
    "the cache": Saving(keeps=True),
    "all three": Saving(stops=True, caps=True, keeps=True),
}


@cache
def texts() -> list[int]:
    """Return which text each request brings: the same in every run."""
    chance = random.Random(19)  # noqa: S311 - a load
    weights = [1 / rank for rank in range(1, TEXTS + 1)]
    return chance.choices(range(1, TEXTS + 1), weights, k=1_000)


def said(text: int) -> str:
    """Return one of the texts."""
    return f"tag-{text} {ENGLISH}"


def rows(started: Sequence[Running], upstream: Upstream, scale: Scale) -> dict[str, Figures]:
    """Put the same load on a process of its own, once for each way."""
    if not any(one.relay.name == GLOSS.name for one in started):
        return {}
    return {name: _costs(saving, upstream, scale.requests) for name, saving in SAVINGS.items()}


def _costs(saving: Saving, upstream: Upstream, requests: int) -> Figures:
    upstream.says(
        Plan(chunks=CHUNKS, every_s=EVERY_S, deltas=GLOSS.deltas, longer=RUNAWAY, longer_every=RUNAWAY_EVERY)
    )
    relay = replace(GLOSS, ask=saving.ask, settings=saving.settings)
    with running(relay, upstream.port) as one:
        streams = _arrive(one, requests)
        told = _settled(upstream)
    if any(stream.hung_up_at is None and b'"type":"finish"' not in stream.raw for stream in streams):
        raise BrokenRunError("an answer did not come to its end")
    return _bill(told, streams)


def _bill(told: Sequence[Told], streams: Sequence[Stream]) -> Figures:
    counter = counter_of(MODEL)
    asked = sum(counter.count(said(one.tag or 0)) for one in told)
    answered = sum(len(one.written) for one in told)
    dollars = price_usd(MODEL, Tokens(input=asked, output=answered))
    if dollars is None:
        raise BrokenRunError("the model has no price")
    free = sum(b'"from_cache":true' in stream.raw for stream in streams)
    return {
        "calls": len(told),
        "input": asked / 1000,
        "output": answered / 1000,
        "cents": float(dollars) * 100,
        "free": 100 * free / len(streams),
    }


def _arrive(relay: Running, requests: int) -> list[Stream]:
    """Read all of them, so many at a time; every tenth reader leaves soon."""
    streams: list[Stream] = []
    with client(relay.address) as reader:

        def done() -> bool:
            now = time.monotonic()
            for stream in itertools.islice(streams, LEAVER_EVERY - 1, None, LEAVER_EVERY):
                if not stream.over and now - stream.opened_at > LEAVES_AFTER_S:
                    reader.hang_up(stream)
            while len(streams) < requests and reader.running < AT_ONCE:
                streams.append(reader.open(len(streams), relay.request(len(streams))))
            return len(streams) == requests and not reader.running

        reader.run(done, limit_s=LIMIT_S)
    return streams


def _settled(upstream: Upstream) -> list[Told]:
    """Return the journal once nothing of it is open."""
    limit = time.monotonic() + SETTLED_S
    while time.monotonic() < limit:
        told = upstream.journal().streams
        if all(one.done or one.closed_at is not None for one in told):
            return told
        time.sleep(0.1)
    raise BrokenRunError("the provider was never left")


MEASURE = Measure(
    title="what {requests:,} requests cost",
    how=(
        f"{TEXTS} different texts that come again as words do (Zipf), {AT_ONCE} at a time; one answer in "
        f"{RUNAWAY_EVERY} runs on to {RUNAWAY:,} tokens instead of {CHUNKS}, one reader in {LEAVER_EVERY} "
        f"leaves after {LEAVES_AFTER_S} s. Tokens are the provider's own: prompts as sent, chunks as "
        f"written; the price is that of {MODEL}. A memory of translations is not among the savings yet"
    ),
    columns=lambda _: (
        Column(key="calls", heading="calls to the provider"),
        Column(key="input", heading="1,000 tokens in", digits=1),
        Column(key="output", heading="1,000 tokens out", digits=1),
        Column(key="cents", heading="US cents", digits=2),
        Column(key="free", heading="% of streams for nothing", digits=0),
    ),
    take=lambda _relay, _upstream, _scale: {},
    rows=rows,
)
