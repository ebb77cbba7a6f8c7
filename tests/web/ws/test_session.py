"""Ops and refs: what is said over a WebSocket of the real app, with a scripted provider behind it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st

from services.events import Text
from services.state.memory import MemoryStore
from services.streams.handover import lose
from services.streams.readers import HELD_S, SPREAD_S
from services.use_cases import USE_CASES
from services.web.keys import new_key
from services.web.ws import tolerance
from services.web.ws.ops import Start
from services.web.ws.refs import MOST_REFS
from services.web.ws.session import AUTH_S, CONTROL_BYTES
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import NDJSON, STAGE, Stage, joined, settle
from tests.web.ws.frames import CLOSE, Peer, frame
from tests.web.ws.socket_of import socket_of

KEY, ENTRY = new_key("web")
OTHER, OTHERS_ENTRY = new_key("other")
NARROW, NARROW_ENTRY = new_key("narrow", scopes=["mute"])
KEYED = {"keys": (ENTRY.line(), OTHERS_ENTRY.line(), NARROW_ENTRY.line())}
ONCE = "a-key-of-my-choice"


def start(ref: str = "a", use_case: str = "echo", **fields):
    return {"op": "start", "ref": ref, "use_case": use_case, **fields}


def resume(stream: str, after: int = 0, ref: str = "r"):
    return {"op": "resume", "ref": ref, "stream": stream, "after": after}


def auth(token: str):
    return {"op": "auth", "token": token}


class Opening:
    """A stage whose use case ``echo`` is opened when the test lets it."""

    def __init__(self, shared=None, **settings) -> None:
        self.let = Event()
        slow = replace(STAGE["echo"], transform=self._transform)
        use_cases = {"echo": slow, "mute": STAGE["mute"]}
        self.stage = Stage(use_cases=use_cases, settings=settings, shared=shared)

    def _transform(self, given, _context):
        self.let.wait()
        yield Text(text=given.text[:5])


def cancel(ref: str = "a"):
    return {"op": "cancel", "ref": ref}


def slug(message) -> str:
    assert message["type"] == "problem", message
    return message["problem"]["type"].removeprefix("/problems/")


def fields(message) -> dict[str, str]:
    return {error["field"]: error["problem"] for error in message["problem"]["errors"]}


def without_ref(messages):
    return [{name: value for name, value in message.items() if name != "ref"} for message in messages]


# Streams


def test_a_socket_carries_the_events_with_their_ref():
    """Events come as NDJSON has them, with the same numbers, and the ref of their op before."""
    stage = Stage()
    with socket_of(stage) as peer:
        told = peer.say(start(text="hi")).told()
        assert without_ref(told) == stage.get(told[0]["stream"]).events()
    assert [list(message)[:2] for message in told] == [["ref", "id"]] * len(told)
    assert joined(told) == "Hello world"


def test_any_text_may_be_a_ref():
    """Quotes, controls, emojis, line separators: it comes back as it went, in JSON that is right."""
    with socket_of(Stage()) as peer:

        @given(st.text(min_size=1, max_size=64))
        def comes_back(ref):
            assert {message["ref"] for message in peer.say(start(ref, "mute")).told(ref)} == {ref}

        comes_back()


def test_several_streams_share_a_socket():
    """Each goes on at its own pace."""
    gates = {"slow": Gate(), "fast": Gate()}
    stage = Stage(lambda asked: whole("one ", gates[asked.messages[-1].content], "two"))
    with socket_of(stage) as peer:
        peer.say(start("a", text="slow"), start("b", text="fast"))
        gates["slow"].reached.wait()
        gates["fast"].set()
        assert joined(peer.told("b")) == "one two"
        gates["slow"].set()
        assert joined(peer.told("a")) == "two"


def test_a_ref_may_be_used_again_as_soon_as_its_end_has_come():
    """One stream after the other under one ref."""
    with socket_of(Stage()) as peer:
        for _ in range(5):
            assert peer.say(start()).told()[-1]["reason"] == "stop"


def test_a_ref_in_use_is_refused():
    """The stream that has it goes on."""
    gate = Gate()
    with socket_of(Stage(whole(gate, "done"))) as peer:
        peer.say(start(), start(text="again"))
        assert fields(peer.told()[-1]) == {"ref": "is in use on this socket"}
        gate.set()
        assert joined(peer.told()) == "done"


def test_a_full_house_looks_at_nothing():
    """It refuses before it counts what was sent."""
    stage = Stage(whole(Gate()), settings={"max_streams": 1, "max_queued": 0, "max_input_tokens": 1})
    with socket_of(stage) as peer:
        peer.say(start(text="a")).until("a", "start")
        assert slug(peer.say(start("b", text="much too long")).told("b")[-1]) == "overloaded"


def test_a_socket_has_a_bounded_number_of_refs():
    """One more is refused; when they have ended there is room again."""
    gate = Gate()
    with socket_of(Stage(whole(gate, "done"))) as peer:
        many = [str(number) for number in range(MOST_REFS)]
        refused = peer.say(*map(start, many), start("more")).told("more")[-1]
        assert (slug(refused), refused["problem"]["limit"]) == ("overloaded", MOST_REFS)
        gate.set()
        peer.told(*many)
        assert peer.say(start("more")).told("more")[-1]["reason"] == "stop"


def test_what_cannot_be_started_is_refused_with_its_ref():
    """As a POST would be, with the same problem."""
    stage = Stage()
    with socket_of(stage) as peer:
        refused = peer.say(start(text=5, options={"deadline_s": -1})).told()[-1]
        assert refused["problem"] == stage.post(text=5, options={"deadline_s": -1}).json()
        assert slug(peer.say(start(use_case="none")).told()[-1]) == "not-found"
        assert peer.say(start()).told()[-1]["reason"] == "stop"


def test_an_error_of_ours_is_told_and_logged(caplog):
    """What nobody thought of ends no socket."""
    stage = Stage(use_cases={"odd": replace(STAGE["echo"], name="odd")})
    with socket_of(stage) as peer:
        assert slug(peer.say(start(use_case="odd")).told()[-1]) == "internal"  # it has no prompt
        assert slug(peer.say(start(use_case="odd")).told()[-1]) == "internal"
    assert "KeyError" in caplog.text


def test_no_use_case_has_a_field_that_an_op_needs():
    """A field named like one of the op's own could not be sent over a WebSocket."""
    own = set(Start.model_fields)
    assert [name for name, one in USE_CASES.items() if own & set(one.input.model_fields)] == []


# Ops


@pytest.mark.parametrize(
    ("message", "ref", "problem"),
    [
        ("", None, "malformed-body"),
        ("nonsense", None, "malformed-body"),
        ("[]", None, "malformed-body"),
        ('{"op": "start", "ref": "a", "text": "\\ud800"}', None, "malformed-body"),
        ("[" * 5_000, None, "malformed-body"),
        ({}, None, "invalid-input"),
        ({"op": None, "ref": "r"}, "r", "invalid-input"),
        ({"op": ["start"], "ref": "r"}, "r", "invalid-input"),
        ({"op": "sing", "ref": "r"}, "r", "invalid-input"),
        ({"op": "start"}, None, "invalid-input"),
        ({"op": "start", "ref": ""}, None, "invalid-input"),
        ({"op": "start", "ref": 5, "use_case": "echo"}, None, "invalid-input"),
        ({"op": "start", "ref": "r" * 65, "use_case": "echo"}, None, "invalid-input"),
        ({"op": "start", "ref": "r"}, "r", "invalid-input"),
        ({"op": "start", "ref": "r", "use_case": ["echo"]}, "r", "invalid-input"),
        ({"op": "start", "ref": "r", "use_case": "echo", "idempotency_key": 5}, "r", "invalid-input"),
        ({"op": "start", "ref": "r", "use_case": "echo", "idempotency_key": "short"}, "r", "invalid-input"),
        ({"op": "start", "ref": "r", "use_case": "echo", "unknown": 1}, "r", "invalid-input"),
        ({"op": "cancel", "ref": "r", "stream": "x"}, "r", "invalid-input"),
        ({"op": "cancel", "ref": "r"}, "r", "not-found"),
        ({"op": "resume", "ref": "r"}, "r", "invalid-input"),
        ({"op": "resume", "ref": "r", "stream": "x", "after": -1}, "r", "invalid-input"),
        ({"op": "resume", "ref": "r", "stream": "x", "after": "1"}, "r", "invalid-input"),
        ({"op": "resume", "ref": "r", "stream": "x", "after": 10**9}, "r", "invalid-input"),
        ({"op": "resume", "ref": "r", "stream": "x" * 22}, "r", "not-found"),
        ({"op": "auth", "ref": "r"}, "r", "invalid-input"),
        ({"op": "cancel", "ref": "r", "more": "x" * CONTROL_BYTES}, "r", "body-too-large"),
    ],
)
def test_a_wrong_message_is_refused(message, ref, problem):
    """With its ref where it has one; the socket goes on."""
    with socket_of(Stage()) as peer:
        refused = peer.say(message).hear()
        assert (refused["ref"], slug(refused)) == (ref, problem)
        assert peer.say(start()).told()[-1]["reason"] == "stop"


def test_a_start_may_be_as_long_as_a_body():
    """GLOSS_MAX_BODY_BYTES holds for it; other messages have 64 KiB."""
    stage = Stage(settings={"max_body_bytes": 200_000, "max_input_tokens": 100_000})
    with socket_of(stage) as peer:
        assert peer.say(start(text="word " * 30_000)).told()[-1]["reason"] == "stop"
        sending = gevent.spawn(peer.say, start(text="x" * 200_001))
        assert peer.goodbye() == 1009
        sending.join()


def test_a_start_may_not_be_longer_than_a_body():
    """Also where bodies are shorter than other messages may be."""
    stage = Stage(settings={"max_body_bytes": 2_000})
    with socket_of(stage) as peer:
        refused = peer.say(start(text="x" * 2_000)).told()[-1]
        assert (slug(refused), refused["problem"]["limit"]) == ("body-too-large", 2_000)


def test_large_starts_are_opened_one_at_a_time():
    """Nothing more is read while a second one waits, so a socket never weighs more than two bodies."""
    opening = Opening(max_input_tokens=1_000_000)
    large = "word " * 20_000
    with socket_of(opening.stage) as peer:
        small = start("c", "mute")
        sending = gevent.spawn(peer.say, start("a", text=large), start("b", text=large), small)
        peer.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.socket.settimeout(None)
        opening.let.set()
        assert {messages[-1]["type"] for messages in peer.told("a", "b", "c").values()} == {"finish"}
        sending.join()


@pytest.mark.parametrize(
    "messages",
    [
        ["nonsense"] * (tolerance.MOST + 1),
        [start(str(number), text=5) for number in range(tolerance.MOST + 1)],
        [start("a", "mute"), *[cancel()] * (tolerance.MOST + 1)],
        [auth("x")] * (tolerance.MOST + 1),
    ],
    ids=["refused at once", "refused later", "cancels", "auths"],
)
def test_too_much_for_nothing_ends_it(messages):
    """Whatever is refused is answered up to there; what needs no answer is counted too."""
    with socket_of(Stage()) as peer:
        sending = gevent.spawn(peer.say, *messages)
        came = peer.frames()
        sending.kill()
        assert came[-1] == (CLOSE, (1008).to_bytes(2) + b"too many messages for nothing")
        assert len(came) <= tolerance.MOST + 2


# Cancel


def test_cancel_ends_the_stream_of_its_ref():
    """The provider is closed; the end says why and what it cost."""
    stage = Stage(whole("Hello", Gate()))
    with socket_of(stage) as peer:
        peer.say(start()).until("a", "text")
        end = peer.say(cancel()).told()[-1]
        assert (end["reason"], end["usage"]["estimated"]) == ("cancelled", True)
        assert stage.provider.closed_early == [True]


def test_a_cancel_that_crosses_the_end_is_no_mistake():
    """As a DELETE of a stream that has ended: nothing is said."""
    with socket_of(Stage()) as peer:
        peer.say(start()).told()
        assert peer.say(cancel(), start("b")).hear()["ref"] == "b"


def test_a_cancel_holds_also_while_the_stream_is_being_opened():
    """It ends as soon as it has begun."""
    opening = Opening()
    with socket_of(opening.stage) as peer:
        peer.say(start())
        settle()
        peer.say(cancel())
        settle()
        opening.let.set()
        assert peer.told()[-1]["reason"] == "cancelled"


@pytest.mark.parametrize("when", ["while it runs", "after its end"])
def test_a_cancel_may_discard(when):
    """As a DELETE may: nobody reads the stream again, and its session forgets the turn."""
    stage = Stage(whole("Hello", Gate()) if when == "while it runs" else whole("Hello"))
    with socket_of(stage) as peer:
        begun = peer.say(start(use_case="diary")).until("a", "text")[0]
        if when == "after its end":
            peer.until("a", "finish")
        peer.say({**cancel(), "discard": True})
        if when == "while it runs":
            assert peer.until("a", "finish")[-1]["reason"] == "cancelled"
        settle()
        assert stage.get(begun["stream"]).status == 404
        assert stage.call("GET", f"/v1/sessions/{begun['session']}").status == 404


def test_a_discard_holds_also_while_the_stream_is_being_opened():
    """It is gone as soon as it has begun."""
    opening = Opening()
    with socket_of(opening.stage) as peer:
        peer.say(start())
        settle()
        peer.say({**cancel(), "discard": True})
        settle()
        opening.let.set()
        told = peer.told()
        assert told[-1]["reason"] == "cancelled"
        settle()
        assert opening.stage.get(told[0]["stream"]).status == 404


def test_a_discard_that_cannot_be_done_is_answered():
    """With the problem, under its ref; a ref that was not used is told at once."""
    pair = Pair(says=whole("Hello"))
    with socket_of(pair.here) as peer:
        peer.say(start()).told()
        pair.mirrored()
        pair.away = True
        answer = peer.say({**cancel(), "discard": True}).hear()
        assert (answer["ref"], slug(answer)) == ("a", "overloaded")
        pair.away = False
        assert slug(peer.say({**cancel("r"), "discard": True}).hear()) == "not-found"


def test_one_stream_that_is_slow_to_open_holds_up_no_other():
    """Each is opened by itself."""
    opening = Opening()
    with socket_of(opening.stage) as peer:
        assert peer.say(start(), start("b", "mute")).told("b")[-1]["reason"] == "stop"
        opening.let.set()
        assert peer.told()[-1]["reason"] == "stop"


# Resume


def test_resume_reads_on_from_a_number():
    """The same events, with the ref that asks."""
    stage = Stage()
    first = stage.post().events()
    with socket_of(stage) as peer:
        told = peer.say(resume(first[0]["stream"], 2)).told("r")
        assert without_ref(told) == first[2:]
        whole_again = peer.say(resume(first[0]["stream"])).told("r")
        assert without_ref(whole_again) == first


def test_resume_reads_a_stream_that_runs():
    """Two sockets, one stream: both get its end."""
    gate = Gate()
    stage = Stage(whole("Hello", gate, " world"))
    with socket_of(stage) as one, socket_of(stage) as other:
        stream = one.say(start()).until("a", "text")[0]["stream"]
        assert other.say(resume(stream, 1)).hear()["text"] == "Hello"
        gate.set()
        assert one.told("a")[-1]["id"] == other.told("r")[-1]["id"]


@pytest.mark.parametrize("beyond", [0, 1, 100])
def test_resume_after_the_end_is_refused(beyond):
    """Nothing follows, and nothing stands beyond the log."""
    stage = Stage()
    events = stage.post().events()
    asked = resume(events[0]["stream"], len(events) + beyond)
    with socket_of(stage) as peer:
        assert slug(peer.say(asked).told("r")[-1]) == "not-found"
    assert not stage.core.streams.get(events[0]["stream"], "anonymous").presence


# Keys that begin one stream only


def test_an_idempotency_key_joins_what_it_began():
    """Over another socket, over the same one, over HTTP: one generation."""
    stage = Stage()
    asked = start(text="hi", idempotency_key=ONCE)
    with socket_of(stage) as one, socket_of(stage) as other:
        first = one.say(asked).told()
        assert other.say(asked).told() == first
        assert one.say(asked).told() == first
    posted = stage.call(
        "POST", "/v1/echo", data='{"text": "hi"}', accept=NDJSON, headers={"Idempotency-Key": ONCE}
    )
    assert posted.events() == without_ref(first)
    assert len(stage.provider.asked) == 1


def test_an_idempotency_key_stands_for_one_body():
    """Another body is refused; the ref is no part of it."""
    stage = Stage()
    with socket_of(stage) as peer:
        first = peer.say(start("a", text="hi", idempotency_key=ONCE)).told()
        assert (
            slug(peer.say(start("b", text="ho", idempotency_key=ONCE)).told("b")[-1])
            == "idempotency-mismatch"
        )
        assert (
            peer.say(start("c", text="hi", idempotency_key=ONCE)).told("c")[0]["stream"] == first[0]["stream"]
        )


# Who leaves


@pytest.mark.parametrize("way", [Peer.close, Peer.reset, lambda peer: peer.send(frame(CLOSE))])
@pytest.mark.parametrize("gated", [whole(Gate()), whole("Hello", Gate())])
def test_a_socket_that_ends_leaves_its_streams(gated, way):
    """By FIN, RST and goodbye: as with any reader that was the last, the provider is closed."""
    stage = Stage(gated)
    with socket_of(stage) as peer:
        stream = peer.say(start()).hear()["stream"]
        settle()
        way(peer)
        settle()
        assert stage.core.streams.get(stream, "anonymous").log.end.reason == "disconnected"
        assert stage.provider.closed_early == [True]


def test_what_happens_to_a_stream_without_readers_is_the_callers_choice():
    """With ``on_disconnect: finish`` it comes to its end, and can be resumed on another socket."""
    gate = Gate()
    stage = Stage(whole("Hello", gate, " world"))
    with socket_of(stage) as peer:
        stream = peer.say(start(options={"on_disconnect": "finish"})).hear()["stream"]
    gate.set()
    with socket_of(stage) as peer:
        assert joined(peer.say(resume(stream)).told("r")) == "Hello world"


@pytest.mark.parametrize(("policy", "reason"), [("cancel", "disconnected"), ("finish", "stop")])
def test_a_socket_that_ends_while_a_stream_is_opened_is_a_reader_that_has_left(policy, reason, caplog):
    """It begins, and what happens then is the caller's choice as ever."""
    opening = Opening()
    with socket_of(opening.stage) as peer:
        peer.say(start(options={"on_disconnect": policy}))
        settle()
    with caplog.at_level("INFO"):
        opening.let.set()
        settle()
    assert f"reason={reason}" in caplog.text


def test_a_stream_stays_while_another_reader_is_left():
    """The socket that began it ends; another one reads on."""
    gate = Gate()
    stage = Stage(whole("Hello", gate, " world"))
    with socket_of(stage) as other:
        with socket_of(stage) as peer:
            stream = peer.say(start()).hear()["stream"]
            other.say(resume(stream)).hear()
        gate.set()
        assert other.told("r")[-1]["reason"] == "stop"


# Who is calling


def test_a_key_in_the_head_is_enough():
    """The first message may be an op at once."""
    with socket_of(Stage(settings=KEYED), key=KEY) as peer:
        assert peer.say(start()).told()[-1]["reason"] == "stop"


def test_the_first_message_may_bring_the_key():
    """Nothing answers it; what follows is served."""
    stage = Stage(settings=KEYED)
    with socket_of(stage) as peer:
        assert peer.say(auth(KEY), start()).told()[-1]["reason"] == "stop"
        stage.clock.advance(AUTH_S)
        settle()
        assert peer.say(start()).told()[-1]["reason"] == "stop"


@pytest.mark.parametrize(
    "message",
    [auth(KEY + "x"), auth(f"Bearer {KEY}"), auth(""), auth(f"{KEY}\n"), start(), cancel(), resume("x"), {}],
)
def test_whoever_does_not_say_it_is_turned_away(message):
    """A wrong key, and any other op: told why, then 4401."""
    stage = Stage(settings=KEYED)
    with socket_of(stage) as peer:
        assert slug(peer.say(message).hear()) == "unauthorized"
        assert peer.goodbye() == 4401
    assert stage.provider.asked == []


def test_whoever_says_nothing_is_turned_away():
    """After five seconds."""
    stage = Stage(settings=KEYED)
    with socket_of(stage) as peer:
        stage.clock.advance(AUTH_S - 0.1)
        settle()
        stage.clock.advance(0.1)
        assert peer.goodbye() == 4401


def test_strangers_have_short_messages():
    """Before a key has come a message may have 64 KiB, whatever it is."""
    with socket_of(Stage(settings=KEYED)) as peer:
        sending = gevent.spawn(peer.say, start(text="x" * CONTROL_BYTES))
        assert peer.goodbye() == 1009
        sending.join()


def test_without_keys_nobody_needs_one():
    """Who sends one all the same is served."""
    stage = Stage()
    with socket_of(stage) as peer:
        stage.clock.advance(AUTH_S)
        settle()
        assert peer.say(auth("whatever"), start()).told()[-1]["reason"] == "stop"


def test_a_key_opens_its_scopes_only():
    """As over HTTP."""
    with socket_of(Stage(settings=KEYED), key=NARROW) as peer:
        assert slug(peer.say(start()).told()[-1]) == "forbidden"
        assert peer.say(start(use_case="mute")).told()[-1]["reason"] == "stop"


def test_somebody_elses_stream_is_not_there():
    """An id is good with its own key only."""
    stage = Stage(settings=KEYED)
    stream = stage.post(key=KEY).events()[0]["stream"]
    with socket_of(stage, key=OTHER) as peer:
        assert slug(peer.say(resume(stream)).told("r")[-1]) == "not-found"
        peer.say(auth(KEY))  # a later one counts from then on
        assert peer.say(resume(stream)).told("r")[-1]["reason"] == "stop"


def with_token(stage: Stage, stream: str, **fields: str) -> str:
    """A query with a read token for this stream."""
    asked = stage.call("POST", f"/v1/streams/{stream}/token", key=KEY, data=json.dumps(fields))
    return f"?token={asked.json()['token']}"


def test_a_read_token_reads_and_cancels_its_stream():
    """It stands in the address, and nothing else need be said."""
    stage = Stage(whole("Hello", Gate()), settings=KEYED)
    stream = stage.post(key=KEY, options={"on_disconnect": "finish"}).stream
    with socket_of(stage, query=with_token(stage, stream)) as peer:
        peer.say(resume(stream)).until("r", "text")
        stage.clock.advance(AUTH_S)
        settle()
        assert peer.say(cancel("r")).told("r")[-1]["reason"] == "cancelled"


@pytest.mark.parametrize("op", [start(), resume("x" * 22), {"op": "resume", "ref": "r", "stream": "y" * 22}])
def test_a_read_token_opens_nothing_else(op):
    """It starts nothing, and reads no other stream; whoever tries is turned away."""
    stage = Stage(settings=KEYED)
    stream = stage.post(key=KEY).events()[0]["stream"]
    with socket_of(stage, query=with_token(stage, stream)) as peer:
        assert slug(peer.say(op).hear()) == "unauthorized"
        assert peer.goodbye() == 4401


def test_a_token_that_was_not_used_yet_is_nobodys_word():
    """Whoever only shows something in the address is turned away in time, and has short messages."""
    stage = Stage(settings=KEYED)
    with socket_of(stage, query="?token=forged") as peer:
        stage.clock.advance(AUTH_S)
        assert peer.goodbye() == 4401
    with socket_of(stage, query="?token=forged") as peer:
        sending = gevent.spawn(peer.say, resume("x" * CONTROL_BYTES))
        assert peer.goodbye() == 1009
        sending.join()


def test_a_token_of_another_page_opens_nothing():
    """A token may be bound to an origin."""
    stage = Stage(settings={**KEYED, "cors_origins": ("https://app.example",)})
    stream = stage.post(key=KEY).events()[0]["stream"]
    with socket_of(stage, query=with_token(stage, stream, origin="https://app.example")) as peer:
        assert slug(peer.say(resume(stream)).hear()) == "foreign-origin"


def test_a_key_counts_more_than_a_token():
    """As soon as one has been said."""
    stage = Stage(settings=KEYED)
    first, second = (stage.post(key=KEY).events()[0]["stream"] for _ in range(2))
    with socket_of(stage, query=with_token(stage, first)) as peer:
        peer.say(auth(KEY))
        assert peer.say(resume(second)).told("r")[-1]["reason"] == "stop"


def test_a_key_that_expires_opens_nothing_more():
    """It is asked for with each op, not once per socket."""
    key, entry = new_key("short", expires=datetime(2026, 1, 3, tzinfo=UTC))
    stage = Stage(settings={"keys": (entry.line(),)})
    with socket_of(stage, key=key) as peer:
        assert peer.say(start()).told()[-1]["reason"] == "stop"
        stage.clock.wall = datetime(2026, 1, 3, tzinfo=UTC)
        assert slug(peer.say(start()).told()[-1]) == "unauthorized"
        assert peer.goodbye() == 4401


# The process ends


def test_without_other_processes_a_socket_stays_until_its_streams_have_ended():
    """Then it is closed, and without any at once."""
    gate = Gate()
    stage = Stage(whole("Hello", gate, " world"))
    with socket_of(stage) as idle, socket_of(stage) as peer:
        peer.say(start()).until("a", "text")
        stage.core.drain.begin()
        assert idle.goodbye() == 1001
        gate.set()
        assert peer.told()[-1]["reason"] == "stop"
        assert peer.goodbye() == 1001


def test_a_socket_of_a_process_that_ends_is_sent_on_to_another():
    """It is told so, within a few seconds; what it has seen goes on there, and ends there."""
    gate = Gate()
    pair = Pair(whole("Hello", gate, " world"))
    with socket_of(pair.here) as idle, socket_of(pair.here) as peer:
        came = peer.say(start()).until("a", "text")
        pair.here.core.drain.begin()
        settle()
        gevent.spawn(pair.passes, SPREAD_S + 1)
        for one in (idle, peer):
            assert one.hear() == {"type": "drain"}
            assert one.goodbye() == 1012
    with socket_of(pair.there) as peer:
        peer.say(resume(came[0]["stream"], came[-1]["id"], "a"))
        settle()
        gate.set()
        gevent.spawn(pair.mirrored)
        assert joined(came + peer.told()) == "Hello world"


def test_who_was_sent_on_counts_as_there_for_a_while():
    """As any reader that is on its way; then the stream is over."""
    pair = Pair(whole("Hello", Gate()), settings={"grace_s": 1_000, "between_text_s": 1_000})
    with socket_of(pair.here) as peer:
        stream = peer.say(start()).hear()["stream"]
        pair.here.core.drain.begin()
        pair.passes(SPREAD_S + 1)
    pair.passes(HELD_S - SPREAD_S - 2)
    log = pair.here.core.streams.get(stream, "anonymous").log
    assert log.end is None
    pair.passes(SPREAD_S + 2)
    assert log.end.reason == "disconnected"


def test_a_start_that_is_being_opened_when_the_process_is_told_to_stop_is_refused():
    """As a POST is; so is one that comes while the socket is being sent on."""
    opening = Opening(shared=MemoryStore())
    stream = opening.stage.post("mute").events()[0]["stream"]
    with socket_of(opening.stage) as peer:
        peer.say(start())
        settle()
        opening.stage.core.drain.begin()
        opening.stage.clock.advance(SPREAD_S)
        settle()
        assert slug(peer.say(resume(stream)).told("r")[-1]) == "shutting-down"
        opening.let.set()
        assert slug(peer.told()[-1]) == "shutting-down"
        assert peer.until(None, "drain")
        assert peer.goodbye() == 1012


def test_no_socket_is_sent_to_where_nothing_is():
    """While the store is away it stays, all its streams come to their ends, and then it is closed."""
    first, second = Gate(), Gate()
    pair = Pair(whole("Hello", first, " world", second, "!"))
    with socket_of(pair.here) as peer:
        peer.say(start()).until("a", "text")
        pair.mirrored()
        pair.here.shared.away = True
        first.set()
        peer.until("a", "text")
        pair.here.core.drain.begin()
        pair.passes(SPREAD_S)
        second.set()
        assert joined(peer.told()) == "!"
        assert peer.goodbye() == 1001


def test_a_log_that_breaks_off_sends_the_socket_on():
    """Another process goes on with that stream; all others can be read on as well."""
    pair = Pair(whole("Hello", Gate()))
    with socket_of(pair.here) as peer:
        peer.say(start(), start("b")).until("b", "text")
        stream = pair.here.core.streams.running[0]
        pair.here.shared.away = True  # whatever else there is: this one cannot be waited for
        lose(pair.here.core, stream)
        assert peer.until(None, "drain")
        assert peer.goodbye() == 1012


@pytest.mark.S19
def test_where_sizes_are_hidden_every_message_is_a_multiple():
    """Also of a stream that somebody resumes; what is said is the same."""
    stage = Stage(whole("Hello", " wonderful", " world"), settings={"pad_bytes": 128})
    with socket_of(stage) as peer:
        peer.say(start())
        payloads = []
        while not payloads or b'"type":"finish"' not in payloads[-1]:
            payloads.append(peer.frame()[1])
        told = [json.loads(payload) for payload in payloads]
        assert {len(payload) % 128 for payload in payloads} == {0}
        peer.say(resume(told[0]["stream"]))
        assert joined(peer.told("r")) == joined(told) == "Hello wonderful world"
