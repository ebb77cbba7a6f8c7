"""The proxy as tests see it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.proxy.server import Toxics

ROOT = Path(__file__).parents[2]


class Proxy:
    """A running proxy: where it is, and what it does."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.port = int(process.stdout.readline())

    def up(self, **toxics: float) -> int:
        """Do this, and nothing else, to what clients send; return how many connections are open."""
        return self._poison("up", toxics)

    def down(self, **toxics: float) -> int:
        """Do this, and nothing else, to what clients get; return how many connections are open."""
        return self._poison("down", toxics)

    def heal(self) -> int:
        """Do nothing any more."""
        self.up()
        return self.down()

    def _poison(self, direction: str, toxics: dict[str, float]) -> int:
        Toxics(**toxics)  # a name that is none fails here, where its caller is seen
        self._process.stdin.write(json.dumps([direction, toxics]).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Stand before a port of this machine; the proxy ends with this, whatever happens."""
    command = [sys.executable, "-m", "tests.proxy", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Proxy(process)
        finally:
            process.stdin.close()
