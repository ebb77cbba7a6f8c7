"""API keys: which are known, and who is calling.

A key is ``gloss_<id>_<secret>``; the service holds its SHA-256 only. Entries (``entries.py``) stand in
``GLOSS_KEYS`` and in the store. Those of the store are known from memory: they are read anew once a
second, by the watch (``watch.py``), and when somebody shows a key that is not known yet.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from types import MappingProxyType
from typing import Any

from flask import Request

from services.cost.accounts import Quota
from services.errors import ForeignOrigin, Unauthorized
from services.state.store import Store, StoreDownError
from services.telemetry import log_failure
from services.web import stored_keys
from services.web.callers import ANONYMOUS, PRIVILEGED, Caller, check_scope, is_at_home, page_origin
from services.web.entries import Entry
from services.web.forgotten import Forgotten
from services.web.grants import PREFIX, Grants

ID_BYTES = 6  # 12 hex digits: a name to look up by, not a secret
SECRET_BYTES = 32  # 256 bits: guessing is hopeless, so a plain SHA-256 is hash enough
BEARER = re.compile(r"bearer +(gloss_([A-Za-z0-9-]{8,64})_[A-Za-z0-9_-]{32,128})", re.ASCII | re.IGNORECASE)
NO_DIGEST = bytes(32)
TOKEN = re.compile(rf"bearer +({PREFIX}[A-Za-z0-9_.-]{{40,4000}})", re.ASCII | re.IGNORECASE)
BAD_GRANT = "This token is not live here: wrong, too old or withdrawn."
FRESH_S = 0.1  # a flood of keys that do not exist asks the store no more often
NOTE_USE_S = 60.0
UNREAD = "its keys were never read"

log = logging.getLogger("gloss.keys")


def now_utc() -> datetime:
    """Return the time by which keys expire."""
    return datetime.now(UTC)


class Keys:
    """Every key that is known; none, now and before: there is one caller, ``anonymous``, if that may be."""

    def __init__(  # noqa: PLR0913 - what is known of who may call
        self,
        fixed: Mapping[str, Entry] = MappingProxyType({}),
        *,
        store: Store | None = None,
        grants: Grants | None = None,
        forgotten: Forgotten | None = None,
        anonymous: bool = True,
        now: Callable[[], datetime] = now_utc,
        monotonic: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """``fixed`` are those of GLOSS_KEYS, which beat those of the store where ids are the same.

        ``anonymous`` tells whether anybody may call where there are none. ``complete`` they are when
        those of the store were read once.
        """
        self._fixed = fixed
        self._store = store
        self._grants = grants
        self._forgotten = forgotten
        self._anonymous = anonymous
        self.complete = store is None
        self._now = now
        self._monotonic = monotonic
        self._value: bytes | None = None
        self._unreadable: bytes | None = None
        self._known: Mapping[str, Entry] = fixed
        self._looked_at = -inf
        self._used: dict[str, datetime] = {}
        self._noted_at = monotonic()

    def __bool__(self) -> bool:
        """Tell whether a key is needed at all, as far as is known."""
        return not (self.empty and self._anonymous)

    @property
    def empty(self) -> bool:
        """Tell whether it is known that there is none."""
        return self.complete and not self._known

    def require_known(self) -> None:
        """Raise StoreDownError while nobody can tell whether a key is needed."""
        if not self._known and not self.complete:
            raise StoreDownError(UNREAD)

    def caller(self, authorization: str | None, page: str | None = None) -> Caller:
        """Return who holds the key, or the client token, in this ``Authorization`` header.

        ``page`` is the origin of the page that asks. Raises ``Unauthorized`` for none, a wrong or an
        expired one, in the same words: a probe learns nothing about which ids exist; ForeignOrigin for a
        token of another page; StoreDownError where a token cannot be read without the store, and in the
        place of Unauthorized where the store was never read: the key may stand there.
        """
        token = TOKEN.fullmatch(authorization or "")
        if token is not None and self:
            return self._granted(token[1], page)
        form = BEARER.fullmatch(authorization or "")
        if not self.complete or (form is not None and not self):
            self._entry(form[2] if form else "")  # the first key was made a moment ago, it seems
        if not self:
            return ANONYMOUS
        if form is None:
            raise self._unknown("Send the key in the header `Authorization: Bearer gloss_…`.")
        key, key_id = form.groups()
        entry = self._entry(key_id)
        right = hmac.compare_digest(digest_of(key), entry.digest if entry else NO_DIGEST)
        now = self._now()
        if entry is None or not right or entry.is_over(now):
            raise self._unknown("This key is not live here: wrong, expired or withdrawn.")
        self._used[key_id] = now
        return entry.caller

    def _granted(self, token: str, page: str | None) -> Caller:
        read = self._grants.read(token) if self._grants else None
        entry = self._entry(read[0]) if read else None
        if read is None or entry is None:
            raise self._unknown(BAD_GRANT)
        caller = replace(entry.caller, grant=read[1])
        if not self.is_live(caller):
            raise Unauthorized(BAD_GRANT)
        if read[1].origin not in {None, page}:
            raise ForeignOrigin("This token is good for pages of another origin.")
        return caller

    def opens(self, key_id: str) -> bool:
        """Tell whether the key of this id opens anything; the empty one stands for nobody's.

        Raises StoreDownError where the store was never read.
        """
        if not self:
            return key_id == ANONYMOUS.shown
        entry = self._known.get(key_id)
        if entry is None and not self.complete:
            raise StoreDownError(UNREAD)
        return entry is not None and not entry.is_over(self._now())

    def is_live(self, caller: Caller) -> bool:
        """Tell whether what this caller has shown still opens anything: the key, and the token if it is one.

        A client token is live as long as its key is, until its own time is over or its end user is forgotten.
        """
        grant = caller.grant
        if not self.opens(caller.shown):
            return False
        if grant is None:
            return True
        since = self._forgotten.since(caller.owner) if self._forgotten else None
        return self._now() < grant.until and (since is None or grant.made > since)

    @property
    def quotas(self) -> list[tuple[str, Quota]]:
        """Return the ids of those that open anything, and what each may spend."""
        now = self._now()
        return [(entry.id, entry.caller.quota) for entry in self._known.values() if not entry.is_over(now)]

    def until(self, caller: Caller) -> datetime | None:
        """Return when the key that this caller has shown opens nothing any more; None is never."""
        entry = self._known.get(caller.shown)
        return entry.expires if entry else None

    def owns(self, owner: str) -> bool:
        """Tell whether a key of this owner, or of this end user, still opens anything, as far as is known."""
        key_id = owner.partition("/")[0]
        if not self.complete:
            return True
        if not self:
            return key_id == ANONYMOUS.key_id
        now = self._now()
        first = self._known.get(key_id)
        if first is not None and not first.is_over(now):
            return True
        return any(one.caller.key_id == key_id and not one.is_over(now) for one in self._known.values())

    def look(self) -> None:
        """Read the store's keys anew; raises StoreDownError, and ValueError once for what cannot be read.

        Another release may have written that; what was known stays known. A store that came back empty
        is told again what it held: it would else open the service.
        """
        if self._store is None:
            return
        self._looked_at = self._monotonic()
        value = self._store.get(stored_keys.VALUE)
        if value is None and self._value is not None:
            self._store.swap(stored_keys.VALUE, None, self._value, inf)
        elif value is not None and value not in {self._value, self._unreadable}:
            self._unreadable = value
            self._known = MappingProxyType({**stored_keys.read(value), **self._fixed})
            self._value, self._unreadable = value, None
        self.complete |= value in {None, self._value}

    def note_use(self) -> None:
        """Store when keys were used last, now and then; raises StoreDownError."""
        if self._store is None or self._monotonic() - self._noted_at < NOTE_USE_S:
            return
        self._noted_at = self._monotonic()
        used, self._used = self._used, {}
        stored_keys.note_use(self._store, used)

    def _entry(self, key_id: str) -> Entry | None:
        """Return what is known of a key; one that was made a moment ago may not be known yet."""
        if key_id not in self._known and self._monotonic() - self._looked_at >= FRESH_S:
            try:
                self.look()
            except StoreDownError:
                pass
            except ValueError as error:
                log_failure(log, "the store's keys cannot be read", error)
        return self._known.get(key_id)

    def _unknown(self, why: str) -> Exception:
        return Unauthorized(why) if self.complete else StoreDownError(UNREAD)


def authenticate(request: Request, keys: Keys, *, scope: str | None = None) -> Caller:
    """Return who is calling: the only place where a key is read from a request.

    Raises ``Unauthorized``, or ``Forbidden`` where the key does not have the ``scope``. Without keys
    the operator is whoever sits at this machine.
    """
    caller = keys.caller(request.headers.get("Authorization"), page_origin(request))
    operator = caller is ANONYMOUS and scope in PRIVILEGED and is_at_home(request)
    if scope is not None and not operator:
        check_scope(caller, scope)
    return caller


def digest_of(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def new_key(
    name: str,
    *,
    scopes: Iterable[str] = (),
    expires: datetime | None = None,
    owner: str | None = None,
    **limits: Any,
) -> tuple[str, Entry]:
    """Make a key and the entry by which it is known; ``limits`` are those of a ``Caller``.

    With an ``owner`` it follows that key, and owns what that one owned.
    """
    key_id = secrets.token_hex(ID_BYTES)
    key = f"gloss_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    caller = Caller(key_id=owner or key_id, name=name, shown=key_id, scopes=frozenset(scopes), **limits)
    return key, Entry(caller=caller, digest=digest_of(key), expires=expires)
