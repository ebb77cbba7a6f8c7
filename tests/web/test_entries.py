"""What is kept of a key, as one word."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost.accounts import Quota
from services.settings import SettingsError
from services.web.entries import parse_entry, parse_moment
from services.web.keys import new_key

HASH = "a" * 64
NAMES = st.text("abcXYZ019._@-", min_size=1, max_size=64)
SCOPES = st.frozensets(st.sampled_from(["translate", "tutor", "a-b"]))
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
COUNTS = st.none() | st.integers(1, 10**12 - 1)
MONEY = st.none() | st.decimals(Decimal("0.000001"), Decimal(10**9 - 1), places=6)
QUOTAS = st.builds(
    Quota, usd_day=MONEY, usd_month=MONEY, tokens_minute=COUNTS, tokens_day=COUNTS, tokens_month=COUNTS
)
ENTRIES = st.builds(
    lambda name, **more: new_key(name, **more)[1],
    NAMES,
    scopes=SCOPES,
    expires=st.none() | MOMENTS,
    owner=st.none() | st.just("0123456789ab"),
    quota=QUOTAS,
    rpm=COUNTS,
    streams=COUNTS,
)


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry):
    """Every entry that a new key gives is read back as the same value."""
    assert parse_entry(entry.line()) == entry


@given(ENTRIES)
def test_an_entry_is_one_word_of_settings(entry):
    """An entry has no space and no comma, so several stand in one variable."""
    assert not set(" ,\t\n\"'") & set(entry.line())


def test_limits_stand_in_the_entry():
    """In dollars, tokens and counts, by the names that ``make key`` has for them."""
    entry = parse_entry(f"web:abcdefgh:{HASH}:usd_day=2.50:tokens_day=1000:rpm=60:streams=5")
    assert entry.caller.quota == Quota(usd_day=Decimal("2.50"), tokens_day=1000)
    assert (entry.caller.rpm, entry.caller.streams) == (60, 5)


def test_a_day_begins_at_midnight_in_utc():
    """``expires`` is the first day on which the key opens nothing, or a moment."""
    assert parse_moment("2027-01-01") == datetime(2027, 1, 1, tzinfo=UTC)
    assert parse_moment("2027-01-01T123456Z") == datetime(2027, 1, 1, 12, 34, 56, tzinfo=UTC)


MALFORMED = {
    "a key instead of its entry": new_key("web")[0],
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
    "no moment": f"web:abcdefgh:{HASH}:expires=2027-01-01T1200",
    "a member twice": f"web:abcdefgh:{HASH}:rpm=1:rpm=2",
    "unknown member": f"web:abcdefgh:{HASH}:usd=5",
    "no money": f"web:abcdefgh:{HASH}:usd_day=5$",
    "no money at all": f"web:abcdefgh:{HASH}:usd_day=0.00",
    "negative": f"web:abcdefgh:{HASH}:tokens_day=-5",
    "none at all": f"web:abcdefgh:{HASH}:streams=0",
    "a part of one": f"web:abcdefgh:{HASH}:rpm=0.5",
    "no owner": f"web:abcdefgh:{HASH}:of=abc/def",
    "line end": f"web:abcdefgh:{HASH}\n",
    "unknown scope": f"web:abcdefgh:{HASH}:scopes=translat",
    "bad scope": f"web:abcdefgh:{HASH}:scopes=Translate",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_entry_is_refused(text):
    """And the message does not repeat it."""
    with pytest.raises(SettingsError) as caught:
        parse_entry(text, scopes=["translate", "tutor"])
    assert not text or text not in str(caught.value)
    assert HASH[1:] not in str(caught.value)
