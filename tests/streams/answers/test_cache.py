"""Whole answers in the store: kept for a while, within bounds, and never needed."""

import hashlib
from datetime import timedelta
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.state import patience
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.streams.answers.cache import Answer, Cache
from tests.state.busy import Waited
from tests.streams.fake_clock import FakeClock

KEPT_S = 60.0


class Away(MemoryStore):
    """A store that does not answer."""

    def get(self, key: str) -> bytes | None:
        raise StoreDownError


def cache_of(store: Any = None, clock: FakeClock | None = None, **given: Any) -> Cache:
    clock = clock or FakeClock()
    bounds = {"total_bytes": 16_384, "bucket_bytes": 4_096, "kept_s": KEPT_S, **given}
    return Cache(store=store or MemoryStore(monotonic=clock.monotonic), clock=clock, **bounds)


def pass_time(clock: FakeClock, seconds: float) -> None:
    """On the wall too."""
    clock.wall += timedelta(seconds=seconds)
    clock.advance(seconds)


def key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def answer(text: str) -> Answer:
    return Answer(input_tokens=5, lines=(b'{"id":2,"type":"text","text":"%b"}\n' % text.encode(),))


def stored(cache: Cache) -> dict[str, bytes]:
    """The store's values that are the cache's."""
    values = cache.store._all.values  # type: ignore[attr-defined]  # noqa: SLF001 - what lies there is the point
    return {name: value for name, (value, _) in values.items()}


def noise(number: int, letters: int) -> str:
    """Text that does not pack well."""
    return "".join(
        hashlib.sha512(b"%d %d" % (number, part)).hexdigest() for part in range(letters // 128 + 1)
    )


def test_an_answer_comes_back_as_it_was() -> None:
    """Lines and weight are those that were put."""
    cache = cache_of()
    cache.put(key("a"), "me", answer("Hola"))
    assert cache.get(key("a")) == answer("Hola")


def test_another_key_is_a_miss() -> None:
    """Two keys in one bucket are still two keys."""
    cache = cache_of(total_bytes=4_096)
    cache.put(key("a"), "me", answer("Hola"))
    assert cache.get(key("b")) is None


def test_an_answer_is_kept_for_its_time() -> None:
    """A bucket that is written again lets nothing outlive its own time."""
    clock = FakeClock()
    cache = cache_of(clock=clock, total_bytes=4_096)
    cache.put(key("a"), "me", answer("Hola"))
    pass_time(clock, KEPT_S - 1)
    cache.put(key("b"), "me", answer("Bonjour"))
    assert cache.get(key("a")) is not None
    pass_time(clock, 2)
    assert (cache.get(key("a")), cache.get(key("b"))) == (None, answer("Bonjour"))


@given(st.lists(st.integers(min_value=0, max_value=6_000), max_size=40))
def test_it_never_takes_more_than_it_may(lengths: list[int]) -> None:
    """However many answers come, the store holds at most so many bytes of them."""
    cache = cache_of()
    for number, letters in enumerate(lengths):
        cache.put(key(str(number)), "me", answer(noise(number, letters)))
        values = stored(cache).values()
        assert sum(map(len, values)) <= cache.total_bytes
        assert max(map(len, values), default=0) <= cache.bucket_bytes


def test_a_full_bucket_drops_what_was_kept_first() -> None:
    """The newest answer is always there."""
    cache = cache_of(total_bytes=4_096)
    for number in range(6):
        cache.put(key(str(number)), "me", answer(noise(number, 1_500)))
    assert cache.get(key("0")) is None
    assert cache.get(key("5")) is not None


def test_an_answer_that_is_larger_than_a_bucket_is_not_kept() -> None:
    """It pushes nothing else out either."""
    cache = cache_of(total_bytes=4_096)
    cache.put(key("a"), "me", answer("Hola"))
    cache.put(key("b"), "me", answer(noise(1, 9_000)))
    assert (cache.get(key("a")), cache.get(key("b"))) == (answer("Hola"), None)


def test_a_long_answer_packs() -> None:
    """Many small pieces of text take a small part of their bytes."""
    cache = cache_of(bucket_bytes=16_384)
    lines = tuple(b'{"id":%d,"type":"text","text":" word"}\n' % number for number in range(2_000))
    cache.put(key("a"), "me", Answer(input_tokens=1, lines=lines))
    assert cache.get(key("a")) == Answer(input_tokens=1, lines=lines)


def test_an_answer_that_is_put_again_is_there_once() -> None:
    """The later one counts."""
    cache = cache_of()
    for text in ("Hola", "Buenas"):
        cache.put(key("a"), "me", answer(text))
    assert cache.get(key("a")) == answer("Buenas")


def test_what_is_dropped_is_gone() -> None:
    """Its neighbours stay."""
    cache = cache_of(total_bytes=4_096)
    for name in ("a", "b"):
        cache.put(key(name), "me", answer(name))
    cache.drop(key("a"))
    assert (cache.get(key("a")), cache.get(key("b"))) == (None, answer("b"))


def test_an_empty_bucket_takes_no_room() -> None:
    """The last answer that is dropped takes its value with it."""
    cache = cache_of()
    cache.put(key("a"), "me", answer("Hola"))
    cache.drop(key("a"))
    assert stored(cache) == {}


def test_an_owner_can_be_forgotten() -> None:
    """All that was made for one goes, nothing that was made for another."""
    cache = cache_of()
    for number in range(8):
        cache.put(key(f"mine {number}"), "me", answer("Hola"))
        cache.put(key(f"hers {number}"), "her", answer("Hola"))
    cache.forget("me")
    assert not any(cache.get(key(f"mine {number}")) for number in range(8))
    assert all(cache.get(key(f"hers {number}")) for number in range(8))


def test_without_room_nothing_is_kept() -> None:
    """Zero bytes switch it off."""
    cache = cache_of(total_bytes=0)
    cache.put(key("a"), "me", answer("Hola"))
    cache.drop(key("a"))
    assert (cache.get(key("a")), stored(cache)) == (None, {})


def test_a_store_that_is_away_is_a_miss() -> None:
    """Who asks is told that there is none; who puts goes on."""
    cache = cache_of(Away())
    cache.put(key("a"), "me", answer("Hola"))
    assert cache.get(key("a")) is None


@pytest.mark.parametrize("value", [b"\xc1", b"\x91\x95\xa1a"])
def test_a_bucket_that_cannot_be_read_is_a_miss(value: bytes) -> None:
    """It is replaced as if it were empty."""
    cache = cache_of(total_bytes=4_096)
    cache.store.put("cache:1:0", value, KEPT_S)
    assert cache.get(key("a")) is None
    cache.put(key("a"), "me", answer("Hola"))
    assert cache.get(key("a")) == answer("Hola")


def test_a_request_that_has_waited_already_does_without() -> None:
    """It keeps its patience with the store for what it needs."""
    cache = cache_of()
    cache.put(key("a"), "me", answer("Hola"))

    def run() -> Answer | None:
        patience.begin(0.25)
        with patience.spent(0.25, waits=lambda _: Waited(0.3)):
            pass
        return cache.get(key("a"))

    assert gevent.spawn(run).get() is None
