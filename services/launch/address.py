"""Where the service listens, and whether it can."""

import errno
import socket

from services.launch.refusal import Refusal

ANY = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104 - names of hosts, nothing is bound here


def bind_host(host: str, *, ipv6: bool | None = None) -> str:
    """Return what to bind for HOST: ``::`` takes IPv4 too, and becomes 0.0.0.0 where IPv6 is off.

    Heroku's router, and some container networks, come by IPv6 only; some machines have none.
    """
    plain = host.strip("[]")
    if plain == "::" and not (has_ipv6() if ipv6 is None else ipv6):
        return "0.0.0.0"  # noqa: S104 - everything was asked for, by ``::``
    return plain


def has_ipv6() -> bool:
    """Tell whether this machine can listen on IPv6; that Python was built with it says nothing."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def netloc(host: str, port: int) -> str:
    """Join host and port as URLs and gunicorn write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(host: str) -> str:
    """Return the host by which this machine itself reaches what is bound to ``host``."""
    return ANY.get(host, host)


def claim(host: str, port: int) -> int:
    """Return the port, a free one for 0; raises ``Refusal`` when it is taken or cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn will
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Refusal(
                f"Port {port} on {host} is in use. Another one: PORT={port + 1} make run"
            ) from error
        raise Refusal(f"{netloc(host, port)} cannot be listened on: {error.strerror}") from error
