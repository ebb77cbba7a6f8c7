"""Who may come in, and what every answer says to a browser."""

import pytest

from services.settings import SettingsError
from services.web.doors import PAGE_POLICY, Doors, check_open
from services.web.hosts import Hosts
from services.web.keys import new_key
from tests.web.house import HERE, client, get, settings

KEY, ENTRY = new_key("web")
KEYED = (ENTRY.line(),)
LISTED = "https://app.example"
BEYOND = {"host": "0.0.0.0"}  # noqa: S104 - a setting under test, nothing is bound


def slug(answer):
    return answer.json["type"].removeprefix("/problems/")


# Hosts


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "LOCALHOST:8000"],
)
def test_loopback_serves_loopback_names(host):
    """On loopback its names are served, whatever the port and the case."""
    assert get(client(), "/v1/secret", {"Host": host}).status_code == 200


def test_loopback_serves_the_name_that_it_is_bound_to():
    """HOST itself is served, though it be an unusual name of this machine."""
    given = client(host="127.0.0.2")
    assert get(given, "/", {"Host": "127.0.0.2:8000"}).status_code == 200


STRANGE_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "evil.localhost",
    "127.0.0.1.nip.io",
    "localhost.",
    "127.0.0.2",
    "[::2]",
    "::1",
    "localhost:80:80",
    "localhost:port",
    "localhost@evil.example",
    "evil.example#localhost",
    "localhost, evil.example",
    " localhost",
    "l\u043ecalhost".encode().decode("latin-1"),
    "",
]


@pytest.mark.S6
@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_loopback_serves_no_other_name(host):
    """A name that was rebound to this machine is refused before any route, known or not."""
    answers = [get(client(), path, {"Host": host}) for path in ("/v1/secret", "/", "/nowhere")]
    assert [slug(answer) for answer in answers] == ["untrusted-host"] * 3


@pytest.mark.S3
def test_a_request_without_host_is_refused():
    """The server's own address never stands in for a missing Host."""
    answer = client().get("/", environ_overrides={"HTTP_HOST": None})
    assert (answer.status_code, slug(answer)) == (400, "untrusted-host")


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("gloss.example", True),
        ("gloss.example:8443", True),
        ("GLOSS.example", True),
        ("www.gloss.example", False),
        ("notgloss.example", False),
        ("a.team.example", True),
        ("a.b.team.example", True),
        ("team.example", True),
        ("notteam.example", False),
        ("localhost", False),
    ],
)
def test_a_list_serves_what_it_names(host, served):
    """TRUSTED_HOSTS is exact; a leading dot means the name and all below it."""
    given = client(trusted_hosts=("gloss.example:443", ".team.example"))
    assert (get(given, "/", {"Host": host}).status_code == 200) is served


def test_beyond_loopback_keys_guard_the_door():
    """Where keys exist and no list, every well-formed Host is served."""
    given = client(**BEYOND, keys=KEYED)
    assert get(given, "/", {"Host": "any.example"}).status_code == 200
    assert get(given, "/", {"Host": "any example"}).status_code == 400


@pytest.mark.parametrize(
    ("host", "served"),
    [("192.168.1.5:8000", True), ("[fe80::1]", True), ("localhost", True), ("rebound.example", False)],
)
def test_open_to_everybody_serves_addresses(host, served):
    """Without keys a name may have been rebound; an address cannot be."""
    given = client(**BEYOND, open=True)
    assert (get(given, "/", {"Host": host}).status_code == 200) is served


@pytest.mark.S3
@pytest.mark.parametrize(
    ("target", "served"),
    [
        ("http://localhost:8000/v1/secret", True),
        ("http://LOCALHOST:8000/v1/secret", True),
        ("http://evil.example/v1/secret", False),
        ("http://localhost:8000@evil.example/v1/secret", False),
        ("HTTP://evil.example/v1/secret", False),
        ("http://[evil/v1/secret", False),
        ("/v1/secret?next=http://evil.example/", True),
        ("//evil.example/v1/secret", True),
    ],
)
def test_a_target_in_absolute_form_agrees_with_the_host(target, served):
    """A request line that names another host than the Host header is refused (RFC 9112, 3.2.2)."""
    answer = get(client(), "/v1/secret", environ_overrides={"RAW_URI": target})
    assert (answer.status_code == 200) is served


def test_a_target_in_absolute_form_does_not_stand_in_for_the_host():
    """A missing Host is refused, whatever the request line names."""
    answer = client().get("/", environ_overrides={"HTTP_HOST": None, "RAW_URI": "http://localhost/"})
    assert slug(answer) == "untrusted-host"


@pytest.mark.parametrize("word", ["*", "https://gloss.example", "gloss.example/", "Gloss.example", "a b"])
def test_a_host_that_can_never_match_stops_the_start(word):
    """An entry of TRUSTED_HOSTS that is no host name is an error at the start."""
    with pytest.raises(SettingsError, match="TRUSTED_HOSTS"):
        Doors.of(settings(trusted_hosts=(word,)), bool)


def test_no_header_is_no_host():
    """A Host that is missing is not served, even unchecked."""
    assert not Hosts(names=None).allow(None)


# Starting


@pytest.mark.parametrize("given", [{}, {**BEYOND, "open": True}, {**BEYOND, "keys": KEYED}])
def test_a_guarded_service_starts(given):
    """On loopback, with a key, or open on purpose, the service starts."""
    chosen = settings(**given)
    check_open(chosen, keyed=bool(chosen.keys))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gloss.example"])  # noqa: S104 - as above
def test_a_service_open_by_accident_does_not_start(host):
    """Reachable from outside without a key, the start is refused with three ways on."""
    with pytest.raises(SettingsError) as caught:
        check_open(settings(host=host), keyed=False)
    assert all(way in str(caught.value) for way in ("make key", "HOST=127.0.0.1", "GLOSS_OPEN=1"))


# Origins

SAME = "http://localhost:8000"


@pytest.mark.parametrize("origin", [SAME, "https://localhost:8000"])
def test_our_own_page_may_ask(origin):
    """An Origin that is the Host is our own, also where a proxy ends https unsaid."""
    assert get(client(), "/v1/secret", {"Origin": origin}).status_code == 200


def test_behind_https_only_https_is_our_own():
    """When the proxy says https, a page of the same name over http is foreign."""
    headers = {"Origin": SAME, "X-Forwarded-Proto": "https"}
    assert slug(get(client(), "/v1/secret", headers)) == "foreign-origin"


FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost",
    "http://localhost:3000",
    "http://127.0.0.1:8000",
    "http://localhost:8000.evil.example",
    "http://evil.localhost:8000",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://www.app.example",
    "https://APP.example",
    "https://app.example:8443",
    "https://app.example/",
    "http://app.example",
    "https://app.example, https://app.example",
    "file://",
    "*",
    "",
]


@pytest.mark.S6
@pytest.mark.S8
@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_foreign_page_may_not_ask(origin, method):
    """An Origin that is neither our own nor listed, letter by letter, is refused and told why."""
    given = client(cors_origins=(LISTED,))
    answer = given.open("/v1/secret", method=method, headers={**HERE, "Origin": origin})
    assert (answer.status_code, slug(answer)) == (403, "foreign-origin")
    assert "GLOSS_CORS_ORIGINS" in answer.json["detail"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.S8
def test_a_listed_page_may_ask_and_read():
    """A listed origin is answered with itself, never a wildcard, and without credentials."""
    headers = {"Origin": LISTED, "Sec-Fetch-Site": "cross-site"}
    answer = get(client(cors_origins=(LISTED,)), "/v1/secret", headers)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, LISTED)
    assert {"Gloss-Stream", "Gloss-Quotas"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_listed_page_may_read_errors():
    """A problem carries the CORS headers too, so that the page can show it."""
    answer = get(client(cors_origins=(LISTED,)), "/nowhere", {"Origin": LISTED})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, LISTED)


def test_a_listed_page_may_ask_beforehand():
    """A preflight names methods and headers, and needs no key."""
    headers = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
    answer = client(cors_origins=(LISTED,), keys=KEYED).options("/v1/echo", headers={**HERE, **headers})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, LISTED)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, PATCH, DELETE"
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("asked", [("GET", "/v1/admin"), ("OPTIONS", "/v1/secret")])
def test_an_answer_without_a_body_names_no_type(asked):
    """And is an answer of the API, to a browser too."""
    method, path = asked
    answer = client().open(path, method=method, headers=HERE)
    assert (answer.status_code, answer.data) == (200, b"")
    assert "Content-Type" not in answer.headers
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_what_is_not_sent_to_a_head_has_its_type():
    """As a GET would have it."""
    answer = client().head("/v1/secret", headers=HERE)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_only_options_is_a_preflight():
    """The header of a preflight changes nothing in another request."""
    assert get(client(), "/v1/secret", {"Access-Control-Request-Method": "POST"}).text == "42"


def test_options_without_a_preflight_lists_methods():
    """A plain OPTIONS is answered with the methods of the path."""
    answer = client().options("/v1/secret", headers=HERE)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.S8
@pytest.mark.parametrize("path", ["/", "/v1/secret", "/nowhere"])
def test_every_answer_varies_by_origin(path):
    """No cache between may give one origin's answer to another."""
    assert "Origin" in get(client(), path).headers["Vary"]


@pytest.mark.parametrize("word", ["*", "null", "app.example", "https://app.example/", "https://App.example"])
def test_an_origin_that_can_never_match_stops_the_start(word):
    """An entry of GLOSS_CORS_ORIGINS that no browser sends is an error at the start."""
    with pytest.raises(SettingsError, match="GLOSS_CORS_ORIGINS"):
        Doors.of(settings(cors_origins=(word,)), bool)


# Sec-Fetch-Site


@pytest.mark.S6
@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_foreign_page_without_origin_may_not_touch_the_api(site):
    """A browser that says the request is another site's is believed, for GET too."""
    given = client()
    answers = [
        get(given, "/v1/secret", {"Sec-Fetch-Site": site}),
        given.post("/v1/echo", json={}, headers={**HERE, "Sec-Fetch-Site": site}),
    ]
    assert [slug(answer) for answer in answers] == ["foreign-origin"] * 2


@pytest.mark.S6
@pytest.mark.parametrize("path", ["/", "/v1/use-cases"])
def test_another_site_may_not_post_even_there(path):
    """Only reading is free to all."""
    answer = client().post(path, headers={**HERE, "Sec-Fetch-Site": "cross-site"})
    assert slug(answer) == "foreign-origin"


@pytest.mark.parametrize("path", ["/", "/v1/use-cases"])
def test_another_site_may_link_to_public_pages(path):
    """A link from elsewhere opens the page."""
    assert get(client(), path, {"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_the_address_bar_may_read(site):
    """What the browser calls our own, or typed by a person, is served."""
    assert get(client(), "/v1/secret", {"Sec-Fetch-Site": site}).status_code == 200


def test_the_browser_is_believed_behind_a_proxy_that_renames_the_host():
    """``same-origin`` holds where the proxy changed the Host, except for ``null``."""
    given, site = client(), {"Sec-Fetch-Site": "same-origin"}
    assert get(given, "/v1/secret", {**site, "Origin": "https://gloss.example"}).status_code == 200
    assert slug(get(given, "/v1/secret", {**site, "Origin": "null"})) == "foreign-origin"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_the_browser_is_believed_over_the_host(site):
    """An Origin that looks like the Host is foreign when the browser says so."""
    assert slug(get(client(), "/v1/secret", {"Origin": SAME, "Sec-Fetch-Site": site})) == "foreign-origin"


# Headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/v1/secret", {}),
        ("/nowhere", {}),
        ("/", {"Host": "evil.example"}),
        ("/problems/busy", {}),
    ],
)
def test_every_answer_is_guarded(path, headers):
    """Pages, answers and refusals alike: not sniffed, not stored, no Referer, a policy."""
    answer = get(client(), path, headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "charset=utf-8" in answer.headers["Content-Type"]
    assert "Set-Cookie" not in answer.headers


def test_a_body_of_the_api_can_do_nothing_in_a_browser():
    """An answer that is opened as a page runs nothing and loads nothing."""
    answer = get(client(), "/v1/secret")
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_a_page_loads_from_here_only():
    """The page's policy names this origin for script, style, image and connection, and no more."""
    assert get(client(), "/").headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'none'"
    )
    assert "unsafe" not in PAGE_POLICY


def test_a_route_may_set_its_own():
    """What a route has set stays."""
    answer = get(client(), "/v1/own")
    assert answer.headers["Cache-Control"] == "private"
    assert answer.headers["Content-Security-Policy"] == "sandbox"


@pytest.mark.parametrize(
    ("said", "secure"), [("https", True), ("http, https", True), ("https, http", False), (None, False)]
)
def test_https_is_remembered_for_a_year(said, secure):
    """HSTS is sent when the last proxy was asked over https."""
    answer = get(client(), "/", {"X-Forwarded-Proto": said} if said else {})
    assert (answer.headers.get("Strict-Transport-Security") == "max-age=31536000") is secure


@pytest.mark.parametrize(
    ("path", "said", "status"),
    [
        ("/v1/secret", "http", 403),
        ("/v1/secret", "https, http", 403),
        ("/v1/secret", "http, https", 200),
        ("/v1/secret", "", 200),
        ("/", "http", 200),
        ("/v1/use-cases", "http", 200),
    ],
)
def test_keys_do_not_travel_in_clear(path, said, status):
    """Behind a proxy that was asked over http the API is refused, not redirected."""
    given = client(**BEYOND, keys=KEYED)
    assert get(given, path, {"X-Forwarded-Proto": said}).status_code == status


def test_without_keys_http_is_fine():
    """A keyless service behind a plain proxy answers: there is no key to lose."""
    assert get(client(), "/v1/secret", {"X-Forwarded-Proto": "http"}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/secret/", "/v1//secret", "//v1/secret", "/v1/./secret"])
def test_nothing_is_redirected(path):
    """A redirect's body would repeat the path that was asked for."""
    assert get(client(), path).status_code in {200, 404}
