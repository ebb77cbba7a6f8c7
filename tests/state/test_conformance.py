"""What every store promises, whatever it is made of."""

import math
from collections.abc import Iterator
from itertools import count

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.state.store import FIRST_EPOCH, FencedError, Part, Store, Value
from tests.state.houses import House

LONG = 60.0
SHORT = 0.02  # expires in it
AFTER = 0.05  # has expired by then

# One state serves all examples of a property; each takes names of its own.
same_state = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
names = map("log-{}".format, count())


@pytest.fixture
def store(house: House) -> Iterator[Store]:
    entered = house.enter()
    yield entered
    entered.close()


@pytest.fixture
def other(house: House, store: Store) -> Iterator[Store]:
    """The store of a second process."""
    entered = house.enter()
    yield entered
    entered.close()


# Values


def test_no_value(store):
    """Where nothing was put, nothing is."""
    assert store.get("a") is None


@pytest.mark.parametrize("value", [b"", b"\x00\xff\r\n", b"x" * 1_000_000], ids=["empty", "binary", "large"])
def test_value(store, other, value):
    """What one process put, another gets, byte by byte."""
    store.put("a", value, LONG)

    assert value == other.get("a")


def test_value_is_replaced(store):
    """The last one put counts."""
    store.put("a", b"1", LONG)
    store.put("a", b"2", LONG)

    assert store.get("a") == b"2"


def test_value_expires(store, house):
    """A value is gone after its time to live, and what was put anew lives anew."""
    store.put("a", b"1", SHORT)
    store.put("b", b"1", SHORT)
    store.put("b", b"2", LONG)
    house.pass_time(AFTER)

    assert (store.get("a"), store.get("b")) == (None, b"2")


def test_value_for_ever(store):
    """A value may live for ever."""
    store.put("a", b"1", math.inf)

    assert store.get("a") == b"1"


def test_value_for_no_time(store, house):
    """A time to live of zero is a short one, not an error."""
    store.put("a", b"1", 0)
    house.pass_time(AFTER)

    assert store.get("a") is None


@pytest.mark.parametrize(
    ("there", "old", "new", "then"),
    [
        (None, None, b"1", b"1"),
        (None, b"0", b"1", None),
        (None, None, None, None),
        (b"0", b"0", b"1", b"1"),
        (b"0", None, b"1", b"0"),
        (b"0", b"9", b"1", b"0"),
        (b"0", b"0", None, None),
        (b"0", b"9", None, b"0"),
        (b"", None, b"1", b""),
        (b"", b"", b"1", b"1"),
        (b"0", b"0", b"", b""),
    ],
)
def test_swap(store, there, old, new, then):
    """A value is set if it still is what it was, nothing and empty being two things."""
    if there is not None:
        store.put("a", there, LONG)

    assert store.swap("a", old, new, LONG) is (old == there)
    assert then == store.get("a")


def test_swap_of_what_expired(store, house):
    """What has expired is not there; what is swapped in lives as long as it was told to."""
    store.put("a", b"0", SHORT)
    house.pass_time(AFTER)

    assert not store.swap("a", b"0", b"1", LONG)
    assert store.swap("a", None, b"1", SHORT)
    house.pass_time(AFTER)
    assert store.get("a") is None


def test_swap_is_atomic(store, other):
    """Fifty greenlets of two processes that count by swapping miss nobody."""

    def count_up(mine: Store) -> None:
        for _ in range(4):
            old = mine.get("n")
            while not mine.swap("n", old, b"%d" % (int(old or 0) + 1), LONG):
                old = mine.get("n")

    gevent.joinall([gevent.spawn(count_up, (store, other)[one % 2]) for one in range(50)], raise_error=True)

    assert store.get("n") == b"200"


def test_names_apart(store):
    """A value, a log and a lease of one name are three things."""
    store.put("a", b"value", LONG)
    store.append("a", 1, 1, [b"record"], LONG)
    store.lease(["a"], LONG)

    assert (store.get("a"), store.read("a", 0)) == (b"value", [b"record"])


# Logs


def test_no_log(store):
    """A log that nobody wrote has no records."""
    assert store.read("a", 0) == []


@pytest.mark.parametrize("after", [0, 1, 3, 4, 99])
def test_read(store, other, after):
    """Reading gives what comes after a number."""
    records = [b"", b"two", b"\x00\xff", b"four"]
    store.append("a", 1, 1, records, LONG)

    assert records[after:] == other.read("a", after)


def test_long_log(store):
    """A log of many records is read as a whole."""
    records = [b"%d" % number for number in range(1, 5001)]
    store.append("a", 1, 1, records, LONG)

    assert records == store.read("a", 0)


def test_append_tells_last_number(store):
    """Appending returns the last number stored; with nothing to append it only asks."""
    assert store.append("a", 1, 1, [], LONG) == 0
    assert store.append("a", 1, 1, [b"1", b"2"], LONG) == 2
    assert store.append("a", 1, 3, [b"3"], LONG) == 3
    assert store.append("a", 1, 4, [], LONG) == 3


def test_append_again(store):
    """Numbers that are there are skipped, and stay what they are."""
    store.append("a", 1, 1, [b"1", b"2"], LONG)

    assert store.append("a", 1, 1, [b"x", b"y"], LONG) == 2
    assert store.append("a", 1, 2, [b"x", b"3"], LONG) == 3
    assert store.read("a", 0) == [b"1", b"2", b"3"]


def test_append_with_gap(store):
    """What would leave a gap is not stored, and the writer learns where to begin."""
    assert store.append("a", 1, 7, [b"7"], LONG) == 0
    store.append("a", 1, 1, [b"1"], LONG)

    assert store.append("a", 1, 3, [b"3"], LONG) == 1
    assert store.read("a", 0) == [b"1"]


def test_log_expires_as_a_whole(store, house):
    """A log lives from its last append on, all records as long as the last one."""
    store.append("a", 1, 1, [b"1"], SHORT)
    store.append("a", 1, 2, [b"2"], LONG)
    store.append("b", 1, 1, [b"1"], LONG)
    store.append("b", 1, 2, [b"2"], SHORT)
    house.pass_time(AFTER)

    assert (store.read("a", 0), store.read("b", 0)) == ([b"1", b"2"], [])


def test_append_after_expiry(store, house):
    """A log that expired is empty: its writer is told 0."""
    store.append("a", 1, 1, [b"1"], SHORT)
    house.pass_time(AFTER)

    assert store.append("a", 1, 2, [b"2"], LONG) == 0


def test_epoch_of_a_log_that_expired(store, house):
    """A log that expired and was never seized has forgotten its epoch."""
    store.append("a", 5, 1, [b"1"], SHORT)
    house.pass_time(AFTER)

    assert store.append("a", FIRST_EPOCH, 1, [b"1"], LONG) == 1


def test_repeat_keeps_alive(store, house):
    """An append that stores nothing new lets the log live on."""
    store.append("a", 1, 1, [b"1"], SHORT)
    store.append("a", 1, 1, [b"1"], LONG)
    house.pass_time(AFTER)

    assert store.read("a", 0) == [b"1"]


def test_lower_epoch(store, other):
    """A writer of an older epoch is refused, and nothing of it is stored."""
    store.append("a", 2, 1, [b"1"], LONG)

    with pytest.raises(FencedError) as refused:
        other.append("a", 1, 2, [b"x"], LONG)
    assert refused.value.logs == {"a"}
    assert store.read("a", 0) == [b"1"]


def test_higher_epoch(store, other):
    """A writer of a newer epoch goes on with the log, even with nothing to say yet."""
    store.append("a", 1, 1, [b"1"], LONG)

    assert other.append("a", 5, 2, [], LONG) == 1
    with pytest.raises(FencedError):
        store.append("a", 4, 2, [b"x"], LONG)
    assert other.append("a", 5, 2, [b"2"], LONG) == 2


@same_state
@given(pieces=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)), max_size=12))
def test_numbers_have_no_gaps(store, pieces):
    """Whatever overlaps and gaps are appended, the log is numbered without gaps."""
    log = next(names)
    expected = 0
    for first, length in pieces:
        if first <= expected + 1:
            expected = max(expected, first + length - 1)
        records = [b"%d" % number for number in range(first, first + length)]
        assert store.append(log, 1, first, records, LONG) == expected

    assert store.read(log, 0) == [b"%d" % number for number in range(1, expected + 1)]


@same_state
@given(turns=st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(1, 3)), max_size=12))
def test_epochs(store, other, turns):
    """However writers of several epochs mix, none gets a word in after a newer one, and none is split."""
    log = next(names)
    newest, expected = FIRST_EPOCH, []
    for epoch, length in turns:
        records = [b"%d" % epoch] * length
        writer = (store, other)[epoch % 2]
        if epoch < newest:
            with pytest.raises(FencedError):
                writer.append(log, epoch, len(expected) + 1, records, LONG)
        else:
            writer.append(log, epoch, len(expected) + 1, records, LONG)
            newest, expected = epoch, expected + records

    assert store.read(log, 0) == expected


# Leases


def test_lease_is_held(store, other):
    """A log that is leased cannot be seized, by anybody."""
    store.lease(["a"], LONG)

    assert (store.lapsed(9), store.seize("a", LONG)) == ([], None)


def test_lease_lapses(store, house):
    """A lease that is not renewed in time lapses; one that is does not."""
    store.lease(["a", "b"], SHORT)
    store.lease(["b"], LONG)
    house.pass_time(AFTER)

    assert store.lapsed(9) == ["a"]


def test_lapsed_in_order(store, house):
    """Lapsed leases are told in the order in which they lapsed, as many as are asked for."""
    store.lease(["a", "b", "c"], LONG)
    for log in ("b", "c", "a"):
        store.lease([log], SHORT)
        house.pass_time(AFTER)

    assert (store.lapsed(2), store.lapsed(9)) == (["b", "c"], ["b", "c", "a"])


def test_lease_of_nothing(store):
    """No logs at all are no error."""
    store.lease([], LONG)
    store.release([])
    store.let_go([])

    assert store.lapsed(9) == []


def test_lease_again(store, house):
    """A lease of ours that lapsed is held again if nobody has seized it."""
    store.lease(["a"], SHORT)
    house.pass_time(AFTER)
    store.lease(["a"], LONG)

    assert (store.lapsed(9), store.seize("a", LONG)) == ([], None)


def test_release(store, house):
    """What ended properly is forgotten, whether its lease had lapsed or not."""
    store.lease(["a", "b"], SHORT)
    store.release(["a"])
    house.pass_time(AFTER)
    store.release(["b", "never-leased"])

    assert (store.lapsed(9), store.seize("a", LONG), store.seize("b", LONG)) == ([], None, None)


def test_let_go(store, other):
    """What was let go of has lapsed now, and another process can seize it."""
    store.lease(["a", "b"], LONG)
    store.let_go(["a", "never-leased"])

    assert other.lapsed(9)[:1] == ["a"]
    assert other.seize("a", LONG) == FIRST_EPOCH + 1


def test_seize(store, other, house):
    """Who seizes a lapsed log holds it, in an epoch that fences the writer before."""
    store.lease(["a"], SHORT)
    store.append("a", FIRST_EPOCH, 1, [b"1"], LONG)
    house.pass_time(AFTER)
    epoch = other.seize("a", LONG)

    with pytest.raises(FencedError):
        store.append("a", FIRST_EPOCH, 2, [b"x"], LONG)
    assert other.append("a", epoch, 2, [b"2"], LONG) == 2
    assert (other.read("a", 0), other.lapsed(9)) == ([b"1", b"2"], [])


def test_seize_before_first_record(store, other, house):
    """A writer that lost its lease before it wrote anything is fenced too."""
    store.lease(["a"], SHORT)
    house.pass_time(AFTER)

    assert other.seize("a", LONG) > FIRST_EPOCH
    with pytest.raises(FencedError):
        store.append("a", FIRST_EPOCH, 1, [b"x"], LONG)


def test_seize_twice(store, other, house):
    """Each seizure raises the epoch."""
    store.lease(["a"], SHORT)
    house.pass_time(AFTER)
    first = other.seize("a", SHORT)
    house.pass_time(AFTER)

    assert store.seize("a", LONG) > first


def test_epoch_outlives_log(store, other, house):
    """A fenced writer stays fenced when its log has expired."""
    store.lease(["a"], SHORT)
    store.append("a", FIRST_EPOCH, 1, [b"1"], SHORT)
    house.pass_time(AFTER)
    epoch = other.seize("a", LONG)
    other.append("a", epoch, 2, [b"2"], SHORT)
    house.pass_time(AFTER)

    with pytest.raises(FencedError):
        store.append("a", FIRST_EPOCH, 2, [b"x"], LONG)


def test_seize_races(store, other, house):
    """Of many who seize a log at once, one gets it."""
    processes = (store, other) if house.shared else (store,)
    store.lease(["a"], SHORT)
    house.pass_time(AFTER)
    racers = [gevent.spawn(processes[one % len(processes)].seize, "a", LONG) for one in range(20)]
    gevent.joinall(racers, raise_error=True)

    assert [epoch for racer in racers if (epoch := racer.value)] == [FIRST_EPOCH + 1]


def test_seize_unknown(store):
    """What was never leased cannot be seized."""
    assert store.seize("a", LONG) is None


def test_lease_of_another(store, other, house):
    """A log that another process took over is named; the others are held."""
    store.lease(["a", "b", "c"], SHORT)
    house.pass_time(AFTER)
    other.seize("b", SHORT)

    with pytest.raises(FencedError) as refused:
        store.lease(["a", "b", "c"], LONG)
    assert refused.value.logs == {"b"}
    house.pass_time(AFTER)
    assert store.lapsed(9) == ["b"]


def test_release_of_another(store, other, house):
    """Who lost a log can neither release it nor let go of it."""
    store.lease(["a"], SHORT)
    house.pass_time(AFTER)
    other.seize("a", SHORT)
    store.release(["a"])
    house.pass_time(AFTER)
    assert other.lapsed(9) == ["a"]

    other.lease(["a"], LONG)
    store.let_go(["a"])
    assert other.lapsed(9) == []


# All


def test_reachable(store):
    """A store that answers says so."""
    assert store.reachable() is True


def test_put_all(store):
    """Many values are set at once, or none are to be."""
    store.put("a", b"old", LONG)
    store.put_all([Value("a", b"1", LONG), Value("b", b"", LONG)])
    store.put_all([])
    assert [store.get(key) for key in "abc"] == [b"1", b"", None]


def test_append_all(store):
    """Many logs are appended to at once: each is answered as ``append`` answers, None where it is fenced."""
    store.append("b", 1, 1, [b"1"], LONG)
    store.append("c", 3, 1, [], LONG)
    parts = [
        Part("a", 1, 1, [b"1", b"2"], LONG),
        Part("b", 1, 1, [b"x", b"2"], LONG),
        Part("c", 2, 1, [b"x"], LONG),
        Part("d", 1, 5, [b"5"], LONG),
        Part("e", 1, 1, [], LONG),
    ]
    assert store.append_all(parts) == [2, 2, None, 0, 0]
    assert [store.read(name, 0) for name in "abcd"] == [[b"1", b"2"], [b"1", b"2"], [], []]


def test_append_nothing(store):
    """No parts, no answers."""
    assert store.append_all([]) == []


# Groups


def test_group_has_room(store, other):
    """Members join until there are as many as may be, in all processes together."""
    joined = [at.join("g", name, LONG, 2) for at, name in ((store, "a"), (other, "b"), (store, "c"))]

    assert [one.joined for one in joined] == [True, True, False]
    assert [one.there for one in joined] == [1, 2, 2]


def test_group_member_stays(store):
    """Who is in stays in, also where there is no room for others."""
    store.join("g", "a", LONG, 1)

    assert store.join("g", "a", LONG, 1) == (True, 1, pytest.approx(LONG, abs=1))


def test_group_place_of_one_that_went(store, house):
    """Others may stay: the place of who went is free all the same."""
    store.join("g", "a", SHORT, 2)
    store.join("g", "b", LONG, 2)
    house.pass_time(AFTER)

    assert store.join("g", "c", LONG, 2) == (True, 2, pytest.approx(LONG, abs=1))


def test_group_without_limit(store):
    """Where nobody names a limit there is none."""
    assert [store.join("g", str(name), LONG).joined for name in range(20)] == [True] * 20


def test_group_member_goes(store, house):
    """Its time over, a member is gone, and another has its place."""
    store.join("g", "a", SHORT, 1)
    house.pass_time(AFTER)

    assert store.join("g", "b", LONG, 1).joined
    assert store.members("g", 0, 9) == ["b"]


def test_group_tells_when_the_first_goes(store):
    """So that who found no room knows when to come back."""
    store.join("g", "a", 30, 2)
    store.join("g", "b", LONG, 2)
    refused = store.join("g", "c", LONG, 2)

    assert (refused.joined, refused.free_in_s) == (False, pytest.approx(30, abs=1))


def test_group_lists_members(store, other):
    """Those that stay longest first, by pages; a member that joins again moves up."""
    for ttl_s, name in enumerate("abcd", 10):
        store.join("g", name, ttl_s)
    store.join("g", "b", LONG)

    assert other.members("g", 0, 3) == ["b", "d", "c"]
    assert other.members("g", 3, 3) == ["a"]
    assert store.members("none", 0, 3) == []


def test_group_is_left(store, other):
    """Members go when they are let go; others are none of its business."""
    for name in "ab":
        store.join("g", name, LONG)
        store.join("h", name, LONG)
    other.quit("g", ["a", "c"])
    other.quit("g", [])

    assert (store.members("g", 0, 9), len(store.members("h", 0, 9))) == (["b"], 2)


def test_group_race(store, other):
    """Of many that ask at once as many join as there is room for."""
    asking = [gevent.spawn((store, other)[n % 2].join, "g", str(n), LONG, 7) for n in range(40)]

    assert sum(one.value.joined for one in gevent.joinall(asking)) == 7
    assert len(store.members("g", 0, 99)) == 7


def test_group_for_ever(store):
    """A time without an end is a hundred years."""
    store.join("g", "a", math.inf)

    assert store.members("g", 0, 9) == ["a"]
