"""Load, check and render the files in ``prompts/``.

A prompt file is TOML between two ``+++`` lines, then Jinja2 with one block per role:

    +++
    version = 3
    max_output_tokens = 1200
    +++
    {% block system %}…{% endblock %}
    {% block user %}…{% endblock %}

All files are read and compiled once, at start; a broken one is an error then and not later.
A name that the template uses and the call does not give is an error, never an empty string.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from services.llm import Message

FENCE = "+++"
ROLES = ("system", "user")


class Caps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt file's head: its version and what one stream of it may weigh.

    A cap that is None leaves the word to the settings. ``output_per_input`` makes the output cap
    grow with the input (tokens per token); ``max_output_tokens`` is then the least it can be.
    """

    version: int
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    output_per_input: float | None = None
    deadline_s: float | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class Prompt:
    """One file: its caps and its blocks, ready to be filled in."""

    name: str
    caps: Caps
    template: Template

    @property
    def label(self) -> str:
        """Return file and version, as ``start.prompt`` shows them: ``translate@3``."""
        return f"{self.name}@{self.caps.version}"

    def messages(
        self, variables: Mapping[str, object], history: tuple[Message, ...] = ()
    ) -> tuple[Message, ...]:
        """Render the blocks; ``history`` stands between system and user.

        Raises ``jinja2.UndefinedError`` for a variable that was not given.
        """
        context = self.template.new_context(dict(variables))
        system, user = ("".join(self.template.blocks[role](context)).strip() for role in ROLES)
        head = (Message("system", system),) if system else ()
        return (*head, *history, Message("user", user))


def load(folder: Path) -> dict[str, Prompt]:
    """Read every ``*.md`` of the folder; raises ValueError that names the file that is broken."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - what is rendered is a prompt, not a page
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    return {path.stem: _read(environment, path) for path in sorted(folder.glob("*.md"))}


def _read(environment: Environment, path: Path) -> Prompt:
    try:
        empty, head, body = path.read_text(encoding="utf-8").split(FENCE + "\n", 2)
        caps = msgspec.convert(tomllib.loads(head), Caps)
        template = environment.from_string(body)
    except Exception as error:
        message = f"{path}: {error}"
        raise ValueError(message) from error
    if empty or not set(ROLES) <= set(template.blocks):
        message = f"{path}: needs TOML between two {FENCE} lines, then the blocks system and user"
        raise ValueError(message)
    return Prompt(path.stem, caps, template)
