"""Callers whose encoding cannot resume: plain text and JSON. All that they have is how the response ended."""

import json
import time
from typing import Any

import gevent

from tests.rig.clients import JSON, TEXT
from tests.rig.wire import CutError, Wire

PROMPT = "Say something."


class Plain:
    """One request; ``clean`` afterwards: the response ended in order."""

    def __init__(
        self, port: int, model: str, *, encoding: str = TEXT, use_case: str = "relay", **options: Any
    ) -> None:
        self._port = port
        self._use_case = use_case
        self._encoding = encoding
        self._body = {"prompt": PROMPT, "options": {"model": model, **options}}
        self.model = model
        self.status: int | None = None
        self.body = b""
        self.clean = False
        self.over_at = 0.0
        self.began = gevent.event.Event()

    def start(self) -> "Plain":
        """Ask in a greenlet of its own."""
        self.greenlet = gevent.spawn(self._run)
        return self

    def join(self) -> "Plain":
        """Wait for its end."""
        self.greenlet.join()
        return self

    @property
    def json(self) -> Any:
        """Return what came, if it is JSON."""
        return json.loads(self.body)

    def _run(self) -> None:
        try:
            with Wire(self._port) as wire:
                wire.send("POST", f"/v1/{self._use_case}", self._body, Accept=self._encoding)
                self.status, _ = wire.head()
                for piece in wire.body():
                    self.body += piece
                    self.began.set()
                self.clean = True
        except (CutError, OSError):
            pass
        self.over_at = time.monotonic()
        self.began.set()


def whole(port: int, model: str) -> Any:
    """Return a JSON result."""
    return Plain(port, model, encoding=JSON).start().join().json
