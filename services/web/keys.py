"""API keys: what stands in ``GLOSS_KEYS``, and who is calling.

A key is ``gloss_<id>_<secret>``; the service holds its SHA-256 only. An entry is one word
without spaces or commas, so that it fits into any environment variable:

    <name>:<id>:<sha256 of the whole key, hex>[:scopes=translate+tutor][:expires=2027-01-01]

No scopes: every use case. ``expires`` is the first day (UTC) on which the key opens nothing.
Two entries may share a name: that is how a key is replaced without a gap.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType

from flask import Request

from services.cost.accounts import Account
from services.errors import Forbidden, Unauthorized
from services.settings import SettingsError

ID_BYTES = 6  # 12 hex digits: a name to look up by, not a secret
SECRET_BYTES = 32  # 256 bits: guessing is hopeless, so a plain SHA-256 is hash enough
BEARER = re.compile(r"bearer +(gloss_([A-Za-z0-9-]{8,64})_[A-Za-z0-9_-]{32,128})", re.ASCII | re.IGNORECASE)
ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9._@-]{1,64})"
    r":(?P<id>[A-Za-z0-9-]{8,64})"
    r":(?P<digest>[0-9a-f]{64})"
    r"(?::scopes=(?P<scopes>[a-z][a-z-]*(?:\+[a-z][a-z-]*)*))?"
    r"(?::expires=(?P<expires>\d{4}-\d\d-\d\d))?",
    re.ASCII,
)
SHAPE = "name:id:sha256[:scopes=a+b][:expires=YYYY-MM-DD]"
NO_DIGEST = bytes(32)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is calling; no scopes means every use case."""

    key_id: str
    name: str
    scopes: frozenset[str] = frozenset()

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Return who pays for what this caller starts."""
        return (Account(f"key:{self.key_id}"),)

    def may(self, scope: str) -> bool:
        """Tell whether the scope is open to this caller."""
        return not self.scopes or scope in self.scopes


ANONYMOUS = Caller(key_id="anonymous", name="anonymous")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of ``GLOSS_KEYS``: a key's hash and what the key opens."""

    caller: Caller
    digest: bytes
    expires: date | None = None

    def line(self) -> str:
        """Return the entry as it stands in ``GLOSS_KEYS``."""
        scopes = ":scopes=" + "+".join(sorted(self.caller.scopes)) if self.caller.scopes else ""
        expires = f":expires={self.expires.isoformat()}" if self.expires else ""
        return f"{self.caller.name}:{self.caller.key_id}:{self.digest.hex()}{scopes}{expires}"


def today_utc() -> date:
    """Return the day by which keys expire."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Keys:
    """Every key that is known, by id; empty: there is one caller, ``anonymous``."""

    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    today: Callable[[], date] = today_utc

    def __bool__(self) -> bool:
        """Tell whether a key is needed at all."""
        return bool(self.entries)

    def caller(self, authorization: str | None) -> Caller:
        """Return who holds the key in this ``Authorization`` header.

        Raises ``Unauthorized`` for none, a wrong or an expired one, in the same words: a probe
        learns nothing about which ids exist.
        """
        if not self.entries:
            return ANONYMOUS
        form = BEARER.fullmatch(authorization or "")
        if form is None:
            raise Unauthorized("Send the key in the header `Authorization: Bearer gloss_…`.")
        key, key_id = form.groups()
        entry = self.entries.get(key_id)
        right = hmac.compare_digest(digest_of(key), entry.digest if entry else NO_DIGEST)
        if entry is None or not right or self._is_over(entry):
            raise Unauthorized("This key is not live here: wrong, expired or withdrawn.")
        return entry.caller

    def is_live(self, key_id: str) -> bool:
        """Tell whether the caller of this id may still call."""
        if not self.entries:
            return key_id == ANONYMOUS.key_id
        entry = self.entries.get(key_id)
        return entry is not None and not self._is_over(entry)

    def _is_over(self, entry: Entry) -> bool:
        return entry.expires is not None and self.today() >= entry.expires


def authenticate(request: Request, keys: Keys, *, scope: str | None = None) -> Caller:
    """Return who is calling: the only place where a key is read from a request.

    Raises ``Unauthorized``, or ``Forbidden`` where the key does not have the ``scope``.
    """
    caller = keys.caller(request.headers.get("Authorization"))
    if scope is not None:
        check_scope(caller, scope)
    return caller


def check_scope(caller: Caller, scope: str) -> None:
    """Raise ``Forbidden`` where the caller's key does not have the ``scope``."""
    if not caller.may(scope):
        raise Forbidden(f"This key does not have the scope `{scope}`.")


def digest_of(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def new_key(name: str, *, scopes: Iterable[str] = (), expires: date | None = None) -> tuple[str, Entry]:
    """Make a key and the entry by which it is known."""
    key_id = secrets.token_hex(ID_BYTES)
    key = f"gloss_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    caller = Caller(key_id=key_id, name=name, scopes=frozenset(scopes))
    return key, Entry(caller=caller, digest=digest_of(key), expires=expires)


def parse_keys(
    entries: Iterable[str],
    *,
    scopes: Collection[str] | None = None,
    today: Callable[[], date] = today_utc,
) -> Keys:
    """Read the entries of ``GLOSS_KEYS``; ``scopes`` are those that exist (None: any).

    Raises ``SettingsError`` that names a bad entry's position and never its content.
    """
    known: dict[str, Entry] = {}
    for position, text in enumerate(entries, start=1):
        try:
            entry = parse_entry(text, scopes=scopes)
        except SettingsError as error:
            raise SettingsError(f"GLOSS_KEYS, entry {position}: {error}.") from None
        if entry.caller.key_id in known:
            raise SettingsError(f"GLOSS_KEYS, entry {position}: its id stands in an earlier entry too.")
        known[entry.caller.key_id] = entry
    return Keys(MappingProxyType(known), today)


def parse_entry(text: str, *, scopes: Collection[str] | None = None) -> Entry:
    """Read one entry; raises ``SettingsError``."""
    form = ENTRY.fullmatch(text)
    if form is None:
        raise SettingsError(f"it does not read {SHAPE}, as `make key` prints it")
    opened = frozenset((form["scopes"] or "").split("+")) - {""}
    if scopes is not None and not opened <= set(scopes):
        raise SettingsError(f"it has a scope that does not exist; there are {', '.join(sorted(scopes))}")
    return Entry(
        caller=Caller(key_id=form["id"], name=form["name"], scopes=opened),
        digest=bytes.fromhex(form["digest"]),
        expires=parse_day(form["expires"]) if form["expires"] else None,
    )


def parse_day(text: str) -> date:
    """Read a day like 2027-01-01; raises ``SettingsError``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError("a day is written like 2027-01-01") from None
