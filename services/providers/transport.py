"""The way under the SDK: an HTTP client whose connections are urllib3's.

Measured with 100 streams of 50 pieces a second, httpx2's own transport (h11 and a pool that is
searched through) costs half as much again per piece. This one keeps what matters: time limits,
certificates, connections used again, and a socket that closes when its reader is killed.
It knows no proxies; where one is to be used, httpx2's own transport does the work.
"""

import ipaddress
import logging
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import urllib3
from urllib3 import exceptions as lower

KEPT = 100  # idle connections; those that the provider has closed are noticed at their next use only
READ_BYTES = 64 * 1024
ERROR_BYTES = 64 * 1024  # of an error's body, which the SDK reads whole

# The first that fits counts: what is below httpx2 is as precise, under other names.
MAPPED: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (lower.ReadTimeoutError, httpx2.ReadTimeout),
    (lower.EmptyPoolError, httpx2.PoolTimeout),
    (lower.NewConnectionError, httpx2.ConnectError),  # for urllib3 a kind of the next one
    (lower.ConnectTimeoutError, httpx2.ConnectTimeout),
    (lower.SSLError, httpx2.ConnectError),
    (lower.ProtocolError, httpx2.RemoteProtocolError),
    (lower.LocationValueError, httpx2.UnsupportedProtocol),
    (lower.HTTPError, httpx2.NetworkError),
)


def client(base_url: str, verify: ssl.SSLContext) -> httpx2.Client:
    """Make a client for this address: no redirects, as many connections as there are streams."""
    transport = None if proxied(base_url, urllib.request.getproxies()) else LeanTransport(verify)
    unbounded = httpx2.Limits(max_connections=None, max_keepalive_connections=KEPT)
    return httpx2.Client(
        verify=verify, transport=transport, limits=unbounded, event_hooks={"response": [_bound_error]}
    )


class LeanTransport(httpx2.BaseTransport):
    """Send requests over urllib3's connections, each of them new or idle."""

    def __init__(self, verify: ssl.SSLContext, *, kept: int = KEPT) -> None:
        self._pools = urllib3.PoolManager(maxsize=kept, block=False, ssl_context=verify, retries=False)
        # It warns of each connection beyond those that are kept; here that is how it is meant.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, its body unread; raises ``httpx2.TransportError``."""
        if request.url.scheme not in {"http", "https"}:
            raise httpx2.UnsupportedProtocol(
                "The provider's address begins with neither http:// nor https://."
            )
        limits = request.extensions.get("timeout", {})
        with _mapped():
            answer = self._pools.urlopen(
                request.method,
                str(request.url),
                body=request.read(),
                headers=dict(request.headers),
                timeout=urllib3.Timeout(connect=limits.get("connect"), read=limits.get("read")),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        return httpx2.Response(answer.status, headers=list(answer.headers.items()), stream=Body(answer))

    def close(self) -> None:
        """Close all idle connections."""
        self._pools.clear()


class Body(httpx2.SyncByteStream):
    """A body as it comes: what one read gives, without waiting for more.

    The time limit ends with the head: a timer per read costs a tenth of a piece's time, and
    whoever reads a stream has to time its content anyway.
    """

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer
        socket = getattr(answer.connection, "sock", None)  # gone already where there is no body
        if socket is not None:
            socket.settimeout(None)

    def __iter__(self) -> Iterator[bytes]:
        read = self._answer.read1
        with _mapped():
            while piece := read(READ_BYTES):
                yield piece

    def close(self) -> None:
        """Close the connection, unless all was read: then it is in the pool again."""
        self._answer.close()


class Bounded(httpx2.SyncByteStream):
    """The beginning of a body."""

    def __init__(self, whole: httpx2.SyncByteStream) -> None:
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        left = ERROR_BYTES
        for piece in self._whole:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    def close(self) -> None:
        """Close the body's connection."""
        self._whole.close()


def _bound_error(response: httpx2.Response) -> None:
    if not response.is_success and isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = Bounded(response.stream)
        response.headers.pop("content-encoding", None)  # it was told not to, and 64 KiB unpack to 64 MiB


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


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except lower.HTTPError as failure:
        kind = next(kind for raised, kind in MAPPED if isinstance(failure, raised))
        raise kind(str(failure)) from failure
