"""What is remembered between streams."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.errors import Busy, NotFound
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.streams import sessions as module
from services.streams.sessions import AWAY_S, DAY_S, Session, Sessions
from services.streams.use_case import Turn
from tests.streams.fake_clock import FakeClock
from tests.streams.sharing.trouble import Trouble
from tests.streams.stage import settle


class Away(MemoryStore):
    """A store that can be away."""

    away = False

    def get(self, key: str) -> bytes | None:
        if self.away:
            raise StoreDownError
        return super().get(key)


def sessions(
    days: float = 1, *, alive: Callable[[str], bool] = lambda _stream: True
) -> tuple[Sessions, FakeClock]:
    kept, clock, _ = stored(days, alive=alive)
    return kept, clock


def stored(
    days: float = 1, *, alive: Callable[[str], bool] = lambda _stream: True
) -> tuple[Sessions, FakeClock, Away]:
    clock = FakeClock()
    store = Away(monotonic=clock.monotonic)
    return Sessions(store, clock, days=days, alive=alive), clock, store


def begun(kept: Sessions, session: str | None = None, stream: str = "s1") -> Session:
    return kept.begin_turn(session, owner="me", use_case="diary", stream=stream)


def turn(number: int, stream: str = "s1") -> Turn:
    return Turn(number=number, stream=stream, sent={"text": "hi"}, text="Hello", partial=False)


def test_the_first_turn_begins_a_session() -> None:
    """Without an id there is a new session whose turn is taken."""
    kept, _ = sessions()
    session = begun(kept)
    assert (session.running, session.next_turn, session.state) == ("s1", 1, None)
    assert kept.get(session.id, "me") == session


def test_sessions_cannot_be_guessed() -> None:
    """Each has an id of its own, of 128 random bits."""
    kept, _ = sessions()
    ids = {begun(kept).id for _ in range(100)}
    assert (len(ids), {len(one) for one in ids}) == (100, {22})


def test_a_turn_leaves_what_it_said_and_its_state() -> None:
    """The next turn finds both, and its own number."""
    kept, _ = sessions()
    first = begun(kept)
    kept.end_turn(first.id, turn(1), {"page": 1})
    second = begun(kept, first.id, "s2")
    assert (second.turns, second.state, second.next_turn) == ((turn(1),), {"page": 1}, 2)


def test_one_turn_at_a_time() -> None:
    """A second turn while one runs is refused, with the path of the stream that runs."""
    kept, _ = sessions()
    session = begun(kept)
    with pytest.raises(Busy) as refused:
        begun(kept, session.id, "s2")
    assert refused.value.members == {"stream": "/v1/streams/s1"}


@pytest.mark.parametrize("change", [{"owner": "somebody else"}, {"session_id": "unknown"}])
def test_what_is_not_yours_is_not_there(change: dict[str, str]) -> None:
    """An unknown session and another's are the same problem, for reading, going on and deleting."""
    kept, _ = sessions()
    session_id, owner = (change.get("session_id", begun(kept).id), change.get("owner", "me"))
    same = r"There is no such session; it may have expired\."
    with pytest.raises(NotFound, match=same):
        kept.get(session_id, owner)
    with pytest.raises(NotFound, match=same):
        kept.begin_turn(session_id, owner=owner, use_case="diary", stream="s2")
    with pytest.raises(NotFound, match=same):
        kept.delete(session_id, owner)


def test_a_session_belongs_to_its_use_case() -> None:
    """Another use case would not understand its state."""
    kept, _ = sessions()
    session = begun(kept)
    with pytest.raises(NotFound, match="another use case"):
        kept.begin_turn(session.id, owner="me", use_case="tutor", stream="s2")


def test_a_refused_turn_is_given_back() -> None:
    """A session stays as it was before; its next turn may begin."""
    kept, _ = sessions()
    session = begun(kept)
    kept.end_turn(session.id, turn(1), "state")
    begun(kept, session.id, "s2")
    kept.abandon_turn(session, new=False)
    again = begun(kept, session.id, "s3")
    assert (again.turns, again.state, again.running) == ((turn(1),), "state", "s3")


def test_a_session_begun_for_a_refused_turn_disappears() -> None:
    """Nobody was told its id."""
    kept, _ = sessions()
    session = begun(kept)
    kept.abandon_turn(session, new=True)
    with pytest.raises(NotFound):
        kept.get(session.id, "me")


@pytest.mark.parametrize("end", ["end_turn", "abandon_turn"])
def test_a_session_deleted_in_mid_turn_stays_deleted(end: str) -> None:
    """The end of its last turn does not bring it back."""
    kept, _ = sessions()
    session = begun(kept)
    assert kept.delete(session.id, "me").running == "s1"
    if end == "end_turn":
        kept.end_turn(session.id, turn(1), "state")
    else:
        kept.abandon_turn(session, new=False)
    with pytest.raises(NotFound):
        kept.get(session.id, "me")


def test_a_session_that_is_not_used_is_forgotten() -> None:
    """Its days begin anew with each turn."""
    kept, clock = sessions(days=2)
    session = begun(kept)
    clock.advance(1.5 * DAY_S)
    kept.end_turn(session.id, turn(1), None)
    clock.advance(1.5 * DAY_S)
    assert kept.get(session.id, "me").turns
    clock.advance(0.5 * DAY_S)
    with pytest.raises(NotFound):
        kept.get(session.id, "me")


def test_a_turn_whose_stream_is_no_more_keeps_nobody_out() -> None:
    """A process that died in mid-turn gave nothing back; the next turn begins all the same."""
    kept, _ = sessions(alive=lambda stream: stream == "s2")
    session = begun(kept, stream="s1")
    assert begun(kept, session.id, "s2").running == "s2"
    with pytest.raises(Busy):
        begun(kept, session.id, "s3")


@pytest.mark.R17
@pytest.mark.R18
def test_a_turn_that_ends_while_the_store_is_away_waits() -> None:
    """It is stored when the store is back; until then the session is busy, and says with what."""
    kept, clock, store = stored(alive=lambda _stream: False)
    session = begun(kept)
    store.away = True
    kept.end_turn(session.id, turn(1), {"page": 1})
    settle()
    store.away = False
    assert kept.waiting == 1
    with pytest.raises(Busy):
        begun(kept, session.id, "s2")
    clock.advance(AWAY_S)
    settle()
    assert kept.waiting == 0
    assert begun(kept, session.id, "s2").state == {"page": 1}


def test_a_turn_that_was_stored_without_an_answer_is_there_once() -> None:
    """What a call did that was not answered in time is not known; it is done again, and changes nothing."""
    clock = FakeClock()
    store = Trouble(MemoryStore(monotonic=clock.monotonic))
    kept = Sessions(store, clock, days=1, alive=lambda _stream: False)
    session = begun(kept)
    store.deaf.add("swap")
    kept.end_turn(session.id, turn(1), "state")
    settle()
    store.deaf.clear()
    clock.advance(AWAY_S)
    settle()
    assert kept.get(session.id, "me").turns == (turn(1),)


def test_a_turn_of_a_session_that_cannot_be_read_does_not_wait() -> None:
    """It never could be stored, and what is stored behind it would wait for ever."""
    kept, _, store = stored()
    session = begun(kept)
    store.put(f"session:{session.id}", b"{", 60)
    with pytest.raises(msgspec.DecodeError):
        kept.end_turn(session.id, turn(1), "state")
    assert kept.waiting == 0
    kept.store_waiting(session.id)


def test_a_turn_that_waits_can_be_discarded() -> None:
    """It does not come back when its time would have come."""
    kept, clock, store = stored()
    session = begun(kept)
    kept.end_turn(session.id, turn(1), "first")
    begun(kept, session.id, "s2")
    store.away = True
    kept.end_turn(session.id, turn(2, "s2"), "second")
    settle()
    store.away = False
    kept.discard_turn(session.id, "s2")
    clock.advance(AWAY_S)
    settle()
    left = kept.get(session.id, "me")
    assert (left.turns, left.state) == ((turn(1),), "first")


def test_turns_are_bounded_and_keep_their_numbers() -> None:
    """The oldest go; the numbers run on."""
    kept, _ = sessions()
    session = begun(kept)
    for number in range(1, module.MAX_TURNS + 3):
        kept.end_turn(session.id, turn(number), None)
    left = kept.get(session.id, "me")
    assert (len(left.turns), left.turns[0].number, left.next_turn) == (
        module.MAX_TURNS,
        3,
        module.MAX_TURNS + 3,
    )


class OneTurnAtATime(RuleBasedStateMachine):
    """Whatever happens to a session, its turns are numbered without gaps and never overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, _ = sessions()
        self.id = begun(self.kept).id
        self.running = True
        self.done = 0

    @rule()
    def begin(self) -> None:
        try:
            session = begun(self.kept, self.id)
        except Busy:
            assert self.running
        else:
            assert not self.running
            assert session.next_turn == self.done + 1
            self.running = True

    @precondition(lambda self: self.running)
    @rule(state=st.integers())
    def end(self, state: int) -> None:
        self.done += 1
        self.kept.end_turn(self.id, turn(self.done), state)
        self.running = False

    @precondition(lambda self: self.running and self.done)
    @rule()
    def abandon(self) -> None:
        self.kept.abandon_turn(self.kept.get(self.id, "me"), new=False)
        self.running = False

    @invariant()
    def numbers_have_no_gaps(self) -> None:
        turns = self.kept.get(self.id, "me").turns
        assert [one.number for one in turns] == list(range(1, self.done + 1))


TestOneTurnAtATime = OneTurnAtATime.TestCase
