"""Read tokens: one stream, to read and to cancel, for a while."""

import json
from typing import Any

import pytest

from services.state.memory import Contents, MemoryStore
from services.state.store import Store
from services.web import stored_keys
from services.web.callers import ANONYMOUS
from services.web.keys import new_key
from services.web.signing import Signing
from services.web.tokens import UNUSED_S, Tokens
from tests.streams.scripted import Gate, whole
from tests.streams.stage import NDJSON, Reply, Stage

KEY, ENTRY = new_key("web")
OTHER, OTHER_ENTRY = new_key("other")
PAGE = "https://page.example"


def keyed(**more: Any) -> Stage:
    return Stage(
        settings={
            "keys": (ENTRY.line(), OTHER_ENTRY.line()),
            "secret": "of the tests, and long enough to be one",
        },
        **more,
    )


def tokens(store: Store) -> Tokens:
    return Tokens(store=store, signing=Signing(store, None), kept_s=1, live=lambda key: not key)


def token_of(stage: Stage, stream: str | None, key: str = KEY, **fields: str) -> Reply:
    return stage.call("POST", f"/v1/streams/{stream}/token", key=key, data=json.dumps(fields))


def opened(stage: Stage, **fields: str) -> tuple[str, str]:
    """A stream that has ended, and the path with a token for it."""
    stream = stage.post(key=KEY)
    stream.read()
    return str(stream.stream), token_of(stage, stream.stream, **fields).json()["url"]


def test_a_token_reads_its_stream_without_a_key() -> None:
    """From any number, and its status too."""
    stage = keyed()
    stream, url = opened(stage)
    whole_body = stage.get(stream, key=KEY).read()
    assert stage.call("GET", url, accept=NDJSON).read() == whole_body
    assert stage.call("GET", url.replace("?", "/status?")).json()["state"] == "ended"


def test_a_token_cancels_its_stream() -> None:
    """A page that may read may stop."""
    stage = keyed(says=whole("Hello", Gate()))
    stream = stage.post(key=KEY)
    url = token_of(stage, stream.stream).json()["url"]
    assert stage.call("DELETE", url).status == 202
    assert stream.events()[-1]["reason"] == "cancelled"


@pytest.mark.parametrize("body", ["", "{}"])
def test_a_token_needs_no_fields(body: str) -> None:
    """No body and an empty one ask for the same."""
    stage = keyed()
    stream = stage.post(key=KEY)
    assert stage.call("POST", f"/v1/streams/{stream.stream}/token", key=KEY, data=body).status == 200


@pytest.mark.S5
def test_a_token_opens_one_stream() -> None:
    """Not another one of the same key."""
    stage = keyed()
    first, second = opened(stage), opened(stage)
    assert stage.call("GET", second[1].replace(second[0], first[0])).status == 401


@pytest.mark.S5
@pytest.mark.parametrize("path", ["/v1/echo?{token}", "/v1/streams/{stream}/token?{token}"])
def test_a_token_starts_nothing_and_makes_no_tokens(path: str) -> None:
    """Wherever it is shown, but where it reads."""
    stage = keyed()
    stream, url = opened(stage)
    asked = path.format(stream=stream, token=url.partition("?")[2])
    assert stage.call("POST", asked, data="{}").status == 401


def test_somebody_else_gets_no_token() -> None:
    """Another key's stream is not there."""
    stage = keyed()
    stream, _ = opened(stage)
    assert token_of(stage, stream, OTHER).status == 404


@pytest.mark.S5
@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "x" + t, lambda _t: "", lambda _t: "a.b.c"])
def test_a_forged_token_opens_nothing(change: Any) -> None:
    """In the same words, whatever is wrong with it."""
    stage = keyed()
    _, url = opened(stage)
    path, _, token = url.partition("?token=")
    refused = stage.call("GET", f"{path}?token={change(token)}")
    assert (refused.status, refused.json()["detail"]) == (
        401,
        "This token is not good here: wrong, too old, or another stream's.",
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": PAGE}, 200), ({"Origin": "https://evil.example"}, 403), ({}, 403)],
)
def test_a_token_may_be_bound_to_an_origin(headers: dict[str, str], status: int) -> None:
    """Then no page of another one can use it, and no program without one."""
    stage = keyed()
    stage = Stage(
        settings={
            "keys": (ENTRY.line(),),
            "secret": "of the tests, and long enough to be one",
            "cors_origins": (PAGE,),
        }
    )
    _, url = opened(stage, origin=PAGE)
    assert stage.call("GET", url, headers=headers).status == status


@pytest.mark.parametrize("origin", [PAGE, "https://evil.example/", "page"])
def test_a_token_for_pages_that_are_not_let_in_is_refused(origin: str) -> None:
    """Nobody could use it; nor one for what is no origin."""
    stage = keyed()
    stream = stage.post(key=KEY).stream
    told = stage.call("POST", f"/v1/streams/{stream}/token", key=KEY, data=json.dumps({"origin": origin}))
    assert (told.status, [one["field"] for one in told.json()["errors"]]) == (422, ["origin"])


def test_its_own_page_names_no_origin_when_it_reads() -> None:
    """What browsers say instead is taken for it."""
    stage = keyed()
    _, url = opened(stage, origin="http://localhost")
    assert stage.call("GET", url, headers={"Sec-Fetch-Site": "same-origin"}).status == 200
    assert stage.call("GET", url, headers={"Sec-Fetch-Site": "none"}).status == 403


@pytest.mark.S5
@pytest.mark.parametrize(("used", "good"), [(True, True), (False, False)])
def test_an_old_token_is_good_if_it_was_used_in_time(used: bool, good: bool) -> None:
    """An EventSource comes back with the same URL, long after the two minutes."""
    stage = keyed()
    _, url = opened(stage)
    if used:
        assert stage.call("GET", url).status == 200
    later(stage)
    assert (stage.call("GET", url).status == 200) is good


def later(stage: Stage) -> None:
    """Let the two minutes be over: the routes' tokens read with another clock."""
    tokens: Tokens = stage.app.extensions["gloss.entrance"].tokens
    tokens.unused_s = -UNUSED_S


@pytest.mark.S4
def test_a_withdrawn_key_withdraws_its_tokens() -> None:
    """A token is no better than the key that asked for it."""
    stage = keyed()
    stream, url = opened(stage)
    without = Stage(
        settings={"keys": (OTHER_ENTRY.line(),), "secret": "of the tests, and long enough to be one"}
    )
    assert stage.call("GET", url).status == 200
    assert without.call("GET", url).status == 401
    assert stream


@pytest.mark.S4
def test_a_token_is_over_with_the_key_that_asked_for_it() -> None:
    """Though another one owns the same."""
    key, entry = new_key("leaked", owner=ENTRY.id)
    stage = Stage(settings={"secret": "of the tests, and long enough to be one", "keys": (ENTRY.line(),)})
    stored_keys.add(stage.core.exchange.store, entry)
    stage.app.extensions["gloss.entrance"].watch.round()
    stream = stage.post(key=KEY)
    stream.read()
    url = token_of(stage, stream.stream, key).json()["url"]
    assert stage.call("GET", url).status == 200
    stored_keys.end(stage.core.exchange.store, entry.id, stage.clock.now())
    stage.app.extensions["gloss.entrance"].watch.round()
    assert stage.call("GET", url).status == 401
    assert stage.call("GET", token_of(stage, stream.stream).json()["url"]).status == 200


def test_a_store_that_came_back_empty_gets_the_secret_again() -> None:
    """Tokens that are under way stay good, and all processes go on signing alike."""
    contents = Contents()
    made = [tokens(MemoryStore(contents=contents)) for _ in range(2)]
    token, _ = made[0].new("s", ANONYMOUS, None)
    made[1]._read(token)  # noqa: SLF001 - it knows the secret now
    contents.values.clear()
    later, _ = made[1].new("s", ANONYMOUS, None)
    assert [one._read(good).stream for one in made for good in (token, later)] == ["s"] * 4  # noqa: SLF001


def test_without_a_secret_one_is_made_and_kept() -> None:
    """All processes of a store sign alike, and after a restart too."""
    stage = Stage()
    store = stage.core.exchange.store
    made = [tokens(store) for _ in range(2)]
    token, _ = made[0].new("s", ANONYMOUS, None)
    assert made[1]._read(token).stream == "s"  # noqa: SLF001 - the same secret, and nothing else, reads it
