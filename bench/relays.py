"""Starts and ends the relays, each one process (nginx and gunicorn keep a master beside it).

A relay that is not installed is left out; ``missing`` says why.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import machine
from bench.client import Address, BrokenRunError
from bench.text import ENGLISH, LESSON, SPANISH, deltas_of

ROOT = Path(__file__).parent.parent
LOOPBACK = "127.0.0.1"
START_S = 60.0
STOP_S = 5.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
LITELLM = os.environ.get("BENCH_LITELLM", "")


@dataclass(frozen=True, kw_only=True)
class Relay:
    """One way to relay: how it is started, what it is asked, what its answers look like.

    ``command`` gets the relay's own port and the feeder's; ``text_of`` takes the text out of a
    whole body, None where the text is not the provider's (steps are turned into events). ``mark``
    stands once in each relayed chunk; the first ``silent`` of them carry no text. ``resumes`` where a
    stream has an address of its own, from which it can be read again; ``settings`` are for its
    environment.
    """

    name: str
    path: str
    ask: Callable[[int], dict[str, Any]]
    command: Callable[[int, int, Path], list[str]]
    text_of: Callable[[bytes], str] | None
    mark: bytes = b""
    silent: int = 0
    deltas: tuple[str, ...] = deltas_of(SPANISH)
    resumes: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    needs: Path | None = None

    def in_pieces(self, count: int) -> tuple[str, ...]:
        """Return the whole answer in so few deltas: an answer cut short would be mended or asked for anew."""
        size = -(-len(self.deltas) // count)
        return tuple("".join(self.deltas[place : place + size]) for place in range(0, len(self.deltas), size))


@dataclass(frozen=True, kw_only=True)
class Running:
    """A relay that answers: where, and which process to watch (its children with it)."""

    relay: Relay
    address: Address
    pid: int

    @property
    def pids(self) -> list[int]:
        """Return all its processes."""
        return machine.family(self.pid)

    def get(self, path: str) -> bytes:
        """Return the bytes that ask for something that is there."""
        host, port = self.address
        accept = "application/x-ndjson" if path.startswith("/v1/streams/") else "*/*"
        return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: {accept}\r\n\r\n".encode()

    def request(self, number: int) -> bytes:
        """Return the bytes that ask for one stream; its tag is the number."""
        body = json.dumps(self.relay.ask(number)).encode()
        host, port = self.address
        head = (
            f"POST {self.relay.path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/x-ndjson, text/event-stream;q=0.5\r\nAuthorization: Bearer none\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _chat(number: int) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "You are a translator. Answer in Spanish."},
        {"role": "user", "content": f"tag-{number} {ENGLISH}"},
    ]
    usage = {"include_usage": True}
    return {"model": "gpt-4.1-mini", "messages": messages, "stream": True, "stream_options": usage}


def sse_text(body: bytes) -> str:
    """Join the content of an OpenAI stream."""
    events = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def lines_text(body: bytes) -> str:
    """Join the ``text`` of JSON lines."""
    return "".join(json.loads(line).get("text") or "" for line in body.splitlines() if line)


def _direct(_port: int, _feeder: int, _folder: Path) -> list[str]:
    return []


def _nginx(port: int, feeder: int, folder: Path) -> list[str]:
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
{temporary}
    upstream provider {{ server {LOOPBACK}:{feeder}; keepalive 256; }}
    server {{
        listen {LOOPBACK}:{port} backlog=1024;
        client_body_buffer_size 64k;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")
    return [NGINX or "nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def _tutorial(port: int, _feeder: int, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"{LOOPBACK}:{port}", "tutorial:app"]


def _gloss(application: str) -> Callable[[int, int, Path], list[str]]:
    def command(port: int, _feeder: int, _folder: Path) -> list[str]:
        bind = f"{LOOPBACK}:{port}"
        return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", bind, application]

    return command


def _litellm(port: int, feeder: int, folder: Path) -> list[str]:
    (folder / "litellm.yaml").write_text(f"""\
model_list:
  - model_name: gpt-4.1-mini
    litellm_params:
      {{model: openai/gpt-4.1-mini, api_base: "http://{LOOPBACK}:{feeder}/v1", api_key: none}}
general_settings:
  dangerously_permit_weak_or_unset_master_key: true
""")
    config = f"{folder}/litellm.yaml"
    return [LITELLM, "--config", config, "--host", LOOPBACK, "--port", str(port), "--num_workers", "1"]


DIRECT = Relay(
    name="direct",
    path="/v1/chat/completions",
    ask=_chat,
    command=_direct,
    text_of=sse_text,
    mark=b'"content":"',
    silent=1,
)
NGINX_RELAY = replace(
    DIRECT, name="nginx, unbuffered", command=_nginx, needs=Path(NGINX or "/usr/sbin/nginx")
)
TUTORIAL = replace(
    DIRECT,
    name="the tutorial's way",
    path="/chat",
    command=_tutorial,
    text_of=lines_text,
    mark=b'{"text": "',
    folder=ROOT / "bench",
)
GLOSS = Relay(
    name="Gloss: one call",
    path="/v1/relay",
    ask=lambda number: {"text": f"tag-{number} {ENGLISH}"},
    command=_gloss("bench.gloss:app"),
    text_of=lines_text,
    mark=b'"type":"text"',
    resumes=True,
    needs=ROOT / "app.py",
)
TRANSLATE = replace(
    GLOSS,
    resumes=False,  # its events are not the provider's chunks: there is no number to go on from
    name="Gloss: translate",
    path="/v1/translate",
    command=_gloss("app:app"),
    ask=lambda number: {"text": ENGLISH.strip(), "source": "en", "target": "es", "context": f"tag-{number}"},
    settings={"GLOSS_CACHE_BYTES": "0"},  # rounds ask the same again: they are to be answered anew
    text_of=None,
    mark=b"",
)
TUTOR = replace(
    GLOSS,
    resumes=False,  # its events are not the provider's chunks: there is no number to go on from
    name="Gloss: tutor",
    path="/v1/tutor",
    command=_gloss("app:app"),
    ask=lambda number: {"topic": "2x + 3 = 11", "language": "es", "level": f"grade 7, tag-{number}"},
    deltas=deltas_of(LESSON),
    text_of=None,
    mark=b"",
)
LITELLM_RELAY = replace(
    DIRECT, name="LiteLLM proxy", command=_litellm, mark=b"", needs=Path(LITELLM or "/nowhere")
)
ALL = (NGINX_RELAY, GLOSS, TRANSLATE, TUTOR, TUTORIAL, LITELLM_RELAY)


def missing(relay: Relay) -> str | None:
    """Say why a relay cannot be measured here; None if it can."""
    if relay.needs is None or relay.needs.is_file():
        return None
    hints = {
        NGINX_RELAY.name: "nginx is not installed (Debian: apt-get install nginx-light)",
        LITELLM_RELAY.name: "BENCH_LITELLM does not name the `litellm` program of an environment of its own",
    }
    return hints.get(relay.name, f"there is no {relay.needs.name}")


def _environment(port: int, feeder: int, folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the caller's own settings is left."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"http://{LOOPBACK}:{feeder}/v1",
        "GLOSS_MODEL": "gpt-4.1-mini",
        "HOST": LOOPBACK,
        "PORT": str(port),
        "GLOSS_DATA": str(folder / "data"),
    }


@contextmanager
def running(relay: Relay, feeder: int) -> Iterator[Running]:
    """Start a relay, wait until it listens, and end it afterwards."""
    if relay.name == DIRECT.name:
        yield Running(relay=relay, address=(LOOPBACK, feeder), pid=0)
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user
        output = folder / "output.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                relay.command(port, feeder, folder),
                cwd=relay.folder,
                env={**_environment(port, feeder, folder), **relay.settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: machine.pin(machine.RELAY_CORE),  # noqa: PLW1509 - no threads here
            )
        try:
            _await(process, port, output)
            yield Running(relay=relay, address=(LOOPBACK, port), pid=process.pid)
        finally:
            _end(process)


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


def _await(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Wait until the port answers HTTP; raises ``BrokenRunError`` with the relay's last words."""
    limit = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < limit:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=START_S) as probe:
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if probe.recv(1):
                    return
        except OSError:
            time.sleep(0.05)
    message = f"the relay did not start: {output.read_text(errors='replace')[-2000:]}"
    raise BrokenRunError(message)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the relay to stop, then end what is left of its process group."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
