"""Where fall-back providers are: the entries of GLOSS_PROVIDERS.

An entry is one URL, ``https://:KEY@host/v1#model``. The password is the key and may be missing,
the fragment is the model; both are percent-decoded, as is what a URL cannot hold otherwise.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from services.settings import SettingsError

ONE_WORD = re.compile(r"[!-~]+")  # a model's name stands in notices and logs


@dataclass(frozen=True, kw_only=True)
class Address:
    """A provider's base URL without its key, the key, and the model that it is asked for."""

    base_url: str
    model: str
    key: str | None = field(repr=False)


def addresses(entries: Iterable[str]) -> tuple[Address, ...]:
    """Read all entries; raises SettingsError that names an entry's position and repeats nothing of it."""
    return tuple(_address(entry, position) for position, entry in enumerate(entries, start=1))


def _address(entry: str, position: int) -> Address:
    parts = _parts(entry)
    if parts is None:
        raise SettingsError(f"GLOSS_PROVIDERS: entry {position} is not like https://:KEY@host/v1#model")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return Address(
        base_url=bare.geturl(), model=unquote(parts.fragment), key=unquote(parts.password or "") or None
    )


def _parts(entry: str) -> SplitResult | None:
    """Return the parts of an HTTP address that names a model and has nothing that would go unread."""
    try:
        parts = urlsplit(entry)
        bad_port = parts.port == 0  # reading it raises where it is no number
    except ValueError:
        return None
    named = (
        parts.scheme in {"http", "https"} and parts.hostname and ONE_WORD.fullmatch(unquote(parts.fragment))
    )
    unread = parts.username or parts.query
    return parts if named and not unread and not bad_port else None
