"""Waiting for a slot: what a client hears of it, and what ends it."""

import json
from collections import defaultdict
from typing import Any

import gevent
import gevent.event
import pytest

from services.cost.ledger import BATCH_S
from services.errors import Overloaded
from services.events import Notice
from services.llm import Request
from services.streams.capacity import Capacity, Slot
from services.streams.resources import Bounds, Resources
from services.streams.slots import Slots
from services.web.keys import new_key
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, Lines, whole
from tests.streams.stage import JSON, NDJSON, STAGE, Reply, Stage, settle

KEY, ENTRY = new_key("one")
OTHER_KEY, OTHER_ENTRY = new_key("other")


class Guest:
    """A client that reads all the time; ``events`` is what it has got until now."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.events: list[dict[str, Any]] = []
        self.greenlet = gevent.spawn(self._read)
        settle()

    def _read(self) -> None:
        for piece in self.reply.pieces:
            self.events += [json.loads(line) for line in piece.splitlines() if line]
        self.reply.close()

    @property
    def places(self) -> list[int]:
        return [event["place"] for event in self.events if event.get("code") == "queued"]

    @property
    def end(self) -> dict[str, Any]:
        settle()
        return self.events[-1]

    def leave(self) -> None:
        self.greenlet.kill()
        self.reply.close()
        settle()


class Inn(Stage):
    """A stage whose provider says nothing to a prompt before the test lets it: ``serve(text)``."""

    def __init__(self, running: int = 1, queued: int = 10, **settings: Any) -> None:
        self.gates: defaultdict[str, Gate] = defaultdict(Gate)
        super().__init__(self._answer, settings={"max_streams": running, "max_queued": queued, **settings})

    def _answer(self, request: Request) -> Lines:
        return whole("Hello", self.gates[request.messages[-1].content.split()[-1]], " world")

    def guest(self, text: str, name: str = "echo", **more: Any) -> Guest:
        return Guest(self.post(name, text=text, **more))

    def serve(self, text: str) -> None:
        self.gates[text].set()
        settle()

    @property
    def asked(self) -> list[str]:
        return [prompt.split()[-1] for prompt in self.provider.prompts]


def test_who_waits_is_told_its_place() -> None:
    """After ``start``, which leaves at once; the provider is not asked yet."""
    inn = Inn()
    guests = [inn.guest(text) for text in ("a", "b", "c")]
    assert [guest.events[0]["type"] for guest in guests] == ["start"] * 3
    assert [guest.places for guest in guests] == [[], [1], [2]]
    assert guests[1].events[1] == {
        "id": 2, "type": "notice", "code": "queued", "detail": "Place 1 in the queue.", "place": 1,
    }  # fmt: skip
    assert inn.asked == ["a"]


def test_a_slot_that_comes_free_goes_to_the_next() -> None:
    """Its answer is whole, and those behind it hear that they moved up."""
    inn = Inn()
    first, second, third = (inn.guest(text) for text in ("a", "b", "c"))
    inn.clock.advance(1)
    inn.serve("a")
    assert (inn.asked, third.places) == (["a", "b"], [2, 1])
    inn.serve("b")
    assert [guest.end["reason"] for guest in (first, second)] == ["stop", "stop"]
    assert (inn.asked, second.places, third.places) == (["a", "b", "c"], [1, 0], [2, 1, 0])


def test_a_place_is_told_once_a_second_at_most() -> None:
    """Only the last of several moves is heard of, when the second is over."""
    inn = Inn()
    guests = [inn.guest(str(number)) for number in range(5)]
    for number in range(3):
        guests[number].leave()
    assert guests[4].places == [4]
    inn.clock.advance(0.9)
    settle()
    assert guests[4].places == [4]
    inn.clock.advance(0.1)
    settle()
    assert guests[4].places == [4, 1]


def test_a_move_after_a_quiet_second_is_told_at_once() -> None:
    """Nobody waits for the next second to begin."""
    inn = Inn()
    guests = [inn.guest(text) for text in ("a", "b", "c")]
    inn.clock.advance(7)
    settle()
    guests[1].leave()
    assert guests[2].places == [2, 1]


def test_coming_to_work_is_not_held_up_by_the_second() -> None:
    """A slot that is free is used, however lately a place was told."""
    inn = Inn()
    inn.guest("a")
    inn.guest("b")
    inn.serve("a")
    assert inn.asked == ["a", "b"]


def test_who_leaves_while_waiting_frees_the_place_and_asks_nothing() -> None:
    """The provider never hears of it, and its end says why."""
    inn = Inn()
    inn.guest("a")
    second, third = inn.guest("b"), inn.guest("c")
    second.leave()
    inn.clock.advance(1)
    inn.serve("a")
    assert (inn.asked, third.places) == (["a", "c"], [2, 1, 0])
    end = inn.get(second.reply.stream).events()[-1]
    assert (end["reason"], end["usage"]["input_tokens"]) == ("disconnected", 0)


def test_who_waits_can_be_cancelled() -> None:
    """As any stream, and it costs nothing."""
    inn = Inn()
    inn.guest("a")
    guest = inn.guest("b")
    assert inn.delete(guest.reply.stream).status == 202
    assert guest.end["reason"] == "cancelled"
    inn.serve("a")
    assert inn.asked == ["a"]


def test_the_deadline_runs_while_one_waits() -> None:
    """It is the whole stream's."""
    inn = Inn()
    inn.guest("a")
    guest = inn.guest("b", options={"deadline_s": 5})
    inn.clock.advance(5)
    assert guest.end["reason"] == "deadline"


def test_waiting_has_a_limit_of_its_own() -> None:
    """Then the stream ends as ``overloaded``, says when to come again, and has cost nothing."""
    inn = Inn(queue_s=10)
    inn.guest("a")
    guest = inn.guest("b")
    inn.clock.advance(9)
    settle()
    assert guest.places == [1]
    inn.clock.advance(1)
    problem = guest.end["problem"]
    assert (guest.end["type"], problem["type"]) == ("error", "/problems/overloaded")
    assert (problem["detail"], problem["retry_after_s"]) == ("No slot came free in time.", 1)
    assert (guest.end["partial"], guest.end["usage"]["output_tokens"]) == (False, 0)
    inn.serve("a")
    assert inn.asked == ["a"]


def test_an_answer_in_one_piece_waits_too() -> None:
    """It says nothing meanwhile, but holds its place."""
    inn = Inn()
    inn.guest("a")
    reply = gevent.spawn(inn.post, text="b", accept=JSON)
    settle()
    assert inn.guest("c").places == [2]
    inn.serve("b")
    inn.serve("a")
    assert reply.get().json()["text"] == "Hello world"


def test_an_answer_in_one_piece_that_waited_in_vain_is_a_503() -> None:
    """With ``Retry-After``, as if it had been refused at once."""
    inn = Inn(queue_s=10)
    inn.guest("a")
    reply = gevent.spawn(inn.post, text="b", accept=JSON)
    settle()
    inn.clock.advance(10)
    assert (reply.get().status, reply.get().headers["Retry-After"]) == (503, "1")


def test_one_callers_crowd_makes_room_for_another_caller() -> None:
    """In a full queue the last of the crowd ends as ``overloaded``, and callers take turns."""
    inn = Inn(queued=2, keys=(ENTRY.line(), OTHER_ENTRY.line()))
    crowd = [inn.guest(text, key=KEY) for text in ("a", "b", "c")]
    other = inn.guest("d", key=OTHER_KEY)
    assert crowd[2].end["problem"]["type"] == "/problems/overloaded"
    assert (crowd[1].places, other.places) == ([1], [2])
    assert inn.post(text="e", key=OTHER_KEY).status == 503


def test_a_use_case_that_asks_nothing_waits_for_nothing() -> None:
    """It has its answer already."""
    inn = Inn()
    inn.guest("a")
    guest = inn.guest("b", "mute")
    assert (guest.end["reason"], guest.places) == ("stop", [])


@pytest.mark.parametrize("name", STAGE)
@pytest.mark.parametrize("leaves", [False, True])
def test_a_slot_always_comes_back(name: str, leaves: bool) -> None:
    """Whatever the stream came to."""
    inn = Inn(queued=0)
    for _ in range(3):
        guest = inn.guest("a", name)
        assert guest.reply.status == 200
        if leaves:
            guest.leave()
        while not (leaves or guest.greenlet.ready()):
            inn.serve(inn.asked[-1])
    assert inn.post(text="b").status == 200


def test_a_slot_comes_back_from_a_stream_that_was_stopped_before_it_ran() -> None:
    """Nothing had happened yet, and still it is given back."""
    inn = Inn(queued=0)
    reply = inn.post(text="a")
    inn.delete(reply.stream)
    settle()
    assert (inn.post(text="b").status, inn.asked) == (200, [])
    reply.close()


def test_a_stream_that_is_refused_after_all_takes_no_slot() -> None:
    """The use case refuses when the model and the caps are known."""
    inn = Inn(queued=0)
    assert inn.post("diary", text="refuse").status == 422
    assert inn.post(text="a").status == 200


def test_a_stream_that_runs_is_joined_also_where_no_other_fits() -> None:
    """Its key asks for nothing new; another key does, and is refused before its body is looked at."""
    inn = Inn(queued=0)
    keys = [{"Idempotency-Key": f"of the test, number {number}"} for number in range(2)]
    first, second, third = (
        inn.call("POST", "/v1/echo", accept=NDJSON, headers=key, data=body)
        for key, body in ((keys[0], "{}"), (keys[0], "{}"), (keys[1], "{"))
    )
    assert (first.status, second.stream, third.status) == (200, first.stream, 503)


def test_refusals_are_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """The first at once, those that follow with their number when ten seconds are over."""
    inn = Inn(queued=0)
    inn.guest("a")
    for seconds in (0, 9, 1):
        inn.clock.advance(seconds)
        inn.post(text="b")
    told = [record.getMessage() for record in caplog.records if record.name == "gloss.stream"]
    assert told == [
        "full: All slots are taken and the queue is full. refused=1 working=1 waiting=0",
        "full: All slots are taken and the queue is full. refused=2 working=1 waiting=0",
    ]


def test_a_slot_comes_back_from_a_stream_that_could_not_begin() -> None:
    """Whatever went wrong between the slot and the producer."""
    clock = FakeClock()
    slots = Slots(running=1, queued=0, monotonic=clock.monotonic)
    nothing = Bounds(descriptors=(), memory=())
    resources = Resources(nothing, monotonic=clock.monotonic, relieve=list)
    capacity = Capacity(slots=slots, resources=resources, clock=clock, queue_s=1)
    with pytest.raises(ZeroDivisionError), capacity.slot("a"):
        assert slots.working // 0
    assert slots.working == 0


def test_a_slot_is_free_when_its_provider_is_closed_and_not_before() -> None:
    """So a provider is never asked by more streams than there are slots."""
    inn = Inn(running=2)
    guests = [inn.guest(str(number)) for number in range(6)]
    for number in (0, 1):
        guests[number].leave()
    for number in range(2, 6):
        inn.serve(str(number))
    assert (inn.provider.most_at_once, len(inn.asked)) == (2, 6)


class SlowToClose(Gate):
    """A line at which the provider takes its time also when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = gevent.event.Event()

    def wait(self, timeout: float | None = None) -> bool:
        try:
            return super().wait(timeout)
        finally:
            self.closed.wait()


def test_a_slot_is_not_free_while_its_provider_is_being_closed() -> None:
    """However long that takes, and however many calls there are."""
    inn = Inn()
    slow = inn.gates["a"] = SlowToClose()
    first, _ = inn.guest("a", "four"), inn.guest("b")
    first.leave()
    assert inn.asked == ["a"] * 4
    slow.closed.set()
    settle()
    assert inn.asked[4:] == ["b"]


def test_no_timer_is_left_of_a_wait() -> None:
    """Neither of its limit nor of the quiet second."""
    inn = Inn(retention_s=0)
    guests = [inn.guest(text) for text in ("a", "b")]
    for guest in guests:
        guest.leave()
    inn.clock.advance(BATCH_S)  # in which the ledger waits for more to add
    settle()
    assert inn.clock.armed == 0


def test_a_turn_that_comes_as_patience_ends_is_taken() -> None:
    """Nobody is sent away who has a slot."""
    clock, slots = FakeClock(), Slots(running=1, queued=1, monotonic=FakeClock().monotonic)
    told: list[Notice] = []
    first, second = (Slot(slots, clock, "a", patience_s=20) for _ in range(2))
    waiting = gevent.spawn(second.wait, told.append)
    settle()
    first.leave()
    clock.advance(20)
    waiting.get()
    assert ([notice.place for notice in told], slots.working) == ([1, 0], 1)


def test_a_place_that_was_lost_before_one_waited_for_it_is_lost() -> None:
    """Pushed out while its prompt was being planned."""
    slots = Slots(running=1, queued=2, monotonic=FakeClock().monotonic)
    slot = [Slot(slots, FakeClock(), owner, patience_s=20) for owner in "aaab"][2]
    with pytest.raises(Overloaded):
        slot.wait(lambda _event: None)
