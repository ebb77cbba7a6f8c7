"""Bad input over a raw socket: each gets its problem, with its status, and repeats nothing."""

import json
from typing import Any

import pytest

from services.web.keys import new_key
from tests.live.conftest import asking
from tests.live.http import Connection, Head
from tests.live.service import Service, serving
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

PLANTED = "zebra-marker"


def post(client: Connection, body: Any, **headers: str) -> tuple[Head, dict[str, Any], str]:
    head, raw = client.post("/v1/relay", body, **headers).answer()
    return head, json.loads(raw), raw.decode()


BODIES = [
    (b"prompt=" + PLANTED.encode(), 400, "malformed-body"),
    (b'{"prompt": "' + PLANTED.encode() + b"\xff", 400, "malformed-body"),
    (b'["' + PLANTED.encode() + b'"]', 400, "malformed-body"),
    (b"", 400, "malformed-body"),
    (b"[" * 100_000, 400, "malformed-body"),
    ({"prompt": "x", PLANTED: 1}, 422, "invalid-input"),
    ({"prompt": ""}, 422, "invalid-input"),
    ({"prompt": [PLANTED]}, 422, "invalid-input"),
    ({"prompt": "x", "options": {"max_output_tokens": 10**9}}, 422, "invalid-input"),
    ({"prompt": "x" * (4 * 1024 * 1024)}, 413, "body-too-large"),
    ({"prompt": "1 " * 10**6}, 413, "input-too-long"),
]


@pytest.mark.parametrize(
    ("body", "status", "slug"), BODIES, ids=[slug + str(n) for n, (_, _, slug) in enumerate(BODIES)]
)
def test_a_body_that_is_not_right_gets_its_problem(relay: Service, body: Any, status: int, slug: str) -> None:
    """The problem's status and type are those of the contract, and it repeats nothing that was sent."""
    with relay.connect() as client:
        head, problem, raw = post(client, body)
    assert (head.status, problem["type"]) == (status, f"/problems/{slug}")
    assert PLANTED not in raw + relay.log


def test_a_long_input_is_told_in_tokens(relay: Service) -> None:
    """input-too-long says what was counted and what is allowed."""
    with relay.connect() as client:
        _, problem, _ = post(client, {"prompt": "1 " * 10**6})
    assert problem["tokens"] > problem["limit"] == 16_000


@pytest.mark.S11
def test_ten_megabytes_are_refused_by_their_length(relay: Service) -> None:
    """A body of 10 MB is refused before it has come: its declared length is enough."""
    with relay.connect() as client:
        client.send("POST", "/v1/relay", b"{", Content_Length=str(10 * 2**20))
        head, raw = client.answer()
    assert (head.status, json.loads(raw)["limit"]) == (413, 4 * 2**20)


HEADERS = [
    ({"Host": "evil.example"}, 400, "untrusted-host"),
    ({"Origin": "https://evil.example", "Content_Type": "application/json"}, 403, "foreign-origin"),
    ({"Origin": "null", "Content_Type": "application/json"}, 403, "foreign-origin"),
    ({"Content_Encoding": "gzip"}, 415, "unsupported-media-type"),
    ({"accept": "image/png"}, 406, "not-acceptable"),
]


@pytest.mark.parametrize(("headers", "status", "slug"), HEADERS)
def test_a_head_that_is_not_right_gets_its_problem(
    relay: Service, headers: dict[str, str], status: int, slug: str
) -> None:
    """Hosts, origins, encodings and types that are not ours are refused before anything is read."""
    with relay.connect() as client:
        head, problem, _ = post(client, asking("ok:5"), **headers)
    assert (head.status, problem["type"]) == (status, f"/problems/{slug}")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/relay", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/streams/none", 404),
        ("GET", "/nope", 404),
    ],
)
def test_paths_and_methods_that_do_not_exist(relay: Service, method: str, path: str, status: int) -> None:
    """Unknown paths are 404, known ones with another method 405; both as problems."""
    with relay.connect() as client:
        head, raw = client.send(method, path, b"{}", Content_Length="2").answer()
    assert (head.status, json.loads(raw)["status"]) == (status, status)


def test_keys_open_the_door_and_nothing_else_does(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With keys configured: none and a wrong one are 401, the right one streams, and no log has it."""
    key, entry = new_key("tests")
    folder = tmp_path_factory.mktemp("keyed")
    with serving(
        folder, OPENAI_BASE_URL=upstream.base_url, GLOSS_MODEL="ok:5", GLOSS_KEYS=entry.line()
    ) as service:
        tries = [{}, {"Authorization": "Bearer " + key[:-1] + "x"}, {"Authorization": f"Bearer {key}"}]
        with service.connect() as client:
            heads = [client.post("/v1/relay", {"prompt": "Hi"}, **headers).answer()[0] for headers in tries]
        assert [head.status for head in heads] == [401, 401, 200]
        assert heads[0].headers["www-authenticate"].startswith("Bearer")
        assert key.rpartition("_")[2] not in service.log


def test_without_keys_it_does_not_listen_beyond_loopback(tmp_path_factory: pytest.TempPathFactory) -> None:
    """HOST beyond loopback without a key is refused at start, and the refusal says what to do."""
    everywhere = {"HOST": "0.0.0.0", "OPENAI_API_KEY": "sk-x"}  # noqa: S104 - it is refused
    with (
        pytest.raises(RuntimeError, match="make key"),
        serving(tmp_path_factory.mktemp("open"), **everywhere),
    ):
        pass


BROKEN = [
    b"POST /v1/relay HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n",
    b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    b"POST /v1/relay HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"NONSENSE\r\n\r\n",
]


@pytest.mark.parametrize("raw", BROKEN)
def test_broken_http_is_the_senders_fault(relay: Service, raw: bytes) -> None:
    """A malformed request is answered 400 with a problem, and neither body nor log repeats it."""
    with relay.connect() as client:
        client.socket.sendall(raw)
        head, body = client.answer()
    assert (head.status, json.loads(body)["status"]) == (400, 400)
    assert "evil" not in body.decode() + relay.log
