"""``make key``: make an API key, give it a successor, withdraw it, list all.

A key is kept in the service's store, as a hash, and running processes know it within seconds. With
PRINT=1 nothing is written: what is printed goes into GLOSS_KEYS, for a service without a disk.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from services import settings as declared
from services.settings import Settings, SettingsError
from services.state.choice import beside
from services.state.store import Store, StoreDownError
from services.use_cases import USE_CASES
from services.web import stored_keys
from services.web.callers import PRIVILEGED
from services.web.entries import LIMITS, Entry, limits_of, parse_entry, parse_keys, parse_moment
from services.web.keys import new_key
from services.web.stored_keys import UnknownKeyError

T = TypeVar("T")

OVERLAP = timedelta(days=1)  # for everybody who has the old key to get the new one
OPTIONS = {
    "NAME": "make a key, and say who will use it, for people: letters, digits and ._@-",
    "SCOPES": "use cases that it opens, separated by commas; without it, all. Also admin, operator",
    "EXPIRES": "when it opens nothing any more (UTC), like 2027-01-01; without it, never",
    "USD_DAY": "what it may spend in a day, like 2.50",
    "USD_MONTH": "the same in a month",
    "TOKENS_MINUTE": "how many tokens it may use in a minute",
    "TOKENS_DAY": "the same in a day",
    "TOKENS_MONTH": "the same in a month",
    "RPM": "how many streams it may start in a minute",
    "STREAMS": "how many may be open at once",
    "ROTATE": "make a key that follows the one of this id, and ends it in a day, or at EXPIRES",
    "REVOKE": "withdraw the key of this id now; its streams end within seconds",
    "LIST": "list all keys",
    "PRINT": "1: write nothing, print the entry for GLOSS_KEYS",
}
USAGE = "make key NAME=web [SCOPES=translate,tutor] [USD_DAY=5] [RPM=60] [EXPIRES=2027-01-01] [PRINT=1]"
ALONE = ("LIST", "REVOKE", "ROTATE", "NAME")
ALSO = {"LIST": set[str](), "REVOKE": set[str](), "ROTATE": {"EXPIRES", "PRINT"}}
KEPT = "It is kept in the store; running processes know it within seconds.\n\n"
PRINTED = (
    "Add this entry to GLOSS_KEYS (several are separated by spaces or commas) and start again:\n\n{}\n\n"
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
        print("The store does not answer; nothing is known of what it did.", file=sys.stderr)
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
            raise SettingsError(f"There is no option `{name}`.")
        if value.strip():
            given[name] = value.strip()
    what = next((name for name in ALONE if name in given), None)
    if what is None:
        raise SettingsError("A key needs a NAME.")
    others = given.keys() - {what} - ALSO.get(what, set(OPTIONS) - {*ALSO})
    if others:
        raise SettingsError(f"{what} does not go together with {', '.join(sorted(others))}.")
    return given


def do(given: Mapping[str, str], settings: Settings) -> str:
    """Return what is to be printed; raises ``SettingsError``, StoreDownError."""
    if "LIST" in given:
        return _at_store(settings, lambda store: _listed(settings, store))
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
    expires = _to_come(given["EXPIRES"]) if "EXPIRES" in given else None
    scopes = [scope for scope in re.split(r"[,+\s]+", given.get("SCOPES", "")) if scope]
    exist = {*USE_CASES, *PRIVILEGED}
    if not set(scopes) <= exist:
        raise SettingsError(f"There are the scopes {', '.join(sorted(exist))}.")
    limits = limits_of({name: given[name.upper()] for name in LIMITS if name.upper() in given})
    key, entry = new_key(given["NAME"], scopes=scopes, expires=expires, **limits)
    try:
        parse_entry(entry.line())  # what is written is what the service will read
    except SettingsError:
        raise SettingsError("A NAME has up to 64 letters, digits and ._@-.") from None
    return key, entry


def help_text() -> str:
    """Return the options that exist."""
    return "\n".join([USAGE, "", *(f"  {name:<14}{what}" for name, what in OPTIONS.items())])


def _revoked(key_id: str, settings: Settings) -> str:
    if key_id in parse_keys(settings.keys):
        raise SettingsError("That key stands in GLOSS_KEYS: take its entry out, and start again.")
    _at_store(settings, lambda store: stored_keys.end(store, key_id, datetime.now(UTC)))
    return "It opens nothing any more, and its streams end within seconds."


def _rotated(given: Mapping[str, str], settings: Settings) -> str:
    """Make a key with the same owner, scopes and limits."""
    fixed = parse_keys(settings.keys)
    now = datetime.now(UTC)
    until = _to_come(given["EXPIRES"]) if "EXPIRES" in given else now + OVERLAP
    old = fixed.get(given["ROTATE"]) or _at_store(settings, stored_keys.load).get(given["ROTATE"])
    if old is None:
        raise UnknownKeyError("There is no key of this id.")
    if old.is_over(now):
        raise SettingsError("This key opens nothing any more, so nothing follows it: make a new one.")
    until = min(until, old.expires or until)
    key, new = _follower(old)
    if old.id in fixed or "PRINT" in given:
        both = f"{new.line()}\n\nand put this one in the place of the old key's:\n\n"
        return f"{PRINTED.format(both + stored_keys.until(old, until).line())}{SHOWN_ONCE}{key}"

    def changed(entries: Mapping[str, Entry]) -> list[Entry]:
        ended = [stored_keys.until(one, until) if one.id == old.id else one for one in entries.values()]
        return [*ended, new]

    _at_store(settings, lambda store: stored_keys.change(store, changed))
    return f"{KEPT}The old key opens nothing from {until:%Y-%m-%d %H:%M} UTC on.\n\n{SHOWN_ONCE}{key}"


def _to_come(written: str) -> datetime:
    """Read a moment that is not over; raises SettingsError."""
    moment = parse_moment(written)
    if moment <= datetime.now(UTC):
        raise SettingsError("EXPIRES is over already; REVOKE ends a key at once.")
    return moment


def _follower(old: Entry) -> tuple[str, Entry]:
    key, fresh = new_key(old.caller.name)
    caller = replace(old.caller, shown=fresh.id)
    return key, replace(fresh, caller=caller)


def _listed(settings: Settings, store: Store) -> str:
    rows = [("ID", "NAME", "OPENS", "LIMITS", "UNTIL", "LAST USE")]
    places = (("GLOSS_KEYS", parse_keys(settings.keys)), ("store", stored_keys.load(store)))
    for place, entries in places:
        for entry in entries.values():
            used = stored_keys.last_use(store, entry.id)
            rows.append((*_row(entry, place), f"{used:%Y-%m-%d %H:%M}" if used else "never"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(entry: Entry, place: str) -> tuple[str, str, str, str, str]:
    """Return what the entry's own line says, in columns."""
    words = [word.partition("=") for word in entry.line().split(":")[3:]]
    members = {name: value for name, _, value in words}
    limits = " ".join(f"{name}={members[name]}" for name in LIMITS if name in members)
    now = datetime.now(UTC)
    until = (
        f"{entry.expires:%Y-%m-%d %H:%M}{' (over)' if entry.is_over(now) else ''}" if entry.expires else ""
    )
    name = entry.caller.name if place == "store" else f"{entry.caller.name} (in {place})"
    return entry.id, name, members.get("scopes", "every use case"), limits or "-", until or "-"


def _at_store(settings: Settings, action: Callable[[Store], T]) -> T:
    store = beside(settings)
    try:
        return action(store)
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
