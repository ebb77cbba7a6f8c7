"""What ``make key LIST=1`` shows: every key, and how it stands."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.settings import Settings
from services.state.store import Store
from services.web import stored_keys
from services.web.entries import LIMITS, Entry, parse_keys

HEAD = ("ID", "NAME", "OPENS", "LIMITS", "STATE (UTC)", "LAST USE (UTC)")


def listed(settings: Settings, store: Store, now: datetime) -> str:
    """Return a table of all keys, those of GLOSS_KEYS first; raises SettingsError, StoreDownError."""
    fixed, kept = parse_keys(settings.keys), stored_keys.load(store)
    everything = [*fixed.values(), *kept.values()]
    rows = [HEAD]
    for place, entries in ((" (in GLOSS_KEYS)", fixed), ("", kept)):
        for entry in entries.values():
            state = _state(entry, everything, stored_keys.revoked(store, entry.id), now)
            used = stored_keys.last_use(store, entry.id)
            rows.append((*_what(entry, place), state, _written(used) if used else "never"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def followers(entry: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Return the keys of the same owner that open longer than this one: those that it was rotated to."""
    ends = entry.expires
    if ends is None:
        return []
    same = (one for one in entries if one.caller.key_id == entry.caller.key_id)
    return [one for one in same if one.expires is None or one.expires > ends]


def _what(entry: Entry, place: str) -> tuple[str, str, str, str]:
    """Return what the entry's own line says, in columns."""
    words = [word.partition("=") for word in entry.line().split(":")[3:]]
    members: Mapping[str, str] = {name: value for name, _, value in words}
    limits = " ".join(f"{name}={members[name]}" for name in LIMITS if name in members)
    opens = members.get("scopes", "every use case")
    return entry.id, f"{entry.caller.name}{place}", opens, limits or "-"


def _state(entry: Entry, entries: Iterable[Entry], revoked: datetime | None, now: datetime) -> str:
    ends = entry.expires
    if ends is None:
        return "live"
    if revoked is not None:
        return f"revoked {_written(revoked)}"
    if entry.is_over(now):
        return f"expired {_written(ends)}"
    return f"{'rotating' if followers(entry, entries) else 'live'} until {_written(ends)}"


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
