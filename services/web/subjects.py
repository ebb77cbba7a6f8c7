"""What a server does for its end users: a token for one's browser, and forgetting all about one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Self

import gevent
import msgspec
from flask import Blueprint, Response, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.errors import Forbidden, InvalidInput, NotFound
from services.state.store import StoreDownError
from services.streams.core import Core
from services.streams.subjects import cancel_all, delete_all
from services.streams.use_case import UseCase
from services.web.bodies import read_json
from services.web.callers import ANONYMOUS, Caller, account_of, check_scope, owner_of
from services.web.entrance import Entrance
from services.web.keys import authenticate
from services.web.origins import PageOrigin
from services.web.validation import validated
from services.wire.json import CONTENT_TYPE

SUBJECT = r"^[A-Za-z0-9._@-]{1,128}$"
DOLLARS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,9})?", re.ASCII)
HOUR_S = 3600
MOST_USD = 1_000_000
MOST_TOKENS = 10**12


def _plain(given: object) -> object:
    """Refuse what Python alone reads as a number; one of JSON's passes."""
    if isinstance(given, str) and not DOLLARS.fullmatch(given):
        raise ValueError("must be a decimal like 0.05")
    return given


class TokenWish(BaseModel):
    """What a client token shall open, for whom; one of the two budgets has to be named."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("budget_usd", "budget_tokens")]},
    )

    subject: Annotated[str, Field(pattern=SUBJECT, description="Your name for the end user: better an id.")]
    use_cases: (
        Annotated[
            list[str],
            Field(min_length=1, max_length=50, description="What it opens. Left out: all that its key does."),
        ]
        | None
    ) = None
    budget_usd: (
        Annotated[
            Decimal,
            Field(gt=0, le=MOST_USD, decimal_places=9, strict=False, description="What it may spend in all."),
            BeforeValidator(_plain),
        ]
        | None
    ) = None
    budget_tokens: (
        Annotated[
            int, Field(ge=1, le=MOST_TOKENS, description="The same in tokens, input and output together.")
        ]
        | None
    ) = None
    ttl_s: (
        Annotated[
            int,
            Field(ge=1, description=f"Seconds that it lasts, at most GLOSS_TOKEN_S. Left out: {HOUR_S}."),
        ]
        | None
    ) = None
    origin: PageOrigin | None = None

    @model_validator(mode="after")
    def _has_a_budget(self) -> Self:
        if self.budget_usd is None and self.budget_tokens is None:
            raise ValueError("must name budget_usd or budget_tokens")
        return self


def erase(core: Core, owner: str) -> None:
    """Take streams and figures of an end user out of the store; raises StoreDownError."""
    delete_all(core.exchange.store, core.streams, owner)
    core.ledger.forget(account_of(owner))


@dataclass(frozen=True)
class SubjectRoutes:
    """What can be done for an end user, with a key and never with a token."""

    core: Core
    use_cases: Mapping[str, UseCase]
    entrance: Entrance

    def blueprint(self) -> Blueprint:
        """Give each route its path."""
        subjects = Blueprint("subjects", __name__)
        subjects.add_url_rule("/v1/tokens", "token", self.token, methods=["POST"])
        subjects.add_url_rule("/v1/subjects/<subject>", "forget", self.forget, methods=["DELETE"])
        return subjects

    def token(self) -> Response:
        """Give a token for one end user's browser."""
        caller, settings = self._server(), self.core.settings
        wish = validated(
            TokenWish, read_json(request, max_bytes=settings.max_body_bytes, within_s=settings.body_s)
        )
        if wish.ttl_s is not None and wish.ttl_s > settings.token_s:
            problem = f"must be at most {settings.token_s:g} (GLOSS_TOKEN_S)"
            raise InvalidInput(errors=[{"field": "ttl_s", "problem": problem}])
        self._check_use_cases(wish, caller)
        self.entrance.check_page(wish.origin, request)
        token, until = self.entrance.grants.new(
            caller.shown,
            wish.subject,
            now=self.core.clock.now(),
            lasts_s=wish.ttl_s or min(HOUR_S, settings.token_s),
            use_cases=wish.use_cases or (),
            usd=wish.budget_usd,
            tokens=wish.budget_tokens,
            origin=wish.origin,
        )
        expires = min(until, self.entrance.keys.until(caller) or until)
        return Response(msgspec.json.encode({"token": token, "expires": expires}), content_type=CONTENT_TYPE)

    def forget(self, subject: str) -> Response:
        """Forget an end user: tokens from now on, what runs, and what is stored."""
        caller = self._server()
        if not re.fullmatch(SUBJECT, subject):
            raise NotFound("No end user can be called so.")
        owner = owner_of(caller.key_id, subject)
        self.entrance.forgotten.note(owner)
        failed = gevent.spawn(self._forget, owner).get()  # which waits for the store as long as it takes
        if failed:
            raise failed
        return Response(status=204)

    def _forget(self, owner: str) -> StoreDownError | None:
        try:
            cancel_all(self.core.streams, owner)
            erase(self.core, owner)
            self.core.sessions.forget(owner)
            self.core.flights.cache.forget(owner)
        except StoreDownError as failed:
            return failed
        return None

    def _server(self) -> Caller:
        caller = authenticate(request, self.entrance.keys)
        if caller is ANONYMOUS:
            raise Forbidden("Without keys there are no end users: everybody is the same caller.")
        if caller.grant is not None:
            raise Forbidden("This takes the key itself; a client token is no key.")
        return caller

    def _check_use_cases(self, wish: TokenWish, caller: Caller) -> None:
        for name in wish.use_cases or ():
            if name not in self.use_cases:
                problem = f"has a name that does not exist; there are {', '.join(self.use_cases)}"
                raise InvalidInput(errors=[{"field": "use_cases", "problem": problem}])
            check_scope(caller, name)
