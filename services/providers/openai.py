"""The provider that speaks OpenAI's chat completions: OpenAI itself, or anything compatible.

The SDK says how it is asked (``asking.py``); the answer is read raw. The SDK's own typed
stream builds an object of a dozen fields per piece of text, takes half an answer for a whole
one, has no limit on an event's size, and never gives a connection back to the pool.
"""

import ssl
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from typing import Any, cast
from urllib.parse import urlsplit

import gevent
import httpx2
import msgspec

from services.errors import (
    ProviderError,
    ProviderFailure,
    ProviderIncomplete,
    ProviderTimeout,
)
from services.llm import Dropped, Request, Thinking, Value
from services.providers import failures
from services.providers.asking import Forms, Refused, send
from services.providers.chunks import Reading, decode
from services.providers.dialect import Dialect
from services.providers.sse import Splitter
from services.providers.transport import transport

MIB = 1024 * 1024
OPENAI = "https://api.openai.com/v1"
FOREIGN = (Refused, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, httpx2.CookieConflict)
BROKEN = (httpx2.NetworkError, httpx2.RemoteProtocolError, httpx2.ProxyError)
CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)  # what an end is called in TLS

encode = msgspec.json.Encoder().encode


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


decode_models = msgspec.json.Decoder(_Models).decode


class _Answer(msgspec.Struct, frozen=True):
    """What is needed of a response: the rest, its request with it, is a tenth of a stream's memory."""

    kind: str
    packed: str
    body: httpx2.SyncByteStream  # as it comes: ``iter_raw`` would only cut and count it

    @classmethod
    def of(cls, response: httpx2.Response) -> "_Answer":
        """Take it out."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        packed = response.headers.get("content-encoding", "identity")  # it was told not to
        return cls(kind, packed, cast("httpx2.SyncByteStream", response.stream))


class OpenAIProvider:
    """Implement ``llm.Provider`` over one pool of connections; it keeps nothing of an answer.

    ``connect_s`` bounds a connection's making, ``read_s`` the wait for the answer's head; after
    that content is timed, by who reads. ``tail_s`` bounds the wait for the usage once the
    provider has said why it ended, ``list_s`` the whole of a list of models.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        *,
        api_key: str | None,
        base_url: str | None = None,
        connect_s: float = 5,
        read_s: float = 600,
        tail_s: float = 5,
        list_s: float = 10,
        max_event_bytes: int = MIB,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        base_url = base_url or OPENAI
        self._key = api_key
        self._max_event_bytes = max_event_bytes
        self._tail_s = tail_s
        self._list_s = list_s
        self._dialect = Dialect(new_cap=urlsplit(base_url).hostname == urlsplit(OPENAI).hostname)
        timeout = httpx2.Timeout(read_s, connect=connect_s, pool=connect_s)
        self._forms = Forms.of(api_key=api_key, base_url=base_url, timeout=timeout)
        self._transport = transport(base_url, verify or ssl.create_default_context())

    def stream(self, request: Request) -> Generator[Value, None, None]:
        """Ask once; see ``llm.Provider``."""
        begun = False
        try:
            answer, left_out = self._ask(request)
            begun, reading = True, Reading()
            with closing(answer.body):
                yield from map(Dropped, left_out)
                for data in (events := self._events(answer)):
                    chunk = decode(data)
                    if chunk.error:
                        raise self._reported(chunk.error)
                    text, thinking = reading.take(chunk)
                    if text:
                        yield text
                    elif thinking:
                        yield Thinking()
                    if reading.finished:
                        gevent.with_timeout(self._tail_s, self._drain, events, reading, timeout_value=None)
                yield reading.done()
        except FOREIGN as failure:
            raise mapped(failure, begun=begun, key=self._key) from failure

    def models(self) -> tuple[str, ...]:
        """Return the ids of the provider's models; raises ``errors.ProviderFailure``."""
        late = ProviderTimeout("The provider did not list its models in time.")
        try:
            with (
                gevent.Timeout(self._list_s, late),
                closing(_Answer.of(send(self._transport, self._forms.models.filled(b""))).body) as body,
            ):
                listed = decode_models(self._whole(body))
        except FOREIGN as failure:
            raise mapped(failure, key=self._key) from failure
        except ValueError as failure:
            raise ProviderError("The provider's list of models is not what it should be.") from failure
        return tuple(model.id for model in listed.data)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _ask(self, request: Request) -> tuple["_Answer", list[str]]:
        """Send the request, as often as the model refuses one more parameter of it."""
        while True:
            body, left_out = self._dialect.body(request)
            try:
                return _Answer.of(send(self._transport, self._forms.chat.filled(encode(body)))), left_out
            except Refused as refusal:
                if not self._dialect.learn(request.model, body, refusal.status, refusal.error):
                    raise

    def _events(self, answer: "_Answer") -> Iterator[bytes]:
        """Yield the data of each event, or all that was said where the answer is in one piece."""
        if answer.packed == "identity" and answer.kind == "text/event-stream":
            return self._split(answer.body)
        if answer.packed == "identity" and answer.kind == "application/json":
            return iter([self._whole(answer.body)])
        failures.note("not a stream", f"{answer.kind} {answer.packed}")
        raise ProviderError("The provider answered with something that is not a stream.")

    def _split(self, body: httpx2.SyncByteStream) -> Iterator[bytes]:
        """Read on to the very end, also after ``[DONE]``: only so is the connection kept."""
        splitter = Splitter(self._max_event_bytes)
        done = False
        for piece in body:
            for data in splitter.feed(piece):
                done = done or data == b"[DONE]"
                if not done:
                    yield data
            del piece  # while the next one is waited for

    def _whole(self, body: httpx2.SyncByteStream) -> bytes:
        said = bytearray()
        for piece in body:
            said += piece
            if len(said) > self._max_event_bytes:
                raise ProviderError(f"The provider's answer is larger than {self._max_event_bytes} bytes.")
        return bytes(said)

    def _reported(self, error: Any) -> ProviderFailure:
        failures.note("error in the stream", error, secret=self._key)
        return failures.in_stream(error)

    def _drain(self, events: Iterable[bytes], reading: Reading) -> None:
        """Read what comes after the end; whatever goes wrong now, the answer is whole."""
        with suppress(*FOREIGN, ProviderFailure):
            for data in events:
                reading.take(decode(data))


def mapped(failure: Exception, *, begun: bool = False, key: str | None = None) -> ProviderFailure:
    """Return our failure for a refusal or one of the HTTP client's; ``begun``: the head had come."""
    if isinstance(failure, Refused):
        failures.note(f"status {failure.status}", failure.error, secret=key)
        return failures.of_status(failure.status, failure.headers, failure.error)
    failures.note(type(failure).__name__, str(failure), secret=key)
    if isinstance(failure, httpx2.TimeoutException):
        refused = isinstance(failure, httpx2.ConnectTimeout)
        return ProviderTimeout("The provider did not answer in time.", retryable=refused)
    if isinstance(failure, BROKEN) and begun:
        return ProviderIncomplete(
            "The connection to the provider broke in the middle of the answer.", retryable=True
        )
    if any(isinstance(link, ssl.SSLError) and not isinstance(link, CUT_OFF) for link in _chain(failure)):
        return ProviderError("The connection to the provider could not be secured.")
    if isinstance(failure, BROKEN):
        return ProviderError("The connection to the provider broke.", retryable=True)
    return ProviderError("The provider could not be spoken to.")


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__
