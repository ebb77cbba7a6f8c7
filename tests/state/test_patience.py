"""What one request may wait for a store that answers slowly."""

import gevent
import pytest

from services.state import patience
from services.state.redis import RedisStore
from services.state.store import StoreDownError
from tests.proxy.fixtures import proxied
from tests.redis_server import RedisServer
from tests.state.busy import Waited, keep_busy


def take(seconds: float) -> None:
    """Make one call that may take a second."""
    with patience.spent(1.0, waits=lambda _: Waited(seconds)):
        pass


def in_a_greenlet(*takes: float, request: bool) -> int:
    """Return how many of these calls were begun."""

    def run() -> int:
        made = 0
        if request:
            patience.begin(1.0)
        for seconds in takes:
            try:
                take(seconds)
            except StoreDownError:
                return made
            made += 1
        return made

    return gevent.spawn(run).get()


@pytest.mark.R17
@pytest.mark.parametrize(
    ("takes", "made"), [([0.9, 0.9, 0.9], 2), ([0.01] * 50, 50), ([0.5, 0.5, 0.5], 3), ([1.0, 1.0], 2)]
)
def test_a_request_waits_no_longer_than_two_calls_may_take(takes: list[float], made: int) -> None:
    """A call that might outlast what is left is not begun; quick ones may be many."""
    assert in_a_greenlet(*takes, request=True) == made


@pytest.mark.R17
@pytest.mark.parametrize(("waits", "fresh"), [(0.01, True), (0.19, True), (0.21, False)])
def test_what_is_only_good_to_have_is_left_out_once_a_request_has_waited(
    waits: float, *, fresh: bool
) -> None:
    """A tenth of its patience is as much as it may have spent; who is no request always has time."""

    def run() -> bool:
        patience.begin(1.0)
        take(waits)
        return patience.is_fresh()

    assert gevent.spawn(run).get() is fresh
    assert gevent.spawn(patience.is_fresh).get() is True


@pytest.mark.R17
def test_what_the_process_is_busy_with_costs_a_request_no_patience() -> None:
    """It hardly waited for the store, however late the loop came by."""

    def run() -> bool:
        patience.begin(0.1)
        with patience.spent(0.1):
            for _ in range(2):
                keep_busy(0.1)
                gevent.sleep(0)
        return patience.is_fresh()

    assert gevent.spawn(run).get() is True


def test_whoever_is_no_request_waits_as_long_as_it_takes() -> None:
    """What goes on beside requests has nobody who waits for it."""
    assert in_a_greenlet(*[0.9] * 9, request=False) == 9


def test_each_request_of_a_connection_has_its_own() -> None:
    """One greenlet serves them one after the other."""

    def connection() -> int:
        made = 0
        for _ in range(3):
            patience.begin(1.0)
            for _ in range(2):
                take(0.9)
                made += 1
        return made

    assert gevent.spawn(connection).get() == 6


def test_a_call_that_is_not_begun_is_no_failure_of_the_server(redis: RedisServer) -> None:
    """Others ask on: only this request has waited long enough."""
    with proxied(redis.port) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", call_s=5)
        store.put("patience", b"1", 60)

        def impatient() -> None:
            patience.begin(2.0)
            store.get("patience")

        with pytest.raises(StoreDownError, match="long enough"):
            gevent.spawn(impatient).get()
        assert store.get("patience") == b"1"
        store.close()
