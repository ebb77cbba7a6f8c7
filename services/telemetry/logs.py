"""What is logged, and how a line looks: words on a terminal, a JSON object a line anywhere else.

The last step before a line is written takes out what must not stand there, whoever logged it:
keys, tokens, URLs, and control characters, which could forge a line or speak to a terminal.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

Form: TypeAlias = Literal["auto", "json", "words"]

# Keys of ours and of providers, bearer tokens, and URLs, whose user, path or query may hold either.
SECRETS = re.compile(
    r"(?P<own>gloss_[A-Za-z0-9-]{8,64}_)[A-Za-z0-9_-]+"
    r"|(?P<foreign>\bsk-)[A-Za-z0-9_-]{8,}"
    r"|(?P<bearer>\b[Bb]earer )[^\s\"']+"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s\"'<>)]+",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LEFT_OUT = "…"
INDENT = "\n    "


class Fields:
    """Values that belong to a record; as text they are ``name=value`` words."""

    def __init__(self, values: Mapping[str, object]) -> None:
        """One that is None is left out."""
        self.values = {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.values.items())


def fields(values: Mapping[str, object]) -> Fields:
    """Return values as an argument of a record: words in a line of text, members in one of JSON."""
    return Fields(values)


def setup_logging(form: Form = "auto") -> None:
    """Send our records to standard output, where a platform collects them."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter(form, terminal=sys.stdout.isatty()))
    ours = logging.getLogger("gloss")
    ours.handlers = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False


def formatter(form: Form, *, terminal: bool) -> logging.Formatter:
    """Return what writes a record; ``auto`` are words on a terminal, else JSON."""
    return Words() if form == "words" or (form == "auto" and terminal) else Lines()


class Words(logging.Formatter):
    """For a person: time, level, logger, message; what follows on further lines is set in."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, without what must not stand there."""
        return redacted(super().format(record)).replace("\n", INDENT)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return where it happened, and no message: it may quote anybody."""
        return bare_traceback(ei[1])


class Lines(logging.Formatter):
    """For a program: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without what must not stand there; fields are its members."""
        message, members = _parted(record)
        if record.exc_info and record.exc_info[1]:
            message = f"{message}\n{bare_traceback(record.exc_info[1])}"
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": message,
        }
        whole = {**members, **line}  # no member takes the place of what every line has
        ordered = {name: _plain(whole[name]) for name in (*line, *members)}
        return msgspec.json.encode(ordered).decode()


def _parted(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Return a record's message without its fields, and these."""
    if not isinstance(record.args, tuple):
        return record.getMessage(), {}
    found = [arg for arg in record.args if isinstance(arg, Fields)]
    rest = tuple("" if isinstance(arg, Fields) else arg for arg in record.args)
    members = {name: value for one in found for name, value in one.values.items()}
    return (str(record.msg) % rest if rest else str(record.msg)).strip(), members


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))


def redacted(text: str) -> str:
    """Return the text without secrets and URLs, control characters written out; line ends stay."""
    return CONTROLS.sub(_written_out, SECRETS.sub(_left_out, text))


def _left_out(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{LEFT_OUT}"


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def bare_traceback(error: BaseException) -> str:
    """Return the traceback without the exceptions' messages, which may quote the caller."""
    return "\n".join(
        f"{type(link).__module__}.{type(link).__qualname__}\n"
        + "".join(traceback.format_tb(link.__traceback__))
        for link in _chain(error)
    )


def log_failure(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log what went wrong that nobody expected, with a traceback that quotes nobody."""
    log.error("%s\n%s", what, bare_traceback(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
