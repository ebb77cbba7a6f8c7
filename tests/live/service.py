"""The real service in a process of its own, as live tests start it."""

import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.http import BrokenOffError, Connection

ROOT = Path(__file__).parents[2]
BOOT_S = 60
# Nothing of the machine's own settings reaches the service under test.
OURS = (
    "GLOSS_",
    "OPENAI_",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "TRUSTED_HOSTS",
    "REDIS_URL",
    "GUNICORN_CMD_ARGS",
)


@dataclass
class Service:
    """Where it listens, and what it has printed."""

    port: int
    process: subprocess.Popen[bytes]
    printed: Path
    tls: ssl.SSLContext | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.printed.read_text(errors="replace")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the worker for a while, so that it finds all at once what comes meanwhile."""
        worker = int(re.findall(r"Booting worker with pid: (\d+)", self.log)[-1])
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    def connect(self, *, takes: int | None = None) -> Connection:
        """Open a connection of one's own."""
        return Connection(self.port, takes=takes, tls=self.tls)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    folder: Path,
    *,
    app: str = "tests.live.relay:app",
    before: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
    **env: str,
) -> Iterator[Service]:
    """Run gunicorn with the project's own settings until the block ends.

    ``before`` is a command that runs its arguments, such as one that sets limits; ``tls`` is for
    clients of a service that was given a certificate.
    """
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    printed = folder / f"gunicorn-{port}.log"
    env = {"GLOSS_DATA": str(folder / "data"), **env}
    with printed.open("wb") as log:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "gunicorn", app],
            cwd=ROOT,
            env={**clean, "PORT": str(port), "PYTHONPATH": str(ROOT), **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        service = Service(port, process, printed, tls, env)
        _wait(service)
        yield service
    finally:
        process.terminate()
        process.wait(40)


def _wait(service: Service) -> None:
    """Wait until it answers: gunicorn listens before its worker has booted."""
    until = time.monotonic() + BOOT_S
    while time.monotonic() < until and service.process.poll() is None:
        try:
            with service.connect() as client:
                client.send("GET", "/healthz").answer()
        except (OSError, BrokenOffError):
            select.select([], [], [], 0.05)
        else:
            return
    raise RuntimeError(f"the service did not start:\n{service.log}")
