"""How a provider is asked: requests as the SDK writes them, sent our way.

The SDK makes each request anew from a dozen objects, which cost a fifth of a short stream. Key,
headers and address are the same every time, so it writes one of each kind, for a transport that
sends nothing, and from then on only the body changes.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import openai

ERROR_BYTES = 64 * 1024  # of what an error's body says
NO_KEY = "none"  # the SDK insists on one; a local server does not look


class Refused(Exception):
    """An answer whose status is no success; ``error`` is what its body says of it."""

    def __init__(self, status: int, headers: Mapping[str, str], error: object) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.error = error


@dataclass(frozen=True)
class Form:
    """A request without its body."""

    request: httpx2.Request

    def filled(self, body: bytes) -> httpx2.Request:
        """Return the request with this body."""
        form = self.request
        fields = [(name, value) for name, value in form.headers.raw if name.lower() != b"content-length"]
        if body:
            fields.append((b"Content-Length", b"%d" % len(body)))
        stream = httpx2.ByteStream(body)  # and not ``content``: its headers would be found out anew
        return httpx2.Request(
            form.method, form.url, headers=fields, stream=stream, extensions=form.extensions
        )


@dataclass(frozen=True, kw_only=True)
class Forms:
    """The requests that are made here."""

    chat: Form
    models: Form

    @classmethod
    def of(cls, *, api_key: str | None, base_url: str, timeout: httpx2.Timeout) -> "Forms":
        """Have the SDK write them; raises what it makes of a key or an address that is none."""
        nowhere = httpx2.MockTransport(lambda _request: httpx2.Response(200))
        with openai.OpenAI(
            api_key=api_key or NO_KEY,
            base_url=base_url,
            max_retries=0,  # the one retry loop stands where the time budget is known
            timeout=timeout,
            http_client=httpx2.Client(transport=nowhere, trust_env=False),
            default_headers={"Accept-Encoding": "identity"},
        ) as sdk:
            return cls(
                chat=_written(sdk.post, "/chat/completions", content=b"{}"),
                models=_written(sdk.get, "/models"),
            )


def _written(method: Callable[..., Any], path: str, **body: bytes) -> Form:
    answer = cast("httpx2.Response", method(path, cast_to=httpx2.Response, **body))
    return Form(answer.request)


def send(transport: httpx2.BaseTransport, request: httpx2.Request) -> httpx2.Response:
    """Return an answer whose body is not read yet; raises Refused, and what the transport raises."""
    response = transport.handle_request(request)
    if response.is_success:
        return response
    raise Refused(response.status_code, response.headers, _error(_beginning(response)))


def _beginning(response: httpx2.Response) -> bytes:
    said = b""
    body = cast("httpx2.SyncByteStream", response.stream)  # as it comes: 64 KiB may unpack to 64 MiB
    with closing(body):
        for piece in body:
            said += piece
            if len(said) >= ERROR_BYTES:
                break
    return said[:ERROR_BYTES]


def _error(body: bytes) -> object:
    """Return the ``error`` object of a body, else all that it says."""
    try:
        said = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()
    return said.get("error", said) if isinstance(said, dict) else said
