"""``make key``."""

import subprocess
import sys
from datetime import date

import pytest

from services.launch.key import OPTIONS, main, make
from services.settings import SettingsError
from services.web.keys import parse_keys


@pytest.mark.parametrize(
    "words", [["NAME=web"], ["NAME=web", "SCOPES=translate,tutor", "EXPIRES=2027-01-01"], ["NAME=me@home"]]
)
def test_what_is_printed_opens_the_service(words, capsys):
    """The entry goes into GLOSS_KEYS as it is, and the last line is the key that it knows."""
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    keys = parse_keys([lines[2]], today=lambda: date(2026, 1, 1))
    assert keys.caller(f"Bearer {lines[-1]}").name == words[0].removeprefix("NAME=")


def test_it_is_a_command():
    """``python -m services.launch.key`` prints the key last and says by its status how it went."""
    command = [sys.executable, "-m", "services.launch.key"]
    made = subprocess.run([*command, "NAME=web"], capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1].startswith("gloss_")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_scopes_and_expiry_stand_in_the_entry():
    """What was asked for is what the key opens, and until when."""
    _, entry = make(["NAME=web", "SCOPES=translate, tutor", "EXPIRES=2027-01-01"])
    assert entry.caller.scopes == {"translate", "tutor"}
    assert entry.expires == date(2027, 1, 1)


def test_an_empty_option_is_not_given():
    """The Makefile hands on its variables even when they are empty."""
    _, entry = make(["NAME=web", "SCOPES=", "EXPIRES= "])
    assert (entry.caller.scopes, entry.expires) == (frozenset(), None)


REFUSED = [
    [],
    ["NAME="],
    ["web"],
    ["NAME=web", "USD_DAY=5"],
    ["NAME=web", "ROTATE=abc"],
    ["NAME=web", "REVOKE="],
    ["NAME=web", "PRINT=1"],
    ["name=web"],
    ["NAME=my app"],
    ["NAME=a,b"],
    ["NAME=a:b"],
    ["NAME=" + "a" * 65],
    ["NAME=web", "SCOPES=Translate"],
    ["NAME=web", "EXPIRES=tomorrow"],
    ["NAME=web", "EXPIRES=2027-13-01"],
    ["NAME=web", "--help"],
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_anything_else_is_refused_with_what_exists(words, capsys):
    """What cannot be done is said, with the options there are, and no key is made."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert all(name in said.err for name in OPTIONS)


def test_an_unknown_option_is_named():
    """An option that does not exist is refused by its name, not ignored."""
    with pytest.raises(SettingsError, match="no option `USD_DAY`"):
        make(["NAME=web", "USD_DAY=5"])
