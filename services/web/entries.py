"""What is kept of a key: its hash, and what the key opens, as one word.

An entry has neither spaces nor commas, so that several fit into one environment variable:

    <name>:<id>:<sha256 of the whole key, hex>[:<member>=<value>]…

Members, each at most once: ``scopes=translate+tutor`` (none: every use case), ``expires=2027-01-01``
or ``2027-01-01T120000Z`` (UTC: from then on the key opens nothing), ``of=<id>`` (the key follows this
one and owns what it owned), and limits: ``usd_day``, ``usd_month``, ``tokens_minute``, ``tokens_day``,
``tokens_month``, ``rpm``, ``streams``.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from services.cost.accounts import Quota
from services.settings import SettingsError
from services.web.callers import PRIVILEGED, Caller

ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9._@-]{1,64})"
    r":(?P<id>[A-Za-z0-9-]{8,64})"
    r":(?P<digest>[0-9a-f]{64})"
    r"(?P<members>(?::[a-z_]+=[^:\s,]+)*)",
    re.ASCII,
)
ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
SCOPES = re.compile(r"[a-z][a-z-]*(?:\+[a-z][a-z-]*)*", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MOMENT = "%Y-%m-%dT%H%M%SZ"
MONEY = re.compile(r"\d{1,9}(?:\.\d{1,6})?", re.ASCII)
COUNT = re.compile(r"[1-9]\d{0,11}", re.ASCII)
USD = ("usd_day", "usd_month")
TOKENS = ("tokens_minute", "tokens_day", "tokens_month")
RATES = ("rpm", "streams")
LIMITS = (*USD, *TOKENS, *RATES)
SHAPE = "name:id:sha256[:scopes=a+b][:expires=YYYY-MM-DD][:of=id][:usd_day=5][:rpm=60]…"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A key's hash and what the key opens; ``caller.shown`` is the key's own id."""

    caller: Caller
    digest: bytes
    expires: datetime | None = None

    @property
    def id(self) -> str:
        """Return the id by which the key is looked up."""
        return self.caller.shown

    def is_over(self, now: datetime) -> bool:
        """Tell whether the key opens nothing any more."""
        return self.expires is not None and now >= self.expires

    def line(self) -> str:
        """Return the entry as it stands in ``GLOSS_KEYS`` and in the store."""
        caller = self.caller
        members = {
            "scopes": "+".join(sorted(caller.scopes)),
            "expires": _written(self.expires) if self.expires else "",
            "of": caller.key_id if caller.key_id != self.id else "",
            **{name: _limit(caller, name) for name in LIMITS},
        }
        tail = "".join(f":{name}={value}" for name, value in members.items() if value)
        return f"{caller.name}:{self.id}:{self.digest.hex()}{tail}"


def parse_keys(entries: Iterable[str], *, scopes: Collection[str] | None = None) -> Mapping[str, Entry]:
    """Read the entries of ``GLOSS_KEYS``; ``scopes`` are the use cases that exist (None: any scope).

    Raises ``SettingsError`` that names a bad entry's position and never its content.
    """
    exist = None if scopes is None else {*scopes, *PRIVILEGED}
    known: dict[str, Entry] = {}
    for position, text in enumerate(entries, start=1):
        try:
            entry = parse_entry(text, scopes=exist)
        except SettingsError as error:
            raise SettingsError(f"GLOSS_KEYS, entry {position}: {error}.") from None
        if entry.id in known:
            raise SettingsError(f"GLOSS_KEYS, entry {position}: its id stands in an earlier entry too.")
        known[entry.id] = entry
    return MappingProxyType(known)


def parse_entry(text: str, *, scopes: Collection[str] | None = None) -> Entry:
    """Read one entry; ``scopes`` are those that exist (None: any). Raises ``SettingsError``."""
    form = ENTRY.fullmatch(text)
    if form is None:
        raise SettingsError(f"it does not read {SHAPE}, as `make key` prints it")
    pairs = [member.split("=", 1) for member in form["members"].split(":") if member]
    members: dict[str, str] = dict(pairs)
    known = {"scopes", "expires", "of", *LIMITS}
    if len(members) < len(pairs) or not members.keys() <= known:
        raise SettingsError(f"it has a member that stands twice or does not exist; there are {_list(known)}")
    return Entry(
        caller=_caller(form["name"], form["id"], members, scopes),
        digest=bytes.fromhex(form["digest"]),
        expires=parse_moment(members["expires"]) if "expires" in members else None,
    )


def parse_moment(text: str) -> datetime:
    """Read a day like 2027-01-01, or a moment like 2027-01-01T120000Z; raises ``SettingsError``."""
    try:
        if DAY.fullmatch(text):
            return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(), UTC)  # noqa: DTZ007
        return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise SettingsError("a day is written like 2027-01-01, a moment like 2027-01-01T120000Z") from None


def limits_of(given: Mapping[str, str]) -> dict[str, Any]:
    """Read limits as a ``Caller`` takes them; raises ``SettingsError`` for what is no amount."""
    for name, value in given.items():
        form, what = (MONEY, "dollars like 2.50") if name in USD else (COUNT, "a whole number from 1 on")
        if not form.fullmatch(value) or (name in USD and not Decimal(value)):
            raise SettingsError(f"`{name}` is {what}")
    read: dict[str, Any] = {
        name: Decimal(value) if name in USD else int(value) for name, value in given.items()
    }
    rates = {name: read.pop(name) for name in RATES if name in read}
    return {"quota": Quota(**read), **rates}


def _caller(name: str, own: str, members: Mapping[str, str], exist: Collection[str] | None) -> Caller:
    scopes = members.get("scopes")
    if scopes is not None and not SCOPES.fullmatch(scopes):
        raise SettingsError("its scopes are small letters, joined by +")
    opened = frozenset(scopes.split("+")) if scopes else frozenset[str]()
    if exist is not None and not opened <= set(exist):
        raise SettingsError(f"it has a scope that does not exist; there are {_list(exist)}")
    owner = members.get("of", own)
    if not ID.fullmatch(owner):
        raise SettingsError("`of` names the id of a key")
    limits = limits_of({name: members[name] for name in LIMITS if name in members})
    return Caller(key_id=owner, name=name, shown=own, scopes=opened, **limits)


def _limit(caller: Caller, name: str) -> str:
    value = getattr(caller if name in RATES else caller.quota, name)
    return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _written(moment: datetime) -> str:
    day, clock = moment.date().isoformat(), moment.time()
    return day if clock == time() else day + clock.strftime("T%H%M%SZ")


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
