"""The embedded model, from nothing to an endpoint that answers.

Its settings are handed to the service as an operator would hand them: by environment, and only
where the user has not set them.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from services.launch import cache, machine
from services.launch.children import Child, by_end_of_input
from services.launch.fetch import fetch
from services.launch.install import install
from services.launch.models import QWEN
from services.launch.progress import Ticker
from services.launch.refusal import WITHOUT_IT, Refusal
from services.settings import Settings

REQUIREMENTS = Path("requirements-embedded.txt")
GGUF = b"GGUF"
SLOTS = 4  # answers that the model gives at a time


class Slow(msgspec.Struct, frozen=True):
    """One of the service's settings, as a small model on a processor needs it."""

    field: str
    env: str
    value: str


SLOW = (
    Slow("context_window", "GLOSS_CONTEXT_WINDOW", "2048"),
    Slow("first_text_s", "GLOSS_FIRST_TEXT_S", "120"),  # it reads about 35 tokens a second
    Slow("between_text_s", "GLOSS_BETWEEN_TEXT_S", "60"),  # another slot's prompt is read meanwhile
    Slow("parallel_calls", "GLOSS_PARALLEL_CALLS", "1"),  # they would share the same cores
    Slow("deadline_s", "GLOSS_DEADLINE_S", "600"),  # 2,000 tokens at 11 a second, and three neighbours
    Slow("json_s", "GLOSS_JSON_S", "600"),  # nobody's router stands before a loopback address
    Slow("max_streams", "GLOSS_MAX_STREAMS", str(SLOTS)),  # who comes fifth is told its place
    Slow("max_queued", "GLOSS_MAX_QUEUED", "16"),  # four rounds of a minute or so
    Slow("queue_s", "GLOSS_QUEUE_S", "300"),
)


def service_env(settings: Settings, *, address: str, key: str, name: str) -> dict[str, str]:
    """Return what the service is told of the model; what the user has set stays as it is."""
    told = {"OPENAI_BASE_URL": f"{address}/v1", "OPENAI_API_KEY": key}
    if not settings.named("model"):
        told["GLOSS_MODEL"] = name
    return told | {slow.env: slow.value for slow in SLOW if not settings.named(slow.field)}


def model_file(settings: Settings, terminal: TextIO = sys.stderr) -> tuple[str, Path]:
    """Return the model's name and file: the user's own, else ours, fetched; raises ``Refusal``."""
    if settings.model_file is None:
        return QWEN.name, fetch(QWEN, models_folder(settings), terminal=terminal)
    path = Path(settings.model_file).expanduser()
    try:
        with path.open("rb") as file:
            right = file.read(len(GGUF)) == GGUF
    except OSError as error:
        raise Refusal(f"GLOSS_MODEL_FILE={path} cannot be read: {error.strerror}") from error
    if not right:
        raise Refusal(f"GLOSS_MODEL_FILE={path} is no GGUF file")
    return path.stem.lower(), path


def models_folder(settings: Settings) -> Path:
    """Return the folder that keeps fetched models."""
    return cache.folder(settings.cache_home, cache.home(), Path.cwd()) / "models"


def need_limit(settings: Settings) -> None:
    """Raise ``Refusal`` for a limit that the service could not keep, before anything is fetched for it."""
    alone = settings.usd_per_day is not None and settings.tokens_per_day is None
    if alone and settings.prices is None:
        raise Refusal(
            "GLOSS_USD_PER_DAY limits dollars, and the embedded model has no price: all that is asked of it "
            "would be refused. Set GLOSS_TOKENS_PER_DAY instead."
        )


def need_runtime() -> None:
    """Install the model's runtime where it is missing; raises ``Refusal`` where it cannot run."""
    why = machine.lacks()
    if why is None and not machine.runtime_installed():
        why = _install_runtime()
    if why:
        raise Refusal(f"The embedded model cannot run here: {why}.\n{WITHOUT_IT}")


def _install_runtime() -> str | None:
    if sys.prefix == sys.base_prefix:
        return f"its runtime is missing (pip install -r {REQUIREMENTS})"  # not ours to install there
    said = install(Path(sys.executable), REQUIREMENTS)
    return said.strip() if said else None


def start(name: str, path: Path, key: str, log: Path) -> Child:
    """Start the model's process; ``address_of`` waits for it."""
    with log.open("wb") as errors:
        child = Child(
            "The embedded model",
            ["services.launch.model_server"],
            ask=by_end_of_input,
            patience_s=5,
            log=errors,
        )
    orders = {"path": str(path), "name": name, "key": key, "threads": machine.threads(), "slots": SLOTS}
    if child.process.stdin:
        child.process.stdin.write(json.dumps(orders).encode() + b"\n")
        child.process.stdin.flush()
    return child


def address_of(child: Child, log: Path, terminal: TextIO = sys.stderr) -> str:
    """Wait until the model is loaded, saying so; returns where it listens; raises ``Refusal``."""
    with Ticker("Loading the model", terminal):
        line = child.process.stdout.readline() if child.process.stdout else b""
    if not line:
        child.process.wait()
        raise Refusal(f"{child.ended()} while loading; {log} says more.\n{WITHOUT_IT}")
    return line.decode().strip()


def new_key() -> str:
    """Make the key of one run, by which only our service may ask the model."""
    return secrets.token_urlsafe(32)
