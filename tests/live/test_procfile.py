"""The deploy: the Procfile, started by a Procfile runner as a platform would."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.web.keys import new_key
from tests.live.http import BrokenOffError, Connection
from tests.live.service import OURS, ROOT, free_port
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("web")
ASKED = {"text": "Good morning.", "target": "es"}
NO_DISK = ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR", "TIKTOKEN_CACHE_DIR")


class Dyno:
    """The running Procfile; a line of its log is kept when it was waited for."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port, self.log = process, port, ""

    def until(self, text: str) -> None:
        """Read the log up to this text, or to the end."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.log += line
            if text in line:
                return

    def connect(self) -> Connection:
        return Connection(self.port)


@contextmanager
def dyno(**config: str) -> Iterator[Dyno]:
    """Start the Procfile with an empty disk and nothing set but what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, *NO_DISK))}
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "honcho", "--app-root", ROOT, "start", "--no-colour", "web"],
            env={
                **clean,
                "HOME": home,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PORT": str(port),
                "WEB_CONCURRENCY": "2",  # as Heroku's buildpack sets it
                "PYTHONUNBUFFERED": "1",
                **config,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running = Dyno(process, port)
        try:
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            running.until("no such line")
            process.wait()
            if process.stdout:
                process.stdout.close()
        assert not list(Path(home).iterdir()), "the service wrote to the disk"


def wait_until_up(running: Dyno) -> None:
    """Ask until it answers: it listens before its worker has booted."""
    running.until("Booting worker")
    while running.process.poll() is None:
        try:
            with running.connect() as client:
                assert client.send("GET", "/healthz").answer()[0].status == 200
        except (OSError, BrokenOffError):
            continue
        else:
            return
    pytest.fail(f"it ended:\n{running.log}")


def test_boots_with_two_settings():
    """With OPENAI_API_KEY and GLOSS_KEYS alone it boots, one worker, and wants a key from callers."""
    with dyno(OPENAI_API_KEY="sk-of-nobody", GLOSS_KEYS=ENTRY.line()) as running:
        wait_until_up(running)
        with running.connect() as client:
            assert client.post("/v1/translate", ASKED).answer()[0].status == 401
    assert len(re.findall("Booting worker", running.log)) == 1


def test_nothing_is_kept_between_starts(upstream: Upstream):
    """It answers after each start on an empty disk: what it needs comes with the code."""
    for _ in range(2):
        with dyno(
            OPENAI_API_KEY="sk-of-the-tests",
            OPENAI_BASE_URL=upstream.base_url,
            GLOSS_MODEL="ok:5",
            GLOSS_KEYS=ENTRY.line(),
        ) as running:
            wait_until_up(running)
            with running.connect() as client:
                client.post("/v1/translate", ASKED, "text/event-stream", Authorization=f"Bearer {KEY}")
                head, body = client.answer()
            assert (head.status, b"event: start" in body) == (200, True)


def test_no_keys():
    """Without keys it refuses to serve the world, says why, and is not started over and over."""
    with dyno(OPENAI_API_KEY="sk-of-nobody") as running:
        running.until("no such line")
    assert "GLOSS_KEYS" in running.log
    assert len(re.findall("Booting worker", running.log)) == 1
    assert "Traceback" not in running.log
