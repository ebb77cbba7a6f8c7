"""``make key NAME=web [SCOPES=translate,tutor] [EXPIRES=2027-01-01]``: make an API key.

The service keeps hashes only, so nothing is written: what is printed goes into GLOSS_KEYS.
"""

import re
import sys
from collections.abc import Iterable, Sequence

from services.settings import SettingsError
from services.web.keys import Entry, new_key, parse_day, parse_entry

OPTIONS = {
    "NAME": "who will use it, for people: letters, digits and ._@-",
    "SCOPES": "use cases that it opens, separated by commas; without it, all",
    "EXPIRES": "the first day (UTC) on which it opens nothing, like 2027-01-01; without it, never",
}
USAGE = "make key NAME=web [SCOPES=translate,tutor] [EXPIRES=2027-01-01]"


def main(words: Sequence[str]) -> int:
    """Print a new key and what to do with it; returns the exit status."""
    try:
        key, entry = make(words)
    except SettingsError as error:
        print(f"{error}\n\n{help_text()}", file=sys.stderr)
        return 2
    print(told(key, entry))
    return 0


def make(words: Iterable[str]) -> tuple[str, Entry]:
    """Make a key from words like ``NAME=web``; an empty value counts as not given.

    Raises ``SettingsError`` for a word that is no option, and for a value that cannot be one.
    """
    given = _options(words)
    if "NAME" not in given:
        raise SettingsError("A key needs a NAME.")
    expires = parse_day(given["EXPIRES"]) if "EXPIRES" in given else None
    scopes = [scope for scope in re.split(r"[,+\s]+", given.get("SCOPES", "")) if scope]
    key, entry = new_key(given["NAME"], scopes=scopes, expires=expires)
    try:
        parse_entry(entry.line())  # what is printed is what the service will read
    except SettingsError:
        raise SettingsError("A NAME has up to 64 letters, digits and ._@-; a scope small letters.") from None
    return key, entry


def told(key: str, entry: Entry) -> str:
    """Return what is printed; the key stands alone on the last line."""
    return (
        "Add this entry to GLOSS_KEYS (several are separated by spaces or commas) and start again:\n\n"
        f"{entry.line()}\n\n"
        "The entry holds a hash only. The key itself is shown now and never again;\n"
        "send it as `Authorization: Bearer <key>`:\n\n"
        f"{key}"
    )


def help_text() -> str:
    """Return the options that exist."""
    lines = [f"  {name:<8} {what}" for name, what in OPTIONS.items()]
    return "\n".join([USAGE, "", *lines])


def _options(words: Iterable[str]) -> dict[str, str]:
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in OPTIONS:
            raise SettingsError(f"There is no option `{name}`.")
        if value.strip():
            given[name] = value.strip()
    return given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
