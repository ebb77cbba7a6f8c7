"""gunicorn's gevent worker, with answers of ours for requests that never reach the application."""

import contextlib
from typing import Any

import msgspec
from gunicorn.http.errors import ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.ggevent import GeventWorker

from services.errors import GlossError, Internal, MalformedBody
from services.telemetry import bare_traceback

REASONS = {400: "Bad Request", 500: "Internal Server Error"}


class Worker(GeventWorker):
    """Say what is wrong without repeating it: gunicorn's own pages and log lines quote the request."""

    def handle_error(self, _request: Any, client: Any, addr: Any, error: BaseException) -> None:
        """Answer a request that could not be read, or could not be served, and log its kind."""
        if isinstance(error, ParseException):
            problem: GlossError = MalformedBody("This is not HTTP/1.1 as it is spoken here.")
            self.log.warning("Unreadable request from %s: %s", addr and addr[0], type(error).__name__)
        else:
            problem = Internal()
            self.log.error("Error while serving a request\n%s", bare_traceback(error))
        with contextlib.suppress(OSError):  # nobody is left to tell
            write_nonblock(client, answer(problem))


def answer(problem: GlossError) -> bytes:
    """Return a whole response that closes the connection: where it stands in the bytes is lost."""
    body = msgspec.json.encode(problem.problem())
    head = [
        f"HTTP/1.1 {problem.status} {REASONS[problem.status]}",
        "Content-Type: application/problem+json; charset=utf-8",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
