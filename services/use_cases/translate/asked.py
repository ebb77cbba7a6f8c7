"""What a caller of ``translate`` may ask."""

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from services.streams.use_case import Input
from services.use_cases.translate.languages import canonical

MAX_TEXTS = 50  # DeepL's
MAX_TARGETS = 10
MAX_CONTEXT = 4_000  # characters; it goes with every call
MAX_INSTRUCTIONS = 10  # DeepL's, as is their length
MAX_INSTRUCTION = 300


def _sound(text: str) -> str:
    """Replace lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _something(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("must have something in it")
    return text


def _distinct(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise ValueError("must not name a language twice")
    return tags


Sound: TypeAlias = Annotated[str, AfterValidator(_sound)]
Passage: TypeAlias = Annotated[Sound, AfterValidator(_something)]
Tag: TypeAlias = Annotated[str, AfterValidator(canonical)]


class Translate(Input):
    """The fields of ``translate``."""

    text: Passage | Annotated[list[Passage], Field(min_length=1, max_length=MAX_TEXTS)]
    target: Tag | Annotated[list[Tag], Field(min_length=1, max_length=MAX_TARGETS), AfterValidator(_distinct)]
    source: Tag | None = None
    format: Literal["text"] = "text"
    formality: Literal["default", "more", "less"] = "default"
    context: Annotated[Sound, Field(max_length=MAX_CONTEXT)] = ""
    instructions: Annotated[
        list[Annotated[Passage, Field(max_length=MAX_INSTRUCTION)]],
        Field(default_factory=list, max_length=MAX_INSTRUCTIONS),
    ]

    @property
    def texts(self) -> list[str]:
        """Return the texts, also where there is one."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def targets(self) -> list[str]:
        """Return the languages, also where there is one."""
        return [self.target] if isinstance(self.target, str) else self.target

    def written(self) -> Iterable[str]:
        """Return each text once per language, then what goes with it."""
        return [*self.texts * len(self.targets), self.context, *self.instructions]
