"""From a body to a stream, whatever the body came in: a POST, or a message of a WebSocket."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from services.errors import InvalidInput, RateLimited
from services.streams.claims import Wish
from services.streams.core import Core
from services.streams.open import open_stream
from services.streams.stream import Stream
from services.streams.use_case import UseCase
from services.web.callers import ANONYMOUS, Caller
from services.web.entrance import Entrance
from services.web.rates import Told
from services.web.validation import validated

LEAST_FOR_ANYBODY = 16  # without keys there is one caller, and a key of its own is a capability
MOST_CHOSEN = 255


def begin(  # noqa: PLR0913 - what a request brings
    core: Core,
    use_case: UseCase,
    body: Mapping[str, Any],
    caller: Caller,
    *,
    entrance: Entrance,
    key: str | None,
    told: Told,
    patience_s: float | None = None,
) -> Stream:
    """Start what the body asks for, or return what its idempotency key began.

    ``told`` is what its answer tells of limits. Raises InvalidInput, RateLimited, and what ``open_stream``
    raises.
    """
    given = validated(use_case.input, body)
    check_chosen_key("options.supersedes", given.options.supersedes, caller)
    check_chosen_key("Idempotency-Key", key, caller)
    wish = None if key is None else Wish(key=key, path=use_case.name, body=body)
    with ExitStack() as held:
        keep = _seat(held, core, caller, entrance=entrance, key=key, told=told)
        stream = open_stream(
            core,
            use_case,
            given,
            owner=caller.owner,
            accounts=caller.accounts,
            opener=caller.opener,
            patience_s=patience_s,
            wish=wish,
        )
        if entrance.watch.began(stream, caller):
            keep(stream)
    return stream


def _seat(  # noqa: PLR0913 - as above
    held: ExitStack, core: Core, caller: Caller, *, entrance: Entrance, key: str | None, told: Told
) -> Callable[[Stream], None]:
    """Take a seat; where none is left, what the key began before has one. Raises RateLimited."""
    try:
        return held.enter_context(entrance.rates.seat(caller, told))
    except RateLimited:
        if key is None or not core.claims.is_known(key, caller.owner):
            raise
        return lambda _stream: None


def check_chosen_key(field: str, key: str | None, caller: Caller) -> None:
    """Refuse a key that others could guess where all callers are one; raises InvalidInput."""
    least = LEAST_FOR_ANYBODY if caller is ANONYMOUS else 1
    if key is not None and not (least <= len(key) <= MOST_CHOSEN and key.isprintable()):
        problem = f"must have {least} to {MOST_CHOSEN} printable characters"
        raise InvalidInput(errors=[{"field": field, "problem": problem}])
