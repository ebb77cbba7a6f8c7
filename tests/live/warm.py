"""The relay service with all loaded before its first request, as ``app.py`` has it."""

from services.cost import tokens
from tests.live import relay


def __getattr__(name: str):
    if name != "app":
        raise AttributeError(name)
    made = relay.make()
    tokens.warm()
    return made
