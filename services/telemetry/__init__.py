"""What the operator sees: log lines, metrics, traces; ids, counts, durations and codes, nobody's text.

The names stand in ``names.py``. Reading this package loads nothing but the logs: gunicorn's master
does so before gevent has patched anything.
"""

from services.telemetry.logs import bare_traceback, fields, log_failure, setup_logging

__all__ = ["bare_traceback", "fields", "log_failure", "setup_logging"]
