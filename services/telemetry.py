"""What is logged, and in which words: ids, counts, durations and codes, never anybody's text."""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def setup_logging() -> None:
    """Send our records to standard output, where a platform collects them."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(FORMAT))
    ours = logging.getLogger("gloss")
    ours.handlers = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False


def fields(values: Mapping[str, object]) -> str:
    """Write values as ``name=value`` words; one that is None is left out."""
    return " ".join(f"{name}={value}" for name, value in values.items() if value is not None)


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
