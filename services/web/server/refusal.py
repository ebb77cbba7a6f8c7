"""An answer for who does not reach the application."""

from http import HTTPStatus

import msgspec

from services.errors import GlossError


def refusal(problem: GlossError) -> bytes:
    """Return a whole response that closes the connection: where it stands in the bytes is lost."""
    body = msgspec.json.encode(problem.problem())
    head = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        "Content-Type: application/problem+json; charset=utf-8",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([f"Retry-After: {problem.retry_after}"] if problem.retry_after else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
