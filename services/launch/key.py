"""``make key``: make an API key, give it a successor, withdraw it, list all.

A key is kept in the service's store, as a hash, and running processes know it within seconds. With
PRINT=1 nothing is written: what is printed goes into GLOSS_KEYS, for a service without a disk.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from services import settings as declared
from services.launch.key_list import followers, listed
from services.settings import Settings, SettingsError
from services.state.choice import beside
from services.state.store import Store, StoreDownError
from services.use_cases import USE_CASES
from services.web import stored_keys
from services.web.callers import PRIVILEGED
from services.web.entries import LIMITS, USD, Entry, limits_of, parse_entry, parse_keys, parse_moment
from services.web.keys import new_key
from services.web.stored_keys import UnknownKeyError

T = TypeVar("T")

OVERLAP = timedelta(days=1)  # for everybody who has the old key to get the new one
OPTIONS = {
    "NAME": "make a key, and say who will use it, for people: letters, digits and ._@-",
    "SCOPES": "use cases that it opens, separated by commas; without it, all. Also admin, operator",
    "EXPIRES": "when it opens nothing any more (UTC), like 2027-01-01; without it, never",
    "UNTIL": "with ROTATE: when the old key opens nothing any more; without it, in a day",
    "USD_DAY": "what it may spend in a day, like 2.50",
    "USD_MONTH": "the same in a month",
    "TOKENS_MINUTE": "how many tokens it may use in a minute",
    "TOKENS_DAY": "the same in a day",
    "TOKENS_MONTH": "the same in a month",
    "RPM": "how many streams it may start in a minute",
    "STREAMS": "how many may be open at once",
    "ROTATE": "make a key that follows the one of this id: the same in all, its EXPIRES too unless given",
    "REVOKE": "withdraw the key of this id now; its streams end within seconds",
    "LIST": "list all keys, and whether they are live, rotating, expired or revoked",
    "PRINT": "1: write nothing, print the entry for GLOSS_KEYS",
}
USAGE = "make key NAME=web [SCOPES=translate,tutor] [USD_DAY=5] [RPM=60] [EXPIRES=2027-01-01] [PRINT=1]"
ALONE = ("LIST", "REVOKE", "ROTATE", "NAME")
ALSO = {"LIST": set[str](), "REVOKE": set[str](), "ROTATE": {"EXPIRES", "UNTIL", "PRINT"}}
ONLY_ROTATE = {"UNTIL"}
MOMENT = "a day like 2027-01-01 or a moment like 2027-01-01T120000Z (UTC)"
KEPT = "It is kept in the store; running processes know it within seconds.\n\n"
PRINTED = (
    "Add this entry to GLOSS_KEYS (several are separated by spaces or commas) and start again:\n\n{}\n\n"
)
UNANSWERED = (
    "The store does not answer, so nobody knows whether this was done. Look whether what REDIS_URL or\n"
    "GLOSS_DATA names is there, then see by LIST=1 how the keys stand, and ask again."
)
SHOWN_ONCE = (
    "The service holds a hash only. The key itself is shown now and never again;\n"
    "send it as `Authorization: Bearer <key>`:\n\n"
)


def main(words: Sequence[str], settings: Settings | None = None) -> int:
    """Do what is asked and say what came of it; returns the exit status."""
    try:
        print(do(options(words), settings or declared.read()))
    except SettingsError as error:
        print(f"{error}\n\n{help_text()}", file=sys.stderr)
        return 2
    except StoreDownError:
        print(UNANSWERED, file=sys.stderr)
        return 1
    return 0


def options(words: Iterable[str]) -> dict[str, str]:
    """Read words like ``NAME=web``; an empty value counts as not given.

    Raises ``SettingsError`` for a word that is no option, and for options that do not go together.
    """
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in OPTIONS:
            raise SettingsError(f"There is no option `{name}`. Take one of those below, in capitals.")
        if value.strip():
            given[name] = value.strip()
    what = next((name for name in ALONE if name in given), None)
    if what is None:
        raise SettingsError("Say what to do: NAME=… makes a key; ROTATE, REVOKE and LIST are the others.")
    others = given.keys() - {what} - ALSO.get(what, set(OPTIONS) - {*ALSO} - ONLY_ROTATE)
    if others:
        left_out = ", ".join(sorted(others))
        raise SettingsError(f"{what} does not go together with {left_out}. Leave one or the other out.")
    return given


def do(given: Mapping[str, str], settings: Settings) -> str:
    """Return what is to be printed; raises ``SettingsError``, StoreDownError."""
    if "LIST" in given:
        return _at_store(settings, lambda store: listed(settings, store, datetime.now(UTC)))
    if "REVOKE" in given:
        return _revoked(given["REVOKE"], settings)
    if "ROTATE" in given:
        return _rotated(given, settings)
    key, entry = make(given)
    if "PRINT" in given:
        return f"{PRINTED.format(entry.line())}{SHOWN_ONCE}{key}"
    _at_store(settings, lambda store: stored_keys.add(store, entry))
    return f"{KEPT}{SHOWN_ONCE}{key}"


def make(given: Mapping[str, str]) -> tuple[str, Entry]:
    """Make a key; raises ``SettingsError`` for a value that cannot be one."""
    expires = _to_come(given, "EXPIRES")
    scopes = [scope for scope in re.split(r"[,+\s]+", given.get("SCOPES", "")) if scope]
    exist = {*USE_CASES, *PRIVILEGED}
    if not set(scopes) <= exist:
        raise SettingsError(
            f"SCOPES has a name that does not exist. Take some of {', '.join(sorted(exist))}."
        )
    limits = _limits(given)
    key, entry = new_key(given["NAME"], scopes=scopes, expires=expires, **limits)
    try:
        parse_entry(entry.line())  # what is written is what the service will read
    except SettingsError:
        raise SettingsError("A NAME is 1 to 64 letters, digits and ._@- long. Choose another one.") from None
    return key, entry


def _limits(given: Mapping[str, str]) -> dict[str, Any]:
    """Read the limits; raises ``SettingsError`` that names the option at fault."""
    named = {name: given[name.upper()] for name in LIMITS if name.upper() in given}
    for name, value in named.items():
        try:
            limits_of({name: value})
        except SettingsError:
            what = "dollars, like 2.50" if name in USD else "a whole number from 1 on, like 100"
            raise SettingsError(f"{name.upper()} must be {what}. For no limit, leave it out.") from None
    return limits_of(named)


def help_text() -> str:
    """Return the options that exist."""
    return "\n".join([USAGE, "", *(f"  {name:<14}{what}" for name, what in OPTIONS.items())])


def _revoked(key_id: str, settings: Settings) -> str:
    if key_id in parse_keys(settings.keys):
        raise SettingsError("That key stands in GLOSS_KEYS: take its entry out, and start the service again.")
    _at_store(settings, lambda store: stored_keys.end(store, key_id, datetime.now(UTC)))
    return "It opens nothing any more, and its streams end within seconds."


def _rotated(given: Mapping[str, str], settings: Settings) -> str:
    """Make a key with the same owner, scopes, limits and end."""
    fixed, now = parse_keys(settings.keys), datetime.now(UTC)
    everything = {**_at_store(settings, stored_keys.load), **fixed}
    old = _to_be_followed(given["ROTATE"], everything, now)
    until = _to_come(given, "UNTIL") or now + OVERLAP
    until = min(until, old.expires or until)
    key, new = _follower(old, _to_come(given, "EXPIRES") or old.expires)
    told = f"{_ends('The old key', until)}\n{_ends('The new one', new.expires)}\n\n{SHOWN_ONCE}{key}"
    if old.id in fixed or "PRINT" in given:
        both = f"{new.line()}\n\nand put this one in the place of the old key's:\n\n"
        return f"{PRINTED.format(both + stored_keys.until(old, until).line())}{told}"

    def changed(entries: Mapping[str, Entry]) -> list[Entry]:
        ended = [stored_keys.until(one, until) if one.id == old.id else one for one in entries.values()]
        return [*ended, new]

    _at_store(settings, lambda store: stored_keys.change(store, changed))
    return f"{KEPT}{told}"


def _to_be_followed(key_id: str, entries: Mapping[str, Entry], now: datetime) -> Entry:
    """Return the entry of a key that may have a follower; raises ``SettingsError``."""
    old = entries.get(key_id)
    if old is None:
        raise UnknownKeyError("There is no key of this id; LIST=1 shows all ids.")
    if old.is_over(now):
        raise SettingsError(
            "This key opens nothing any more, so nothing follows it: make a new one by NAME=…."
        )
    if later := followers(old, entries.values()):
        ids = ", ".join(one.id for one in later)
        raise SettingsError(f"This key is followed already, by {ids}: rotate that one.")
    return old


def _ends(what: str, at: datetime | None) -> str:
    return f"{what} opens nothing from {at:%Y-%m-%d %H:%M} UTC on." if at else f"{what} has no end."


def _to_come(given: Mapping[str, str], option: str) -> datetime | None:
    """Read a moment that is not over, None if none is given; raises SettingsError."""
    if option not in given:
        return None
    try:
        moment = parse_moment(given[option])
    except SettingsError:
        raise SettingsError(f"{option} is no moment. Write {MOMENT}.") from None
    if moment <= datetime.now(UTC):
        raise SettingsError(f"{option} is over already. Name a later one; REVOKE ends a key at once.")
    return moment


def _follower(old: Entry, expires: datetime | None) -> tuple[str, Entry]:
    key, fresh = new_key(old.caller.name, expires=expires)
    caller = replace(old.caller, shown=fresh.id)
    return key, replace(fresh, caller=caller)


def _at_store(settings: Settings, action: Callable[[Store], T]) -> T:
    store = beside(settings)
    try:
        return action(store)
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
