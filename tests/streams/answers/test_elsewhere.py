"""One generation for several processes, which see the same store."""

from typing import Any

import gevent
import pytest

from services.errors import ProviderRejected
from services.events import Text
from services.llm import Request
from services.streams.answers.flight import Flight, Flights
from services.streams.sharing.exchange import ASKED_S
from services.streams.sharing.keeper import GRACE_S, LEASE_S, RENEW_S
from services.streams.stream import Stream
from services.streams.use_case import Call, Context, Transform, one_call
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import Reply, Said, joined, say, settle, use_case


def steps(given: Said, _context: Context) -> Transform:
    """Two calls, one after the other."""
    for part in range(2):
        answer = yield Call(variables=say(given, part))
        for delta in answer:
            yield Text(text=delta)
    return None


SAVED = {
    "echo": use_case("echo", one_call(say), cache=True),
    "steps": use_case("steps", steps, cache=True, recovers=True),
    "mute": use_case("mute", one_call(say)),
}


def reading(reply: Reply) -> "gevent.Greenlet[..., Any]":
    return gevent.spawn(reply.events)


def pair_of(says: Any, **settings: Any) -> Pair:
    return Pair(says=says, settings=settings, more={"use_cases": SAVED})


def asked(pair: Pair) -> tuple[int, int]:
    return len(pair.here.provider.asked), len(pair.there.provider.asked)


def both(pair: Pair, **body: Any) -> tuple[Reply, Reply]:
    """The same asked here, and then there."""
    here = pair.here.post(**body)
    pair.mirrored()
    there = pair.there.post(**body)
    pair.mirrored()
    return here, there


def test_two_processes_make_one_generation() -> None:
    """Who asks the same elsewhere reads what is made here, from its beginning, and pays nothing."""
    gate = Gate()
    pair = pair_of(whole("Hello", gate, " world"))
    readers = [reading(reply) for reply in both(pair)]
    gate.set()
    pair.mirrored()
    here, there = (reader.get() for reader in readers)
    assert asked(pair) == (1, 0)
    assert joined(here) == joined(there) == "Hello world"
    assert [event["id"] for event in there] == list(range(1, len(there) + 1))
    assert (here[-1]["usage"]["from_cache"], there[-1]["usage"]["from_cache"]) == (False, True)


def test_what_nobody_else_wants_is_not_published() -> None:
    """The store has a claim and the stream's own log, and no second log of the same text."""
    gate = Gate()
    pair = pair_of(whole("Hello", gate, " world"))
    reader = reading(pair.here.post())
    pair.mirrored()
    assert len([name for name in pair.contents.logs if name.startswith("log:")]) == 1
    gate.set()
    pair.mirrored()
    reader.get()


def test_a_generation_goes_on_while_somebody_reads_it_anywhere() -> None:
    """It is stopped when nobody does: neither here nor there."""
    gate = Gate()
    pair = pair_of(whole("Hello", gate, " world"))
    here, there = both(pair)
    readers = [reading(here), reading(there)]
    pair.mirrored()
    pair.here.delete(here.stream)
    pair.mirrored()
    assert readers[0].get()[-1]["reason"] == "cancelled"
    assert len(pair.here.provider.open) == 1
    pair.there.delete(there.stream)
    pair.mirrored()
    assert readers[1].get()[-1]["reason"] == "cancelled"
    assert pair.here.provider.open == []


def test_the_rest_reaches_who_stays_elsewhere() -> None:
    """The first may go: its process goes on with what it began."""
    gate = Gate()
    pair = pair_of(whole("Hello", gate, " world"))
    here, there = both(pair)
    readers = [reading(here), reading(there)]
    pair.mirrored()
    pair.here.delete(here.stream)
    pair.mirrored()
    gate.set()
    pair.mirrored()
    assert joined(readers[1].get()) == "Hello world"
    assert asked(pair) == (1, 0)


def test_a_process_that_dies_takes_nobody_with_it() -> None:
    """Who read there makes it anew, and shows what comes after what was shown."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate, " world"))
    _, there = both(pair)
    reader = reading(there)
    pair.mirrored()
    pair.here.core.exchange.stop()
    pair.passes(GRACE_S + LEASE_S + 3 * RENEW_S)
    gate.set()
    pair.passes(1)
    events = reader.get()
    assert (events[-1]["reason"], joined(events)) == ("stop", "Hello world")
    assert events[-1]["usage"]["from_cache"] is False
    assert asked(pair)[1] == 1


def test_an_answer_that_comes_out_otherwise_is_no_continuation() -> None:
    """What was shown is never changed: where it cannot go on, it breaks off."""
    gate = Gate()
    answers = {"here": whole("Hello", gate, " world"), "there": whole("Good morning")}
    pair = pair_of(whole())
    pair.here.provider.says, pair.there.provider.says = answers["here"], answers["there"]
    _, there = both(pair)
    reader = reading(there)
    pair.mirrored()
    pair.here.core.exchange.stop()
    pair.passes(GRACE_S + LEASE_S + 3 * RENEW_S)
    events = reader.get()
    assert (events[-1]["problem"]["type"], joined(events)) == ("/problems/provider-incomplete", "Hello")


def test_a_process_that_is_told_to_stop_hands_its_readers_elsewhere_on() -> None:
    """Its generation ends with it; whoever read it at another process goes on there."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate, " world"), grace_s=1)
    here, there = both(pair)
    readers = [reading(here), reading(there)]
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(4)
    gate.set()
    pair.passes(4)
    assert joined(readers[1].get()) == "Hello world"
    assert asked(pair)[1] >= 1
    assert pair.here.core.flights.running == []


def test_a_claim_whose_process_is_gone_holds_nobody_up() -> None:
    """The next one asks, hears nothing, and makes it itself."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate, " world"))
    pair.here.post()
    pair.mirrored()
    pair.here.core.exchange.stop()
    reader = reading(pair.there.post())
    pair.passes(2)
    gate.set()
    pair.passes(1)
    assert (joined(reader.get()), asked(pair)[1]) == ("Hello world", 1)


def test_without_the_store_each_makes_its_own() -> None:
    """A store that is away costs a second generation, and no answer."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate, " world"))
    pair.away = True
    readers = [reading(reply) for reply in (pair.here.post(), pair.there.post())]
    settle()
    gate.set()
    pair.passes(2)
    assert [joined(reader.get()) for reader in readers] == ["Hello world"] * 2
    assert asked(pair) == (1, 1)


def test_what_was_kept_while_a_stream_waited_is_not_made_again() -> None:
    """It had no slot yet when another process came to the end."""
    busy, gate = Gate(), Gate()

    def says(request: Request) -> Any:
        return whole("Busy", busy) if "busy" in request.messages[-1].content else whole("Hello", gate)

    pair = pair_of(says, max_streams=1)
    first = reading(pair.here.post())
    pair.mirrored()
    others = [reading(pair.there.post("mute", text="busy")), reading(pair.there.post())]
    pair.mirrored()
    gate.set()
    pair.mirrored()
    busy.set()
    pair.mirrored()
    assert (joined(first.get()), joined(others[1].get())) == ("Hello", "Hello")
    assert asked(pair) == (1, 1)


def test_who_leaves_before_it_is_known_who_makes_it_leaves_nothing() -> None:
    """The process that had the claim was being asked."""
    pair = pair_of(whole("Hello", Gate()))
    pair.here.post()
    pair.mirrored()
    pair.here.core.exchange.stop()
    there = pair.there.post()
    reader = reading(there)
    settle()
    pair.there.delete(there.stream)
    pair.passes(2)
    assert reader.get()[-1]["reason"] == "cancelled"
    assert (pair.there.core.flights._all, asked(pair)[1]) == ({}, 0)  # noqa: SLF001


def test_another_processes_failure_is_everybodys() -> None:
    """The provider failed: nobody asks it once more for the same."""
    gate = Gate()
    pair = pair_of(("Hello", gate, ProviderRejected("No.")))
    readers = [reading(reply) for reply in both(pair)]
    gate.set()
    pair.mirrored()
    problems = [reader.get()[-1]["problem"]["type"] for reader in readers]
    assert (problems, asked(pair)) == (["/problems/provider-rejected"] * 2, (1, 0))


@pytest.mark.parametrize("unlike", [{"text": "other"}, {"options": {"cache": False}}])
def test_another_request_is_another_generation_elsewhere_too(unlike: dict[str, Any]) -> None:
    """The key is the same for all processes, and only for the same."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate))
    first = reading(pair.here.post())
    pair.mirrored()
    second = reading(pair.there.post(**unlike))
    pair.mirrored()
    gate.set()
    pair.mirrored()
    gevent.joinall([first, second])
    assert asked(pair) == (1, 1)


def test_a_stream_is_handed_over_with_the_answers_that_it_shared() -> None:
    """Who goes on with it does not ask again for what was whole."""
    gate = Gate()

    def says(request: Request) -> Any:
        first = request.messages[-1].content.startswith("0")
        return whole("Hello") if first else whole(" wor", gate, "ld")

    pair = pair_of(says, grace_s=1, between_text_s=600, first_text_s=600)
    reply = pair.here.post("steps", options={"on_disconnect": "finish"})
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(10)
    gate.set()
    pair.passes(2)
    events = pair.there.get(reply.stream).events()
    assert (joined(events), events[-1]["reason"]) == ("Hello world", "stop")
    assert [prompt[0] for prompt in pair.there.provider.prompts] == ["1"]
    assert pair.here.core.flights._all == {}  # noqa: SLF001


def test_who_asks_for_a_generation_counts_as_there_for_a_moment() -> None:
    """Until it has found the log: the last reader here may leave meanwhile."""
    pair = pair_of(whole("Hello", Gate()))
    here = pair.here.post()
    reader = reading(here)
    pair.mirrored()
    [flight] = pair.here.core.flights._all.values()  # noqa: SLF001 - there is one
    pair.there.core.exchange.ask_for(flight.stream.id, pair.here.core.exchange.inbox)
    settle()
    pair.here.delete(here.stream)
    settle()
    assert reader.get()[-1]["reason"] == "cancelled"
    assert len(pair.here.provider.open) == 1
    pair.passes(ASKED_S + 1)
    assert pair.here.provider.open == []


def test_of_two_that_were_prepared_at_once_one_is_given_back() -> None:
    """Planning may take a moment, in which another stream has planned the same."""
    given_back: list[str] = []

    class Prepared:
        def __init__(self, name: str) -> None:
            self.name = name

        def dismiss(self) -> None:
            given_back.append(self.name)

    def flight(name: str) -> Flight:
        stream = Stream(id=name, owner="me", use_case="echo", model="m", clock=FakeClock())
        maker: Any = Prepared(name)
        return Flight(key="k", stream=stream, input_tokens=1, deadline_s=9, maker=maker)

    flights = Flights(Pair().here.core.flights.cache, None)
    first = flights.add(flight("first"), 0)
    assert flights.add(flight("second"), 0) is first
    assert given_back == ["second"]
