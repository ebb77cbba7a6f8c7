"""An application that shows the server and nothing else: what it is given, and how it gives.

``gunicorn tests.live.bare:app`` runs it on the project's own worker and settings.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gevent.event import AsyncResult

Environ = dict[str, Any]
PIECE = bytes(64 * 1024)

poured: AsyncResult = AsyncResult()


def lines(environ: Environ) -> Iterable[bytes]:
    """Answer each line of the body as soon as it has come."""
    return iter(environ["wsgi.input"].readline, b"")


def pieces(environ: Environ) -> Iterable[bytes]:
    """Answer each piece of the body as soon as it has come."""
    return iter(lambda: environ["wsgi.input"].read(65536), b"")


class Pouring:
    """Give without an end, and tell ``/poured`` how much was taken off our hands."""

    def __init__(self, _environ: Environ) -> None:
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield PIECE
            self.given += len(PIECE)

    def close(self) -> None:
        poured.set(self.given)


def tell_poured(_environ: Environ) -> Iterable[bytes]:
    return [str(poured.get()).encode()]


def hoarding(environ: Environ) -> Iterator[bytes]:
    """Hold all descriptors that there are until the body's first line has come."""
    held: list[int] = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        yield os.strerror(error.errno).encode()
        environ["wsgi.input"].readline()
    while held:
        os.close(held.pop())
    yield b"let go"


def bad_header(_environ: Environ) -> Iterable[bytes]:
    return [b"never sent"]


ROUTES: dict[str, Callable[[Environ], Iterable[bytes]]] = {
    "/lines": lines,
    "/pieces": pieces,
    "/pour": Pouring,
    "/poured": tell_poured,
    "/hoard": hoarding,
    "/bad-header": bad_header,
}


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = ROUTES.get(environ["PATH_INFO"], lambda _: [b"ok"])(environ)
    odd = [("X-Odd", "a\nb")] if environ["PATH_INFO"] == "/bad-header" else []
    start_response("200 OK", [("Content-Type", "text/plain"), *odd])
    return answer
