"""Answers that serve more than once, seen by who asks: from the cache, or while they are made."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import gevent
import pytest

from services.errors import ProviderError
from services.events import Notice, Text
from services.state.memory import MemoryStore
from services.streams.use_case import Call, Context, Transform, UseCase, one_call
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, whole
from tests.streams.stage import (
    JSON,
    NDJSON,
    SSE,
    TEXT,
    Mark,
    Reply,
    Said,
    Stage,
    diary,
    joined,
    say,
    settle,
    use_case,
)

KEYS = {"one": "gloss_keyone11_" + "a" * 43, "two": "gloss_keytwo22_" + "b" * 43}


def marked(given: Said, _context: Context) -> Transform:
    """Text, an event of its own, and a notice that says that all is well."""
    answer = yield Call(variables=say(given))
    for delta in answer:
        yield Text(text=delta)
    yield Mark(n=1)
    yield Notice(code=given.session or "fine", detail="A word about the answer.")
    return None


SAVED: Mapping[str, UseCase] = {
    one.name: one
    for one in (
        use_case("echo", one_call(say), cache=True),
        use_case("steps", marked, events=(Mark,), cache=True, doubts=frozenset({"doubtful"})),
        use_case("mute", one_call(say)),
        use_case("diary", diary, sessions=True),
    )
}


def stage_of(*says: Any, **given: Any) -> Stage:
    return Stage(says=whole(*says) if says else whole("Hello", " world"), use_cases=SAVED, **given)


def reading(reply: Reply) -> "gevent.Greenlet[..., Any]":
    return gevent.spawn(reply.events)


def pieces(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["type"] == "text"]


def asked(stage: Stage) -> int:
    return len(stage.provider.asked)


def entries(*names: str) -> tuple[str, ...]:
    return tuple(
        f"{name}:{KEYS[name].split('_')[1]}:{hashlib.sha256(KEYS[name].encode()).hexdigest()}"
        for name in names
    )


def twice(stage: Stage, name: str = "echo", **body: Any) -> list[list[dict[str, Any]]]:
    """The same again, when all has settled."""
    replies = []
    for _ in range(2):
        replies.append(stage.post(name, **body).events())
        settle()
    return replies


# From the cache


def test_the_same_again_asks_nobody() -> None:
    """The second answer has the same pieces, under numbers from 1."""
    stage = stage_of()
    first, second = twice(stage)
    assert (asked(stage), pieces(first)) == (1, pieces(second))
    assert [event["id"] for event in second] == list(range(1, len(second) + 1))


def test_an_answer_from_the_cache_costs_nothing_and_says_so() -> None:
    """No token, no dollar, ``from_cache``; the start still tells what the prompt weighs."""
    first, second = twice(stage_of())
    usage = second[-1]["usage"]
    assert usage == {
        **dict.fromkeys(first[-1]["usage"], 0),
        "cost_usd": "0",
        "estimated": False,
        "from_cache": True,
    }
    assert first[-1]["usage"]["from_cache"] is False
    assert second[0]["input_tokens"] == first[0]["input_tokens"] > 0


def test_an_answer_from_the_cache_is_a_stream_of_its_own() -> None:
    """It has its own id, and ends as whole with the same length and hash."""
    first, second = twice(stage_of())
    assert first[0]["stream"] != second[0]["stream"]
    ends = [(end["reason"], end["chars"], end["sha256"]) for end in (first[-1], second[-1])]
    assert ends[0] == ends[1] == ("stop", 11, hashlib.sha256(b"Hello world").hexdigest())


def test_a_hit_is_told() -> None:
    """The reader learns why the answer is there at once."""
    first, second = twice(stage_of())
    assert [event.get("code") for event in (first[1], second[1])] == [None, "cache-hit"]


def test_a_hit_has_the_use_cases_own_events() -> None:
    """Events and notices of the use case come again, in their places."""
    first, second = twice(stage_of(), "steps")
    kinds = [event["type"] for event in first]
    assert kinds == ["start", "text", "text", "mark", "notice", "finish"]
    assert [event["type"] for event in second] == ["start", "notice", *kinds[1:]]


@pytest.mark.parametrize("accept", [TEXT, JSON, SSE])
def test_a_hit_speaks_every_encoding(accept: str) -> None:
    """The text is the same whatever the answer is carried in."""
    stage = stage_of()
    stage.post().read()
    settle()
    body = stage.post(accept=accept).read().decode()
    assert (asked(stage), "Hello" in body, " world" in body) == (1, True, True)


def test_a_hit_can_be_read_again() -> None:
    """It is resumed and found by its address like any stream."""
    stage = stage_of()
    stage.post().read()
    settle()
    reply = stage.post()
    events = reply.events()
    assert stage.get(reply.stream).events() == events
    assert stage.get(reply.stream, headers={"Last-Event-ID": "2"}).events() == events[2:]


def test_pieces_are_cut_as_each_stream_wants_them() -> None:
    """Words from the cache, where the answer was made in other pieces, and the other way round."""
    stage = stage_of("Hel", "lo wor", "ld")
    stage.post(options={"granularity": "word"}).read()
    settle()
    assert pieces(stage.post().events()) == ["Hel", "lo wor", "ld"]
    assert pieces(stage.post(options={"granularity": "word"}).events()) == ["Hello ", "world"]
    assert asked(stage) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"text": "another"},
        {"parts": 5},
        {"options": {"max_output_tokens": 7}},
        {"options": {"model": "other"}},
        {"options": {"cache": False}},
    ],
)
def test_another_request_is_another_answer(body: dict[str, Any]) -> None:
    """Text, fields, cap and model are parts of the key; who wants no cache has none."""
    stage = stage_of(settings={"models": ("*",)})
    stage.post().read()
    settle()
    assert stage.post(**body).events()[-1]["usage"]["from_cache"] is False
    assert asked(stage) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"text": "hello"},
        {"options": {"deadline_s": 3}},
        {"options": {"on_disconnect": "finish"}},
        {"options": {"supersedes": "a-key-of-sixteen-letters"}},
        {"options": {"cache": True, "granularity": "sentence"}},
    ],
)
def test_what_makes_no_difference_makes_no_other_answer(body: dict[str, Any]) -> None:
    """A default that is written out, and how the answer is to come, are no part of the key."""
    stage = stage_of()
    stage.post().read()
    settle()
    assert stage.post(**body).events()[-1]["usage"]["from_cache"] is True


def test_who_wants_no_cache_leaves_nothing_in_it() -> None:
    """``cache: false`` is neither answered from it nor kept in it."""
    stage = stage_of()
    twice(stage, options={"cache": False})
    stage.post().read()
    assert asked(stage) == 3


def test_a_use_case_may_leave_it_to_the_caller() -> None:
    """Where the default is no, ``cache: true`` still has it."""
    stage = stage_of()
    twice(stage, "mute")
    assert asked(stage) == 2
    twice(stage, "mute", options={"cache": True})
    assert asked(stage) == 3


def test_a_use_case_that_remembers_has_no_cache() -> None:
    """A turn depends on all before it: to ask for a cache is refused, and names the field."""
    stage = stage_of()
    twice(stage, "diary")
    assert asked(stage) == 2
    refused = stage.post("diary", options={"cache": True})
    assert (refused.status, refused.json()["errors"][0]["field"]) == (422, "options.cache")


def test_a_use_case_cannot_both_remember_and_be_cached() -> None:
    """That is an error at start."""
    with pytest.raises(ValueError, match="remembers"):
        use_case("diary", diary, sessions=True, cache=True)


@pytest.mark.parametrize(
    "says",
    [
        whole("Half", reason="length"),
        whole("Half", reason="content_filter"),
        ("Half", ProviderError("It broke.")),
    ],
)
def test_what_is_not_whole_is_not_kept(says: Any) -> None:
    """A cut, filtered or failed answer is asked for again."""
    stage = Stage(says=says, use_cases=SAVED)
    first, second = twice(stage)
    assert asked(stage) == 2
    assert second[-1]["usage"]["from_cache"] is first[-1]["usage"]["from_cache"] is False


def test_an_answer_that_its_use_case_doubts_is_not_kept() -> None:
    """A notice that means doubt lets the next one try anew; another does not."""
    stage = stage_of()
    twice(stage, "steps", session="doubtful")
    assert asked(stage) == 2
    twice(stage, "steps", session="fine")
    assert asked(stage) == 3


def test_an_answer_of_a_fall_back_is_not_kept_under_another_models_name() -> None:
    """The key names the model that was chosen."""
    stage = Stage(says=(ProviderError("It broke."),), use_cases=SAVED, elsewhere={"other": whole("Hello")})
    twice(stage)
    assert [len(one.asked) for one in stage.fall_backs] == [2]


def test_what_a_provider_did_on_the_way_is_no_part_of_the_answer() -> None:
    """The notice of a second try is told once, to who waited for it."""
    stage = stage_of(clock=FakeClock(hasty=True))
    stage.provider.says = _failing_once()
    first, second = twice(stage)
    assert [event["code"] for event in first if event["type"] == "notice"] == ["provider-retry"]
    assert [event["code"] for event in second if event["type"] == "notice"] == ["cache-hit"]


def _failing_once() -> Any:
    scripts = iter([(ProviderError("Busy.", retryable=True),), whole("Hello")])
    return lambda _request: next(scripts)


@pytest.mark.S13
def test_two_keys_never_share_an_answer() -> None:
    """The same request with another key asks the provider, and is billed."""
    stage = stage_of(settings={"keys": entries("one", "two")})
    ends = []
    for name in ("one", "one", "two", "two"):
        ends.append(stage.post(key=KEYS[name]).events()[-1]["usage"]["from_cache"])
        settle()
    assert (asked(stage), ends) == (2, [False, True, False, True])


def test_two_keys_share_where_the_operator_wants_it() -> None:
    """One setting lets all callers have each other's answers."""
    stage = stage_of(settings={"keys": entries("one", "two"), "cache_shared": True})
    for name in ("one", "two"):
        stage.post(key=KEYS[name]).read()
        settle()
    assert asked(stage) == 1


@pytest.mark.S13
def test_a_service_without_keys_that_is_open_shares_nothing() -> None:
    """Its one caller is many people."""
    open_to_all = {"open": True, "host": "0.0.0.0", "trusted_hosts": ("localhost",)}  # noqa: S104 - on purpose
    for settings, times in (open_to_all, 2), ({**open_to_all, "cache_shared": True}, 1):
        stage = stage_of(settings=settings)
        twice(stage)
        assert asked(stage) == times


def test_an_answer_outlives_the_process() -> None:
    """Another process over the same store has it."""
    store = MemoryStore()
    stage_of(store=store).post().read()
    settle()
    later = stage_of(store=store)
    assert (later.post().events()[-1]["usage"]["from_cache"], asked(later)) == (True, 0)


def test_an_answer_with_events_that_are_not_known_here_is_a_miss() -> None:
    """What another release kept is made anew."""
    store = MemoryStore()
    stage_of(store=store).post("steps").read()
    settle()
    older = Stage(store=store, use_cases={"steps": use_case("steps", one_call(say), cache=True)})
    assert (joined(older.post("steps").events()), asked(older)) == ("Hello world", 1)


def test_a_full_house_still_answers_from_the_cache() -> None:
    """What asks nobody waits for no slot."""
    stage = stage_of(settings={"max_streams": 1})
    stage.post().read()
    settle()
    gate = Gate()
    stage.provider.says = ["Wait", gate, *whole()]
    busy = reading(stage.post(text="other"))
    gate.reached.wait()
    assert joined(stage.post().events()) == "Hello world"
    gate.set()
    busy.get()


# While it is made


def waiting(*before: str, after: tuple[Any, ...] = (" world",)) -> tuple[Stage, Gate]:
    gate = Gate()
    stage = stage_of()
    stage.provider.says = [*before, gate, *whole(*after)]
    return stage, gate


def test_fifty_at_once_are_one_generation_and_one_bill() -> None:
    """All have the same text, each under numbers from 1; one pays."""
    stage, gate = waiting("Hello")
    readers = [reading(stage.post()) for _ in range(50)]
    gate.reached.wait()
    gate.set()
    answers = [reader.get() for reader in readers]
    assert asked(stage) == 1
    assert {joined(events) for events in answers} == {"Hello world"}
    assert all([event["id"] for event in events] == list(range(1, len(events) + 1)) for events in answers)
    assert len({events[0]["stream"] for events in answers}) == 50
    bills = sorted(events[-1]["usage"]["output_tokens"] for events in answers)
    assert bills == [*[0] * 49, 3]
    assert sum(events[-1]["usage"]["from_cache"] for events in answers) == 49


def test_who_comes_in_the_middle_reads_from_the_beginning() -> None:
    """What was said before comes at once, then both go on together."""
    stage, gate = waiting("Hello")
    first = reading(stage.post())
    gate.reached.wait()
    reply = stage.post()
    line = next(reply.pieces) + next(reply.pieces)
    assert b"Hello" in line
    gate.set()
    assert b" world" in reply.read()
    assert joined(first.get()) == "Hello world"


@pytest.mark.parametrize("leaver", [0, 1])
def test_a_cancel_ends_one_stream_and_no_other(leaver: int) -> None:
    """Whoever came first may go: the generation goes on for who stays."""
    stage, gate = waiting("Hello")
    replies = [stage.post(), stage.post()]
    readers = [reading(reply) for reply in replies]
    gate.reached.wait()
    settle()
    stage.delete(replies[leaver].stream)
    gone = readers[leaver].get()
    assert (gone[-1]["reason"], joined(gone)) == ("cancelled", "Hello")
    gate.set()
    stayed = readers[1 - leaver].get()
    assert (stayed[-1]["reason"], joined(stayed), asked(stage)) == ("stop", "Hello world", 1)


def test_who_pays_pays_what_was_used_while_it_was_there() -> None:
    """The first is billed what was made until it left, the next one the rest: together, all of it."""
    stage, gate = waiting("Hello")
    replies = [stage.post(), stage.post(), stage.post()]
    readers = [reading(reply) for reply in replies]
    gate.reached.wait()
    settle()
    stage.delete(replies[0].stream)
    first = readers[0].get()[-1]["usage"]
    gate.set()
    second, third = (reader.get()[-1]["usage"] for reader in readers[1:])
    assert (first["output_tokens"], first["estimated"], first["from_cache"]) == (1, True, False)
    assert (first["output_tokens"] + second["output_tokens"], second["from_cache"]) == (3, False)
    assert (third["output_tokens"], third["from_cache"], third["cost_usd"]) == (0, True, "0")


def test_the_last_that_leaves_closes_the_provider() -> None:
    """Until then it goes on, whoever began it; the end says what was used."""
    stage, gate = waiting("Hello")
    replies = [stage.post(), stage.post()]
    readers = [reading(reply) for reply in replies]
    gate.reached.wait()
    settle()
    stage.delete(replies[0].stream)
    readers[0].get()
    assert len(stage.provider.open) == 1
    stage.delete(replies[1].stream)
    assert readers[1].get()[-1]["reason"] == "cancelled"
    assert (stage.provider.open, stage.provider.closed_early) == ([], [True])


def test_what_nobody_wanted_to_its_end_is_not_kept() -> None:
    """The next one begins anew."""
    stage, gate = waiting("Hello")
    reply = stage.post()
    reader = reading(reply)
    gate.reached.wait()
    stage.delete(reply.stream)
    reader.get()
    stage.provider.says = whole("Hello", " world")
    settle()
    assert (stage.post().events()[-1]["usage"]["from_cache"], asked(stage)) == (False, 2)


def test_a_reader_that_leaves_is_gone_alone() -> None:
    """``on_disconnect`` is each stream's own: one ends when its reader leaves, the other finishes."""
    stage, gate = waiting("Hello")
    hasty, patient = stage.post(), stage.post(options={"on_disconnect": "finish"})
    for reply in (hasty, patient):
        next(reply.pieces)
    gate.reached.wait()
    settle()
    for reply in (hasty, patient):
        reply.close()
    settle()
    gate.set()
    settle()
    ends = [stage.get(reply.stream).events()[-1]["reason"] for reply in (hasty, patient)]
    assert (ends, asked(stage)) == (["disconnected", "stop"], 1)


def test_a_deadline_ends_its_own_stream() -> None:
    """Who has more time has it, though another's was up."""
    stage, gate = waiting("Hello")
    short, long = reading(stage.post(options={"deadline_s": 3})), reading(stage.post())
    gate.reached.wait()
    settle()
    stage.clock.advance(4)
    assert short.get()[-1]["reason"] == "deadline"
    gate.set()
    assert long.get()[-1]["reason"] == "stop"


def test_who_comes_late_has_a_generation_that_lasts_as_long_as_it_may() -> None:
    """One whose time would be up before the newcomer's is not joined."""
    stage, gate = waiting("Hello")
    first = reading(stage.post(options={"on_disconnect": "finish", "deadline_s": 100}))
    gate.reached.wait()
    stage.core.flights.get(*_only(stage)).stream.deadline_at = stage.clock.monotonic() + 50  # type: ignore[union-attr]
    second = reading(stage.post(options={"deadline_s": 60}))
    settle()
    assert asked(stage) == 2
    gate.set()
    assert (joined(first.get()), joined(second.get())) == ("Hello world", "Hello world")


def _only(stage: Stage) -> tuple[str, float]:
    [key] = stage.core.flights._all  # noqa: SLF001 - there is one
    return key, 0.0


def test_a_failure_is_everybodys() -> None:
    """All get the problem, under their own addresses; one pays for what was said before it."""
    stage, gate = waiting("Hello", after=(ProviderError("It broke."),))
    readers = [reading(stage.post()) for _ in range(3)]
    gate.reached.wait()
    gate.set()
    ends = [reader.get() for reader in readers]
    assert {events[-1]["problem"]["type"] for events in ends} == {"/problems/provider-error"}
    assert all(events[-1]["problem"]["instance"].endswith(events[0]["stream"]) for events in ends)
    assert all(events[-1]["partial"] for events in ends)
    assert sorted(events[-1]["usage"]["from_cache"] for events in ends) == [False, True, True]


def test_who_goes_before_its_slot_came_leaves_nothing() -> None:
    """A generation that nobody began is forgotten with the last stream that waited for it."""
    stage = stage_of(settings={"max_streams": 1})
    gate = Gate()
    stage.provider.says = [gate, *whole()]
    busy = reading(stage.post("mute"))
    gate.reached.wait()
    replies = [stage.post(), stage.post()]
    readers = [reading(reply) for reply in replies]
    settle()
    for reply in replies:
        stage.delete(reply.stream)
    assert [reader.get()[-1]["usage"]["output_tokens"] for reader in readers] == [0, 0]
    assert (stage.core.flights._all, asked(stage)) == ({}, 1)  # noqa: SLF001
    gate.set()
    busy.get()


def test_a_stream_that_is_refused_leaves_nothing() -> None:
    """The house was full when it came to its slot: nobody waits for what it would have begun."""
    gate = Gate()

    def filling(given: Said, _context: Context) -> Transform:
        if given.text == "late":
            others.extend(reading(stage.post("mute")) for _ in range(2))
        yield Call(variables=say(given))
        return None

    others: list[Any] = []
    stage = Stage(
        says=[gate, *whole()],
        use_cases={**SAVED, "echo": use_case("echo", filling, cache=True)},
        settings={"max_streams": 1, "max_queued": 1},
    )
    assert stage.post(text="late").status == 503
    assert stage.core.flights._all == {}  # noqa: SLF001
    gate.set()
    gevent.joinall(others)


def test_who_waits_for_a_slot_finds_the_answer_in_the_cache() -> None:
    """A queue of the same request is one generation, one stream at a time."""
    stage, gate = waiting("Hello")
    stage = Stage(says=stage.provider.says, use_cases=SAVED, settings={"max_streams": 1})
    readers = [reading(stage.post()) for _ in range(4)]
    gate.reached.wait()
    gate.set()
    answers = [reader.get() for reader in readers]
    assert ({joined(events) for events in answers}, asked(stage)) == ({"Hello world"}, 1)


@pytest.mark.S13
def test_two_keys_never_share_a_generation() -> None:
    """Each key's stream has its own, though both ask the same at once."""
    gate = Gate()
    stage = stage_of(settings={"keys": entries("one", "two")})
    stage.provider.says = ["Hello", gate, *whole()]
    readers = [reading(stage.post(key=KEYS[name])) for name in ("one", "two", "one")]
    gate.reached.wait()
    settle()
    assert asked(stage) == 2
    gate.set()
    assert sum(reader.get()[-1]["usage"]["from_cache"] for reader in readers) == 1


def test_nothing_is_left_behind() -> None:
    """Afterwards no generation is known, no slot is taken and nobody is asked."""
    stage, gate = waiting("Hello")
    readers = [reading(stage.post()) for _ in range(5)]
    gate.reached.wait()
    gate.set()
    gevent.joinall(readers)
    settle()
    assert (stage.core.flights._all, stage.core.capacity.slots.working) == ({}, 0)  # noqa: SLF001


def test_a_generation_has_no_address() -> None:
    """Only the streams that callers began can be read."""
    stage, gate = waiting("Hello")
    reader = reading(stage.post())
    gate.reached.wait()
    [flight] = stage.core.flights._all.values()  # noqa: SLF001
    assert stage.get(flight.stream.id).status == 404
    gate.set()
    reader.get()


def test_its_status_tells_what_it_has_cost_so_far() -> None:
    """The first is billed as it goes on, the second nothing."""
    stage, gate = waiting("Hello")
    replies = [stage.post(accept=NDJSON), stage.post(accept=NDJSON)]
    readers = [reading(reply) for reply in replies]
    gate.reached.wait()
    settle()
    usages = [stage.get(reply.stream, path="/status").json()["usage"] for reply in replies]
    assert [(usage["output_tokens"], usage["from_cache"]) for usage in usages] == [(1, False), (0, True)]
    gate.set()
    gevent.joinall(readers)


@pytest.mark.S12
def test_nothing_that_was_said_stands_in_a_log_or_a_name(caplog: pytest.LogCaptureFixture) -> None:
    """A kept answer's text is in its value only, and packed; what was asked is nowhere."""
    caplog.set_level(logging.DEBUG)
    store = MemoryStore()
    stage = stage_of("MARKER7f3a", store=store)
    twice(stage, text="ASKED41cc")
    names = " ".join(store._all.values)  # noqa: SLF001 - what lies there is the point
    assert "cache:" in names
    for marker in ("MARKER7f3a", "ASKED41cc"):
        assert marker not in names + caplog.text


def test_a_long_answer_from_the_cache_lets_others_run() -> None:
    """Thousands of events that are there at once are not written in one go."""
    stage = stage_of()
    stage.provider.says = whole(*["a "] * 1_500)
    stage.post(text="long").read()
    settle()
    turns: list[int] = []

    def looking(reply: Reply) -> None:
        while not stage.core.streams.here(reply.stream or "").log.end:  # type: ignore[union-attr]
            turns.append(1)
            gevent.sleep(0)

    reply = stage.post(text="long")
    looker = gevent.spawn(looking, reply)
    assert len(pieces(reply.events())) == 1_500
    looker.join()
    assert len(turns) > 3
