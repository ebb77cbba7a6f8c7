"""Who works and who waits."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.errors import Overloaded
from services.streams.slots import Slots, Ticket
from tests.streams.fake_clock import FakeClock


class Hall:
    """Slots, and every ticket by a name like ``a1``: owner, and which one of the owner's."""

    def __init__(self, running: int = 1, queued: int = 10, clock: FakeClock | None = None) -> None:
        self.slots = Slots(running=running, queued=queued, monotonic=(clock or FakeClock()).monotonic)
        self.tickets: dict[str, Ticket] = {}
        self.told: list[str] = []

    def enter(self, *names: str) -> None:
        for name in names:
            self.tickets[name] = self.slots.enter(name[0], lambda name=name: self.told.append(name))

    def leave(self, *names: str) -> None:
        for name in names:
            self.slots.leave(self.tickets[name])

    @property
    def places(self) -> dict[str, int | None]:
        return {name: ticket.place for name, ticket in self.tickets.items()}

    @property
    def queue(self) -> str:
        waiting = [(place, name) for name, place in self.places.items() if place]
        return " ".join(name for _, name in sorted(waiting))


def refusal(hall: Hall, owner: str = "a") -> Overloaded:
    with pytest.raises(Overloaded) as refused:
        hall.slots.require(owner)
    return refused.value


def test_who_finds_a_slot_works_at_once() -> None:
    """Place 0 is at work; nobody waits while a slot is free."""
    hall = Hall(running=2)
    hall.enter("a1", "a2")
    assert hall.places == {"a1": 0, "a2": 0}
    assert (hall.slots.working, hall.slots.waiting) == (2, 0)


def test_the_others_wait_in_their_order() -> None:
    """1 is the next one."""
    hall = Hall()
    hall.enter("a1", "a2", "a3")
    assert hall.places == {"a1": 0, "a2": 1, "a3": 2}


def test_callers_take_turns() -> None:
    """All first ones come before all second ones, whoever came first."""
    hall = Hall()
    hall.enter("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    assert hall.queue == "a2 b1 c1 a3 b2 a4"


def test_who_was_served_has_its_next_turn_after_all_others() -> None:
    """Also after those who came later."""
    hall = Hall()
    hall.enter("a1", "a2", "a3", "b1")
    hall.leave("a1")
    hall.enter("c1")
    assert hall.queue == "b1 a3 c1"


def test_a_slot_that_is_given_back_goes_to_the_next() -> None:
    """It works, the others move up, and only those are told whose place has changed."""
    hall = Hall()
    hall.enter("a1", "a2", "a3")
    hall.told.clear()
    hall.leave("a1")
    assert hall.places == {"a1": None, "a2": 0, "a3": 1}
    assert hall.told == ["a2", "a3"]
    hall.leave("a3")
    assert hall.told == ["a2", "a3"]


def test_who_leaves_the_queue_frees_its_place() -> None:
    """Those behind move up; nobody comes to work by it."""
    hall = Hall(queued=3)
    hall.enter("a1", "a2", "a3", "a4")
    hall.told.clear()
    hall.leave("a3")
    assert (hall.queue, hall.slots.working, hall.told) == ("a2 a4", 1, ["a4"])
    hall.enter("a5")


def test_leaving_twice_gives_nothing_back_twice() -> None:
    """A ticket that is out stays out."""
    hall = Hall()
    hall.enter("a1", "a2", "a3")
    hall.leave("a1", "a1", "a1")
    assert hall.places == {"a1": None, "a2": 0, "a3": 1}


def test_a_full_queue_refuses() -> None:
    """Asking and entering agree, and a place that is freed lets the next one in."""
    hall = Hall(queued=1)
    hall.slots.require("a")
    hall.enter("a1", "a2")
    assert refusal(hall).detail == "All slots are taken and the queue is full."
    with pytest.raises(Overloaded):
        hall.enter("a3")
    hall.leave("a1")
    hall.slots.require("a")


def test_without_a_queue_nobody_waits() -> None:
    """``queued=0``: at work, or refused."""
    hall = Hall(queued=0)
    hall.enter("a1")
    refusal(hall)


def test_a_full_queue_is_shared() -> None:
    """A newcomer pushes out the last one of whoever fills it, who is told, until parts are equal."""
    hall = Hall(queued=4)
    hall.enter("a1", "a2", "a3", "a4", "a5")
    hall.told.clear()
    hall.enter("b1")
    assert (hall.places["a5"], hall.queue) == (None, "a2 b1 a3 a4")
    assert "a5" in hall.told
    hall.enter("b2")
    assert hall.queue == "a2 b1 a3 b2"
    assert refusal(hall, "b")
    assert refusal(hall, "a")
    hall.slots.require("c")


def test_a_refusal_says_when_to_come_again() -> None:
    """When the queue and oneself would have been served, as slots were held of late: 8 s × 3 ÷ 2."""
    clock = FakeClock()
    hall = Hall(running=2, queued=2, clock=clock)
    hall.enter("a1")
    clock.advance(8)
    hall.leave("a1")
    hall.enter("a1", "a2", "a3", "a4")
    assert refusal(hall).members == {"retry_after_s": 12}


def test_newer_figures_weigh_an_eighth() -> None:
    """8 s, then 16 s: 9 s."""
    clock = FakeClock()
    hall = Hall(clock=clock)
    for seconds in (8, 16):
        hall.enter("a1")
        clock.advance(seconds)
        hall.leave("a1")
    assert hall.slots.retry_after_s == 9


@pytest.mark.parametrize(("held_s", "retry_after_s"), [(None, 1), (0.001, 1), (1000, 30)])
def test_nobody_is_sent_away_for_long(held_s: float | None, retry_after_s: int) -> None:
    """At least 1 s, also where nothing is known yet, and at most 30."""
    clock = FakeClock()
    hall = Hall(clock=clock)
    if held_s is not None:
        hall.enter("a1")
        clock.advance(held_s)
        hall.leave("a1")
    assert hall.slots.retry_after_s == retry_after_s


class FairQueue(RuleBasedStateMachine):
    """Whatever enters and leaves, beside a queue that is played by hand, turn by turn."""

    @initialize(running=st.integers(1, 3), queued=st.integers(0, 6))
    def open(self, running: int, queued: int) -> None:
        self.running, self.queued = running, queued
        self.slots = Slots(running=running, queued=queued, monotonic=FakeClock().monotonic)
        self.working: list[Ticket] = []
        self.turns: list[str] = []  # whose turn it is
        self.waiting: list[Ticket] = []  # in the order of their coming
        self.out: list[Ticket] = []
        self.told: dict[Ticket, int | None] = {}

    @rule(owner=st.sampled_from("abc"))
    def enter(self, owner: str) -> None:
        tickets: list[Ticket] = []
        held = {one: sum(ticket.owner == one for ticket in self.waiting) for one in "abc"}
        loser = max(self.turns, key=lambda one: held[one], default=owner)

        def moved() -> None:
            self.told.update({ticket: ticket.place for ticket in tickets})

        try:
            tickets.append(self.slots.enter(owner, moved))
        except Overloaded:
            assert len(self.working) == self.running
            assert len(self.waiting) == self.queued
            assert held[loser] <= held[owner] + 1
            return
        [ticket] = tickets
        self.told[ticket] = ticket.place
        if len(self.working) < self.running:
            self.working.append(ticket)
            return
        if len(self.waiting) == self.queued:
            assert held[loser] > held[owner] + 1
            last = [one for one in self.waiting if one.owner == loser][-1]
            self._drop(last)
            self.out.append(last)
        self.waiting.append(ticket)
        if owner not in self.turns:
            self.turns.append(owner)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.working))
        before = self._heads()
        self.slots.leave(ticket)
        self.working.remove(ticket)
        self.out.append(ticket)
        if self.turns:
            self.working.append(self._next(self.turns, self.waiting))
        for head, place in before.items():
            assert head.place == place - 1  # nobody starves: each service brings every first one nearer

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.slots.leave(ticket)
        self._drop(ticket)
        self.out.append(ticket)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def leave_again(self, data: st.DataObject) -> None:
        self.slots.leave(data.draw(st.sampled_from(self.out)))

    def _drop(self, ticket: Ticket) -> None:
        self.waiting.remove(ticket)
        if all(one.owner != ticket.owner for one in self.waiting):
            self.turns.remove(ticket.owner)

    @staticmethod
    def _next(turns: list[str], waiting: list[Ticket]) -> Ticket:
        owner = turns.pop(0)
        ticket = next(one for one in waiting if one.owner == owner)
        waiting.remove(ticket)
        if any(one.owner == owner for one in waiting):
            turns.append(owner)
        return ticket

    def _heads(self) -> dict[Ticket, int]:
        """The first one of each owner, with its place."""
        firsts: dict[str, Ticket] = {}
        for ticket in self.waiting:
            firsts.setdefault(ticket.owner, ticket)
        return {ticket: ticket.place for ticket in firsts.values() if ticket.place is not None}

    @invariant()
    def nothing_is_lost(self) -> None:
        assert [ticket.place for ticket in self.working] == [0] * self.slots.working
        assert all(ticket.place is None for ticket in self.out)
        assert self.slots.waiting == len(self.waiting) <= self.queued
        assert self.slots.working <= self.running
        assert not self.waiting or self.slots.working == self.running

    @invariant()
    def places_are_those_of_the_turns_to_come(self) -> None:
        turns, waiting = list(self.turns), list(self.waiting)
        order = [self._next(turns, waiting) for _ in self.waiting]
        assert [ticket.place for ticket in order] == list(range(1, len(order) + 1))

    @invariant()
    def who_waits_was_told_its_place(self) -> None:
        for ticket in [*self.working, *self.waiting]:
            assert self.told[ticket] == ticket.place

    def teardown(self) -> None:
        for ticket in [*self.waiting, *self.working]:
            self.slots.leave(ticket)
        assert (self.slots.working, self.slots.waiting) == (0, 0)


TestFairQueue = FairQueue.TestCase
