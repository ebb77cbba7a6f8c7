"""Which variables are taken for settings that do not exist: a limit with a misspelt name limits nothing."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

PREFIX = "GLOSS_"
NOT_OURS = {"GLOSS_KEY"}  # a caller's own key: the command that the page shows reads it
# Kubernetes tells every container of each service, by its name: of one called `gloss` it says these.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
LINK = re.compile(
    r"GLOSS(_\w+)?(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)",
    re.ASCII,
)
LINKED_PORT = re.compile(r"(tcp|udp|sctp)://", re.ASCII)


def unknown(settings: type[BaseSettings]) -> list[str]:
    """Return a line for each variable, also of ``.env``, that looks like a setting and is none.

    It tells the setting whose name is nearest. No value stands in it.
    """
    known = {str(field.validation_alias) for field in settings.model_fields.values()}
    given = {**DotEnvSettingsSource(settings).env_vars, **EnvSettingsSource(settings).env_vars}
    return [
        f"{name}: there is no such setting. {_instead(name, known)}"
        for name in sorted(map(str.upper, given))
        if name.startswith(PREFIX)
        and name not in known | NOT_OURS
        and not _is_link(name, given[name.lower()])
    ]


def _is_link(name: str, value: str | None) -> bool:
    linked_port = name.endswith("_PORT") and LINKED_PORT.match(value or "")
    return bool(linked_port or LINK.fullmatch(name))


def _instead(name: str, known: Iterable[str]) -> str:
    """Say what to do; names are compared without what they have in common."""
    bare = {one.removeprefix(PREFIX): one for one in known}
    nearest = get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    guess = f"Is it {bare[nearest[0]]}? Rename it or unset it" if nearest else "Unset it"
    return f"{guess}; README.md lists all."
