"""The upstream as tests see it."""

import contextlib
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Upstream:
    """A running fault upstream: where it is, its gates, its journal."""

    port: int
    authority: Path | None = None  # whose certificate it shows, where it speaks TLS

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        return f"http{'s' if self.authority else ''}://127.0.0.1:{self.port}"

    def gate(self, name: str) -> None:
        """Open a gate, for good."""
        self._call("POST", f"/_gate/{quote(name, safe='')}")

    def journal(self, model: str | None = None, *, begun: int = 0, ended: int = 0) -> list[dict[str, Any]]:
        """Return the attempts (of one model), once so many have begun and ended."""
        query: dict[str, Any] = {"begun": begun, "ended": ended}
        if model is not None:
            query["model"] = model
        return self._call("GET", f"/_journal?{urlencode(query)}")

    def _call(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"{self.origin}{path}", method=method)  # noqa: S310 - loopback
        tls = ssl.create_default_context(cafile=self.authority) if self.authority else None
        with urllib.request.urlopen(request, timeout=40, context=tls) as response:  # noqa: S310 - loopback
            return json.load(response)


@contextlib.contextmanager
def running(*, certificate: Path | None = None, key: Path | None = None) -> Iterator[Upstream]:
    """Run an upstream in a process of its own; it ends with this, whatever happens."""
    tls = [certificate, key] if certificate and key else []
    command = [sys.executable, "-m", "tests.upstream", *tls]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Upstream(int(process.stdout.readline()), certificate)
        finally:
            process.stdin.close()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """One upstream for the whole run; models and gates named by a test are its own."""
    with running() as started:
        yield started
