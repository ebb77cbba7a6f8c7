"""Sessions over HTTP: turns, refusals, forgetting."""

import json
from typing import Any

import gevent
import pytest

from services.events import Text
from services.streams.use_case import Context, Transform
from services.web.keys import new_key
from services.web.sessions import PAGE
from tests.streams.scripted import Gate, whole
from tests.streams.stage import STAGE, Reply, Said, Stage, use_case

AT_HOME = {"REMOTE_ADDR": "127.0.0.1"}


def session_of(events: list[dict]) -> str:
    return events[0]["session"]


def started(stage: Stage, reply: Reply) -> dict:
    """The start of a stream that runs, from a second reading."""
    again = stage.get(reply.stream)
    line, *_ = next(again.pieces).splitlines()
    again.close()
    return json.loads(line)


def kept(stage: Stage, session: str, **more: str) -> Reply:
    return stage.call("GET", f"/v1/sessions/{session}", **more)


def forget(stage: Stage, session: str, **more: str) -> Reply:
    return stage.call("DELETE", f"/v1/sessions/{session}", **more)


def test_the_first_post_begins_a_session_and_names_it() -> None:
    """``start`` bears the session and the number of the turn."""
    stage = Stage()
    first = stage.post("diary").events()
    second = stage.post("diary", session=session_of(first)).events()
    assert [event["turn"] for event in (first[0], second[0])] == [1, 2]
    assert session_of(first) == session_of(second)


def test_the_next_turn_may_begin_when_the_end_was_read() -> None:
    """Whoever has read the end finds the turn free and the state kept, at once."""
    stage = Stage()
    session = session_of(stage.post("diary").events())
    for _ in range(3):
        assert stage.post("diary", session=session).events()[-1]["reason"] == "stop"


def test_what_was_said_can_be_read_again() -> None:
    """A session shows its turns, its state, and that nothing runs."""
    stage = Stage()
    events = stage.post("diary", text="dear", options={"granularity": "word"}).events()
    assert kept(stage, session_of(events)).json() == {
        "session": session_of(events),
        "use_case": "diary",
        "turns": [
            {
                "number": 1,
                "stream": events[0]["stream"],
                "sent": {"text": "dear", "parts": 4, "part_tokens": 100},
                "text": "Hello world",
                "partial": False,
            }
        ],
        "state": 10,
        "running": None,
    }


def test_the_state_is_what_was_remembered_last() -> None:
    """Each turn finds the state of the one before; ``Remember`` may come at any place."""
    stage = Stage()
    session = session_of(stage.post("diary").events())
    stage.post("diary", session=session).events()
    assert kept(stage, session).json()["state"] == 110


def test_a_second_turn_while_one_runs_is_refused() -> None:
    """409, with the path of the stream that runs; the running one does not notice."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    first = stage.post("diary")
    reader = gevent.spawn(first.events)
    gate.reached.wait()
    session = started(stage, first)["session"]
    refused = stage.post("diary", session=session)
    assert (refused.status, refused.json()["stream"]) == (409, f"/v1/streams/{first.stream}")
    assert kept(stage, session).json()["running"] == f"/v1/streams/{first.stream}"
    gate.set()
    assert reader.get()[-1]["reason"] == "stop"


@pytest.mark.parametrize(
    ("says", "partial"),
    [(whole("all"), False), (whole("some", reason="length"), True), (("some",), True)],
)
def test_a_turn_that_is_not_whole_is_marked(says: tuple, *, partial: bool) -> None:
    """It stays in the session as far as it was shown."""
    stage = Stage(says)
    session = session_of(stage.post("diary").events())
    (turn,) = kept(stage, session).json()["turns"]
    assert (turn["text"], turn["partial"]) == (says[0], partial)


def test_a_cancelled_turn_stays_as_far_as_it_was_shown() -> None:
    """What was remembered before the stop counts, what would have come later does not."""
    gate = Gate()
    stage = Stage(whole("Hel", gate))
    reply = stage.post("diary")
    reader = gevent.spawn(reply.events)
    gate.reached.wait()
    stage.delete(reply.stream)
    session = session_of(reader.get())
    shown = kept(stage, session).json()
    assert (shown["turns"][0]["text"], shown["turns"][0]["partial"], shown["state"]) == ("Hel", True, 1)
    assert shown["running"] is None


def test_a_refused_start_gives_the_turn_back() -> None:
    """What the use case refuses before its first value leaves the session as it was."""
    stage = Stage()
    session = session_of(stage.post("diary").events())
    assert stage.post("diary", session=session, text="refuse").status == 422
    assert len(kept(stage, session).json()["turns"]) == 1
    assert stage.post("diary", session=session).events()[-1]["reason"] == "stop"


def test_a_start_that_does_not_fit_gives_the_turn_back() -> None:
    """So does a prompt that is too long for the window."""
    stage = Stage(settings={"context_window": 300})
    session = session_of(stage.post("diary").events())
    assert stage.post("diary", session=session, text="word " * 400).status == 413
    assert stage.post("diary", session=session).status == 200


def test_an_unknown_session_is_not_found() -> None:
    """404, and nothing was asked of the provider."""
    stage = Stage()
    assert stage.post("diary", session="nobody-knows").status == 404
    assert kept(stage, "nobody-knows").status == 404
    assert forget(stage, "nobody-knows").status == 404
    assert stage.provider.asked == []


def test_another_callers_session_is_not_found() -> None:
    """A session belongs to the key that began it: for going on, reading and deleting."""
    (mine, my_entry), (other, other_entry) = new_key("me"), new_key("other")
    stage = Stage(settings={"keys": (my_entry.line(), other_entry.line())})
    session = session_of(stage.post("diary", key=mine).events())
    assert stage.post("diary", key=other, session=session).status == 404
    assert kept(stage, session, key=other).status == 404
    assert forget(stage, session, key=other).status == 404
    assert kept(stage, session, key=mine).status == 200
    assert kept(stage, session).status == 401


def test_a_forgotten_session_is_gone() -> None:
    """204, then 404."""
    stage = Stage()
    session = session_of(stage.post("diary").events())
    assert (forget(stage, session).status, kept(stage, session).status) == (204, 404)


def test_forgetting_a_session_cancels_its_running_turn() -> None:
    """The reader gets its end, the session does not come back."""
    gate = Gate()
    stage = Stage(whole("Hel", gate))
    reply = stage.post("diary")
    reader = gevent.spawn(reply.events)
    gate.reached.wait()
    session = started(stage, reply)["session"]
    assert forget(stage, session).status == 204
    assert reader.get()[-1]["reason"] == "cancelled"
    assert kept(stage, session).status == 404


def test_a_session_can_be_forgotten_while_its_turn_is_being_opened() -> None:
    """The stream that is not there yet does not stand in the way."""
    opening = Gate()

    def slow(given: Said, context: Context) -> Transform:
        if context.turns:
            opening.wait()
        yield Text(text=given.text)
        return None

    stage = Stage(use_cases=STAGE | {"diary": use_case("diary", slow, sessions=True)})
    session = session_of(stage.post("diary").events())
    second = gevent.spawn(stage.post, "diary", session=session)
    opening.reached.wait()
    assert forget(stage, session).status == 204
    opening.set()
    assert second.get().events()[-1]["type"] == "finish"
    assert kept(stage, session).status == 404


def test_a_session_shows_what_its_use_case_shows() -> None:
    """A state holds what the model must know and the caller must not."""
    hiding = use_case("diary", STAGE["diary"].transform, sessions=True, show=lambda state: {"pages": state})
    stage = Stage(use_cases=STAGE | {"diary": hiding})
    session = session_of(stage.post("diary").events())
    assert kept(stage, session).json()["state"] == {"pages": 10}


def test_a_use_case_without_sessions_begins_none() -> None:
    """Its ``start`` names no session and no turn."""
    start = Stage().post("echo").events()[0]
    assert {"session", "turn"} & set(start) == set()


# The list


def listed(stage: Stage, after: int | str | None = None, **more: Any) -> Any:
    path = "/v1/sessions" if after is None else f"/v1/sessions?after={after}"
    return stage.call("GET", path, **{"environ": AT_HOME, **more})


def test_a_caller_lists_its_own_sessions() -> None:
    """Those used last first; with as much of each as helps to choose one."""
    stage = Stage()
    first = session_of(stage.post("diary").events())
    stage.clock.advance(1)
    second = session_of(stage.post("diary").events())
    assert [item["session"] for item in listed(stage).json()["items"]] == [second, first]
    stage.clock.advance(1)
    stage.post("diary", session=first).events()
    shown = listed(stage).json()
    assert shown["next"] is None
    assert shown["items"] == [
        {"session": first, "use_case": "diary", "turns": 2, "running": None},
        {"session": second, "use_case": "diary", "turns": 1, "running": None},
    ]


@pytest.mark.S1
def test_a_list_holds_nobody_elses() -> None:
    """Each key sees its own, and each end user too."""
    keys = [new_key(name) for name in ("one", "two")]
    stage = Stage(settings={"keys": tuple(entry.line() for _, entry in keys)})
    session = session_of(stage.post("diary", key=keys[0][0]).events())
    shown = [[item["session"] for item in listed(stage, key=key).json()["items"]] for key, _ in keys]
    assert shown == [[session], []]


def test_a_long_list_comes_in_pages() -> None:
    """``next`` is where it goes on; what is no number is refused."""
    stage = Stage()
    sessions = {session_of(stage.post("diary").events()) for _ in range(PAGE + 5)}
    first = listed(stage).json()
    second = listed(stage, first["next"]).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (PAGE, 5, None)
    assert {item["session"] for item in first["items"] + second["items"]} == sessions
    assert [listed(stage, wrong).status for wrong in ("x", "-1", "1" * 20)] == [422] * 3


def test_what_is_gone_is_not_listed() -> None:
    """Forgotten, or expired."""
    stage = Stage()
    gone, kept_one = (session_of(stage.post("diary").events()) for _ in range(2))
    forget(stage, gone)
    assert stage.core.exchange.store.members("sessions-of:anonymous", 0, 9) == [kept_one]
    assert [item["session"] for item in listed(stage).json()["items"]] == [kept_one]
    stage.clock.advance(31 * 86_400)
    assert listed(stage).json()["items"] == []


@pytest.mark.S1
@pytest.mark.parametrize(
    ("environ", "headers"), [({"REMOTE_ADDR": "192.0.2.1"}, {}), (AT_HOME, {"X-Forwarded-For": "192.0.2.1"})]
)
def test_without_keys_sessions_are_listed_at_home_only(environ: dict, headers: dict) -> None:
    """Everybody is the same caller, and an id is what keeps a session from others."""
    refused = listed(Stage(), environ=environ, headers=headers)
    assert (refused.status, refused.json()["type"]) == (403, "/problems/forbidden")
