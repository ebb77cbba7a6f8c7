"""A Redis for what is measured between two processes."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.client import BrokenRunError
from bench.relays import LOOPBACK, free_port

SERVER = shutil.which("redis-server")
START_S = 10.0


@contextmanager
def redis() -> Iterator[str]:
    """Start one that keeps nothing; yield its address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        where = ["--bind", LOOPBACK, "--port", str(port), "--dir", folder]
        process = subprocess.Popen(
            [str(SERVER), *where, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL
        )
        try:
            _await(port)
            yield f"redis://{LOOPBACK}:{port}"
        finally:
            process.terminate()
            process.wait()


def _await(port: int) -> None:
    limit = time.monotonic() + START_S
    while time.monotonic() < limit:
        try:
            socket.create_connection((LOOPBACK, port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = "redis-server did not start"
    raise BrokenRunError(message)
