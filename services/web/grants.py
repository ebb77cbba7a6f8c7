"""Client tokens: what a server gives to the browsers and apps of its end users instead of its key.

A token is signed and not kept. It names the key that asked for it, and is no better than that key: it
opens what both may, is over when the key is, and pays from the key's account besides its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from secrets import token_urlsafe

import msgspec

from services.web.callers import Grant
from services.web.signing import Signing

PREFIX = "glosst_"
SALT = "gloss client token"
ID_BYTES = 9


class _Written(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A grant as it is signed: short, as it travels with every request. Times are seconds since 1970."""

    id: str
    key: str
    subject: str
    use_cases: tuple[str, ...]
    usd: str | None
    tokens: int | None
    origin: str | None
    made: float
    until: float


@dataclass(frozen=True)
class Grants:
    """Makes tokens and reads them."""

    signing: Signing

    def new(  # noqa: PLR0913 - what a token says
        self,
        key_id: str,
        subject: str,
        *,
        now: datetime,
        lasts_s: float,
        use_cases: Iterable[str] = (),
        usd: Decimal | None = None,
        tokens: int | None = None,
        origin: str | None = None,
    ) -> tuple[str, datetime]:
        """Return a token by the key of this id, and until when it is good; raises StoreDownError."""
        until = now + timedelta(seconds=lasts_s)
        written = _Written(
            id=token_urlsafe(ID_BYTES),
            key=key_id,
            subject=subject,
            use_cases=tuple(sorted(use_cases)),
            usd=None if usd is None else f"{usd:f}",
            tokens=tokens,
            origin=origin,
            made=now.timestamp(),
            until=until.timestamp(),
        )
        return PREFIX + self.signing.sign(msgspec.to_builtins(written), SALT), until

    def read(self, token: str) -> tuple[str, Grant] | None:
        """Return the id of the key that asked for it, and what it grants; None for what is no token.

        Whether it is over is not looked at. Raises StoreDownError.
        """
        read = self.signing.read(token.removeprefix(PREFIX), SALT)
        if read is None:
            return None
        try:
            written = msgspec.convert(read[0], _Written)
        except msgspec.ValidationError:  # another release has signed it
            return None
        grant = Grant(
            id=written.id,
            subject=written.subject,
            use_cases=frozenset(written.use_cases),
            budget_usd=None if written.usd is None else Decimal(written.usd),
            budget_tokens=written.tokens,
            origin=written.origin,
            made=datetime.fromtimestamp(written.made, UTC),
            until=datetime.fromtimestamp(written.until, UTC),
        )
        return written.key, grant
