"""Gloss with the plainest use case there is: one call, its deltas as they come.

It goes through the service's own front door, with a use case and a prompt of its own; doors,
caps, log and accounts are those of ``app.py``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from app import create_app
from services.cost import prices, tokens
from services.settings import read
from services.streams.use_case import Input, UseCase, one_call
from services.telemetry import setup_logging


class Given(Input):
    """What a reader sends."""

    text: Annotated[str, Field(min_length=1)]

    def written(self) -> Iterable[str]:
        """Return what is counted against the input cap."""
        return (self.text,)


RELAY = UseCase(
    name="relay",
    title="Relay one call",
    input=Given,
    transform=one_call(lambda given: {"text": given.text}),
    example={"text": "Good morning"},
)

setup_logging()  # as app.py does: each stream's end is a line in the log
tokens.warm()
prices.warm()
app = create_app(read(), use_cases={RELAY.name: RELAY}, prompts=Path(__file__).parent / "prompts")
