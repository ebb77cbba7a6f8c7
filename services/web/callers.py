"""Who is calling: by which key, for which end user, and what that opens and may cost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import ip_address

from flask import Request

from services.cost.accounts import Account, Quota
from services.errors import Forbidden
from services.streams.stream import Opener

# What no key opens unless it names it: a key for everything that can be asked for is not the operator's.
PRIVILEGED = frozenset({"admin", "operator"})


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a client token opens, for whom and until when; no use cases are all of its key's."""

    id: str
    subject: str
    use_cases: frozenset[str] = frozenset()
    budget_usd: Decimal | None = None
    budget_tokens: int | None = None
    origin: str | None = None
    made: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is calling; no scopes means every use case.

    ``key_id`` is whose everything is: two keys that follow each other share it. ``shown`` is the id
    of the key itself. ``rpm`` are requests in a minute, ``streams`` those that may be open at once;
    None is no limit of its own. A ``grant`` narrows all of it to one end user.
    """

    key_id: str
    name: str
    shown: str = ""
    scopes: frozenset[str] = frozenset()
    quota: Quota = field(default_factory=Quota)
    rpm: int | None = None
    streams: int | None = None
    grant: Grant | None = None

    @property
    def owner(self) -> str:
        """Return to whom everything belongs that this caller makes: the key, or one end user of it."""
        return self.key_id if self.grant is None else owner_of(self.key_id, self.grant.subject)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Return who pays, all of them: the key, the end user, the token."""
        key = Account(f"key:{self.key_id}", self.quota)
        if self.grant is None:
            return (key,)
        budget = Quota(usd_ever=self.grant.budget_usd, tokens_ever=self.grant.budget_tokens)
        return key, Account(account_of(self.owner)), Account(f"token:{self.grant.id}", budget)

    @property
    def opener(self) -> Opener | None:
        """Return by what this caller's streams are opened; None where there are no keys."""
        if not self.shown:
            return None
        grant = self.grant
        moments = (grant.made.timestamp(), grant.until.timestamp()) if grant else ()
        return Opener(self.shown, *moments)

    @classmethod
    def who_opened(cls, opener: Opener, owner: str) -> "Caller":
        """Return who opened a stream of this owner, as far as it takes to tell whether they still may."""
        key_id, _, subject = owner.partition("/")
        grant = None
        if opener.made is not None and opener.until is not None:
            made, until = (datetime.fromtimestamp(at, UTC) for at in (opener.made, opener.until))
            grant = Grant(id="", subject=subject, made=made, until=until)
        return cls(key_id=key_id, name="", shown=opener.key, grant=grant)

    def may(self, scope: str) -> bool:
        """Tell whether the scope is open to this caller; what is the operator's has to be named."""
        by_key = scope in self.scopes if self.scopes or scope in PRIVILEGED else True
        grant = self.grant
        return by_key and (
            grant is None or (scope not in PRIVILEGED and scope in (grant.use_cases or {scope}))
        )


ANONYMOUS = Caller(key_id="anonymous", name="anonymous")


def owner_of(key_id: str, subject: str) -> str:
    """Return the name of one end user of a key; neither part has a slash."""
    return f"{key_id}/{subject}"


def account_of(owner: str) -> str:
    """Return the name of an end user's account in the ledger."""
    return f"subject:{owner}"


def check_scope(caller: Caller, scope: str) -> None:
    """Raise ``Forbidden`` where the caller's key does not have the ``scope``."""
    if not caller.may(scope):
        what = "token" if caller.grant else "key"
        raise Forbidden(f"This {what} does not have the scope `{scope}`.")


def page_origin(request: Request) -> str | None:
    """Return the origin of the page that asks; to its own, a browser names none when it only reads."""
    origin = request.headers.get("Origin")
    if origin is None and request.headers.get("Sec-Fetch-Site") == "same-origin":
        return request.host_url.rstrip("/")
    return origin


def is_at_home(request: Request) -> bool:
    """Tell whether somebody at this machine asks; who comes through a proxy may be anybody."""
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded"))
    try:
        return ip_address(request.remote_addr or "").is_loopback and not forwarded
    except ValueError:
        return False
