"""Origins of web pages, as browsers write them, for tokens that are bound to one.

The form is the ASCII serialisation of RFC 6454, 6.2, of which a browser sends exactly one for a page:
small letters, other scripts as punycode, no port where it is the scheme's own, no path. What is written
otherwise would never be equal to what a browser sends.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?:(?P<name>{LABEL}(?:\.{LABEL})*)|\[(?P<v6>[0-9a-f:.]+)\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.ASCII,
)
OWN_PORTS = {"http": "80", "https": "443"}
MOST_PORT = 65_535
MOST_CHARS = 255
FORM = "must be an origin as browsers write it, like https://app.example or http://localhost:3000"


def host_of(origin: str) -> str | None:
    """Return the host of an origin of http or https, without its port; None for what is no origin."""
    form = ORIGIN.fullmatch(origin)
    if form is None or form["port"] == OWN_PORTS[form["scheme"]] or int(form["port"] or 0) > MOST_PORT:
        return None
    if form["v6"] is not None:
        return f"[{form['v6']}]" if _is_written_so(IPv6Address, form["v6"]) else None
    name = form["name"]
    is_number = name.rpartition(".")[2].isdigit()  # then browsers take it for an address, or for nothing
    return None if is_number and not _is_written_so(IPv4Address, name) else str(name)


def _is_written_so(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        return str(kind(text)) == text
    except AddressValueError:
        return False


def _checked(origin: str) -> str:
    if host_of(origin) is None:
        raise ValueError(FORM)
    return origin


PageOrigin: TypeAlias = Annotated[
    str,
    Field(
        max_length=MOST_CHARS,
        description="The only origin whose pages may use the token, as browsers write it. Left out: any.",
        examples=["https://app.example"],
    ),
    AfterValidator(_checked),
]
