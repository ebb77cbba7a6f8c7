"""What a store can do: values, logs, leases and sums; bytes and numbers, no verb per type.

A *value* is replaced as a whole. A *log* is a list of records, numbered from 1 without gaps,
which only grows; whoever writes it names an *epoch*, and a writer of an older epoch is
refused. A *lease* says that somebody looks after a log. When it lapses, exactly one process
can *seize* the log, which raises the epoch: so a writer that was frozen and comes back
cannot spoil what its successor has written. *Sums* are bounded while something is set aside of
them (``sums.py``).

A *group* has members, each for a time: who has a seat, what belongs to somebody.

Every name is text that encodes as UTF-8. Every verb raises ``StoreDownError``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.state.sums import Hold, Kept, Refusal, Settlement

# What a log has before anybody seized it; a log that nobody has written yet has it too, so the
# first seizure always fences its first writer.
FIRST_EPOCH = 1

# A seized log's epoch is remembered for so long at least, even if nothing is written: longer
# than any process stays frozen and still believes that it may write.
EPOCH_S = 86_400

BEGINNING = "0"  # the position before the first record of a log or an inbox


class StoreDownError(Exception):
    """The store could not be asked in time, or refused; what it did is not known."""


class FencedError(Exception):
    """Another process has taken these logs over: writing them is no longer our business."""

    def __init__(self, logs: Collection[str]) -> None:
        """Tell which; what else was asked for in the same call has been done."""
        super().__init__(f"taken over by another process: {len(logs)} log(s)")
        self.logs = frozenset(logs)


class Value(NamedTuple):
    """What ``put`` is told, for ``put_all``."""

    key: str
    value: bytes
    ttl_s: float


class Part(NamedTuple):
    """What ``append`` is told, for ``append_all``."""

    log: str
    epoch: int
    first: int
    records: Sequence[bytes]
    ttl_s: float


class Joined(NamedTuple):
    """What came of asking to join: how many members are there now, and in how many seconds the first goes."""

    joined: bool
    there: int
    free_in_s: float


class Store(Protocol):
    """State of one process, or of several.

    Times to live are seconds; zero is a moment, and ``math.inf`` a hundred years. What has
    expired is as if it had never been.
    """

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none."""
        ...

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Set a value, whatever was there."""
        ...

    def put_all(self, values: Sequence["Value"]) -> None:
        """Set many in one round trip, all or none."""
        ...

    def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float) -> bool:
        """Set a value if it still is ``old``, atomically; tell whether it was.

        ``old=None``: if nothing is there. ``new=None``: remove it.
        """
        ...

    def append(self, log: str, epoch: int, first: int, records: Sequence[bytes], ttl_s: float) -> int:
        """Store records numbered ``first``, ``first + 1``, …; return the last number stored now.

        Numbers that are there already are skipped, so a repeat is harmless. Records that would
        leave a gap are not stored: after a store came back empty the writer is told 0 and sends
        all again. No records: ask for the last number. The whole log lives for ``ttl_s`` from now.
        A higher epoch than the log's becomes the log's. All or nothing is stored.

        Raises FencedError for an epoch lower than the log's.
        """
        ...

    def append_all(self, parts: Sequence["Part"]) -> list[int | None]:
        """Append to many logs in one round trip; return ``append``'s answer to each, None if fenced.

        All parts that are not fenced are stored, or none is.
        """
        ...

    def read(self, log: str, after: int) -> list[bytes]:
        """Return the records numbered ``after + 1`` and up; none for a log that is not there."""
        ...

    def lease(self, logs: Collection[str], seconds: float) -> None:
        """Hold logs, or go on holding them, for so long from now; many in one round trip.

        A log once leased is known until it is released. A lease of ours that has lapsed can be
        held again as long as nobody has seized it.

        Raises FencedError naming those that another process holds or has let lapse: they have
        to be seized. The others are held.
        """
        ...

    def release(self, logs: Collection[str]) -> None:
        """Forget leases of ours: the logs ended properly, nobody needs to look after them."""
        ...

    def let_go(self, logs: Collection[str]) -> None:
        """Let leases of ours lapse now: another process shall take over."""
        ...

    def lapsed(self, most: int) -> list[str]:
        """Return logs whose lease ran out and which were not released, longest ago first."""
        ...

    def seize(self, log: str, seconds: float) -> int | None:
        """Take a log over if its lease has lapsed, atomically: raise its epoch, hold it, return the epoch.

        None: it is held, or released, or somebody was faster.
        """
        ...

    def join(self, group: str, member: str, ttl_s: float, most: int | None = None) -> Joined:
        """Make somebody a member for so long from now, if there are fewer than ``most``, atomically.

        Who is a member already stays one, until then.
        """
        ...

    def quit(self, group: str, members: Collection[str]) -> None:
        """Let members go; those that are none are fine."""
        ...

    def members(self, group: str, skip: int, most: int) -> list[str]:
        """Return members, those that stay longest first, without the first ``skip``, at most so many."""

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each hold asks for, in one round trip; return how much, or what stands against it.

        Each is granted as a whole or not at all, and atomically. It lapses ``lasts_s`` from now. One
        that is over already is refused: what was on its way when it ended comes too late.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> list[bool | None]:
        """End holds; add what was used to the sums. Tell of each whether it was there.

        What belongs to a hold that is not there is not added: so a repeat is harmless, and what
        has lapsed stays spent in full. False: it was over before. None: nothing is known of it, it
        was never made or the store came back empty.
        """
        ...

    def sums(self, rows: Sequence[str]) -> list[dict[str, Kept]]:
        """Return how the sums of each of these rows stand, by their fields."""
        ...

    def drop(self, rows: Collection[str]) -> None:
        """Forget these rows and all their sums; holds on them give back to nobody."""
        ...

    def reachable(self) -> bool:
        """Tell whether the store answers; raises nothing."""
        ...

    def close(self) -> None:
        """Let go of connections and files; what is stored stays."""
        ...


class Shared(Store, Protocol):
    """A store that other processes see.

    An *inbox* is written by many and read by one. Logs and inboxes share their names.
    """

    def send(self, inbox: str, message: bytes, ttl_s: float) -> None:
        """Add a message; one that is not read within ``ttl_s``, the same for all of an inbox, is lost."""
        ...

    def follow(self, after: Mapping[str, str], wait_s: float) -> list[tuple[str, str, bytes]]:
        """Wait for what comes after these positions in logs and inboxes; return it, or nothing.

        Each record comes with its name and its position, which is where to go on; ``"0"`` is
        the beginning. In a log the position is the record's number, in an inbox it is the
        store's. Records of one name come in order; there may be more than are returned.
        One call at a time per process.
        """
        ...
