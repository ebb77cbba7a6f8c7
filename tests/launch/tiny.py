"""WSGI applications that say as little as an application can."""

import sys
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the process's id."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ["wsgi.multiprocess"]).encode()]


def __getattr__(name: str) -> Any:
    """Refuse to start, as the application does with settings that are not right."""
    if name == "refusing":
        sys.exit("This application refuses to start.")
    raise AttributeError(name)
