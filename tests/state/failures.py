"""Failures as values: a greenlet that fails prints its traceback, five hundred print a book."""

from collections.abc import Callable

from services.state.store import StoreDownError


def failure_of(call: Callable[..., object], *arguments: object) -> StoreDownError | None:
    """Return how a call to a store failed, None if it did not."""
    try:
        call(*arguments)
    except StoreDownError as failure:
        return failure
    return None
