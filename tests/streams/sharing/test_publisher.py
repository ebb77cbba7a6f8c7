"""What goes into the store while it is slow, away, or somebody else's already."""

import gevent

from services.streams.sharing.facts import log_of
from services.streams.sharing.keeper import LEASE_S, RENEW_S
from services.streams.sharing.publisher import BATCH_S
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import Reply, Stage, settle


def begun(stage: Stage) -> Reply:
    """A stream that runs whoever reads it."""
    return stage.post(options={"on_disconnect": "finish"})


def found(pair: Pair, stage: Stage, stream: str) -> bool:
    """Tell whether a stream can be read there."""
    asking = gevent.spawn(stage.get, stream)
    pair.passes(1)
    return asking.get(timeout=1).status == 200


def test_logs_lost_while_others_are_stored() -> None:
    """A process whose streams were taken in the middle of a batch goes on publishing its next ones."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"))
    begun(pair.here), begun(pair.here)
    pair.mirrored()
    pair.here.shared.away = True
    gate.set()
    pair.passes(1)  # both are to be stored at once
    pair.here.shared.away = False
    leasing, appending = pair.here.shared.hold("lease"), pair.here.shared.hold("append_all")
    releasing = pair.there.shared.hold("release")
    pair.passes(LEASE_S + 2 * RENEW_S)  # there they are taken over
    assert (leasing.reached.is_set(), appending.reached.is_set()) == (True, True)
    leasing.set()
    settle()  # here the keeper learns of it
    appending.set()
    releasing.set()
    pair.mirrored()
    later = begun(pair.here)
    pair.mirrored()
    assert found(pair, pair.there, later.stream)


def test_a_hand_over_waits_for_what_is_being_stored() -> None:
    """A batch that was on its way when the process let go is not taken for the last one."""
    gate, never = Gate(), Gate()
    pair = Pair(says=whole("Hello", gate, " world", never), settings={"grace_s": 1})
    reply = begun(pair.here)
    pair.mirrored()
    appending = pair.here.shared.hold("append_all")
    gate.set()
    pair.clock.advance(BATCH_S)
    settle()
    assert appending.reached.is_set()
    pair.here.core.drain.begin()
    pair.clock.advance(1)
    settle()  # the producer has stopped, and waits for the store
    appending.set()
    settle()
    pair.mirrored()
    assert pair.here.core.streams.here(reply.stream) is None


def test_a_process_has_not_finished_before_its_last_end_is_stored() -> None:
    """Its reader has it already, and others would find a log that broke off."""
    pair = Pair()
    storing = pair.here.shared.hold("append_all")
    reply = begun(pair.here)
    reply.read()
    assert (pair.here.core.unfinished, len(pair.here.core.streams.running)) == (True, 0)
    storing.set()
    pair.mirrored()
    assert not pair.here.core.unfinished


def test_a_process_has_not_finished_before_its_last_message_is_sent() -> None:
    """Whoever was sent on from here counts as present elsewhere, if only that is told."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = begun(pair.here)
    pair.mirrored()
    there = pair.there.get(reply.stream)
    pair.mirrored()
    sending = pair.there.shared.hold("send")
    there.close()
    settle()
    assert sending.reached.is_set()
    assert pair.there.core.unfinished
    sending.set()
    settle()
    assert not pair.there.core.unfinished


def test_a_log_that_ends_while_others_are_stored_is_let_go_of() -> None:
    """Its end comes into the batch at the last moment: it is released as any other, and not held for ever."""
    word, end, other, never = Gate(), Gate(), Gate(), Gate()
    scripts = iter([whole("Hello", word, " world", end), whole("Hello", other), whole(never)])
    pair = Pair(says=lambda _request: next(scripts))
    begun(pair.here), begun(pair.here)
    pair.mirrored()
    first = pair.here.shared.hold("put_all")
    third = begun(pair.here)
    settle()  # the publisher is busy with it
    word.set()
    other.set()
    settle()  # one has more to tell and the other its end, and both wait
    second = pair.here.shared.hold("put_all")
    first.set()
    settle()
    assert second.reached.is_set()
    end.set()
    settle()
    second.set()
    pair.mirrored()
    assert set(pair.contents.leases) == {log_of(str(third.stream))}


def test_a_log_that_ends_beside_one_that_was_taken_is_let_go_of() -> None:
    """That another process has taken one of a batch is no matter of the others."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate))
    taken, ending = begun(pair.here), begun(pair.here)
    pair.mirrored()
    pair.contents.logs[log_of(str(taken.stream))].epoch += 1
    pair.here.shared.away = True
    gate.set()
    pair.passes(0.5)  # both have their ends to tell
    pair.here.shared.away = False
    pair.passes(1)
    assert log_of(str(ending.stream)) not in pair.contents.leases
    assert not pair.here.core.unfinished
