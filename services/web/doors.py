"""Who may come in, and what every answer says to a browser.

Checked in this order, before any route: the Host, the Origin, the scheme. There are no cookies,
so a foreign page has nothing to ride on; these doors are for the service without keys, which a
page in the same browser could otherwise spend (DNS rebinding, cross-site posts).

werkzeug's own host check is not used: it cannot match ``[::1]``, and puts the server's address
in the place of a missing Host. flask-cors is not used: it takes some origins for patterns.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Request, Response, request

from services.errors import Forbidden, ForeignOrigin, UntrustedHost
from services.settings import Settings, SettingsError
from services.web.hosts import Hosts, checked, hosts_of
from services.web.origins import host_of

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC_API = "/v1/use-cases"
YEAR_S = 31_536_000
PREFLIGHT_S = 600  # Chromium keeps a preflight's answer for 2 h at most; ours may change sooner

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
BODY_POLICY = "sandbox; default-src 'none'"
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind} 'self'" for kind in ("script-src", "style-src", "img-src", "connect-src")),
        *(f"{kind} 'none'" for kind in ("base-uri", "object-src", "frame-ancestors", "form-action")),
    ]
)
CORS_EXPOSED = "Gloss-Stream, Gloss-Quotas, Content-Location, Retry-After, RateLimit, RateLimit-Policy"
CORS_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
    "Access-Control-Max-Age": str(PREFLIGHT_S),
}


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What the settings say about who may come in.

    ``keyed`` tells whether there are keys, which may be made while the service runs; ``keyless`` are
    the hosts that are served until then.
    """

    hosts: Hosts
    keyless: Hosts
    origins: frozenset[str]
    keyed: Callable[[], bool]

    @classmethod
    def of(cls, settings: Settings, keyed: Callable[[], bool]) -> "Doors":
        """Read the settings; raises ``SettingsError``."""
        origins = frozenset(
            checked("GLOSS_CORS_ORIGINS", settings.cors_origins, ORIGIN, "https://app.example")
        )
        hosts, keyless = (hosts_of(settings, keyed=guarded) for guarded in (True, False))
        return cls(hosts=hosts, keyless=keyless, origins=origins, keyed=keyed)

    def may_call(self, origin: str, request: Request) -> bool:
        """Tell whether a page of this origin could come in: it is listed, or of a host that is our own.

        That are those of TRUSTED_HOSTS, and the request's; at another port than the request's, a page is
        another server's.
        """
        named = self.hosts.names is not None and self.hosts.allow(host_of(origin))
        same_port = _port(origin) in {None, _port(request.environ.get("HTTP_HOST", ""))}
        return (named and same_port) or origin in self.origins or origin in _own_origins(request)


def check_open(settings: Settings, *, keyed: bool) -> None:
    """Refuse to start where strangers could spend the owner's money; raises ``SettingsError``."""
    if keyed or may_be_anonymous(settings):
        return
    raise SettingsError(
        f"HOST={settings.host} can be reached from other machines, and there is no key. Do one of these:\n"
        "  make key NAME=me             make a key; it is kept in the store\n"
        "  make key NAME=me PRINT=1     or, without a disk, put the entry that it prints into GLOSS_KEYS\n"
        "  HOST=127.0.0.1               serve this machine only\n"
        "  GLOSS_OPEN=1                 serve everybody, on purpose"
    )


def may_be_anonymous(settings: Settings) -> bool:
    """Tell whether anybody may call where there are no keys."""
    return settings.on_loopback or settings.open


def install_doors(app: Flask, doors: Doors) -> None:
    """Guard every route of the app and complete every answer; call it before routes are added."""
    app.url_map.strict_slashes = False  # a redirect's body would repeat the caller's path
    app.url_map.merge_slashes = False

    @app.before_request
    def enter() -> Response | None:
        keyed = doors.keyed()
        check_host(request, doors.hosts if keyed else doors.keyless)
        check_origin(request, doors.origins)
        if keyed and _is_private(request) and _proxy_scheme(request) == "http":
            raise Forbidden("Keys must not travel in clear: use https.")
        return _preflight(request)

    @app.after_request
    def leave(response: Response) -> Response:
        if request.method != "HEAD" and _is_bare(response):
            response.headers.pop("Content-Type", None)  # werkzeug names one for nothing at all
        _protect(response, https=_scheme(request) == "https")
        _share(response, request.headers.get("Origin"), doors.origins)
        return response


def check_host(request: Request, hosts: Hosts) -> None:
    """Raise ``UntrustedHost`` unless the request names a host that is served.

    A target in absolute form (``GET http://other/ HTTP/1.1``) names a host too; the two must
    agree (RFC 9112, 3.2.2 lets the target win, and then the check of the header is worth nothing).
    """
    host = request.environ.get("HTTP_HOST")
    absolute = ABSOLUTE_FORM.match(str(request.environ.get("RAW_URI", "")))
    if absolute and absolute[1].lower() != (host or "").lower():
        raise UntrustedHost("The request's target and its Host header differ.")
    if not hosts.allow(host):
        raise UntrustedHost("The operator lists the names that are served in TRUSTED_HOSTS.")


def check_origin(request: Request, origins: frozenset[str]) -> None:
    """Raise ``ForeignOrigin`` for a page that is neither our own nor listed.

    ``Sec-Fetch-Site`` is the browser's word and cannot be forged by a page. Where it is missing
    (plain http off localhost, old browsers) the Origin is compared with the Host. ``null`` is
    every sandbox's origin and so nobody's; our own page never sends it, as its fetches are in
    CORS mode, where ``no-referrer`` does not blank the Origin. For a WebSocket the two are compared
    in any case: its scheme is not the page's, and browsers differ in whether that is another site.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is None:
        foreign = site not in {None, "none", "same-origin"} and _is_private(request)
    elif origin in origins:
        foreign = False
    else:
        compared = site is None or request.headers.get("Upgrade", "").lower() == "websocket"
        own = site == "same-origin" or (compared and origin in _own_origins(request))
        foreign = origin == "null" or not own
    if foreign:
        raise ForeignOrigin("List the page's origin, exactly, in GLOSS_CORS_ORIGINS.")


def _own_origins(request: Request) -> set[str]:
    """Return what our own page would send; a proxy may end https without saying so."""
    host = request.environ.get("HTTP_HOST", "").lower()
    return {f"{_scheme(request)}://{host}", f"https://{host}"}


def _is_private(request: Request) -> bool:
    """Tell whether this may cost or show something; other pages may link to the rest."""
    if request.method not in SAFE or request.path == "/metrics":
        return True
    return request.path.startswith("/v1/") and request.path != PUBLIC_API


def _preflight(request: Request) -> Response | None:
    """Answer a browser that asks what a listed origin may send (the origin is checked already)."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return Response(status=204, headers=CORS_PREFLIGHT)
    return None


def _protect(response: Response, *, https: bool) -> None:
    for name, value in EVERYWHERE.items():
        response.headers.setdefault(name, value)
    page = response.mimetype == "text/html"
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else BODY_POLICY)
    if https:
        response.headers["Strict-Transport-Security"] = f"max-age={YEAR_S}"


def _is_bare(response: Response) -> bool:
    """Tell whether an answer has no body (RFC 9110, 8.3: a type is for content)."""
    return not response.is_streamed and not response.calculate_content_length()


def _share(response: Response, origin: str | None, origins: frozenset[str]) -> None:
    response.vary.add("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = str(origin)
        response.headers["Access-Control-Expose-Headers"] = CORS_EXPOSED


def _proxy_scheme(request: Request) -> str | None:
    """Return what the last proxy says the client spoke; earlier words are the client's own."""
    said = request.headers.get("X-Forwarded-Proto")
    if not said:
        return None
    scheme = said.rpartition(",")[2].strip().lower()
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)  # as some say of a WebSocket's handshake


def _scheme(request: Request) -> str:
    return _proxy_scheme(request) or str(request.environ["wsgi.url_scheme"])


def _port(address: str) -> str | None:
    port = address.rpartition(":")[2]
    return port if port.isdecimal() else None
