"""What the process may have, how much of it is in use, and when that is too much."""

import os
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.streams.resources import MIB, PAGE, Bound, Bounds, Resources, bounds
from tests.streams.fake_clock import FakeClock

LIMIT = 1_000
HERE = Path("/proc/self/statm")
measurable = pytest.mark.skipif(not HERE.exists(), reason="this system has no /proc")


class Process:
    """A process of which a test says how much it has taken, and how much lives in it.

    It was looked at once when it had taken nothing.
    """

    def __init__(self, *, descriptors: int = 0, lives: int = 0) -> None:
        self.clock = FakeClock()
        self.descriptors, self.taken, self.lives = descriptors, 0, lives
        self.looks = self.relieved = 0
        self.resources = Resources(
            Bounds(descriptors=[Bound(LIMIT, lambda: self.descriptors)], memory=[Bound(LIMIT, self._look)]),
            monotonic=self.clock.monotonic,
            relieve=self._relieve,
            live=lambda: self.lives,
        )
        assert self.resources.scarce == ("descriptors" if descriptors >= 900 else None)

    def _look(self) -> int:
        self.looks += 1
        return self.taken

    def _relieve(self) -> None:
        self.relieved += 1

    def at(self, taken: int, lives: int) -> str | None:
        """Tell what is scarce a while later, with so much taken and alive."""
        self.taken, self.lives = taken, lives
        self.clock.advance(1)
        return self.resources.scarce


@pytest.mark.parametrize(("taken", "scarce"), [(899, None), (900, "memory"), (5_000, "memory")])
def test_memory_is_scarce_from_nine_tenths_on(taken: int, scarce: str | None) -> None:
    """And not before."""
    assert Process().at(taken, 100) == scarce


def test_memory_that_is_kept_for_what_is_to_come_is_not_scarce() -> None:
    """A heap does not shrink: what counts is whether as much lives in it as when it grew so high."""
    process = Process()
    assert process.at(950, 100) == "memory"
    assert process.at(950, 89) is None
    assert process.at(950, 90) == "memory"


def test_what_lived_in_the_heap_before_it_was_near_counts() -> None:
    """It is known to hold nearly as much, also if it is next looked at when all have gone."""
    process = Process()
    process.at(899, 100)
    assert process.at(920, 10) is None
    assert process.at(920, 80) is None
    assert process.at(920, 81) == "memory"


def test_a_heap_that_grows_holds_a_tenth_less_than_was_thought() -> None:
    """Each time that it has grown once more."""
    process = Process()
    assert process.at(900, 100) == "memory"
    assert process.at(903, 85) is None  # that is noise
    assert process.at(905, 85) == "memory"
    assert process.at(905, 80) is None


def test_what_is_there_from_the_start_is_not_counted_as_alive() -> None:
    """Modules and tables do not end as streams do."""
    process = Process(lives=10_000)
    assert process.at(950, 10_100) == "memory"
    assert process.at(950, 10_089) is None


def test_the_least_that_was_seen_is_what_is_always_there() -> None:
    """Also if something lived at the first look that has gone since."""
    process = Process(lives=10_000)
    process.at(500, 9_000)
    process.at(899, 11_000)
    assert process.at(950, 10_619) is None
    assert process.at(950, 10_620) == "memory"


def test_a_process_that_never_was_below_its_limit_is_short() -> None:
    """Whatever else has taken the memory."""
    resources = Resources(
        Bounds(descriptors=(), memory=[Bound(1, lambda: 1)]), monotonic=FakeClock().monotonic, relieve=list
    )
    assert resources.scarce == "memory"


def test_what_can_be_spared_is_let_go_whenever_the_heap_has_grown() -> None:
    """Only where memory is short, and not again and again."""
    process = Process()
    process.at(500, 100)
    process.at(900, 100)
    process.at(900, 100)
    assert process.relieved == 1
    process.at(910, 100)
    assert process.relieved == 2


@pytest.mark.parametrize(("taken", "told"), [(899, False), (900, True)])
def test_what_is_taken_is_looked_at_each_time(taken: int, told: bool) -> None:
    """What is large takes and gives back much in a moment; gaps in the heap are no room for it."""
    process = Process(lives=100)
    process.taken, process.lives = taken, 0
    assert process.resources.taken is told
    process.taken = 0
    assert process.resources.taken is False


@pytest.mark.parametrize(("used", "scarce"), [(899, None), (900, "descriptors")])
def test_descriptors_are_scarce_from_nine_tenths_on(used: int, scarce: str | None) -> None:
    """They come back when they are closed, so their number is all that counts."""
    assert Process(descriptors=used).resources.scarce == scarce


def test_it_looks_ten_times_a_second_at_most() -> None:
    """However often it is asked."""
    process = Process()
    for _ in range(100):
        assert process.resources.scarce is None
    assert process.looks == 1
    process.clock.advance(0.1)
    assert process.resources.scarce is None
    assert process.looks == 2


def test_what_cannot_be_read_is_not_scarce() -> None:
    """A control group may be taken away from under a process."""

    def gone() -> int:
        raise FileNotFoundError

    assert Bound(1, gone).share == 0


# What there is


def machine(folder: Path, *, groups: str = "", **files: str) -> Path:
    """A root with a /proc, whose process has 3 pages of 7, and files of control groups."""
    for name, text in {
        "proc/self/statm": "7 3 1 1 0 1 0", "proc/self/cgroup": groups, "proc/self/fd/0": "",
        "proc/self/fd/1": "", **files,
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def told(found: Sequence[Bound]) -> list[tuple[int, int]]:
    return [(bound.limit, bound.used()) for bound in found]


def test_without_proc_nothing_is_measured(tmp_path: Path) -> None:
    """It is said at start, and nothing is ever scarce."""
    found = bounds(None, tmp_path)
    assert found == Bounds(descriptors=(), memory=())
    assert found.told == "Memory cannot be measured here: no stream is refused for want of it."
    assert Resources(found, monotonic=FakeClock().monotonic, relieve=list).scarce is None


def test_the_setting_is_the_only_limit_where_it_is_set(tmp_path: Path) -> None:
    """It counts the memory that is resident, in MiB."""
    groups = {"sys/fs/cgroup/memory.max": "4096", "sys/fs/cgroup/memory.current": "1"}
    found = bounds(512, machine(tmp_path, groups="0::/\n", **groups))
    assert told(found.memory) == [(512 * MIB, 3 * PAGE)]
    assert found.told == "New streams are refused where memory is short: from 461 MB on."


def test_else_it_is_the_machines_memory(tmp_path: Path) -> None:
    """All of it."""
    whole = os.sysconf("SC_PHYS_PAGES") * PAGE
    assert told(bounds(None, machine(tmp_path)).memory) == [(whole, 3 * PAGE)]


def test_the_containers_limit_counts_all_that_is_in_it(tmp_path: Path) -> None:
    """Other processes too, but not the files that the kernel only keeps because there is room."""
    files = {
        "sys/fs/cgroup/memory.max": "5000000\n",
        "sys/fs/cgroup/memory.current": "4000000\n",
        "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 1000000\n",
    }
    found = bounds(None, machine(tmp_path, groups="0::/\n", **files))
    assert told(found.memory)[1:] == [(5_000_000, 3_000_000)]


def test_every_group_above_counts(tmp_path: Path) -> None:
    """A service's slice may be smaller than the service thinks; ``max`` is no limit."""
    folder = "sys/fs/cgroup/system.slice"
    files = {
        f"{folder}/gloss.service/memory.max": "max\n",
        f"{folder}/memory.max": "5000000\n",
        f"{folder}/memory.current": "4000000\n",
        f"{folder}/memory.stat": "",
    }
    found = bounds(None, machine(tmp_path, groups="0::/system.slice/gloss.service\n", **files))
    assert told(found.memory)[1:] == [(5_000_000, 4_000_000)]


def test_the_first_version_of_control_groups_has_other_names(tmp_path: Path) -> None:
    """Its limit that is none is a number beyond all machines."""
    folder = "sys/fs/cgroup/memory"
    files = {
        f"{folder}/memory.limit_in_bytes": "9223372036854771712\n",
        f"{folder}/dyno/memory.limit_in_bytes": "5000000\n",
        f"{folder}/dyno/memory.usage_in_bytes": "4000000\n",
        f"{folder}/dyno/memory.stat": "inactive_file 5\ntotal_inactive_file 1000000\n",
    }
    groups = "5:cpu:/other\n4:memory:/dyno\n1:name=systemd:/\n"
    found = bounds(None, machine(tmp_path, groups=groups, **files))
    assert told(found.memory)[1:] == [(5_000_000, 3_000_000)]


@measurable
def test_this_process_is_measured() -> None:
    """The real files of this system."""
    found = bounds(None)
    [descriptors] = found.descriptors
    assert descriptors.limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    before = descriptors.used()
    with HERE.open(encoding="ascii"):
        assert descriptors.used() == before + 1
    resident = found.memory[0].used()
    held = bytearray(64 * MIB)
    assert found.memory[0].used() - resident > 32 * MIB
    assert len(held) == 64 * MIB


@measurable
def test_a_limit_of_the_address_space_is_one(tmp_path: Path) -> None:
    """RLIMIT_AS bounds what is mapped, used or not."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**46, before[1]))
    try:
        assert told(bounds(None, machine(tmp_path)).memory)[1:] == [(2**46, 7 * PAGE)]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
