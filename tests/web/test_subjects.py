"""What a server does for its end users: tokens for their browsers, and forgetting."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import gevent
import pytest

from services.cost.accounts import Account, Quota
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.web import stored_keys
from services.web.forgotten import Forgotten
from services.web.grants import PREFIX
from services.web.keys import new_key
from services.web.watch import Watch
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import Reply, Stage, settle
from tests.web.ws.socket_of import socket_of

KEY, ENTRY = new_key("web")
OTHER, OTHER_ENTRY = new_key("other")
TUTOR, TUTOR_ENTRY = new_key("tutor", scopes=["diary"], expires=datetime(2026, 1, 2, 4, tzinfo=UTC))
SETTINGS = {
    "keys": tuple(one.line() for one in (ENTRY, OTHER_ENTRY, TUTOR_ENTRY)),
    "secret": "of the tests, and long enough to be one",
}
PAGE = "https://page.example"
ANN = {"subject": "ann", "budget_tokens": 1000}


class Away(MemoryStore):
    def get(self, key: str) -> bytes | None:
        raise StoreDownError


def test_who_was_forgotten_is_not_guessed() -> None:
    """A process that has never read it says so: a token that it lets in might be one of theirs."""
    forgotten = Forgotten(Away(), now=lambda: datetime.now(UTC), kept_s=1)
    with pytest.raises(StoreDownError):
        forgotten.since("web/ann")
    known = Forgotten(MemoryStore(), now=lambda: datetime.now(UTC), kept_s=1)
    known.look()
    assert known.since("web/ann") is None


def stage_of(says: Any = None, **more: Any) -> Stage:
    return Stage(says=says or whole("Hello"), settings={**SETTINGS, **more})


def ask(stage: Stage, key: str | None = KEY, **fields: Any) -> Reply:
    return stage.call("POST", "/v1/tokens", key=key, data=json.dumps(fields))


def token(stage: Stage, key: str = KEY, **fields: Any) -> str:
    return str(ask(stage, key, **{**ANN, **fields}).json()["token"])


def pass_time(stage: Stage, seconds: float) -> None:
    stage.clock.wall += timedelta(seconds=seconds)


def state(stage: Stage, stream: str | None, key: str) -> int:
    return stage.get(stream, key=key, path="/status").status


def test_a_token_starts_a_stream_as_its_end_user() -> None:
    """Sent as the key would be; and what it makes is not the key's, nor another end user's."""
    stage = stage_of()
    ann, bob = token(stage), token(stage, subject="bob")
    stream = stage.post(key=ann).stream
    assert [state(stage, stream, key) for key in (ann, token(stage), bob, KEY)] == [200, 200, 404, 404]


def test_a_token_opens_a_socket() -> None:
    """In the first message, where a browser can set no header."""
    stage = stage_of()
    with socket_of(stage) as peer:
        peer.say({"op": "auth", "token": token(stage)})
        peer.say({"op": "start", "ref": "a", "use_case": "echo"})
        assert peer.until("a", "finish")[-1]["reason"] == "stop"


def test_a_token_says_what_it_may_cost() -> None:
    """Its budget and its end user are accounts, besides the key's."""
    stage = stage_of()
    keys = stage.app.extensions["gloss.entrance"].keys
    shown = token(stage, budget_usd="0.05")
    key, user, own = keys.caller(f"Bearer {shown}").accounts
    assert (key, user) == (Account(f"key:{ENTRY.id}"), Account(f"subject:{ENTRY.id}/ann"))
    assert own.name.startswith("token:")
    assert own.quota == Quota(usd_ever=Decimal("0.05"), tokens_ever=1000)


def test_a_tokens_budget_does_not_come_back() -> None:
    """Once it is spent nobody is told to come back; while a stream holds some of it, they are."""
    gate = Gate()
    answers = iter([whole("Hello", gate), whole("Hello")])
    stage = stage_of(says=lambda _: next(answers))
    shown = token(stage, budget_tokens=85)
    running = stage.post(key=shown, options={"max_output_tokens": 5})
    next(running.pieces)
    waits = stage.post(key=shown)
    assert (waits.status, waits.headers["Retry-After"], waits.json()["retry_after_s"]) == (429, "5", 5)
    gate.set()
    running.read()
    refused = stage.post(key=shown)
    assert (refused.status, "Retry-After" in refused.headers) == (429, False)
    problem = refused.json()
    assert "retry_after_s" not in problem
    assert (
        "budget of this token is used up, or does not allow one more answer; it does not" in problem["detail"]
    )


def test_a_token_opens_the_use_cases_that_it_names() -> None:
    """And no others, and no more than its key does."""
    stage = stage_of()
    shown = token(stage, use_cases=["echo"])
    assert [stage.post(name, key=shown).status for name in ("echo", "diary")] == [200, 403]
    assert ask(stage, TUTOR, **ANN, use_cases=["echo"]).status == 403
    assert [stage.post(name, key=token(stage, TUTOR)).status for name in ("echo", "diary")] == [403, 200]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/tokens"), ("DELETE", "/v1/subjects/ann"), ("DELETE", "/v1/subjects/bob")],
)
def test_a_token_is_no_key(method: str, path: str) -> None:
    """It makes no tokens, and forgets nobody."""
    stage = stage_of()
    assert stage.call(method, path, key=token(stage), data=json.dumps(ANN)).status == 403


def test_a_token_ends() -> None:
    """At the moment that was told; an hour after it was made unless something else was asked for."""
    stage = stage_of()
    answer = ask(stage, **ANN, ttl_s=60).json()
    assert datetime.fromisoformat(answer["expires"]) == stage.clock.wall + timedelta(seconds=60)
    hour = ask(stage, **ANN).json()
    assert datetime.fromisoformat(hour["expires"]) == stage.clock.wall + timedelta(hours=1)
    pass_time(stage, 59)
    assert stage.post(key=answer["token"]).status == 200
    pass_time(stage, 1)
    assert stage.post(key=answer["token"]).status == 401


def watch_of(stage: Stage) -> Watch:
    watch: Watch = stage.app.extensions["gloss.entrance"].watch
    return watch


@pytest.mark.S4
@pytest.mark.R23
@pytest.mark.parametrize("left_s", [0, 1])
def test_a_token_that_is_over_takes_its_streams_with_it(left_s: int) -> None:
    """In the next round, as a withdrawn key does; one that is still good keeps them."""
    stage = stage_of(lambda _: whole("Hello", Gate()))
    stream, others = stage.post(key=token(stage, ttl_s=60)), stage.post(key=KEY)
    pass_time(stage, 60 - left_s)
    watch_of(stage).round()
    settle()
    end = stage.core.streams.here(stream.stream or "").log.end
    assert (end and end.reason) == (None if left_s else "cancelled")
    assert state(stage, others.stream, KEY) == 200
    assert stage.core.streams.here(others.stream or "").log.end is None


@pytest.mark.S4
def test_a_token_that_is_over_closes_its_sockets() -> None:
    """After what runs on them was told its end."""
    stage = stage_of(lambda _: whole("Hello", Gate()))
    with socket_of(stage) as peer:
        peer.say({"op": "auth", "token": token(stage, ttl_s=60)})
        peer.say({"op": "start", "ref": "a", "use_case": "echo"})
        peer.until("a", "text")
        pass_time(stage, 60)
        for _ in range(2):
            watch_of(stage).round()
            settle()
        assert peer.until("a", "finish")[-1]["reason"] == "cancelled"
        assert peer.hear()["problem"]["type"] == "/problems/unauthorized"
        assert peer.goodbye() == 4401


def test_a_socket_goes_on_with_a_new_token() -> None:
    """A page that says a later one in time keeps its socket; a stream ends with the token that began it."""
    stage = stage_of(lambda _: whole("Hello", Gate()))
    with socket_of(stage) as peer:
        for ttl_s, ref in ((60, "a"), (600, "b")):
            peer.say({"op": "auth", "token": token(stage, ttl_s=ttl_s)})
            peer.say({"op": "start", "ref": ref, "use_case": "echo"})
            peer.until(ref, "text")
        pass_time(stage, 60)
        for _ in range(2):
            watch_of(stage).round()
            settle()
        assert peer.until("a", "finish")[-1]["reason"] == "cancelled"
        peer.say({"op": "cancel", "ref": "b"})
        assert peer.until("b", "finish")[-1]["reason"] == "cancelled"


def test_a_token_ends_with_its_key() -> None:
    """Which is told at once."""
    stage = stage_of()
    answer = ask(stage, TUTOR, **ANN).json()
    assert datetime.fromisoformat(answer["expires"]) == datetime(2026, 1, 2, 4, tzinfo=UTC)


@pytest.mark.S4
@pytest.mark.R23
def test_a_withdrawn_key_withdraws_its_tokens() -> None:
    """What runs by them ends, and they open nothing more."""
    stage = Stage(says=whole("Hello", Gate()), settings={"secret": "of the tests, and long enough to be one"})
    store = stage.core.exchange.store
    stored_keys.add(store, ENTRY)
    watch = stage.app.extensions["gloss.entrance"].watch
    watch.round()
    shown = token(stage)
    stream = stage.post(key=shown)
    stored_keys.end(store, ENTRY.id, stage.clock.now())
    watch.round()
    assert stream.events()[-1]["reason"] == "cancelled"
    assert stage.post(key=shown).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": PAGE, "Content-Type": "application/json"}, 200),
        ({"Origin": "https://other.example", "Content-Type": "application/json"}, 403),
        ({}, 403),
    ],
)
def test_a_token_may_be_bound_to_an_origin(headers: dict[str, str], status: int) -> None:
    """Then no page of another one can use it, and no program without one."""
    stage = stage_of(cors_origins=(PAGE, "https://other.example"))
    shown = token(stage, origin=PAGE)
    assert stage.call("POST", "/v1/echo", key=shown, data="{}", headers=headers).status == status


@pytest.mark.S2
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t + "x",
        lambda t: t.removeprefix(PREFIX),
        lambda t: PREFIX,
        lambda t: PREFIX + "a" * 60,
        lambda t: PREFIX + "W10.aaaaaa." + "a" * 40,
        lambda t: t.replace(".", "", 1),
        lambda t: t + " ",
        lambda t: f"{t}, {t}",
    ],
)
def test_a_forged_token_opens_nothing(change: Any) -> None:
    """However it was cut or patched."""
    stage = stage_of()
    assert stage.post(key=change(token(stage))).status == 401


@pytest.mark.S5
def test_a_read_token_is_no_client_token_nor_the_other_way_round() -> None:
    """Both are signed by the same secret, each for its own use."""
    stage = stage_of()
    stream = stage.post(key=KEY).stream
    read = stage.call("POST", f"/v1/streams/{stream}/token", key=KEY, data="{}").json()["token"]
    assert stage.post(key=PREFIX + read).status == 401
    assert stage.call("GET", f"/v1/streams/{stream}?token={token(stage).removeprefix(PREFIX)}").status == 401


def test_another_secret_reads_nothing() -> None:
    """A token of another deployment is none here."""
    shown = token(Stage(settings={**SETTINGS, "secret": "of others, and as long as one has to be"}))
    assert stage_of().post(key=shown).status == 401


WRONG = [
    {},
    {"subject": "ann"},
    {"budget_tokens": 1},
    {**ANN, "subject": "a/b"},
    {**ANN, "subject": ""},
    {**ANN, "subject": "a" * 129},
    {**ANN, "subject": "ann\n"},
    {**ANN, "use_cases": []},
    {**ANN, "use_cases": ["admin"]},
    {**ANN, "use_cases": ["nothing"]},
    {**ANN, "budget_tokens": 0},
    {**ANN, "budget_usd": "0"},
    {**ANN, "budget_usd": "NaN"},
    {**ANN, "budget_usd": "Infinity"},
    {**ANN, "budget_usd": -1},
    *(
        {**ANN, "budget_usd": odd}
        for odd in ("1_0", " 1 ", "\u0661", "1e3", "+1", "1.", ".5", "01234567", "1,5", True)
    ),
    {**ANN, "budget_usd": "0.0000000001"},
    {**ANN, "ttl_s": 0},
    {**ANN, "ttl_s": 86_401},
    {**ANN, "origin": "page.example"},
    {**ANN, "origin": "https://page.example/"},
    {**ANN, "origin": PAGE},
    {**ANN, "scopes": ["admin"]},
]


@pytest.mark.parametrize("fields", WRONG, ids=map(str, range(len(WRONG))))
def test_a_wish_that_is_not_right_is_refused(fields: dict[str, Any]) -> None:
    """Per field, and nothing is clipped in silence."""
    assert ask(stage_of(), **fields).status == 422


@pytest.mark.parametrize(
    ("usd", "told"), [("0.05", "0.05"), (0.05, "0.05"), (2, "2"), ("0.000000001", "1E-9")]
)
def test_a_budget_is_a_plain_decimal(usd: Any, told: str) -> None:
    """As a string, or as a number of JSON."""
    stage = stage_of()
    keys = stage.app.extensions["gloss.entrance"].keys
    grant = keys.caller(f"Bearer {token(stage, budget_usd=usd)}").grant
    assert grant.budget_usd == Decimal(told)


def test_an_origin_whose_pages_are_not_let_in_is_told_at_once() -> None:
    """The server that asks learns which setting is missing, and not each browser later."""
    told = ask(stage_of(cors_origins=("https://other.example",)), **ANN, origin=PAGE)
    problem = "names pages that may not call here: list it in GLOSS_CORS_ORIGINS first"
    assert (told.status, told.json()["errors"]) == (422, [{"field": "origin", "problem": problem}])


@pytest.mark.parametrize(
    ("settings", "origin", "status"),
    [
        ({"cors_origins": (PAGE,)}, PAGE, 200),
        ({"cors_origins": (PAGE,)}, f"{PAGE}:8443", 422),
        ({}, "http://localhost", 200),
        ({}, "http://127.0.0.1", 200),
        ({}, "http://localhost:3000", 422),
        ({"trusted_hosts": ("localhost", ".page.example")}, "https://app.page.example", 200),
        ({"trusted_hosts": ("localhost", ".page.example")}, "https://app.page.example:8443", 422),
        ({"host": "0.0.0.0"}, PAGE, 422),  # noqa: S104 - it is not bound
    ],
)
def test_an_origin_is_listed_or_our_own(settings: dict[str, Any], origin: str, status: int) -> None:
    """A page at our own host needs no list; one at another port of it is another server's."""
    assert ask(stage_of(**settings), **ANN, origin=origin).status == status


def test_the_longest_life_is_a_setting() -> None:
    """And the ordinary one is not longer."""
    stage = stage_of(token_s=600)
    assert ask(stage, **ANN, ttl_s=601).status == 422
    told = ask(stage, **ANN).json()["expires"]
    assert datetime.fromisoformat(told) == stage.clock.wall + timedelta(seconds=600)


@pytest.mark.parametrize(("key", "status"), [(None, 403), (KEY, 403)])
def test_without_keys_there_are_no_end_users(key: str | None, status: int) -> None:
    """Everybody is the same caller."""
    stage = Stage()
    assert ask(stage, key, **ANN).status == status
    assert stage.call("DELETE", "/v1/subjects/ann").status == status


@pytest.mark.S9
def test_an_end_user_cannot_take_all_that_the_key_has() -> None:
    """Its own limits are those of the deployment, for all of its tokens together."""
    stage = stage_of(subject_rpm=2)
    assert [stage.post(key=token(stage)).status for _ in range(3)] == [200, 200, 429]
    assert stage.post(key=token(stage, subject="bob")).status == 200
    assert stage.post(key=KEY).status == 200


# Forgetting


def forget(stage: Stage, subject: str = "ann", key: str = KEY) -> int:
    return stage.call("DELETE", f"/v1/subjects/{subject}", key=key).status


def test_a_forgotten_end_user_is_gone() -> None:
    """Streams, sessions, what keys stood for; those of others, and of the key itself, stay."""
    stage = stage_of()
    ann, bob = token(stage), token(stage, subject="bob")
    kept = {}
    for key in (ann, bob, KEY):
        start = stage.post("diary", key=key).events()[0]
        once = stage.call("POST", "/v1/echo", key=key, data="{}", headers={"Idempotency-Key": "1"})
        once.read()
        stage.call("POST", "/v1/echo", key=key, data='{"options": {"supersedes": "s"}}').read()
        kept[key] = (start["session"], start["stream"], once.stream)
    stage.clock.advance(1)
    settle()
    assert forget(stage) == 204
    pass_time(stage, 1)
    again = token(stage)
    for key, ask_as, status in ((ann, again, 404), (bob, bob, 200), (KEY, KEY, 200)):
        session, *streams = kept[key]
        assert stage.call("GET", f"/v1/sessions/{session}", key=ask_as).status == status
        assert [state(stage, stream, ask_as) for stream in streams] == [status] * 2
    store = stage.core.exchange.store
    assert not [name for name in store._all.values if "/ann" in name]  # noqa: SLF001
    for key, left in ((ann, False), (bob, True)):
        once_ = kept[key][2]  # without other processes only what an idempotency key began is stored
        assert (store.get(f"sent:{once_}") is not None, bool(store.read(f"log:{once_}", 0))) == (left, left)
    fresh = stage.call("POST", "/v1/echo", key=again, data="{}", headers={"Idempotency-Key": "1"})
    assert fresh.stream != kept[ann][2]


def tokens_used(stage: Stage, key: str) -> list[int]:
    told = stage.call("GET", "/v1/usage", key=key).json()
    return [told["day"]["tokens"], told["month"]["tokens"]]


def test_a_forgotten_end_user_has_used_nothing() -> None:
    """What the key has used stays, and what others have; nothing in the store bears that name."""
    stage = stage_of()
    ann, bob = token(stage, budget_usd="1"), token(stage, subject="bob")
    for key in (ann, bob, KEY):
        stage.post(key=key).read()
    assert [tokens_used(stage, key) for key in (ann, bob, KEY)] == [[10, 10], [10, 10], [30, 30]]
    assert forget(stage) == 204
    pass_time(stage, 1)
    again = token(stage)
    assert [tokens_used(stage, key) for key in (again, bob, KEY)] == [[0, 0], [10, 10], [30, 30]]
    rows = stage.core.exchange.store._sums._rows  # noqa: SLF001 - what is there, under whatever name
    assert not [row for row in rows if "/ann" in row]


def test_what_an_end_user_used_before_midnight_is_forgotten_too() -> None:
    """Yesterday's figures are still there, and last month's on the first of one."""
    stage = stage_of()
    stage.clock.wall = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    stage.post(key=token(stage)).read()
    stage.core.ledger.flush()
    pass_time(stage, 120)
    assert forget(stage) == 204
    rows = stage.core.exchange.store._sums._rows  # noqa: SLF001
    assert not [row for row in rows if "/ann" in row]


def test_what_another_process_stores_late_is_forgotten_too() -> None:
    """It runs there, and nobody can know of it yet when the end user is forgotten here."""
    pair = Pair(says=whole("Hello", Gate()), settings=SETTINGS)
    storing = pair.there.shared.hold("put_all")
    reply = pair.there.post(key=token(pair.here))
    storing.reached.wait()
    assert forget(pair.here) == 204
    storing.set()
    watch_of(pair.there).round()
    pair.mirrored()
    assert reply.events()[-1]["reason"] == "cancelled"
    rows = pair.store._sums._rows  # noqa: SLF001 - what is there, under whatever name
    assert rows
    assert not [row for row in rows if "/ann" in row]
    assert pair.store.get(f"stream:{reply.stream}") is None
    assert not pair.store.read(f"log:{reply.stream}", 0)


def test_another_process_forgets_when_the_store_is_back() -> None:
    """What it could not be told meanwhile it is told then."""
    pair = Pair(says=whole("Hello", Gate()), settings=SETTINGS)
    pair.there.post(key=token(pair.here))
    assert forget(pair.here) == 204
    dropping = pair.there.shared.hold("drop")
    watch_of(pair.there).round()
    dropping.reached.wait()
    pair.there.shared.away = True
    dropping.set()
    settle()
    pair.there.shared.away = False
    pair.passes(3)
    assert not [row for row in pair.store._sums._rows if "/ann" in row]  # noqa: SLF001


def test_a_forgotten_end_users_tokens_open_nothing() -> None:
    """Those from before; and the server may begin anew with one."""
    stage = stage_of()
    old = token(stage)
    assert forget(stage) == 204
    assert stage.post(key=old).status == 401
    pass_time(stage, 1)
    assert stage.post(key=token(stage)).status == 200


def test_what_runs_for_a_forgotten_end_user_is_cancelled() -> None:
    """And is not kept once it has ended."""
    stage = stage_of(lambda _: whole("Hello", Gate()))
    reply, others = stage.post(key=token(stage)), stage.post(key=token(stage, subject="bob"))
    assert forget(stage) == 204
    assert reply.events()[-1]["reason"] == "cancelled"
    pass_time(stage, 1)
    assert state(stage, reply.stream, token(stage)) == 404
    assert stage.core.streams.here(others.stream or "").log.end is None


def test_it_is_forgotten_in_all_processes() -> None:
    """What runs there is cancelled, and tokens are not good there either."""
    pair = Pair(says=whole("Hello", Gate()), settings=SETTINGS)
    shown = token(pair.here)
    reply = pair.there.post(key=shown)
    pair.mirrored()
    assert forget(pair.here) == 204
    pair.there.app.extensions["gloss.entrance"].watch.round()
    pair.mirrored()
    assert reply.events()[-1]["reason"] == "cancelled"
    assert pair.there.post(key=shown).status == 401
    assert pair.there.core.streams.here(reply.stream or "") is None


def test_nobody_forgets_anothers_end_users() -> None:
    """A name means something to its key only; and forgetting somebody unknown is done at once."""
    stage = stage_of()
    ann = token(stage)
    stream = stage.post(key=ann).stream
    assert [forget(stage, key=OTHER), forget(stage, "nobody")] == [204, 204]
    assert state(stage, stream, ann) == 200


def test_while_the_store_is_away_nobody_is_forgotten_by_half() -> None:
    """503: ask again; and nothing is claimed to be gone."""
    pair = Pair(says=whole("Hello"), settings=SETTINGS)
    pair.here.post(key=token(pair.here)).read()
    pair.mirrored()
    deleting = pair.here.shared.hold("members")
    asking = gevent.spawn(forget, pair.here)
    deleting.reached.wait()
    pair.away = True
    deleting.set()
    assert asking.get() == 503
    pair.away = False
    pair.clock.advance(2)
    assert forget(pair.here) == 204


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "%00"])
def test_a_name_that_cannot_be_is_not_found(name: str) -> None:
    """As of anything that does not exist."""
    assert forget(stage_of(), name) == 404


def test_forgotten_moments_go_when_no_token_can_be_older() -> None:
    """The list does not grow for ever."""
    stage = stage_of()
    forget(stage, "ann")
    pass_time(stage, 86_401)
    forget(stage, "bob")
    assert b"ann" not in (stage.core.exchange.store.get("forgotten") or b"")
