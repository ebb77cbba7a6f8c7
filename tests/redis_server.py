"""A real redis-server, which a test can stop, freeze and fill."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis import Redis

from tests.live.service import free_port


class RedisServer:
    """One server on one port; what it holds is gone when it is killed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._options = options
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        command = [
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self._folder),
        ]
        nothing_kept = ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, *nothing_kept, *self._options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = b""
        while b"Ready to accept connections" not in said:
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"redis-server did not start:\n{said.decode(errors='replace')}")
            said += line

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def freeze(self) -> None:
        """Let it answer nothing: connections stand, and new ones are taken by the kernel."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> Any:
        """Return the reply to one command; it may take as long as it likes."""
        with Redis(port=self.port, socket_timeout=None) as client:
            return client.execute_command(*words)


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run a server of the test's own until the block ends."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server: apt-get install redis-server")
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), *options)
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One server for the whole run; nobody stops it, and what it holds may go at any time."""
    with redis_server() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server of the test's own, to do harm to."""
    with redis_server() as server:
        yield server
