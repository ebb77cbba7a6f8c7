"""API keys: the entries that name them, the header that carries them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from services.errors import Unauthorized
from services.settings import SettingsError
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.web import stored_keys
from services.web.callers import ANONYMOUS
from services.web.entries import Entry, parse_keys
from services.web.keys import FRESH_S, NOTE_USE_S, Keys, digest_of, new_key, now_utc
from tests.streams.fake_clock import FakeClock
from tests.web.house import HERE, client, house, settings

KEY, ENTRY = new_key("web")
HASH = "a" * 64
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def keys_of(*entries: Entry, **more) -> Keys:
    return Keys(parse_keys(entry.line() for entry in entries), **more)


def refused(keys, header):
    with pytest.raises(Unauthorized) as caught:
        keys.caller(header)
    return caught.value.problem()


def test_a_secret_has_256_bits():
    """A key's secret is 43 letters of base 64, and two keys share neither id nor secret."""
    (_, first_id, first), (_, second_id, second) = (new_key("web")[0].split("_", 2) for _ in range(2))
    assert (len(first), len(second)) == (43, 43)
    assert first_id != second_id
    assert first != second


def test_an_entry_holds_the_hash_and_not_the_secret():
    """What stands in GLOSS_KEYS is the SHA-256 of the key, not the key."""
    assert KEY.split("_", 2)[2] not in ENTRY.line()
    assert ENTRY.digest == digest_of(KEY)


def test_without_keys_everybody_is_anonymous():
    """Without a key configured there is one caller, whatever header is sent."""
    keys = keys_of()
    assert [keys.caller(None), keys.caller("Bearer x")] == [ANONYMOUS, ANONYMOUS]


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY}"])
def test_the_right_key_names_its_caller(header):
    """The scheme's name is read without regard to case (RFC 9110, 11.1)."""
    assert keys_of(ENTRY).caller(header) == ENTRY.caller


PREFIX, KEY_ID, SECRET = KEY.split("_", 2)
WRONG = {
    "none": None,
    "empty": "",
    "no scheme": KEY,
    "scheme only": "Bearer ",
    "another scheme": f"Basic {KEY}",
    "two keys": f"Bearer {KEY}, Bearer {KEY}",
    "wrong secret": f"Bearer gloss_{KEY_ID}_{'x' * 43}",
    "one letter more": f"Bearer {KEY}x",
    "one letter less": f"Bearer {KEY[:-1]}",
    "unknown id": f"Bearer gloss_{'f' * 12}_{SECRET}",
    "no id": f"Bearer gloss__{SECRET}",
    "no prefix": f"Bearer {KEY_ID}_{SECRET}",
    "another prefix": f"Bearer sk_{KEY_ID}_{SECRET}",
    "capital prefix": f"Bearer GLOSS_{KEY_ID}_{SECRET}",
    "line end": f"Bearer {KEY}\n",
    "trailing space": f"Bearer {KEY} ",
    "digest as secret": f"Bearer gloss_{KEY_ID}_{ENTRY.digest.hex()}",
    "sql": "Bearer gloss_' OR '1'='1_" + "x" * 43,
    "wildcards": f"Bearer gloss_{'*' * 12}_{'*' * 43}",
    "path": "Bearer gloss_../../etc_" + "x" * 43,
    "not ascii": "Bearer gloss_ä" + "x" * 12 + "_" + "é" * 43,
    "nul": f"Bearer {KEY}\0",
    "very long": "Bearer gloss_" + "a" * 100_000,
}


@pytest.mark.S2
@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG)
def test_any_other_header_opens_nothing(header):
    """Only the whole key, as a bearer token and alone, opens the door."""
    assert refused(keys_of(ENTRY), header)["status"] == 401


@pytest.mark.S2
def test_a_wrong_secret_reads_like_an_unknown_id():
    """A probe cannot tell which ids exist."""
    keys = keys_of(ENTRY)
    assert refused(keys, WRONG["wrong secret"]) == refused(keys, WRONG["unknown id"])


@pytest.mark.parametrize(("earlier", "live"), [(timedelta(seconds=1), True), (timedelta(0), False)])
def test_a_key_ends_at_its_moment(earlier, live):
    """``expires`` is when the key opens nothing any more."""
    key, entry = new_key("web", expires=NEW_YEAR)
    keys = keys_of(entry, now=lambda: NEW_YEAR - earlier)
    assert keys.is_live(entry.caller) is keys.owns(entry.id) is live
    if live:
        assert keys.caller(f"Bearer {key}") == entry.caller
    else:
        refused(keys, f"Bearer {key}")


def test_two_keys_of_one_name_live_side_by_side():
    """A key is replaced without a gap: two entries may share a name."""
    other, entry = new_key("web")
    keys = keys_of(ENTRY, entry)
    assert [keys.caller(f"Bearer {key}").name for key in (KEY, other)] == ["web", "web"]


@pytest.mark.parametrize("text", [KEY, "", f"web:abcdefgh:{HASH}:usd=5"])
def test_a_malformed_entry_is_named_by_position_only(text):
    """A broken entry stops the start, and the message does not repeat it."""
    with pytest.raises(SettingsError, match="GLOSS_KEYS, entry 2:") as caught:
        parse_keys([ENTRY.line(), text])
    assert not text or text not in str(caught.value)
    assert HASH not in str(caught.value)


def test_scopes_are_use_cases_or_the_operators():
    """A key may name what can be asked for, ``admin`` and ``operator``; nothing else exists."""
    named = new_key("web", scopes=["translate", "admin", "operator"])[1].line()
    assert len(parse_keys([named], scopes=["translate"])) == 1
    with pytest.raises(SettingsError, match="does not exist"):
        parse_keys([named], scopes=["tutor"])


def test_an_id_stands_once():
    """Two entries with one id stop the start: the second would hide the first."""
    with pytest.raises(SettingsError, match="entry 2: its id stands in an earlier"):
        parse_keys([ENTRY.line(), ENTRY.line()])


@pytest.mark.parametrize(("entries", "needed"), [([], False), ([ENTRY], True)])
def test_keys_are_needed_where_one_exists(entries, needed):
    """One entry closes the service to everybody without a key."""
    assert bool(keys_of(*entries)) is needed


def test_time_is_counted_in_utc():
    """A key ends at the same moment on every machine."""
    before, now, after = datetime.now(UTC), now_utc(), datetime.now(UTC)
    assert before <= now <= after


class Stored:
    """Keys in a store, and a process that knows them."""

    def __init__(self, *entries: Entry) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(monotonic=self.clock.monotonic)
        for entry in entries:
            stored_keys.add(self.store, entry)
        self.keys = Keys(store=self.store, now=self.clock.now, monotonic=self.clock.monotonic)
        self.keys.look()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.clock.wall += timedelta(seconds=seconds)


def test_a_key_in_the_store_opens_the_door():
    """And closes the service to everybody without one."""
    stored = Stored(ENTRY)
    assert stored.keys.caller(f"Bearer {KEY}") == ENTRY.caller
    refused(stored.keys, None)


def test_a_key_that_was_made_while_the_service_runs_is_known_when_it_is_shown():
    """Nobody waits for a second after ``make key``; nor does a probe cost a call each time."""
    stored = Stored(ENTRY)
    key, entry = new_key("later")
    stored.pass_time(FRESH_S)
    refused(stored.keys, WRONG["unknown id"])  # that one was looked for
    stored_keys.add(stored.store, entry)
    refused(stored.keys, f"Bearer {key}")
    stored.pass_time(FRESH_S)
    assert stored.keys.caller(f"Bearer {key}") == entry.caller


def test_the_first_key_closes_a_service_that_runs():
    """Before it everybody is anonymous, after it nobody is."""
    stored = Stored()
    assert stored.keys.caller(None) == ANONYMOUS
    stored_keys.add(stored.store, ENTRY)
    stored.pass_time(FRESH_S)
    assert stored.keys.caller(f"Bearer {KEY}") == ENTRY.caller
    refused(stored.keys, None)


def test_a_withdrawn_key_opens_nothing_and_the_service_stays_closed():
    """Also if it was the only one."""
    stored = Stored(ENTRY)
    stored_keys.end(stored.store, ENTRY.id, stored.clock.now())
    stored.keys.look()
    refused(stored.keys, f"Bearer {KEY}")
    refused(stored.keys, None)
    assert not stored.keys.is_live(ENTRY.caller)


def test_a_store_that_came_back_empty_gets_its_keys_again():
    """It would else open the service, or lock everybody out."""
    stored = Stored(ENTRY)
    stored.store.swap(stored_keys.VALUE, stored.store.get(stored_keys.VALUE), None, inf)
    stored.keys.look()
    assert stored.keys.caller(f"Bearer {KEY}") == ENTRY.caller
    assert [*stored_keys.load(stored.store)] == [ENTRY.id]


class Away(MemoryStore):
    """It answers while it is there."""

    there = False

    def get(self, key):
        if not self.there:
            raise StoreDownError
        return super().get(key)


def test_without_a_store_an_unknown_key_is_refused():
    """As one that does not exist, and those of GLOSS_KEYS open."""
    store = Away()
    keys = keys_of(ENTRY, store=store)
    store.there = True
    keys.look()
    store.there = False
    refused(keys, WRONG["unknown id"])
    assert keys.caller(f"Bearer {KEY}") == ENTRY.caller


@pytest.mark.S2
@pytest.mark.parametrize("fixed", [[], [ENTRY]])
@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG)
def test_before_the_store_was_read_nobody_is_turned_away_for_good(fixed, header):
    """Nor let in: whoever shows no key of GLOSS_KEYS is to come again, in the same words for all."""
    keys = keys_of(*fixed, store=Away())
    assert keys
    with pytest.raises(StoreDownError, match="never read"):
        keys.caller(header)


def test_before_the_store_was_read_the_keys_of_the_settings_open():
    """They need no store; what others own may run on until it is known who they are."""
    keys = keys_of(ENTRY, store=Away())
    keys.require_known()
    assert keys.caller(f"Bearer {KEY}") == ENTRY.caller
    assert (keys.opens(ENTRY.id), keys.owns("somebody")) == (True, True)
    with pytest.raises(StoreDownError):
        keys.opens("somebody")


@pytest.mark.parametrize("entries", [[], [ENTRY]])
def test_once_the_store_was_read_it_is_known_who_may_call(entries):
    """With keys in it whoever shows one, without any whoever likes."""
    store = Away()
    keys = Keys(store=store)
    with pytest.raises(StoreDownError):
        keys.require_known()
    store.there = True
    for entry in entries:
        stored_keys.add(store, entry)
    if entries:
        refused(keys, None)  # who comes has it read
    else:
        assert keys.caller(None) == ANONYMOUS
    keys.require_known()
    assert (bool(keys), keys.empty, keys.complete) == (bool(entries), not entries, True)
    assert keys.caller(f"Bearer {KEY}") == (ENTRY.caller if entries else ANONYMOUS)
    assert not keys.owns("somebody")


def test_keys_that_were_never_readable_open_the_service_to_nobody():
    """What another release wrote are keys."""
    store = MemoryStore()
    store.put(stored_keys.VALUE, b"?", inf)
    keys = Keys(store=store)
    for _ in range(2):
        with suppress(ValueError):
            keys.look()
    with pytest.raises(StoreDownError):
        keys.caller(None)


@pytest.mark.S2
def test_without_keys_there_may_be_nobody():
    """Where strangers could come in: a store that lost its keys closes the service."""
    keys = Keys(store=MemoryStore(), anonymous=False)
    keys.look()
    assert (bool(keys), keys.empty, keys.opens(ANONYMOUS.shown)) == (True, True, False)
    refused(keys, None)
    refused(keys, f"Bearer {KEY}")


def test_what_another_release_wrote_stops_nobody():
    """Keys that cannot be read are refused, and the others still open."""
    store = MemoryStore()
    keys = keys_of(ENTRY, store=store)
    keys.look()
    store.put(stored_keys.VALUE, b"?", inf)
    refused(keys, WRONG["unknown id"])
    assert keys.caller(f"Bearer {KEY}") == ENTRY.caller


def test_the_settings_beat_the_store():
    """An id that stands in both is what GLOSS_KEYS says."""
    store = MemoryStore()
    stored_keys.add(store, stored_keys.until(ENTRY, datetime(2020, 1, 1, tzinfo=UTC)))
    keys = keys_of(ENTRY, store=store)
    keys.look()
    assert keys.caller(f"Bearer {KEY}") == ENTRY.caller


def test_the_last_use_is_stored_now_and_then():
    """To the minute, once a minute."""
    stored = Stored(ENTRY)
    stored.keys.caller(f"Bearer {KEY}")
    stored.keys.note_use()
    assert stored_keys.last_use(stored.store, ENTRY.id) is None
    stored.pass_time(NOTE_USE_S)
    stored.keys.note_use()
    assert stored_keys.last_use(stored.store, ENTRY.id) == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def test_two_keys_of_one_owner_own_the_same():
    """Whoever comes with the second sees what was made with the first, also when that one is over."""
    _, second = new_key("web", owner=ENTRY.id)
    keys = keys_of(stored_keys.until(ENTRY, NEW_YEAR), second, now=lambda: NEW_YEAR)
    assert second.caller.owner == ENTRY.caller.owner
    assert keys.owns(ENTRY.id)
    assert (keys.is_live(ENTRY.caller), keys.is_live(second.caller)) == (False, True)


def test_without_keys_whoever_sits_at_the_machine_is_the_operator():
    """Who comes from elsewhere, or through a proxy, may be anybody."""
    app = house(settings())
    tries = [
        {},
        {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}},
        {"headers": {**HERE, "X-Forwarded-For": "::1"}},
    ]
    statuses = [app.test_client().get("/v1/admin", **{"headers": HERE, **one}).status_code for one in tries]
    assert statuses == [200, 403, 403]


@pytest.mark.parametrize(("scopes", "status"), [((), 403), (("echo",), 403), (("admin",), 200)])
def test_what_is_the_operators_has_to_be_named(scopes, status):
    """A key without scopes opens every use case, and not the operator's page."""
    key, entry = new_key("web", scopes=scopes)
    headers = {**HERE, "Authorization": f"Bearer {key}"}
    assert client(keys=(entry.line(),)).get("/v1/admin", headers=headers).status_code == status


def test_no_key_is_a_401_that_says_how():
    """The answer without a key names the scheme that is wanted (RFC 9110, 11.6.1)."""
    answer = client(keys=(ENTRY.line(),)).post("/v1/echo", json={}, headers=HERE)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gloss"')


@pytest.mark.parametrize("scopes", [(), ("echo",), ("echo", "other")])
def test_a_key_with_the_scope_comes_in(scopes):
    """A live key passes, with the scope or with none, which means all."""
    key, entry = new_key("web", scopes=scopes)
    headers = {**HERE, "Authorization": f"Bearer {key}"}
    assert client(keys=(entry.line(),)).post("/v1/echo", json={}, headers=headers).status_code == 200


def test_a_missing_scope_is_a_403():
    """A live key whose scopes lack the use case is forbidden, not unauthorized."""
    key, entry = new_key("web", scopes=["other"])
    headers = {**HERE, "Authorization": f"Bearer {key}"}
    answer = client(keys=(entry.line(),)).post("/v1/echo", json={}, headers=headers)
    assert (answer.status_code, answer.json["type"]) == (403, "/problems/forbidden")


@pytest.mark.S2
@pytest.mark.parametrize("place", ["/v1/echo?key={}", "/v1/echo?token={}", "/v1/echo?access_token={}"])
def test_a_key_in_the_url_opens_nothing(place):
    """URLs end in logs, so a key is never read from one."""
    answer = client(keys=(ENTRY.line(),)).post(place.format(KEY), json={}, headers=HERE)
    assert answer.status_code == 401


@pytest.mark.S2
@pytest.mark.parametrize("name", ["X-Api-Key", "Proxy-Authorization", "Cookie", "X-Authorization"])
def test_a_key_in_another_header_opens_nothing(name):
    """One header carries the key, and no other."""
    headers = {**HERE, name: f"Bearer {KEY}"}
    assert client(keys=(ENTRY.line(),)).post("/v1/echo", json={}, headers=headers).status_code == 401
