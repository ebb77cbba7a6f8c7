"""Where the service listens."""

import socket

import pytest

from services.launch.address import bind_host, claim, netloc, reachable
from services.launch.refusal import Refusal

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a name; nothing is bound


@pytest.mark.parametrize(
    ("host", "ipv6", "bound"),
    [
        ("::", True, "::"),
        ("[::]", True, "::"),
        ("::", False, EVERYWHERE),
        ("::1", False, "::1"),
        ("127.0.0.1", False, "127.0.0.1"),
    ],
)
def test_bind_host(host, ipv6, bound):
    """``::`` becomes 0.0.0.0 where IPv6 is off; nothing else is changed but brackets."""
    assert bind_host(host, ipv6=ipv6) == bound


def test_netloc():
    """An IPv6 host stands in brackets before its port."""
    assert [netloc("::1", 80), netloc("127.0.0.1", 80)] == ["[::1]:80", "127.0.0.1:80"]


def test_reachable():
    """What is bound to everything is reached on loopback."""
    assert [reachable(host) for host in ("::", EVERYWHERE, "localhost")] == [
        "127.0.0.1",
        "127.0.0.1",
        "localhost",
    ]


def test_claim_a_free_one():
    """Port 0 becomes a port that is free."""
    with socket.create_server(("127.0.0.1", claim("127.0.0.1", 0))):
        pass


def test_claim_taken():
    """A port that is taken is refused with the line that takes another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            Refusal, match=f"Port {port} on 127.0.0.1 is in use. Another one: PORT={port + 1} "
        ):
            claim("127.0.0.1", port)


def test_claim_foreign():
    """An address that is not this machine's is refused."""
    with pytest.raises(Refusal, match=r"192\.0\.2\.1:8000 cannot be listened on"):
        claim("192.0.2.1", 8000)
