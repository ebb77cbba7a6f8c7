"""What every store that several processes see promises beyond the rest."""

from collections.abc import Iterator

import gevent
import pytest

from services.state.store import BEGINNING, Shared
from tests.state.houses import House
from tests.state.test_conformance import AFTER, LONG, SHORT

NOT_AT_ALL = 0.0
IN_TIME = 30.0  # nobody waits so long: what comes wakes


@pytest.fixture
def store(shared_house: House) -> Iterator[Shared]:
    entered = shared_house.enter()
    yield entered
    entered.close()


@pytest.fixture
def other(shared_house: House, store: Shared) -> Iterator[Shared]:
    """The store of a second process."""
    entered = shared_house.enter()
    yield entered
    entered.close()


def contents(found):
    return [(name, content) for name, _, content in found]


def test_live_lease_of_another(store, other):
    """A log that another process holds can neither be leased nor seized, and has not lapsed."""
    store.lease(["a"], LONG)

    assert (other.lapsed(9), other.seize("a", LONG)) == ([], None)


def test_follow_log(store, other):
    """Following gives a log's records after a number, with theirs."""
    store.append("a", 1, 1, [b"1", b"", b"\xff"], LONG)

    assert other.follow({"a": "1"}, IN_TIME) == [("a", "2", b""), ("a", "3", b"\xff")]


def test_follow_inbox(store, other):
    """Following gives an inbox's messages in the order in which they were sent, once."""
    for message in (b"1", b"", b"\xff"):
        store.send("in", message, LONG)
    found = other.follow({"in": BEGINNING}, IN_TIME)

    assert contents(found) == [("in", b"1"), ("in", b""), ("in", b"\xff")]
    assert contents(other.follow({"in": found[0][1]}, IN_TIME)) == contents(found[1:])
    assert other.follow({"in": found[-1][1]}, NOT_AT_ALL) == []


def test_follow_many(store, other):
    """What comes in several logs and inboxes is told together, each by its name."""
    store.append("a", 1, 1, [b"a"], LONG)
    store.append("b", 1, 1, [b"b"], LONG)
    store.send("in", b"m", LONG)
    names = {"a": "0", "b": "1", "c": "0", "in": BEGINNING}

    assert sorted(contents(other.follow(names, IN_TIME))) == [("a", b"a"), ("in", b"m")]


def test_follow_to_the_end(store, other):
    """Who goes on from each position gets all of a long log, without a gap or a repetition."""
    records = [b"%d" % number for number in range(1, 3001)]
    store.append("a", 1, 1, records, LONG)
    position, seen = BEGINNING, []
    while found := other.follow({"a": position}, NOT_AT_ALL):
        seen += [content for _, _, content in found]
        position = found[-1][1]

    assert (records, "3000") == (seen, position)


@pytest.mark.parametrize("what", ["append", "send"])
def test_follow_waits(store, other, what):
    """Who follows is woken by what another process writes."""
    follower = gevent.spawn(other.follow, {"a": "0", "in": BEGINNING}, IN_TIME)
    gevent.idle()
    if what == "append":
        store.append("a", 1, 1, [b"1"], LONG)
    else:
        store.send("in", b"1", LONG)

    assert contents(follower.get()) == [("a" if what == "append" else "in", b"1")]


def test_follow_hinders_nobody(store):
    """While one waits, others of the same process read and write."""
    follower = gevent.spawn(store.follow, {"in": BEGINNING}, IN_TIME)
    gevent.idle()
    store.put("a", b"1", LONG)
    assert store.get("a") == b"1"
    store.send("in", b"wake", LONG)

    assert contents(follower.get()) == [("in", b"wake")]


def test_follow_nothing(store):
    """Nothing to follow, nothing found; nothing that comes, nothing found."""
    assert store.follow({}, NOT_AT_ALL) == []
    assert store.follow({"a": "0"}, 0.01) == []


def test_follow_that_is_killed(store):
    """A follower that is killed in its wait leaves the store whole for the next."""
    follower = gevent.spawn(store.follow, {"a": "0"}, IN_TIME)
    gevent.idle()
    follower.kill()
    store.append("b", 1, 1, [b"1"], LONG)

    assert store.follow({"b": "0"}, IN_TIME) == [("b", "1", b"1")]


def test_follow_rewritten_log(store, other, shared_house):
    """In a log that expired and was sent again, a reader goes on after its number."""
    store.append("a", 1, 1, [b"1", b"2"], SHORT)
    shared_house.pass_time(AFTER)
    follower = gevent.spawn(other.follow, {"a": "2"}, IN_TIME)
    gevent.idle()
    assert store.append("a", 1, 3, [b"3"], LONG) == 0
    store.append("a", 1, 1, [b"1", b"2", b"3"], LONG)

    assert follower.get() == [("a", "3", b"3")]


def test_message_expires(store, shared_house):
    """An inbox that nobody wrote to for its time to live is empty."""
    store.send("in", b"1", SHORT)
    shared_house.pass_time(AFTER)

    assert store.follow({"in": BEGINNING}, NOT_AT_ALL) == []


def test_inbox_goes_on_after_expiry(store, shared_house):
    """Positions only grow: who has read an inbox that expired misses nothing that comes later."""
    store.send("in", b"1", SHORT)
    [(_, position, _)] = store.follow({"in": BEGINNING}, IN_TIME)
    shared_house.pass_time(AFTER)
    store.send("in", b"2", LONG)

    assert contents(store.follow({"in": position}, IN_TIME)) == [("in", b"2")]
