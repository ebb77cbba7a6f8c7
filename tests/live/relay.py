"""The service with one more use case: a plain relay, which shows the stream path and nothing else.

``gunicorn tests.live.relay:app`` is the real thing but for that: the same settings, routes and core.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from app import PROMPTS, create_app
from services.events import Text
from services.settings import read
from services.streams.use_case import Call, Context, Input, Transform, UseCase, one_call
from services.telemetry import setup_logging
from services.use_cases import USE_CASES

PROMPT = "+++\nversion = 1\n+++\n{% block system %}{% endblock %}{% block user %}{{ prompt }}{% endblock %}\n"


class Prompt(Input):
    prompt: Annotated[str, Field(min_length=1)]

    def written(self) -> list[str]:
        return [self.prompt]


def variables(given: Prompt) -> dict[str, Any]:
    return {"prompt": given.prompt}


def four(given: Prompt, _context: Context) -> Transform:
    answers = yield tuple(Call(variables=variables(given)) for _ in range(4))
    for answer in answers:
        for delta in answer:
            yield Text(text=delta)
    return None


RELAYS = {
    "relay": UseCase(name="relay", title="Relay", input=Prompt, transform=one_call(variables)),
    "relay-again": UseCase(
        name="relay-again", title="Relay", input=Prompt, transform=one_call(variables), recovers=True
    ),
    "relay-four": UseCase(name="relay-four", title="Four relays", input=Prompt, transform=four),
}


def make():
    folder = Path(tempfile.mkdtemp(prefix="gloss-prompts-"))
    for file in PROMPTS.glob("*.md"):
        (folder / file.name).write_bytes(file.read_bytes())
    for name in RELAYS:
        (folder / f"{name}.md").write_text(PROMPT)
    setup_logging()
    return create_app(read(), use_cases={**USE_CASES, **RELAYS}, prompts=folder)


def __getattr__(name: str):
    if name != "app":
        raise AttributeError(name)
    return make()
