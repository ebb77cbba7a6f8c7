"""Many streams at once against a budget for a few, and what the provider's journal says of it.

``python -m tests.live.spree [runs]`` prints one line for each run: with SQLite, and with Redis and two
workers; left alone, and with a worker killed in the middle of it.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cost.history import History
from services.state.choice import FILE
from services.state.database import Database
from services.state.redis import RedisStore
from services.state.sqlite import SqliteStore
from services.state.store import Store
from tests.live.http import BrokenOffError
from tests.live.service import Service, serving
from tests.redis_server import redis_server
from tests.rig.bills import bill
from tests.upstream.fixtures import Upstream, running

STREAMS, ANSWERS = 200, 20
CAP = 60  # tokens of output that each stream may have
PROMPT = "word " * 2 * CAP  # which the upstream says again: as many tokens as words, and more than the cap
AT_MOST = 143  # what its prompt may weigh: counted here, and a tenth more for an unknown vocabulary
BUDGET = ANSWERS * (AT_MOST + CAP)
DEADLINE_S = 5.0
STORES = ("sqlite", "redis")
OVER_S = 60.0  # by then nothing is held any more
ECHO = "echo"  # answers that are cut at the cap
PACED = "paced:20:20"  # words of two or three tokens: an answer within the cap, with usage at its end


@dataclass
class Outcome:
    """What came of it, in tokens.

    ``journal`` is what the provider charges, ``reported`` the part of it of requests that it answered to
    their end; ``asked`` is what it was asked for at most; ``told`` what the streams' ends told of;
    ``used`` stands in the ledger, of which ``lost`` is reserved for streams that died.
    """

    ends: Counter[str] = field(default_factory=Counter)
    journal: int = 0
    reported: int = 0
    asked: int = 0
    told: int = 0
    used: int = 0
    lost: int = 0
    reserved: int = 0

    def __str__(self) -> str:
        """Return it on one line."""
        ends = ", ".join(f"{end} {number}" for end, number in sorted(self.ends.items()))
        return (
            f"budget {BUDGET}, asked for {self.asked}, journal {self.journal}; "
            f"ledger {self.used} (lost {self.lost}), reserved {self.reserved}; {ends}"
        )

    def broken(self, pace: str, *, killed: bool) -> list[str]:
        """Return what of the promises does not hold; empty is right."""
        cut_here = pace == ECHO  # before the provider could say what it counted
        known = self.used - self.lost
        right = {
            "never more than the budget": self.journal <= self.used <= BUDGET,
            "nothing stays reserved": self.reserved == 0,
            "all that was told is charged": self.told <= known,
            "what was reported is charged as it was": cut_here or known <= self.reported,
            "nothing is lost": killed or self.used == self.told,
        }
        return [promise for promise, holds in right.items() if not holds]


def spend(service: Service, upstream: Upstream, named: str, *, kill: int = 0) -> Outcome:
    """Start all streams at once, and look when nothing runs any more; ``kill`` so many workers on the way."""
    outcome, started = Outcome(), threading.Barrier(STREAMS + 1)
    with ThreadPoolExecutor(STREAMS) as pool:
        ends = [pool.submit(_one, service, named, started) for _ in range(STREAMS)]
        started.wait()
        if kill:
            upstream.journal(named, begun=ANSWERS // 2)  # some are under way
            _kill(service, kill)
        for end in ends:
            reason, used = end.result()
            outcome.ends[reason] += 1
            outcome.told += used
    _look(service, outcome)
    outcome.lost = _lost(service)
    attempts = upstream.journal(named)
    outcome.journal = sum(map(bill, attempts))
    outcome.asked = sum(bill({**one, "tokens": one["asked"]["max_tokens"]}) for one in attempts)
    outcome.reported = sum(bill(one) for one in attempts if one["ended"] == "upstream")
    return outcome


def _one(service: Service, named: str, started: threading.Barrier) -> tuple[str, int]:
    """Return how one stream ended, and what it was told that it used."""
    body = {
        "prompt": PROMPT,
        "options": {"model": named, "max_output_tokens": CAP, "on_disconnect": "finish"},
    }
    with service.connect() as client:
        started.wait()
        try:
            head, lines = client.post("/v1/relay", body, accept="application/x-ndjson").answer()
        except (BrokenOffError, OSError):
            return "cut", 0
    try:
        last = json.loads(lines.strip().splitlines()[-1] if head.status == 200 else lines)
    except (ValueError, IndexError):  # a worker that died in the middle of its answer
        return f"{head.status} without an end", 0
    if head.status != 200:
        return f"{head.status} {last['type'].removeprefix('/problems/')}", 0
    usage = last["usage"]
    reason = last.get("reason") or last["problem"]["type"].removeprefix("/problems/")
    return reason, usage["input_tokens"] + usage["output_tokens"]


def _look(service: Service, outcome: Outcome) -> None:
    """Ask for what was used, until nothing is reserved any more."""
    until = time.monotonic() + OVER_S
    while time.monotonic() < until:
        with suppress(OSError, BrokenOffError), service.connect() as client:
            head, body = client.send("GET", "/v1/usage").answer()
            if head.status != 200:
                continue  # the store was too slow to answer
            told = json.loads(body)
            outcome.used, outcome.reserved = told["day"]["tokens"], told["reserved_tokens"]
            if not outcome.reserved and not told["open_streams"]:
                return
        time.sleep(0.2)


def _lost(service: Service) -> int:
    """Return what stands in the history as lost."""
    url = service.env.get("REDIS_URL")
    store: Store = RedisStore(url) if url else SqliteStore(Database(Path(service.env["GLOSS_DATA"]) / FILE))
    try:
        today = datetime.now(UTC).date()
        lines = History(store, lambda: None).lines(today - timedelta(days=1), today)
        return sum(line.lost for line in lines)
    finally:
        store.close()


def _kill(service: Service, workers: int) -> None:
    for pid in re.findall(r"Booting worker with pid: (\d+)", service.log)[-workers:]:
        os.kill(int(pid), signal.SIGKILL)


@contextmanager
def house(store: str) -> Iterator[tuple[Service, Upstream]]:
    """Run the service over a new store: ``sqlite``, or ``redis`` with two workers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gloss-spree-")))
        upstream = stack.enter_context(running())
        env = {"GLOSS_TOKENS_PER_DAY": str(BUDGET), "GLOSS_DEADLINE_S": str(DEADLINE_S), "GLOSS_MODELS": "*"}
        if store == "redis":
            env |= {"REDIS_URL": stack.enter_context(redis_server()).url, "WEB_CONCURRENCY": "2"}
            env["GLOSS_STORE_CALL_S"] = "2"  # the clients of this process keep the machine busy
        service = stack.enter_context(
            serving(
                folder,
                OPENAI_BASE_URL=upstream.base_url,
                OPENAI_API_KEY="sk-of-the-tests",
                GLOSS_MODEL="ok:5",
                GLOSS_RETRIES_PER_MINUTE="100000",
                **env,
            )
        )
        yield service, upstream


def main() -> None:
    """Run all kinds, so many times each; leave with an error where one run broke a promise."""
    runs, failed = int(sys.argv[1]) if len(sys.argv) > 1 else 20, 0
    for store in STORES:
        for kill in (0, 1):
            for run in range(1, runs + 1):
                pace, killed = (PACED, kill + run % 2) if kill else ((ECHO, PACED)[run % 2], 0)
                with house(store) as (service, upstream):
                    outcome = spend(service, upstream, pace, kill=killed)
                broken = outcome.broken(pace, killed=killed > 0)
                failed += bool(broken)
                what = f"{store}{f', kill -9 of {killed}' if killed else ''} {run}"
                print(f"{', '.join(broken) or 'ok':6} {what:24} {outcome}", flush=True)  # noqa: T201
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
