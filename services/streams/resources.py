"""How much of what the process may have is in use: memory, and file descriptors.

Running out of either ends streams that run, so from 90 % on new ones are refused. Memory that was
used does not come back, though: Python's heap keeps it for what is to come. (Measured: 220 MB
at the height of 1,000 streams, and 220 MB when they had ended and were forgotten.) To refuse for
as long as much is taken would be to refuse for ever. So where memory is short, a stream is refused
if more lives in the heap than nine tenths of what lived in it when it last had to grow.

Numbers come from /proc and the control group's files, which the kernel makes up as they are read:
10 to 20 µs each. Where there is no /proc (macOS) nothing is measured.
"""

import math
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
PAGE = resource.getpagesize()
VIRTUAL, RESIDENT = 0, 1  # places in statm, proc(5)
NEAR = 0.9  # the rest is for the streams that run: they still grow
GROWTH = 0.005  # less is noise
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Bound:
    """What the process is held to, and a way to measure how much of it is used."""

    limit: int
    used: Callable[[], int]

    @property
    def share(self) -> float:
        """Return the part that is used, 1 where all is."""
        with suppress(OSError):  # a group that the process was taken out of tells nothing
            return self.used() / self.limit
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """All that is measured here; no memory where nothing can be."""

    descriptors: Sequence[Bound]
    memory: Sequence[Bound]

    @property
    def told(self) -> str:
        """Return what the log says of it at start."""
        if not self.memory:
            return "Memory cannot be measured here: no stream is refused for want of it."
        least = min(bound.limit for bound in self.memory)
        return f"New streams are refused where memory is short: from {NEAR * least / MIB:.0f} MB on."


class Resources:
    """Knows what is scarce; for a stream it looks at most every ``LOOK_EVERY_S``, however often asked.

    ``live`` counts what lives in the heap. ``relieve`` is called where memory is short and the heap
    grew once more: to let go what can be spared.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        monotonic: Callable[[], float],
        relieve: Callable[[], None],
        live: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._bounds = bounds
        self._monotonic = monotonic
        self._relieve = relieve
        self._live = live
        self._at_rest = math.inf  # the least that was seen alive: what starting threw away is no measure
        self._held = 0.0
        self._height = 0.0
        self._looked = -math.inf
        self._scarce: str | None = None

    @property
    def scarce(self) -> str | None:
        """Return what is too scarce for one more stream: "descriptors", "memory", or None."""
        now = self._monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._scarce = self._look()
        return self._scarce

    @property
    def taken(self) -> bool:
        """Tell whether nine tenths of the memory are taken right now, be it by gaps in the heap.

        For what is large: it does not fit into the gaps that many small things have left, and what
        it took is given back when it goes, so that each look may find something else.
        """
        return _most(self._bounds.memory) >= NEAR

    def _look(self) -> str | None:
        lives = self._live()
        self._at_rest = min(self._at_rest, lives)
        self._held = max(self._held, lives)
        if _most(self._bounds.descriptors) >= NEAR:
            return "descriptors"
        share = _most(self._bounds.memory)
        if share < NEAR:
            return None
        if share >= self._height + GROWTH:  # it holds less than it did, or more lives than ever
            self._height, self._held = share, max(lives, self._nearly_held)
            self._relieve()
        return "memory" if lives >= self._nearly_held else None

    @property
    def _nearly_held(self) -> float:
        """Return nine tenths of what the heap is known to hold, above what is always there."""
        return self._at_rest + NEAR * (self._held - self._at_rest)


def resident_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory this process takes; None where that cannot be measured."""
    with suppress(OSError):
        return _pages(root / "proc/self", RESIDENT)
    return None


def _most(bounds: Sequence[Bound]) -> float:
    return max((bound.share for bound in bounds), default=0.0)


def bounds(max_memory_mb: int | None, root: Path = Path("/")) -> Bounds:
    """Return what this process is held to.

    Memory is held to ``max_memory_mb`` if given, else to the machine's, to RLIMIT_AS, and to what
    its control groups allow; there all their processes count, ours or not.
    """
    process = root / "proc/self"
    if not (process / "statm").exists():
        return Bounds(descriptors=(), memory=())
    descriptors = _rlimit(resource.RLIMIT_NOFILE, lambda: _descriptors(process / "fd"))
    return Bounds(descriptors=descriptors, memory=_memory(max_memory_mb, root, process))


def _memory(max_memory_mb: int | None, root: Path, process: Path) -> list[Bound]:
    if max_memory_mb is not None:
        return [Bound(max_memory_mb * MIB, lambda: _pages(process, RESIDENT))]
    machine = Bound(os.sysconf("SC_PHYS_PAGES") * PAGE, lambda: _pages(process, RESIDENT))
    space = _rlimit(resource.RLIMIT_AS, lambda: _pages(process, VIRTUAL))
    groups = (group for group in _groups(root) if group.limit < machine.limit)
    return [machine, *space, *groups]


def _rlimit(number: int, used: Callable[[], int]) -> list[Bound]:
    limit, _ = resource.getrlimit(number)
    return [] if limit == resource.RLIM_INFINITY else [Bound(limit, used)]


def _descriptors(folder: Path) -> int:
    """Count them: since Linux 6.2 as the folder's size; before, a list of 4,000 takes 1.5 ms."""
    return folder.stat().st_size or len(os.listdir(folder))  # noqa: PTH208 - names will do


def _pages(process: Path, place: int) -> int:
    return int((process / "statm").read_bytes().split()[place]) * PAGE


@dataclass(frozen=True)
class Layout:
    """How one version of control groups names its files, cgroups(7)."""

    mounted: str
    limit: str
    usage: str
    idle: str


UNIFIED = Layout("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
OLD = Layout("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _groups(root: Path) -> Iterator[Bound]:
    """Yield the limits of the process's control group and of all that it stands in."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        layout = OLD if "memory" in controllers.split(",") else UNIFIED if not controllers else None
        if layout is not None:
            top = root / layout.mounted
            group = top / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    yield from _group(folder, layout)


def _group(folder: Path, layout: Layout) -> Iterator[Bound]:
    with suppress(OSError):  # not mounted here, or the root, which has no limit
        limit = (folder / layout.limit).read_text().strip()
        if limit != "max":
            yield Bound(int(limit), lambda: _in_group(folder, layout))


def _in_group(folder: Path, layout: Layout) -> int:
    """Return what the kernel could not take back: without files that were read and are not used."""
    usage = int((folder / layout.usage).read_text())
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return usage - int(stat.get(layout.idle, 0))
