"""Which Host names are served."""

import ipaddress
import re
from dataclasses import dataclass

from services.settings import LOOPBACK_NAMES, Settings, SettingsError

HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The Host names that are served; ``names`` of None: every name, as keys guard the door."""

    names: frozenset[str] | None
    suffixes: tuple[str, ...] = ()
    addresses: bool = False

    def allow(self, header: str | None) -> bool:
        """Tell whether this ``Host`` is served; its port is of no account."""
        form = HOST.fullmatch((header or "").lower())
        if form is None:
            return False
        name = form[1]
        return (
            self.names is None
            or name in self.names
            or name.endswith(self.suffixes)
            or (self.addresses and _is_address(name))
        )


def hosts_of(settings: Settings, *, keyed: bool) -> Hosts:
    """Return the hosts that are served, with keys or as long as there are none; raises ``SettingsError``."""
    if settings.trusted_hosts:
        listed = checked("TRUSTED_HOSTS", settings.trusted_hosts, HOST, "gloss.example, or .example.com")
        names = frozenset(_without_port(name) for name in listed)
        suffixes = tuple(name for name in names if name.startswith("."))
        return Hosts(names=names | {name[1:] for name in suffixes}, suffixes=suffixes)
    if settings.on_loopback:
        return Hosts(names=frozenset({*LOOPBACK_NAMES, settings.host.lower()}))
    if keyed:
        return Hosts(names=None)
    # Open to everybody: a rebound DNS name is refused, an address cannot be rebound.
    return Hosts(names=frozenset({"localhost"}), addresses=True)


def checked(setting: str, words: tuple[str, ...], form: re.Pattern[str], example: str) -> list[str]:
    """Return the words of a setting; raises ``SettingsError`` for one that is not of this form."""
    for word in words:
        if not form.fullmatch(word):
            raise SettingsError(f"{setting}: `{word}` should look like {example}, in small letters.")
    return list(words)


def _without_port(name: str) -> str:
    form = HOST.fullmatch(name)
    return form[1] if form else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
