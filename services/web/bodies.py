"""Reading a request's JSON body: bounded in bytes and in time, and refused without an echo."""

import re
from collections.abc import Callable
from typing import Any

import gevent
import msgspec
from flask import Request

from services.errors import BodyTooLarge, MalformedBody, RequestTimeout, UnsupportedMediaType

PIECE = 64 * 1024
JSON_TYPE = "application/json"


def read_json(
    request: Request, *, max_bytes: int, within_s: float, spare: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Return the JSON object that the request carries, whatever its Content-Type says.

    With an ``Origin`` header the type must be application/json: a page of another origin cannot
    send that without asking first, while a plain form can send any text. Raises ``MalformedBody``,
    ``BodyTooLarge``, ``UnsupportedMediaType``, or ``RequestTimeout`` when the whole body has not
    arrived within ``within_s``. ``spare`` is asked for the room of each further piece, and may
    refuse it.
    """
    _check_media_type(request)
    with gevent.Timeout(within_s, RequestTimeout(limit=within_s)):
        body = _read(request, max_bytes, spare)
    return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Read one JSON object in UTF-8; raises ``MalformedBody`` that tells the byte at fault."""
    if not body.strip():
        raise MalformedBody("The body is empty.")
    try:
        value = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not JSON{_place(error)}.") from None
    if not isinstance(value, dict):
        raise MalformedBody("The body is JSON, but not an object.")
    return value


def _place(error: msgspec.DecodeError) -> str:
    place = re.search(r"\(byte (\d+)\)", str(error))
    return f" from byte {place[1]} on" if place else ""


def _check_media_type(request: Request) -> None:
    codings = (
        request.headers.get("Content-Encoding", "identity"),
        request.headers.get("Transfer-Encoding", "chunked"),
    )
    if [coding.strip().lower() for coding in codings] != ["identity", "chunked"]:
        raise UnsupportedMediaType("Send the body uncompressed.")
    if "Origin" in request.headers and request.mimetype != JSON_TYPE:
        raise UnsupportedMediaType(f"With an Origin, send `Content-Type: {JSON_TYPE}`.")


def _read(request: Request, limit: int, spare: Callable[[], None]) -> bytes:
    """Read to the end of the body, or one byte beyond the limit.

    werkzeug's own limit cuts a chunked body at the limit without a word, so it is not used.
    """
    length = request.content_length
    if length is None and not request.environ.get("wsgi.input_terminated"):
        return b""  # nothing says where the body ends: there is none
    if length is not None and length > limit:
        raise BodyTooLarge(limit=limit)
    body = _read_up_to(request.environ["wsgi.input"], limit + 1 if length is None else length, spare)
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    if length is not None and len(body) < length:
        raise MalformedBody("The body ended before its Content-Length.")
    return body


def _read_up_to(stream: Any, end: int, spare: Callable[[], None]) -> bytes:
    body = bytearray()
    while piece := stream.read(min(PIECE, end - len(body))):
        if len(body) >= PIECE:
            spare()
        body += piece
    return bytes(body)
