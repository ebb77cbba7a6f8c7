"""The way to a provider: HTTP over connections of our own (``connection.py``).

Measured with 100 streams of 50 pieces a second, httpx2's own transport (h11 and a pool that is
searched through) costs more per piece than all else together, and urllib3 a fifth of it. This one
keeps what matters: time limits, certificates, connections used again, and a socket that closes
when its reader is killed. It knows no proxies; where one is to be used, httpx2's own does the work.
"""

import ipaddress
import ssl
import time
import urllib.request
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias
from urllib.parse import urlsplit

import gevent
import httpx2
from gevent.ssl import SSLContext

from services.providers import http1
from services.providers.connection import Connection, NothingCame, NothingTaken, connect

KEPT = 100  # idle connections for each origin
KEPT_S = 50.0  # many a load balancer closes what was idle for a minute
READS_PER_TURN = 16
SAFE = {"GET", "HEAD"}
PORTS = {"http": 80, "https": 443}

Origin: TypeAlias = tuple[str, str, int]
Idle: TypeAlias = defaultdict[Origin, list[tuple[float, Connection]]]


def transport(base_url: str, verify: ssl.SSLContext) -> httpx2.BaseTransport:
    """Make the way to this address: no redirects, as many connections as there are streams."""
    if isinstance(verify, SSLContext) and not proxied(base_url, urllib.request.getproxies()):
        return LeanTransport(verify)
    return OwnTransport(verify)


class OwnTransport(httpx2.BaseTransport):
    """httpx2's own way, with the proxies that the environment names."""

    def __init__(self, verify: ssl.SSLContext) -> None:
        unbounded = httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT)
        hooks = {"response": [_take_turns]}
        self._client = httpx2.Client(verify=verify, limits=unbounded, event_hooks=hooks)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, its body unread; raises ``httpx2.HTTPError``."""
        return self._client.send(request, stream=True)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class LeanTransport(httpx2.BaseTransport):
    """Send requests over connections of our own, each of them new or idle.

    ``verify`` is gevent's kind of context, which is what ``ssl`` makes in a patched process.
    """

    def __init__(
        self, verify: ssl.SSLContext, *, kept: int = KEPT, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._verify = verify
        self._kept = kept
        self._monotonic = monotonic
        self._idle: Idle = defaultdict(list)
        self._close = weakref.finalize(self, _close, self._idle)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, its body unread; raises ``httpx2.TransportError``."""
        origin, data = _origin(request.url), _written(request)
        idle = self._take(origin)
        with _mapped(httpx2.ReadTimeout, httpx2.ReadError):
            if idle is not None:
                # It had just been closed. What was sent whole may have been heard, and cost something:
                # to ask that again is for whoever counts attempts (RFC 9110, 9.2.2).
                with suppress(NothingCame if request.method in SAFE else NothingTaken):
                    return self._ask(idle, origin, request, data)
            return self._ask(self._connect(origin, request), origin, request, data)

    def close(self) -> None:
        """Close all idle connections."""
        self._close()

    def _connect(self, origin: Origin, request: httpx2.Request) -> Connection:
        scheme, host, port = origin
        tls = self._verify if scheme == "https" else None
        with _mapped(httpx2.ConnectTimeout, httpx2.ConnectError):
            return connect(host, port, tls=tls, within_s=_limit(request, "connect"))

    def _ask(
        self, connection: Connection, origin: Origin, request: httpx2.Request, data: bytes
    ) -> httpx2.Response:
        try:
            head, rest = connection.ask(
                data, write_s=_limit(request, "write"), read_s=_limit(request, "read")
            )
            body = Body(connection, head.body(request.method), rest, lambda: self._keep(origin, connection))
        except BaseException:
            connection.close()
            raise
        return httpx2.Response(head.status, headers=list(head.fields), stream=body)

    def _take(self, origin: Origin) -> Connection | None:
        """Return the connection that was used last and can be used again; close those that cannot."""
        idle = self._idle[origin]
        while idle:
            since, connection = idle.pop()
            if self._monotonic() - since < KEPT_S and connection.quiet:
                return connection
            connection.close()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        if not self._close.alive:  # closed while this answer was read
            connection.close()
            return
        idle = self._idle[origin]
        idle.append((self._monotonic(), connection))
        if len(idle) > self._kept:
            idle.pop(0)[1].close()


class Body(httpx2.SyncByteStream):
    """A body as it comes: what one read gives, without waiting for more.

    The time limit ends with the head: a timer per read costs a tenth of a piece's time, and
    whoever reads a stream has to time its content anyway. The connection is ``kept`` as soon as
    the body is whole.
    """

    def __init__(
        self, connection: Connection, body: http1.Body, rest: bytes, kept: Callable[[], None]
    ) -> None:
        self._connection: Connection | None = connection
        self._body = body
        self._first = body.feed(rest)
        self._kept = kept
        if body.done:
            self._leave()

    def __iter__(self) -> Iterator[bytes]:
        first, self._first = self._first, b""
        if first:
            yield first
        del first
        feed = self._body.feed
        with _mapped(httpx2.ReadTimeout, httpx2.ReadError):
            while self._connection is not None:
                received = self._connection.read()
                piece = feed(received) if received else self._end()
                if self._body.done:
                    self._leave()
                if piece:
                    yield piece
                del received, piece  # what was said is not kept while more is waited for

    def close(self) -> None:
        """Close the connection, unless the body is whole: then it is another's already."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> bytes:
        self._body.end()
        return b""

    def _leave(self) -> None:
        if self._body.keeps:
            self._connection = None
            self._kept()
        else:
            self.close()


class Polite(httpx2.SyncByteStream):
    """A body of httpx2's own transport: gevent's recv does not yield while data is ready."""

    def __init__(self, whole: httpx2.SyncByteStream) -> None:
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        for reads, piece in enumerate(self._whole, start=1):
            yield piece
            if reads % READS_PER_TURN == 0:
                gevent.sleep(0)

    def close(self) -> None:
        """Close the body's connection."""
        self._whole.close()


def _take_turns(response: httpx2.Response) -> None:
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = Polite(response.stream)


def proxied(base_url: str, proxies: Mapping[str, str]) -> bool:
    """Tell whether one of the environment's proxies is for this address; loopback needs none.

    Hosts that NO_PROXY names are left to httpx2, which knows them.
    """
    address = urlsplit(base_url)
    host = address.hostname or ""
    if host == "localhost" or _is_loopback(host):
        return False
    return not {address.scheme, "all"}.isdisjoint(proxies)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _close(idle: Idle) -> None:
    while idle:
        for _, connection in idle.popitem()[1]:
            connection.close()


def _origin(url: httpx2.URL) -> Origin:
    if url.scheme not in PORTS:
        raise httpx2.UnsupportedProtocol("The provider's address begins with neither http:// nor https://.")
    return url.scheme, url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]


def _written(request: httpx2.Request) -> bytes:
    try:
        return http1.request(request.method, request.url.raw_path, request.headers.raw, request.read())
    except ValueError as failure:
        raise httpx2.LocalProtocolError(str(failure)) from failure


def _limit(request: httpx2.Request, what: str) -> float | None:
    limit: float | None = request.extensions.get("timeout", {}).get(what)
    return limit


@contextmanager
def _mapped(late: type[httpx2.TimeoutException], broken: type[httpx2.NetworkError]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as failure:
        raise late(str(failure)) from failure
    except (NothingCame, http1.NotHTTPError) as failure:
        raise httpx2.RemoteProtocolError(str(failure)) from failure
    except (OSError, UnicodeError) as failure:  # a host's name may be none
        raise broken(str(failure)) from failure
