"""What only the store in Redis promises: what happens when Redis does not do as it should."""

import subprocess
import sys
from collections.abc import Iterator

import gevent
import pytest

from services.state.breaker import REST_S, RefusedError
from services.state.redis import RedisStore
from services.state.store import BEGINNING, FIRST_EPOCH, FencedError, StoreDownError
from services.state.sums import Hold, Settlement, Sum
from tests.proxy.fixtures import ROOT, proxied
from tests.redis_server import RedisServer, redis_server
from tests.state.counting import count_up
from tests.state.failures import failure_of
from tests.streams.fake_clock import FakeClock

LONG = 60.0
IN_TIME = 30.0


class House:
    """A server to do harm to, a store on it, and the clock of the store's rests."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.clock = FakeClock()
        self.store = RedisStore(server.url, monotonic=self.clock.monotonic)

    def rest(self) -> None:
        """Let the time pass in which the store asks nothing."""
        self.clock.advance(REST_S)


@pytest.fixture
def house(own_redis: RedisServer) -> Iterator[House]:
    made = House(own_redis)
    made.store.put("a", b"1", LONG)
    made.store.put("b", b"2", LONG)
    yield made
    made.store.close()


def verbs(store: RedisStore) -> list:
    """Every verb but ``follow``, as calls without arguments."""
    return [
        lambda: store.get("a"),
        lambda: store.put("a", b"1", LONG),
        lambda: store.swap("a", None, b"1", LONG),
        lambda: store.append("a", 1, 1, [b"1"], LONG),
        lambda: store.read("a", 0),
        lambda: store.lease(["a"], LONG),
        lambda: store.release(["a"]),
        lambda: store.let_go(["a"]),
        lambda: store.lapsed(9),
        lambda: store.seize("a", LONG),
        lambda: store.send("in", b"1", LONG),
        lambda: store.reserve([Hold("h", [Sum("r", "f", LONG, 1)], LONG)]),
        lambda: store.settle([Settlement("h", [])]),
        lambda: store.sums(["r"]),
    ]


def test_gone(house):
    """Where the server is gone, each verb says so, and so does the check."""
    house.server.kill()
    for verb in verbs(house.store):
        house.rest()
        with pytest.raises(StoreDownError):
            verb()

    house.rest()
    assert house.store.reachable() is False


def test_back_empty(house):
    """When it comes back empty, a writer learns it by the number and writes all again."""
    house.store.append("a", 1, 1, [b"1", b"2"], LONG)
    house.server.kill()
    with pytest.raises(StoreDownError):
        house.store.append("a", 1, 3, [b"3"], LONG)
    house.server.start()
    house.rest()

    assert house.store.append("a", 1, 3, [b"3"], LONG) == 0
    assert house.store.append("a", 1, 1, [b"1", b"2", b"3"], LONG) == 3
    assert house.store.reachable() is True


def test_restarted_while_idle(house):
    """A restart that nobody noticed fails nobody."""
    house.server.kill()
    house.server.start()

    assert house.store.get("a") is None


def test_frozen(house):
    """Where it does not answer, each verb says so in time."""
    house.server.freeze()
    for verb in verbs(house.store):
        house.rest()
        with pytest.raises(StoreDownError, match="in time"):
            verb()


@pytest.mark.parametrize(
    "call", [lambda store: store.get("a"), lambda store: store.lapsed(9)], ids=["one", "script"]
)
def test_frozen_for_many(house, call):
    """After one has waited nobody else does: a thousand calls would take minutes."""
    house.server.freeze()
    failures = [failure_of(call, house.store) for _ in range(1000)]

    assert (None in failures, house.store.reachable()) == (False, False)


def test_frozen_and_asked_at_once(house):
    """Of five hundred who ask at once, each is told in time, wherever it stands in the queue."""
    house.server.freeze()
    asking = [gevent.spawn(failure_of, house.store.get, "a") for _ in range(500)]
    gevent.joinall(asking)

    assert {type(one.value) for one in asking} == {StoreDownError}


def test_thawed(house):
    """When it goes on, everybody gets their own answer, and none that comes late."""
    house.server.freeze()
    asking = [gevent.spawn(failure_of, house.store.get, "a") for _ in range(20)]
    gevent.joinall(asking)
    house.server.thaw()
    house.rest()

    assert [house.store.get(key) for key in "bab"] == [b"2", b"1", b"2"]


def test_full(house):
    """A full server refuses what is new, and answers everything else; it does not count as down."""
    house.store.lease(["a", "b"], LONG)
    house.store.append("a", 1, 1, [b"1"], LONG)
    house.server.ask("CONFIG", "SET", "maxmemory", "1")
    house.server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    for refused in (
        lambda: house.store.put("c", b"1", LONG),
        lambda: house.store.swap("c", None, b"1", LONG),
        lambda: house.store.append("a", 1, 2, [b"2"], LONG),
        lambda: house.store.send("in", b"1", LONG),
    ):
        with pytest.raises(RefusedError):
            refused()

    assert (house.store.get("a"), house.store.read("a", 0), house.store.reachable()) == (b"1", [b"1"], True)


def test_full_spares_leases(house):
    """On a full server live logs stay held, and ended ones can be let go of."""
    house.store.lease(["a", "b", "c"], LONG)
    house.store.let_go(["a", "b", "c"])
    house.server.ask("CONFIG", "SET", "maxmemory", "1")
    house.store.lease(["a", "b"], LONG)
    house.store.release(["a"])
    house.store.let_go(["b"])

    assert sorted(house.store.lapsed(9)) == ["b", "c"]


def test_full_and_emptied(house):
    """What was refused is taken once there is room."""
    house.server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RefusedError):
        house.store.append("a", 1, 1, [b"1", b"2"], LONG)
    house.server.ask("CONFIG", "SET", "maxmemory", "0")

    assert house.store.append("a", 1, 1, [b"1", b"2"], LONG) == 2


def test_became_a_replica(house):
    """A server that became a replica is asked again by its address, which may lead elsewhere then."""
    house.server.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreDownError):
        house.store.put("a", b"1", LONG)
    assert house.server.ask("CLIENT", "LIST", "TYPE", "normal").count(b"id=") == 1  # who asks this
    house.server.ask("REPLICAOF", "NO", "ONE")
    house.rest()
    house.store.put("a", b"2", LONG)

    assert house.store.get("a") == b"2"


def test_follow_while_calls_rest(house):
    """Who follows asks also while calls rest, and so is the first to hear from a server that is back."""
    house.server.kill()
    with pytest.raises(StoreDownError):
        house.store.get("a")
    with pytest.raises(StoreDownError):
        house.store.follow({"in": BEGINNING}, IN_TIME)
    house.server.start()
    assert house.store.follow({"in": BEGINNING}, 0.01) == []

    with pytest.raises(StoreDownError):
        house.store.get("a")


def test_follow_that_fails_hinders_nobody(house):
    """A follower that fails does not let calls rest."""
    with proxied(house.server.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
        follower = gevent.spawn(store.follow, {"in": BEGINNING}, IN_TIME)
        while not proxy.heal():
            gevent.sleep(0)
        proxy.down(reset_peer=0)
        with pytest.raises(StoreDownError):
            follower.get()
        proxy.heal()

        assert store.get("a") == b"1"
        store.close()


def test_follow_has_its_own_connection(own_redis):
    """Where a process may have one connection for calls, a follower does not take it."""
    store = RedisStore(own_redis.url, connections=1)
    follower = gevent.spawn(store.follow, {"in": BEGINNING}, IN_TIME)
    while b"cmd=xread" not in own_redis.ask("CLIENT", "LIST"):
        gevent.sleep(0)
    store.send("in", b"1", LONG)

    assert [message for _, _, message in follower.get()] == [b"1"]
    store.close()


def test_follow_frozen(house):
    """A follower of a frozen server is told so, soon after its wait."""
    house.server.freeze()
    with pytest.raises(StoreDownError, match="in time"):
        house.store.follow({"in": BEGINNING}, 0.01)


def test_follow_is_one_connection(house):
    """Followers of one process share a connection, however many names they follow."""
    for _ in range(5):
        house.store.follow({"a": "0", "b": "0", "in": BEGINNING}, 0.001)

    assert house.server.ask("CLIENT", "LIST").count(b"cmd=xread") == 1


def test_inbox_forgets(house):
    """An inbox that is written to all the time keeps no more than its time to live."""
    for _ in range(300):
        house.store.send("in", b"old", 0.02)
    house.server.ask("PERSIST", "gloss:log:in")  # as if somebody had written in time
    house.server.ask("BLPOP", "never", "0.05")
    for _ in range(300):
        house.store.send("in", b"new", 0.02)

    assert house.server.ask("XLEN", "gloss:log:in") <= 400  # it drops by hundreds


def test_keys(house):
    """All keys begin with our name, and expire but for the two that hold leases."""
    house.store.append("a", 1, 1, [b"1"], LONG)
    house.store.send("in", b"1", LONG)
    house.store.lease(["a", "b"], LONG)
    house.store.let_go(["b"])
    house.store.seize("b", LONG)
    keys = [key.decode() for key in house.server.ask("KEYS", "*")]

    assert all(key.startswith("gloss:") for key in keys)
    lasting = {key for key in keys if house.server.ask("PTTL", key) < 0}
    assert lasting == {"gloss:leases", "gloss:holders"}


def test_leases_leave_nothing(house):
    """When all is released nothing is left of leases."""
    house.store.lease(["a", "b"], LONG)
    house.store.release(["a", "b"])

    assert house.server.ask("EXISTS", "gloss:leases", "gloss:holders") == 0


@pytest.fixture
def another(own_redis: RedisServer) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, which counts up and then writes."""
    command = [sys.executable, "-m", "tests.state.counting", own_redis.url, "n", "300"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_two_processes(own_redis, another):
    """Two processes that count by swapping miss nothing; of two that write a log the elder is fenced."""
    store = RedisStore(own_redis.url, call_s=LONG)
    count_up(store, "n", 300)
    while not store.read("n", 0):
        gevent.sleep(0)
    assert store.get("n") == b"600"

    own_redis.ask("ZADD", "gloss:leases", "0", "n")  # as if it had been frozen for longer than its lease
    epoch = store.seize("n", LONG)
    last = store.append("n", epoch, 1, [], LONG)
    written = int(another.stdout.readline().removeprefix(b"fenced "))
    store.append("n", epoch, last + 1, [b"ours"], LONG)

    assert (epoch, written) == (FIRST_EPOCH + 1, last)
    assert store.read("n", 0) == [*(b"%d" % number for number in range(1, last + 1)), b"ours"]
    with pytest.raises(FencedError):
        store.append("n", FIRST_EPOCH, last + 1, [b"late"], LONG)
    store.close()


def test_aof_survives_a_kill():
    """With its append-only file, what was acknowledged a moment ago is there after a kill."""
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        house = House(server)
        house.store.append("a", 1, 1, [b"1", b"2"], LONG)
        house.store.lease(["a"], LONG)
        house.store.let_go(["a"])
        epoch = house.store.seize("a", LONG)
        house.store.let_go(["a"])
        server.kill()
        server.start()

        assert house.store.read("a", 0) == [b"1", b"2"]
        assert house.store.seize("a", LONG) == epoch + 1
        house.store.close()
