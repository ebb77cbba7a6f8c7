"""How a setting is declared, and read from a variable."""

from typing import Annotated, Any, TypeAlias

from pydantic import Field, SecretStr
from pydantic_settings import NoDecode

Words: TypeAlias = Annotated[tuple[str, ...], NoDecode]
Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], NoDecode]


class SettingsError(ValueError):
    """The settings do not fit together; the message says what to do and repeats no secret."""


def setting(default: Any, env: str, why: str, *, unit: str = "", **limits: Any) -> Any:
    """Declare one setting: its variable, its unit, and why its default is what it is."""
    return Field(default, validation_alias=env, description=why, json_schema_extra={"unit": unit}, **limits)


def by_comma(value: object) -> object:
    """Split a text at its commas."""
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


def by_space(value: object) -> object:
    """Split a text at commas and white space."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
