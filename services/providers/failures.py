"""What a provider's refusal means: which failure, whether another attempt may help, and when.

The caller is told in our own words; what the provider said goes to the operator's log only.
"""

import email.utils
import logging
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from services.errors import ProviderError, ProviderFailure, ProviderRejected

log = logging.getLogger("gloss.provider")

LOGGED_CHARS = 500
OVERLOADED = 529  # no number of HTTP's own: some providers' word for being asked too much by everybody
ANOTHER_TRY_MAY_HELP = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
    OVERLOADED,
}
# What was asked is at fault, so no other provider is asked for it: too long, not well formed, not allowed.
NOT_ELSEWHERE = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
}
DETAILS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "The provider did not accept the key.",
    HTTPStatus.FORBIDDEN: "The provider does not allow this key to do that.",
    HTTPStatus.NOT_FOUND: "The provider knows no such model or address.",
    HTTPStatus.TOO_MANY_REQUESTS: "The provider is asked too often.",
}


def of_status(status: int, headers: Mapping[str, str], body: object) -> ProviderFailure:
    """Return the failure that an HTTP status stands for; ``body`` is its ``error`` object."""
    if status == HTTPStatus.TOO_MANY_REQUESTS and code_of(body) == "insufficient_quota":
        return ProviderRejected("The provider's account has no credit left.")
    detail = DETAILS.get(status, f"The provider answered with status {status}.")
    passing = status in ANOTHER_TRY_MAY_HELP
    kind = ProviderError if passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProviderRejected
    told = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    return kind(
        detail,
        retryable=passing if told is None else told,
        retry_after_s=retry_after_s(headers),
        elsewhere=status not in NOT_ELSEWHERE,
    )


def code_of(body: object) -> str | None:
    """Return the machine-readable name of an ``error`` object, if it has one."""
    named = (body.get("code") or body.get("type")) if isinstance(body, Mapping) else None
    return named if isinstance(named, str) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long to wait: ``retry-after-ms``, or RFC 9110 10.2.3 in seconds or as a date."""
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            wait = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        return wait if math.isfinite(wait) and wait >= 0 else None
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def note(what: str, said: object, *, secret: str | None = None) -> None:
    """Log what a provider said: one line, bounded, control characters escaped, without the key."""
    text = said if isinstance(said, str) else repr(said)
    if secret:
        text = text.replace(secret, "(key)")
    log.warning("%s: %s", what, ascii(text[:LOGGED_CHARS]))


def in_stream(error: Any) -> ProviderFailure:
    """Return the failure that an ``error`` object in the middle of a stream stands for."""
    if code_of(error) == "insufficient_quota":
        return ProviderRejected("The provider's account has no credit left.")
    return ProviderError("The provider reported an error in its answer.")
