"""gunicorn's records, in the form of ours."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from services.web.server.logger import Logger

SECRET = "gloss_0a1b2c3d4e5f_" + "x" * 43


@pytest.fixture
def written() -> Iterator[tuple[Logger, io.StringIO]]:
    """A log as gunicorn makes it, written to where a test can read it; its loggers are left as they were."""
    names = ("gunicorn.error", "gunicorn.access")
    kept = {name: vars(logging.getLogger(name)).copy() for name in names}
    made, into = Logger(Config()), io.StringIO()
    for handler in made.error_log.handlers:
        handler.setStream(into)  # type: ignore[attr-defined]
    yield made, into
    for name in names:
        vars(logging.getLogger(name)).update(kept[name])


def test_its_lines_are_objects(written):
    """As ours are, with its name."""
    log, into = written
    log.info("Booting worker with pid: %s", 7)
    told = json.loads(into.getvalue())
    assert (told["logger"], told["level"]) == ("gunicorn.error", "info")
    assert told["event"] == "Booting worker with pid: 7"


def test_its_tracebacks_quote_nobody(written):
    """Where it happened is told, and no message; a key in a line is left out."""
    log, into = written
    try:
        int(SECRET)
    except ValueError:
        log.exception("Error handling request %s", SECRET)
    told = json.loads(into.getvalue())["event"]
    assert "builtins.ValueError" in told
    assert "x" * 9 not in told
