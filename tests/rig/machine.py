"""A machine that does whatever it likes: streams, cuts, cancels, repeats, and deaths, in any order.

Each run is one house's life for some seconds; at its end all is healed, every reader knows its
fate, and the judge looks at all of it. Nothing here expects anything but that the judge is content.
"""

from contextlib import suppress
from random import Random
from typing import ClassVar

import gevent
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.rig.clients import NDJSON, SSE, Reader
from tests.rig.house import House, Member
from tests.rig.rig import PROMPT, BrokenPromiseError, Rig

KINDS = ["ok:30", "paced:60:20", "paced:150:20", "paced:40:100"]
POLICIES: list[str | float] = ["cancel", "finish", 5.0]
PROMISES = ("R1", "R2", "R3", "R4", "R9", "R10", "R11", "R14", "R17", "R25")
SHORT_FREEZE_S = 3.0  # a lease of six seconds was renewed in the last two
ANY = st.integers(0, 1_000)


class Chaos(RuleBasedStateMachine):
    """What may happen; ``house`` is where, and lives longer than one run."""

    house: ClassVar[House]
    judged: ClassVar[int] = 0

    @initialize(chance=ANY)
    def move_in(self, chance: int) -> None:
        """Begin with a house in which all is well."""
        self.rig = Rig(self.house, Random(chance))
        self.readers: list[Reader] = []
        self.stopping: list[Member] = []
        self.freezing: list[gevent.Greenlet] = []
        self.redis = True
        self.history: list[str] = []

    def one(self, which: int) -> Reader:
        """Return one of the readers."""
        return self.readers[which % len(self.readers)]

    def member(self, which: int) -> Member:
        """Return one of the processes."""
        return self.house.members[which % len(self.house.members)]

    def any_streams(self) -> bool:
        """Tell whether somebody reads."""
        return bool(self.readers)

    @rule(
        kind=st.sampled_from(KINDS),
        policy=st.sampled_from(POLICIES),
        encoding=st.sampled_from([NDJSON, SSE]),
        use_case=st.sampled_from(["relay", "relay-again"]),
        several=st.integers(1, 4),
    )
    def start(self, kind: str, policy: str | float, encoding: str, use_case: str, several: int) -> None:
        """Some streams begin, at any process."""
        self.history.append(f"start {several} {use_case} {kind} {policy}")
        for _ in range(several):
            options = {"on_disconnect": policy}
            self.readers.append(self.rig.reader(kind, encoding=encoding, use_case=use_case, options=options))

    @rule(kind=st.sampled_from(KINDS), times=st.integers(2, 4))
    def race(self, kind: str, times: int) -> None:
        """The same is asked for with the same key, again and again, at any process."""
        self.history.append(f"race {times} {kind}")
        model = self.rig.model(kind)
        for _ in range(times):
            key = f"a key of its own for {model}"
            reader = Reader(
                self.house.ports, Random(self.rig.random.random()), model, prompt=PROMPT, key=key,
                options={"on_disconnect": "finish"},
            )  # fmt: skip
            self.rig.readers.append(reader.start())

    @precondition(any_streams)
    @rule(which=ANY)
    def join(self, which: int) -> None:
        """Somebody else reads along."""
        self.history.append("join")
        if self.one(which).last:  # one that has not begun may be as long in coming as Redis is away
            self.readers.append(self.rig.also(self.one(which)))

    @precondition(any_streams)
    @rule(which=ANY, reset=st.booleans())
    def cut(self, which: int, *, reset: bool) -> None:
        """A connection breaks."""
        self.history.append(f"cut {reset}")
        self.one(which).cut(reset=reset)

    @precondition(any_streams)
    @rule(which=ANY)
    def leave(self, which: int) -> None:
        """A reader goes away."""
        self.history.append("leave")
        self.one(which).leave()

    @precondition(any_streams)
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        """A stream is stopped, from any process."""
        self.history.append("cancel")
        reader = self.one(which)
        if reader.stream:
            gevent.spawn(self.rig.quietly, reader.cancel)

    @rule(ms=st.sampled_from([20, 100, 500]))
    def time_passes(self, ms: int) -> None:
        """Others get on with it."""
        self.history.append(f"{ms} ms")
        gevent.sleep(ms / 1000)

    @rule(which=ANY)
    def kill(self, which: int) -> None:
        """A worker dies; another one is started."""
        self.history.append(f"kill {which % 2}")
        self.rig.all_crash()
        self.member(which).kill_worker()

    @precondition(lambda self: not self.freezing)
    @rule(which=ANY, seconds=st.sampled_from([0.5, 2.0, 8.0]))
    def freeze(self, which: int, seconds: float) -> None:
        """A process stands still for a while; for so long that others take its streams, or not."""
        self.history.append(f"freeze {which % 2} {seconds}")
        if seconds > SHORT_FREEZE_S:
            self.rig.all_crash()
        self.freezing.append(gevent.spawn(self.stand_still, self.member(which), seconds))

    def stand_still(self, member: Member, seconds: float) -> None:
        """Freeze a worker and let it go on, unless it was killed meanwhile."""
        with suppress(ProcessLookupError), member.frozen():
            gevent.sleep(seconds)
        if seconds > SHORT_FREEZE_S:
            self.rig.all_crash()  # those that began meanwhile, too

    @precondition(lambda self: not self.stopping)
    @rule(which=ANY)
    def stop(self, which: int) -> None:
        """A process is told to stop; it is started again when all is healed."""
        self.history.append(f"stop {which % 2}")
        if not self.redis:
            self.rig.all_crash()  # nobody can be told what it leaves behind
        self.stopping.append(self.member(which))
        self.member(which).stop()

    @precondition(lambda self: self.redis)
    @rule()
    def redis_freezes(self) -> None:
        """Redis answers nothing."""
        self.history.append("redis freezes")
        self.rig.apart = True
        self.house.redis.freeze()
        self.redis = False
        if self.stopping:
            self.rig.all_crash()

    @precondition(lambda self: not self.redis)
    @rule()
    def redis_thaws(self) -> None:
        """It answers again."""
        self.history.append("redis thaws")
        self.house.redis.thaw()
        self.redis = True

    @precondition(lambda self: self.redis)
    @rule()
    def redis_starts_anew(self) -> None:
        """It is killed, and is back at once, empty."""
        self.history.append("redis anew")
        self.rig.all_emptied()
        self.house.redis.kill()
        self.house.redis.start()

    def teardown(self) -> None:
        """Heal everything, and let the judge look at it."""
        if not hasattr(self, "rig"):
            return
        if not self.redis:
            self.house.redis.thaw()
        gevent.joinall(self.freezing)
        for member in self.stopping:
            member.gone()
        self.house.mend()
        try:
            type(self).judged += self.rig.judge()
        except BrokenPromiseError as broken:
            raise BrokenPromiseError(f"{broken}\nafter: {', '.join(self.history)}") from None


def run(house: House, number: int, *, steps: int) -> None:
    """Let it run; the same number does the same. (Hypothesis's first run is always the empty one.)"""
    Chaos.house = house
    chosen = settings(
        max_examples=2, stateful_step_count=steps, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    run_state_machine_as_test(seed(number)(Chaos), settings=chosen)
