"""API keys: the entries that name them, the header that carries them."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import Unauthorized
from services.web.keys import (
    ANONYMOUS,
    Caller,
    SettingsError,
    digest_of,
    new_key,
    parse_entry,
    parse_keys,
    today_utc,
)
from tests.web.house import HERE, client

KEY, ENTRY = new_key("web")
HASH = "a" * 64
NAMES = st.text("abcXYZ019._@-", min_size=1, max_size=64)
SCOPES = st.frozensets(st.sampled_from(["translate", "tutor", "a-b"]))


def on(day: date):
    return lambda: day


def refused(keys, header):
    with pytest.raises(Unauthorized) as caught:
        keys.caller(header)
    return caught.value.problem()


@given(NAMES, SCOPES, st.none() | st.dates())
def test_an_entry_is_read_as_it_was_written(name, scopes, expires):
    """Every entry that a new key gives is read back as the same value."""
    _, entry = new_key(name, scopes=scopes, expires=expires)
    assert parse_entry(entry.line()) == entry


@given(NAMES, SCOPES, st.none() | st.dates())
def test_an_entry_is_one_word_of_settings(name, scopes, expires):
    """An entry has no space and no comma, so several stand in one variable."""
    line = new_key(name, scopes=scopes, expires=expires)[1].line()
    assert not set(" ,\t\n\"'") & set(line)


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
    keys = parse_keys([])
    assert [keys.caller(None), keys.caller("Bearer x")] == [ANONYMOUS, ANONYMOUS]


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER  {KEY}"])
def test_the_right_key_names_its_caller(header):
    """The scheme's name is read without regard to case (RFC 9110, 11.1)."""
    assert parse_keys([ENTRY.line()]).caller(header) == ENTRY.caller


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


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG)
def test_any_other_header_opens_nothing(header):
    """Only the whole key, as a bearer token and alone, opens the door."""
    assert refused(parse_keys([ENTRY.line()]), header)["status"] == 401


def test_a_wrong_secret_reads_like_an_unknown_id():
    """A probe cannot tell which ids exist."""
    keys = parse_keys([ENTRY.line()])
    assert refused(keys, WRONG["wrong secret"]) == refused(keys, WRONG["unknown id"])


@pytest.mark.parametrize(
    ("day", "live"), [(date(2026, 12, 31), True), (date(2027, 1, 1), False), (date(2030, 1, 1), False)]
)
def test_a_key_ends_on_its_day(day, live):
    """``expires`` is the first day on which the key opens nothing."""
    key, entry = new_key("web", expires=date(2027, 1, 1))
    keys = parse_keys([entry.line()], today=on(day))
    if live:
        assert keys.caller(f"Bearer {key}") == entry.caller
    else:
        refused(keys, f"Bearer {key}")


def test_two_keys_of_one_name_live_side_by_side():
    """A key is replaced without a gap: two entries may share a name."""
    other, entry = new_key("web")
    keys = parse_keys([ENTRY.line(), entry.line()])
    assert [keys.caller(f"Bearer {key}").name for key in (KEY, other)] == ["web", "web"]


MALFORMED = {
    "a key instead of its entry": KEY,
    "empty": "",
    "two parts": "web:abcdefgh",
    "short id": f"web:abc:{HASH}",
    "id with underscore": f"web:abc_defgh:{HASH}",
    "short hash": f"web:abcdefgh:{HASH[1:]}",
    "capital hash": f"web:abcdefgh:{HASH.upper()}",
    "no name": f":abcdefgh:{HASH}",
    "name with space": f"my app:abcdefgh:{HASH}",
    "empty scopes": f"web:abcdefgh:{HASH}:scopes=",
    "scopes by comma": f"web:abcdefgh:{HASH}:scopes=translate,tutor",
    "no such day": f"web:abcdefgh:{HASH}:expires=2027-02-30",
    "another day form": f"web:abcdefgh:{HASH}:expires=20270101",
    "wrong order": f"web:abcdefgh:{HASH}:expires=2027-01-01:scopes=translate",
    "unknown member": f"web:abcdefgh:{HASH}:usd=5",
    "line end": f"web:abcdefgh:{HASH}\n",
    "unknown scope": f"web:abcdefgh:{HASH}:scopes=translat",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_entry_is_named_by_position_only(text):
    """A broken entry stops the start, and the message does not repeat it."""
    with pytest.raises(SettingsError, match="GLOSS_KEYS, entry 2:") as caught:
        parse_keys([ENTRY.line(), text], scopes=["translate", "tutor"])
    assert "earlier" not in str(caught.value)
    assert not text or text not in str(caught.value)
    assert HASH[1:] not in str(caught.value)


def test_an_id_stands_once():
    """Two entries with one id stop the start: the second would hide the first."""
    with pytest.raises(SettingsError, match="entry 2: its id stands in an earlier"):
        parse_keys([ENTRY.line(), ENTRY.line()])


@pytest.mark.parametrize(("entries", "needed"), [([], False), ([ENTRY.line()], True)])
def test_keys_are_needed_where_one_exists(entries, needed):
    """One entry closes the service to everybody without a key."""
    assert bool(parse_keys(entries)) is needed


def test_days_are_counted_in_utc():
    """A key ends at the same moment on every machine."""
    before, today, after = datetime.now(UTC).date(), today_utc(), datetime.now(UTC).date()
    assert before <= today <= after


def test_a_caller_without_scopes_may_do_everything():
    """No scopes open every use case; some open only themselves."""
    some = Caller(key_id="k", name="n", scopes=frozenset({"translate"}))
    assert [ANONYMOUS.may("tutor"), some.may("translate"), some.may("tutor")] == [True, True, False]


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


@pytest.mark.parametrize("place", ["/v1/echo?key={}", "/v1/echo?token={}", "/v1/echo?access_token={}"])
def test_a_key_in_the_url_opens_nothing(place):
    """URLs end in logs, so a key is never read from one."""
    answer = client(keys=(ENTRY.line(),)).post(place.format(KEY), json={}, headers=HERE)
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["X-Api-Key", "Proxy-Authorization", "Cookie", "X-Authorization"])
def test_a_key_in_another_header_opens_nothing(name):
    """One header carries the key, and no other."""
    headers = {**HERE, name: f"Bearer {KEY}"}
    assert client(keys=(ENTRY.line(),)).post("/v1/echo", json={}, headers=headers).status_code == 401
