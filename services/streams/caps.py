"""What one stream may weigh: the environment beats the prompt file beats the settings' default.

The caller may ask for less, never for more: a larger number is refused, not clipped.
"""

from typing import TypeVar

import msgspec

from services.errors import InvalidInput
from services.events import Limits
from services.prompting import Caps
from services.settings import Settings
from services.streams.use_case import Options

Number = TypeVar("Number", int, float)


def input_cap(settings: Settings, caps: Caps) -> int:
    """Return how many tokens of the caller's own text one stream takes."""
    return _chosen(settings, "max_input_tokens", caps.max_input_tokens)


def server_limits(settings: Settings, caps: Caps, input_tokens: int) -> Limits:
    """Return the most that this use case gives for an input of so many tokens."""
    output = _chosen(settings, "max_output_tokens", caps.max_output_tokens)
    if caps.output_per_input and not settings.named("max_output_tokens"):
        output = max(output, int(caps.output_per_input * input_tokens))
    return Limits(max_output_tokens=output, deadline_s=_chosen(settings, "deadline_s", caps.deadline_s))


def agreed(server: Limits, options: Options) -> Limits:
    """Return the caller's own limits, the server's where it has none.

    Raises InvalidInput that names each option above the server's limit, and that limit.
    """
    asked = {"max_output_tokens": options.max_output_tokens, "deadline_s": options.deadline_s}
    errors = [
        {"field": f"options.{name}", "problem": f"at most {getattr(server, name):.15g} here"}
        for name, value in asked.items()
        if value is not None and value > getattr(server, name)
    ]
    if errors:
        raise InvalidInput(errors=errors)
    return Limits(
        max_output_tokens=options.max_output_tokens or server.max_output_tokens,
        deadline_s=options.deadline_s or server.deadline_s,
    )


def lowered(limits: Limits, most: int | None) -> Limits:
    """Return the limits with no more output than this; None lowers nothing."""
    if most is None or most >= limits.max_output_tokens:
        return limits
    return msgspec.structs.replace(limits, max_output_tokens=most)


def _chosen(settings: Settings, name: str, in_prompt: Number | None) -> Number:
    default: Number = getattr(settings, name)
    return default if in_prompt is None or settings.named(name) else in_prompt
