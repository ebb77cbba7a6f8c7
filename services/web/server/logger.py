"""gunicorn's own records, in the form of ours: one platform collects both."""

import logging
import sys
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from services.telemetry.logs import Form, formatter


class Logger(GunicornLogger):
    """Writes what gunicorn logs as ``form`` says, without what must not stand there."""

    form: Form = "auto"

    def setup(self, cfg: Any) -> None:
        """Put our formatter in the place of gunicorn's, whose tracebacks quote requests."""
        super().setup(cfg)
        handlers: list[logging.Handler] = [*self.error_log.handlers, *self.access_log.handlers]
        for handler in handlers:
            stream = getattr(handler, "stream", sys.stderr)
            handler.setFormatter(formatter(self.form, terminal=stream.isatty()))
