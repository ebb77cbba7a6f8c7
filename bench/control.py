"""Starts the feeder, tells it what to say, reads its journal."""

import dataclasses
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.feeder import Plan, Told
from bench.machine import FEEDER_CORE

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Journal:
    """What the feeder saw since it was told to forget."""

    connections: int
    streams: list[Told]

    @property
    def chunks(self) -> int:
        """Return how many chunks were written, over all streams."""
        return sum(len(told.written) for told in self.streams)


@dataclass(frozen=True)
class Upstream:
    """A feeder that runs."""

    port: int

    def says(self, plan: Plan) -> None:
        """Begin a new journal, and say this from now on."""
        self._post("/forget", {})
        self._post("/plan", dataclasses.asdict(plan))

    def forget(self) -> None:
        """Close what still runs and begin a new journal."""
        self._post("/forget", {})

    def journal(self) -> Journal:
        """Return what was written and who left."""
        told = self._ask("/journal", None)
        return Journal(told["connections"], [Told(**entry) for entry in told["streams"]])

    def _post(self, path: str, value: object) -> None:
        self._ask(path, json.dumps(value).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body) as answer:
            return json.load(answer)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Start a feeder of one's own, and end it afterwards."""
    command = [sys.executable, "-m", "bench.feeder", str(FEEDER_CORE)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            yield Upstream(int(process.stdout.readline()))
        finally:
            process.terminate()
