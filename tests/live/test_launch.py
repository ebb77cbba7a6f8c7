"""`make run` as a person starts and ends it: the real launcher, model, gunicorn and application."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.launch.embedded import SLOTS
from tests.live.http import Connection
from tests.live.service import OURS, ROOT

# The first of them may have to fetch the model.
pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

LAST_LINE = "Ctrl-C ends it."


def hear_signals() -> None:
    """Hear what a shell's ``&`` and nohup make a test run, and so its children, ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Launched:
    """A launcher with its children, each in the process table until it is gone."""

    def __init__(self, **env: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.launch"],
            cwd=ROOT, env={**clean, "PORT": "0", "PYTHONUNBUFFERED": "1", **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=hear_signals,  # noqa: PLW1509 - nothing else forks meanwhile
        )  # fmt: skip
        self.said = ""
        self.children: list[int] = []

    def until_up(self) -> "Launched":
        """Wait until it says how to ask."""
        assert self.process.stdout
        while LAST_LINE not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended instead:\n{self.said}"
            self.said += line
        self.children = below(self.process.pid)
        return self

    def named(self, module: str) -> int:
        """Return the child that runs this module."""
        return next(pid for pid, (_, words) in table().items() if pid in self.children and module in words)

    def end(self) -> int:
        """Wait for the end of the launcher and of all that it had started; returns its status."""
        assert self.process.stdout
        self.said += self.process.stdout.read()  # its children have the other end of this too
        status = self.process.wait()
        while set(self.children) & set(table()):
            pass
        return status


def table() -> dict[int, tuple[int, str]]:
    """Return each living process's parent and command line."""
    out = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], check=True, capture_output=True, text=True
    ).stdout
    rows = (line.split(None, 3) for line in out.splitlines())
    return {int(pid): (int(parent), words) for pid, parent, stat, words in rows if not stat.startswith("Z")}


def below(pid: int) -> list[int]:
    """Return all processes that stem from this one."""
    rows = table()
    children = [child for child, (parent, _) in rows.items() if parent == pid]
    return children + [deeper for child in children for deeper in below(child)]


@pytest.fixture
def launch(smollm2: Path) -> Iterator[Callable[..., Launched]]:
    started: list[Launched] = []

    def start(**env: str) -> Launched:
        started.append(Launched(**{"GLOSS_MODEL_FILE": str(smollm2), **env}))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.end()
        if one.process.stdout:
            one.process.stdout.close()


def test_says_how_to_ask(launch):
    """It says where it listens, which model answers, and two lines that stream when pasted."""
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: apt-get install curl")
    up = launch().until_up()
    assert re.search(r"Gloss listens on http://127\.0\.0\.1:\d+", up.said)
    assert "smollm2-135m-instruct (embedded" in up.said
    lines = re.findall(r"^ *(curl .*)", up.said, re.MULTILINE)
    assert [re.search(r"/v1/(\w+)", line)[1] for line in lines] == ["translate", "tutor"]
    for line in lines:
        heads = subprocess.run([*shlex.split(line), "-sD-"], check=False, capture_output=True).stdout
        assert heads.startswith(b"HTTP/1.1 200 ")


def test_more_than_the_model_can_answer_wait(launch):
    """It gives so many answers at a time; who comes then hears its place at once, and not silence."""
    port = int(re.search(r"Gloss listens on http://127\.0\.0\.1:(\d+)", launch().until_up().said)[1])
    body = {"topic": "2x + 3 = 11", "options": {"max_output_tokens": 500}}
    with ExitStack() as stack:
        for _ in range(SLOTS + 1):
            client = stack.enter_context(Connection(port)).post("/v1/tutor", body, "application/x-ndjson")
            assert client.head().status == 200
        assert b'"place":1' in client.until(b'"code":"queued"')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_in_order(launch, number):
    """A Ctrl-C and a SIGTERM end everything, with status 0 and no orphan."""
    up = launch().until_up()
    up.process.send_signal(number)
    assert up.end() == 0


def test_killed(launch):
    """A launcher that is killed leaves no orphan: its children notice by themselves."""
    up = launch().until_up()
    up.process.kill()
    assert up.end() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("module", "name"), [("model_server", "The embedded model"), ("launch.serve", "gunicorn")]
)
def test_part_dies(launch, module, name):
    """When the model or gunicorn dies, all of it ends, and says what died."""
    up = launch().until_up()
    os.kill(up.named(module), signal.SIGKILL)
    assert (up.end(), f"{name} ended by SIGKILL; so all of it ends." in up.said) == (1, True)


def test_ended_while_loading(launch):
    """A Ctrl-C while the model loads ends it, too."""
    loading = launch()
    assert loading.process.stdout
    loading.said = loading.process.stdout.read(len("Loading"))
    loading.process.send_signal(signal.SIGINT)
    assert loading.end() == 0


def test_with_a_base_url(launch):
    """With a base URL no model is brought: that server is named as the one that answers."""
    up = launch(OPENAI_BASE_URL="http://127.0.0.1:1/v1", GLOSS_MODEL="theirs").until_up()
    assert "Answering: theirs at http://127.0.0.1:1/v1" in up.said
    assert not [pid for pid in up.children if "model_server" in table().get(pid, (0, ""))[1]]


def test_port_taken(launch):
    """A port in use is said before anything is fetched or loaded."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = launch(PORT=str(port))
        assert refused.end() == 1
    assert refused.said == f"Port {port} on 127.0.0.1 is in use. Another one: PORT={port + 1} make run\n"


def test_broken_model(launch, tmp_path):
    """A file that is no model is said with where to read more, and nothing is left running."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF, and nothing that follows from it")
    refused = launch(GLOSS_MODEL_FILE=str(path), XDG_CACHE_HOME=str(tmp_path))
    assert refused.end() == 1
    assert "model-server.log says more" in refused.said
