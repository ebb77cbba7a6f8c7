"""What holds for every route that there is: a walk over all of them."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from app import HERE
from services.use_cases import USE_CASES
from services.web.keys import new_key
from tests.streams.scripted import Gate, whole
from tests.streams.stage import Reply, Stage

KEY, ENTRY = new_key("web")
OTHER, OTHER_ENTRY = new_key("other")
KEYED = {"keys": (ENTRY.line(), OTHER_ENTRY.line()), "secret": "of the tests, and long enough to be one"}
FORGED = f"{KEY[:-1]}{'x' if KEY[-1] != 'x' else 'y'}"
# Who opens a socket may say who it is in its first message.
BY_MESSAGE = {("GET", "/v1/ws")}
PUBLIC = ("/", "/healthz", "/readyz", "/openapi.json", "/v1/use-cases", "/assets/", "/problems/", "/usage")


def routes(stage: Stage) -> Iterator[tuple[str, str]]:
    """Every method and path of the app, with something that does not exist in each place."""
    filled = {
        "stream_id": "none",
        "session_id": "none",
        "subject": "none",
        "name": "echo",
        "slug": "internal",
    }
    for rule in stage.app.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<{argument}>", filled[argument])
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            yield method, path


def is_public(path: str) -> bool:
    return path == "/" or path.startswith(PUBLIC[1:])


OF_ITS_OWN = "/metrics"  # it has a key of its own (test_metrics.py)
PRIVATE = sorted({route for route in routes(Stage()) if not is_public(route[1]) and route[1] != OF_ITS_OWN})
EVERY = sorted(set(routes(Stage())))


def asked(stage: Stage, method: str, path: str, **more: Any) -> Reply:
    environ = {"gunicorn.socket": None, "SERVER_PROTOCOL": "HTTP/1.1"}
    return stage.call(method, path, data="{}" if method == "POST" else None, environ=environ, **more)


@pytest.mark.S3
@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_no_route_is_open_without_a_key(method: str, path: str) -> None:
    """Nor with a forged one; the answer is the same whether the thing exists or not."""
    stage = Stage(settings=KEYED)
    if (method, path) not in BY_MESSAGE:
        assert asked(stage, method, path).status == 401
    for key in (FORGED, "x", "glosst_x"):
        refused = asked(stage, method, path, key=key)
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gloss"')


@pytest.mark.S3
@pytest.mark.parametrize(("method", "path"), EVERY)
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80:80", "", "x/../localhost"]
)
def test_no_route_is_served_under_another_name(method: str, path: str, host: str) -> None:
    """With a key or without: the Host is looked at before the route."""
    refused = asked(Stage(), method, path, headers={"Host": host})
    assert (refused.status, refused.json()["type"]) == (400, "/problems/untrusted-host")


@pytest.mark.S3
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/healthz"},
        {"X-Rewrite-URL": "/healthz"},
        {"X-Forwarded-Path": "/healthz"},
        {"X-Forwarded-Host": "localhost"},
        {"X-HTTP-Method-Override": "GET"},
        {"Forwarded": "for=127.0.0.1;host=localhost"},
    ],
)
def test_no_header_makes_a_private_route_public(headers: dict[str, str]) -> None:
    """What a proxy may understand by them means nothing here."""
    assert asked(Stage(settings=KEYED), "POST", "/v1/echo", headers=headers).status == 401


@pytest.mark.S1
@pytest.mark.parametrize(
    ("method", "path"), [route for route in PRIVATE if "none" in route[1] and "subjects" not in route[1]]
)
def test_anothers_things_are_not_there(method: str, path: str) -> None:
    """Running or ended, streams and sessions: 404, in the same words as for what never was."""
    stage = Stage(says=whole("Hello", Gate()), settings=KEYED)
    running = stage.post("diary", key=KEY)
    session = json.loads(next(running.pieces).splitlines()[0])["session"]
    thing = session if "sessions" in path else running.stream
    theirs = asked(stage, method, path.replace("none", str(thing)), key=OTHER)
    nothing = asked(stage, method, path, key=OTHER)
    assert (theirs.status, theirs.read()) == (404, nothing.read())
    own = asked(stage, method, path.replace("none", str(thing)), key=KEY)
    assert own.status in {200, 202, 204}


@pytest.mark.S20
@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/debug",
        "/?__debugger__=yes&cmd=resource&f=debugger.js",
        "/gunicorn.sock",
        "/.env",
        "/.git/config",
    ],
)
def test_no_tool_is_served(path: str) -> None:
    """Neither a debugger nor a console nor a file of the machine."""
    stage = Stage()
    reply = stage.call("GET", path)
    assert (reply.status, b"debugger" in reply.read()) in {(404, False), (200, False)}
    assert not stage.app.debug


@pytest.mark.S18
@pytest.mark.parametrize("name", USE_CASES)
def test_no_address_from_a_caller_is_fetched(name: str) -> None:
    """In whichever field it stands: nobody comes to the address, and only the provider is asked."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        use_case = USE_CASES[name]
        stage = Stage(use_cases={name: use_case}, prompts=HERE / "prompts")
        options = use_case.input.model_fields["options"].annotation.model_fields  # type: ignore[union-attr]
        bodies = [{**use_case.example, field: url} for field in use_case.input.model_fields]
        bodies += [{**use_case.example, "options": {field: url}} for field in options]
        for body in bodies:
            stage.post(name, **body).read()
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.S10
def test_one_request_is_as_many_calls_as_it_makes() -> None:
    """50 texts into 10 languages are 500 at least: they count one by one against the calls of a stream."""
    targets = ["de", "fr", "es", "it", "nl", "pt", "sv", "da", "fi", "pl"]
    body = {"text": [f"Text number {n}." for n in range(50)], "target": targets, "source": "en"}
    stage = Stage(
        use_cases={"translate": USE_CASES["translate"]},
        prompts=HERE / "prompts",
        settings={"max_calls": 40},
    )
    end = stage.post("translate", **body).events()[-1]
    assert end["problem"]["type"] == "/problems/input-too-long"
    assert len(stage.provider.asked) <= 40
    assert stage.post("translate", **body, n=2).status == 422
