"""``make key``."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from services.launch.key import OPTIONS, main, make, options
from services.settings import SettingsError
from services.state.choice import beside
from services.web import stored_keys
from services.web.entries import Entry, parse_entry, parse_keys
from services.web.keys import Keys, new_key
from tests.web.house import settings


class Desk:
    """A terminal, and the store of a service."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], **given) -> None:
        self.settings = settings(data=folder, **given)
        self._capsys = capsys

    def say(self, *words: str) -> list[str]:
        assert main(words, self.settings) == 0
        return self._capsys.readouterr().out.splitlines()

    @property
    def keys(self) -> Keys:
        """What a service would know that starts now."""
        store = beside(self.settings)
        keys = Keys(parse_keys(self.settings.keys), store=store)
        keys.look()
        store.close()
        return keys

    def opens(self, key: str) -> bool:
        try:
            return bool(self.keys.caller(f"Bearer {key}"))
        except Exception:  # noqa: BLE001 - it is refused, however
            return False

    @property
    def stored(self) -> dict[str, Entry]:
        store = beside(self.settings)
        entries = dict(stored_keys.load(store))
        store.close()
        return entries


@pytest.fixture
def desk(tmp_path, capsys):
    return Desk(tmp_path / "state", capsys)


def test_a_key_is_kept_in_the_store(desk):
    """The last line is the key alone, and a service that has the store knows it."""
    key = desk.say("NAME=web")[-1]
    assert desk.keys.caller(f"Bearer {key}").name == "web"
    assert key.split("_", 2)[2] not in str(desk.stored)


def test_a_key_is_only_printed_on_demand(desk):
    """The entry goes into GLOSS_KEYS as it is, the last line is its key, and nothing is written."""
    lines = desk.say("NAME=me@home", "SCOPES=translate", "PRINT=1")
    keys = Keys(parse_keys([lines[2]]))
    assert keys.caller(f"Bearer {lines[-1]}").name == "me@home"
    assert not desk.settings.data.exists()


def test_a_withdrawn_key_opens_nothing(desk):
    """From now on; the others open."""
    gone, kept = (desk.say(f"NAME={name}")[-1] for name in ("gone", "kept"))
    desk.say(f"REVOKE={gone.split('_')[1]}")
    assert (desk.opens(gone), desk.opens(kept)) == (False, True)


def test_a_key_is_replaced_without_a_gap(desk):
    """Both open for a day; the new one has the scopes and limits of the old one, and owns the same."""
    old = desk.say("NAME=web", "SCOPES=tutor", "USD_DAY=5", "RPM=60")[-1]
    new = desk.say(f"ROTATE={old.split('_')[1]}")[-1]
    first, second = (desk.keys.caller(f"Bearer {key}") for key in (old, new))
    assert (second.owner, second.scopes, second.quota, second.rpm) == (
        first.owner,
        first.scopes,
        first.quota,
        first.rpm,
    )
    expires = desk.stored[first.shown].expires
    assert 0.9 < (expires - datetime.now(UTC)).total_seconds() / 86_400 <= 1


def test_the_old_key_ends_when_it_is_told_to(desk):
    """``UNTIL`` says when, and a third key follows as the second did."""
    old = desk.say("NAME=web")[-1]
    new = desk.say(f"ROTATE={old.split('_')[1]}", "UNTIL=2126-01-01")[-1]
    third = desk.say(f"ROTATE={new.split('_')[1]}")[-1]
    assert [desk.opens(key) for key in (old, new, third)] == [True, True, True]
    assert desk.stored[old.split("_")[1]].expires == datetime(2126, 1, 1, tzinfo=UTC)
    assert {entry.caller.owner for entry in desk.stored.values()} == {old.split("_")[1]}


@pytest.mark.parametrize(
    ("words", "ends"),
    [([], datetime(2126, 1, 1, tzinfo=UTC)), (["EXPIRES=2127-01-01"], datetime(2127, 1, 1, tzinfo=UTC))],
)
def test_a_follower_ends_when_the_old_key_would_have(desk, words, ends):
    """Unless another end is given: to rotate a key makes nobody's access longer by itself."""
    old = desk.say("NAME=web", "EXPIRES=2126-01-01")[-1]
    lines = desk.say(f"ROTATE={old.split('_')[1]}", *words)
    assert desk.stored[lines[-1].split("_")[1]].expires == ends
    assert f"The new one opens nothing from {ends:%Y-%m-%d} 00:00 UTC on." in lines


def test_a_follower_of_a_key_without_an_end_has_none(desk):
    """Which is said."""
    old = desk.say("NAME=web")[-1]
    lines = desk.say(f"ROTATE={old.split('_')[1]}")
    assert desk.stored[lines[-1].split("_")[1]].expires is None
    assert "The new one has no end." in lines


def test_a_key_has_one_follower(desk, capsys):
    """A second one would take over the end that the first has brought about."""
    old = desk.say("NAME=web")[-1].split("_")[1]
    new = desk.say(f"ROTATE={old}")[-1].split("_")[1]
    assert main([f"ROTATE={old}"], desk.settings) == 2
    assert f"followed already, by {new}: rotate that one" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["EXPIRES=2020-01-01", "ROTATE"])
def test_no_key_is_made_that_is_over(desk, word, capsys):
    """Neither one that has ended before it begins, nor the follower of one that was withdrawn."""
    desk.say("NAME=web")
    [key_id] = desk.stored
    desk.say(f"REVOKE={key_id}")
    words = ("NAME=late", word) if "=" in word else (f"{word}={key_id}",)
    assert main(words, desk.settings) == 2
    assert "any more" in (said := capsys.readouterr().err) or "over already" in said
    assert list(desk.stored) == [key_id]


def test_a_key_of_the_settings_gets_its_follower_printed(tmp_path, capsys):
    """Nobody but the operator can write GLOSS_KEYS: both entries are told."""
    key, entry = new_key("web")
    desk = Desk(tmp_path / "state", capsys, keys=(entry.line(),))
    lines = desk.say(f"ROTATE={entry.id}")
    new, old = (parse_entry(line) for line in lines if line.startswith("web:"))
    assert (old.id, new.caller.owner) == (entry.id, entry.id)
    assert old.expires is not None
    assert Keys({new.id: new}).caller(f"Bearer {lines[-1]}") == new.caller
    assert desk.stored == {}
    assert key


def test_a_key_of_the_settings_is_withdrawn_there(tmp_path, capsys):
    """What is said is what to do."""
    _, entry = new_key("web")
    assert main([f"REVOKE={entry.id}"], settings(data=tmp_path, keys=(entry.line(),))) == 2
    assert "GLOSS_KEYS" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["REVOKE", "ROTATE"])
def test_an_unknown_id_is_refused(desk, word, capsys):
    """And nothing is written."""
    assert main([f"{word}=0123456789ab"], desk.settings) == 2
    assert "no key of this id" in capsys.readouterr().err
    assert desk.stored == {}


def test_all_keys_are_listed(tmp_path, capsys):
    """Those of the settings and those of the store, with limits, end and last use."""
    _, fixed = new_key("fixed")
    desk = Desk(tmp_path / "state", capsys, keys=(fixed.line(),))
    key = desk.say("NAME=web", "STREAMS=3", "EXPIRES=2126-01-01")[-1]
    store = beside(desk.settings)
    stored_keys.note_use(store, {key.split("_")[1]: datetime(2026, 1, 2, 3, 4, tzinfo=UTC)})
    store.close()
    head, *rows = desk.say("LIST=1")
    assert head.split()[0] == "ID"
    assert [row.split()[0] for row in rows] == [fixed.id, key.split("_")[1]]
    assert all(part in rows[1] for part in ("web", "streams=3", "2126-01-01 00:00", "2026-01-02 03:04"))
    assert rows[0].endswith("never")


def test_the_list_tells_how_each_key_stands(tmp_path, capsys):
    """Live, for ever or until then; rotating; revoked, or over by itself; one that was over stays expired."""
    _, fixed = new_key("fixed")
    desk = Desk(tmp_path / "state", capsys, keys=(fixed.line(),))
    ids = {name: desk.say(f"NAME={name}")[-1].split("_")[1] for name in STATES if name != "new"}
    ids["new"] = desk.say(f"ROTATE={ids['rotated']}", "UNTIL=2126-01-01")[-1].split("_")[1]
    store = beside(desk.settings)
    ends = {ids["short"]: datetime(2126, 1, 1, tzinfo=UTC), ids["expired"]: datetime(2020, 1, 1, tzinfo=UTC)}
    stored_keys.change(
        store,
        lambda all_: [stored_keys.until(one, ends.get(one.id, AGES)) for one in all_.values()],
    )
    store.close()
    for name in ("revoked", "expired"):
        desk.say(f"REVOKE={ids[name]}")
    rows = {row.split()[0]: row for row in desk.say("LIST=1")}
    assert "  live  " in rows[fixed.id]
    assert [name for name, state in STATES.items() if f"  {state}" not in rows[ids[name]]] == []


AGES = datetime(2200, 1, 1, tzinfo=UTC)
STATES = {
    "live": "live until 2200-01-01 00:00  ",
    "new": "live until 2200-01-01 00:00  ",
    "short": "live until 2126-01-01 00:00  ",
    "rotated": "rotating until 2126-01-01 00:00  ",
    "revoked": f"revoked {datetime.now(UTC):%Y}-",
    "expired": "expired 2020-01-01 00:00  ",
}


def test_it_is_a_command(tmp_path):
    """``python -m services.launch.key`` prints the key last and says by its status how it went."""
    command = [sys.executable, "-m", "services.launch.key"]
    made = subprocess.run([*command, "NAME=web", "PRINT=1"], capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1].startswith("gloss_")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_scopes_limits_and_expiry_stand_in_the_entry():
    """What was asked for is what the key opens, until when, and what it may cost."""
    given = options(
        ["NAME=web", "SCOPES=translate, tutor", "EXPIRES=2027-01-01", "USD_DAY=2.50", "STREAMS=3"]
    )
    _, entry = make(given)
    assert entry.caller.scopes == {"translate", "tutor"}
    assert entry.expires == datetime(2027, 1, 1, tzinfo=UTC)
    assert (entry.caller.quota.usd_day, entry.caller.streams) == (Decimal("2.50"), 3)


def test_an_empty_option_is_not_given():
    """The Makefile hands on its variables even when they are empty."""
    _, entry = make(options(["NAME=web", "SCOPES=", "EXPIRES= "]))
    assert (entry.caller.scopes, entry.expires) == (frozenset(), None)


REFUSED = [
    [],
    ["NAME="],
    ["web"],
    ["NAME=web", "USD_DAY=free"],
    ["NAME=web", "USD_DAY=0"],
    ["NAME=web", "RPM=0"],
    ["NAME=web", "ROTATE=0123456789ab"],
    ["REVOKE="],
    ["REVOKE=0123456789ab", "EXPIRES=2027-01-01"],
    ["ROTATE=0123456789ab", "RPM=5"],
    ["LIST=1", "NAME=web"],
    ["name=web"],
    ["NAME=my app"],
    ["NAME=a,b"],
    ["NAME=a:b"],
    ["NAME=" + "a" * 65],
    ["NAME=web", "SCOPES=Translate"],
    ["NAME=web", "SCOPES=translat"],
    ["NAME=web", "EXPIRES=tomorrow"],
    ["NAME=web", "EXPIRES=2027-13-01"],
    ["NAME=web", "UNTIL=2126-01-01"],
    ["NAME=web", "--help"],
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_anything_else_is_refused_with_what_exists(words, capsys, tmp_path):
    """What cannot be done is said, with the options there are, and no key is made."""
    assert main(words, settings(data=tmp_path / "state")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    told = said.err.partition("\n\n")[0]
    assert (told[0].isupper(), told[-1]) == (True, ".")
    assert len(re.findall(r"[.:;] ", told)) >= 1, "it says what to do as well"
    assert all(name in said.err for name in OPTIONS)
    assert not (tmp_path / "state").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    """Then PRINT=1 is the way."""
    (tmp_path / "file").touch()
    assert main(["NAME=web"], settings(data=tmp_path / "file" / "state")) == 2
    assert "PRINT" in capsys.readouterr().err


def test_an_unknown_option_is_named():
    """An option that does not exist is refused by its name, not ignored."""
    with pytest.raises(SettingsError, match="no option `EUR_DAY`"):
        options(["NAME=web", "EUR_DAY=5"])
