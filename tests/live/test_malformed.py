"""Malformed requests over raw sockets: each is refused, none is an error of ours, and the service goes on."""

import json
from contextlib import suppress

import pytest

from tests.live.http import BrokenOffError
from tests.live.service import Service

pytestmark = [pytest.mark.live, pytest.mark.S11]

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
POST = b"POST /v1/relay HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
WS = b"GET /v1/ws HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
END = b"\r\n"

MALFORMED = {
    # the request line
    "no method": b" / HTTP/1.1\r\n" + HOST + END,
    "no target": b"GET  HTTP/1.1\r\n" + HOST + END,
    "no version": b"GET /\r\n" + HOST + END,
    "odd version": b"GET / HTTP/9.9\r\n" + HOST + END,
    "version with a letter": b"GET / HTTP/1.x\r\n" + HOST + END,
    "another protocol": b"GET / RTSP/1.0\r\n" + HOST + END,
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
    "space in the target": b"GET /health z HTTP/1.1\r\n" + HOST + END,
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\n" + HOST + END,
    "control sign in the method": b"G\x01T / HTTP/1.1\r\n" + HOST + END,
    "percent and nothing": b"GET /v1/streams/%zz/status%0 HTTP/1.1\r\n" + HOST + END,
    "bytes that are no UTF-8": b"GET /v1/streams/\xff\xfe HTTP/1.1\r\n" + HOST + END,
    "a target in authority form": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + END,
    "a target of another host": b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + END,
    "a long target": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + END,
    "a path that climbs": b"GET /assets/..%2f..%2fapp.py HTTP/1.1\r\n" + HOST + END,
    # the head
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: 127.0.0.1/x\r\n\r\n",
    "space before the colon": GET + b"X : y\r\n\r\n",
    "a name without a value": GET + b"X\r\n\r\n",
    "no name": GET + b": y\r\n\r\n",
    "a folded line": GET + b"X: y\r\n  z\r\n\r\n",
    "a bare CR": GET + b"X: y\rZ: z\r\n\r\n",
    "a NUL": GET + b"X: \x00\r\n\r\n",
    "too many fields": GET + b"X: y\r\n" * 500 + END,
    "a long field": GET + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    # the body's length
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a list of lengths": POST + b"Content-Length: 2, 3\r\n\r\n{}x",
    "a length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked with a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: odd\r\n\r\n",
    "a huge length": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    # chunks
    "a size that is none": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a size without an end": CHUNKED + b"f" * 5_000 + b"\r\n",
    "a chunk that is longer than it says": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    # JSON and its like
    "no body": POST + b"Content-Length: 0\r\n\r\n",
    "half a body in JSON": POST + b'Content-Length: 5\r\n\r\n{"a":',
    "lone surrogates": POST + b'Content-Length: 21\r\n\r\n{"prompt": "\\ud800" }x',
    "a number without an end": POST + b"Content-Length: 1012\r\n\r\n" + b'{"prompt": ' + b"9" * 1000 + b"}",
    "depth": POST + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
    "a byte order mark": POST + b"Content-Length: 5\r\n\r\n\xef\xbb\xbf{}",
    "not UTF-8": POST + b"Content-Length: 16\r\n\r\n" + b'{"prompt": "\xff"} ',
    # fields of ours
    "a cursor that is none": b"GET /v1/streams/x?after=%ff HTTP/1.1\r\n" + HOST + b"Last-Event-ID: x\r\n\r\n",
    "a token that is none": b"GET /v1/streams/x?token=%00%ff HTTP/1.1\r\n" + HOST + END,
    "an Accept that is none": POST + b"Accept: ;q=;,/,\xff\r\nContent-Length: 2\r\n\r\n{}",
    "an idempotency key in Latin": POST
    + b"Idempotency-Key: \xe4\xff\r\nContent-Length: 15\r\n\r\n"
    + b'{"prompt": "x"}',
    "an Origin that is none": GET.replace(b"/healthz", b"/v1/sessions") + b"Origin: \xff\r\n\r\n",
    # a handshake
    "a handshake without a key": WS + b"Sec-WebSocket-Version: 13\r\n\r\n",
    "a handshake of another version": WS + b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: eA==\r\n\r\n",
    "a key that is no base 64": WS + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \xff\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_the_senders_fault(relay: Service, sent: bytes) -> None:
    """4xx or a closed connection, never 5xx; and the next one is served."""
    with relay.connect() as client:
        client.socket.sendall(sent)
        with suppress(BrokenOffError, ConnectionResetError):
            assert 400 <= client.head().status < 500
    with relay.connect() as client:
        assert client.send("GET", "/healthz").answer()[0].status == 200


@pytest.mark.parametrize(
    ("name", "status", "slug"),
    [
        ("a long target", 414, "target-too-long"),
        ("too many fields", 431, "head-too-large"),
        ("a long field", 431, "head-too-large"),
        ("a folded line", 400, "malformed-body"),
    ],
)
def test_a_head_that_is_too_large_is_told_so(relay: Service, name: str, status: int, slug: str) -> None:
    """With what is allowed, and none of what was sent; it is not taken for one that is malformed."""
    with relay.connect() as client:
        client.socket.sendall(MALFORMED[name])
        head, body = client.answer()
    problem = json.loads(body)
    assert (head.status, problem["type"]) == (status, f"/problems/{slug}")
    assert head.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert status == 400 or "8190" in str(problem)


def test_there_are_more_than_twenty_five() -> None:
    """Each in its own way."""
    assert len(set(MALFORMED.values())) == len(MALFORMED) > 25
