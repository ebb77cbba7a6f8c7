"""Processes that are told to stop, one or all, as each deploy does."""

import time

import gevent

from tests.rig.clients import JSON, Reader
from tests.rig.faults import LONG, Size, fault
from tests.rig.house import Member
from tests.rig.plain import Plain
from tests.rig.rig import Rig, promise
from tests.rig.wire import Wire, ask

AWAY_S = 5.0  # until all who can go on elsewhere are told to
GONE_S = 25.0


def stopped(rig: Rig, member: Member, readers: list[Reader]) -> None:
    """Tell a process to stop; whoever reads there must be sent on in time, and the process gone in time."""
    there = [one for one in readers if one.fate is None and one.readings[-1].port == member.port]
    began = [one.readings[-1] for one in there]
    since = time.monotonic()
    member.stop()
    promise(member.gone(GONE_S), f"the process is still there after {GONE_S} s")
    late = [one for one in began if one.over_at - since > AWAY_S or not one.over_at]
    promise(not late, f"{len(late)} of {len(began)} readers were still there after {AWAY_S} s")
    promise(
        {one.ended for one in began} <= {"drain", "end"}, f"readings ended: {[one.ended for one in began]}"
    )
    member.start()


def all_whole(readers: list[Reader]) -> None:
    """Every answer came to its proper end."""
    broken = [(one.model, one.fate, one.end) for one in readers if (one.end or {}).get("reason") != "stop"]
    promise(not broken, f"{len(broken)} of {len(readers)} streams were broken: {broken[:2]}")


@fault("SIGTERM with many live streams", "R3", "R4", "R10", house=LONG)
def told_to_stop(rig: Rig, size: Size) -> int:
    member, other = rig.random.sample(rig.house.members, 2)
    kind = "paced:240:50" if size.full else "paced:70:50"  # as long as the grace, or nearly
    readers = [rig.reader(kind, first=member.port) for _ in range(size.streams(30, 200))]
    readers += [rig.also(reader, first=port) for reader in readers[::4] for port in (member.port, other.port)]
    text = [Plain(member.port, rig.model(kind)).start() for _ in range(5)]
    in_one_piece = Plain(member.port, rig.model(kind), encoding=JSON).start()
    for reader in readers:
        reader.hears(3)
    stopped(rig, member, readers)
    rig.house.mend()
    tries = rig.judge()
    all_whole(readers)
    promise(
        all(one.clean for one in [*text, in_one_piece]),
        "an answer that cannot resume was cut within the grace",
    )
    return tries


@fault("SIGTERM with streams longer than the grace", "R1", "R2", "R3", "R4", "R10")
def outlived(rig: Rig, size: Size) -> int:
    member = rig.random.choice(rig.house.members)
    count = size.streams(6, 20)
    again = [rig.reader("paced:160:50", use_case="relay-again", first=member.port) for _ in range(count)]
    once = [rig.reader("paced:160:50", first=member.port) for _ in range(count)]
    text = [Plain(member.port, rig.model("paced:160:50")).start() for _ in range(3)]
    in_one_piece = Plain(member.port, rig.model("paced:160:50"), encoding=JSON).start()
    for reader in [*again, *once]:
        reader.hears(3)
    stopped(rig, member, [*again, *once])
    rig.house.mend()
    tries = rig.judge()
    all_whole(again)
    problems = {(one.end or {}).get("problem", {}).get("type") for one in once}
    promise(problems == {"/problems/shutting-down"}, f"streams that cannot be recovered: {problems}")
    promise(not any(one.clean for one in text), "half a text ended in order")
    promise(in_one_piece.status == 503, f"JSON was answered {in_one_piece.status}")
    return tries


@fault("SIGTERM before the first token, twice, and to whoever asks meanwhile", "R10")
def in_each_phase(rig: Rig, size: Size) -> int:
    member = rig.random.choice(rig.house.members)
    gate = f"gate-{rig.random.random()}"
    waiting = rig.reader(f"fault/stall:0:{gate}", first=member.port)
    said = rig.reader(f"fault/stall:3:{gate}", first=member.port)
    waiting.hears(1)
    said.hears(4)
    with Wire(member.port) as idle:
        idle.send("GET", "/healthz").answer()
        member.stop()
        idle.ended()
    member.stop()  # twice
    with Wire(member.port) as late:
        status, headers = late.send("POST", "/v1/relay", {"prompt": "x"}, Accept=JSON).head()
    promise((status, "retry-after" in headers) == (503, True), f"a POST was answered {status}")
    promise(ask(member.port, "GET", "/readyz")[0] == 503, "a process that stops says that it is ready")
    rig.house.upstream.gate(gate)
    promise(member.gone(GONE_S), "it is still there")
    rig.house.mend()
    tries = rig.judge()
    all_whole([waiting, said])
    return tries


@fault("SIGTERM to all processes at once, and new ones started when they are gone", "R2", "R3", "R4", "R10")
def all_told_to_stop(rig: Rig, size: Size) -> int:
    """Nobody is there to send readers to: they come back until somebody lets them in."""
    count = size.streams(4, 15)
    again = [rig.reader("paced:160:50", use_case="relay-again") for _ in range(count)]
    short = [rig.reader("paced:40:50") for _ in range(count)]
    for reader in [*again, *short]:
        reader.hears(3)
    for member in rig.house.members:
        member.stop()
    for member in rig.house.members:
        promise(member.gone(GONE_S), f"a process is still there after {GONE_S} s")
    rig.house.mend()
    tries = rig.judge()
    all_whole([*again, *short])
    return tries


@fault("rolling restart under load", "R3", "R4", "R10")
def rolled(rig: Rig, size: Size) -> int:
    readers: list[Reader] = []
    going = True

    def load() -> None:
        while going:
            again = rig.random.random() < 0.2
            kind, use_case = ("paced:140:50", "relay-again") if again else ("paced:30:50", "relay")
            readers.append(rig.reader(kind, use_case=use_case))
            gevent.sleep(1 / size.streams(4, 10))

    loading = gevent.spawn(load)
    for member in rig.house.members:
        readers[-1].hears(3) if readers else gevent.sleep(0.5)
        stopped(rig, member, readers)
        member.ready()
    going = False
    loading.join()
    tries = rig.judge()
    all_whole(readers)
    return tries
