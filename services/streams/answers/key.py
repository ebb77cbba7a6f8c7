"""What has to be the same for two streams to have the same answer.

That is who asks (unless all callers share), the use case, its prompts' versions, the model and
where it is asked, the output cap, and the input as it was understood. When, how fast and in what
pieces the answer is wanted makes no difference to it.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from services.errors import InvalidInput
from services.events import Limits
from services.prompting import Prompt
from services.settings import Settings
from services.streams.models import Model
from services.streams.use_case import Input, UseCase

NOBODY = "anonymous"  # the owner of streams that were asked for without a key
VERSION = 1  # of the key and of what is kept; raised when a transform makes other events of the same text


def may_serve_again(use_case: UseCase, given: Input, settings: Settings, owner: str) -> bool:
    """Tell whether this answer may come from others and be kept for others.

    Where everybody may call without a key the one caller is many, and has no others' answers.

    Raises InvalidInput where that is asked for and cannot be: a turn of a session depends on all
    that went before it.
    """
    asked = given.options.cache
    if asked and use_case.sessions:
        problem = "a use case that remembers is answered anew each time"
        raise InvalidInput(errors=[{"field": "options.cache", "problem": problem}])
    is_many = settings.open and owner == NOBODY and not settings.cache_shared
    return (use_case.cache if asked is None else asked) and not is_many


def key_of(  # noqa: PLR0913 - what an answer depends on
    use_case: UseCase,
    given: Input,
    *,
    owner: str,
    model: Model,
    limits: Limits,
    prompts: Iterable[Prompt],
    settings: Settings,
) -> str:
    """Return a SHA-256 in hex; ``prompts`` are those of the deployment."""
    asked = given.model_dump(mode="json", exclude={"options"})
    parts = [
        VERSION,
        None if settings.cache_shared else owner,
        use_case.name,
        sorted(prompt.label for prompt in prompts if _is_of(prompt, use_case)),
        settings.openai_base_url,
        model.name,
        model.window,
        limits.max_output_tokens,
        given.options.max_output_tokens is None,  # one that was asked for is kept to the letter
        asked,
    ]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _is_of(prompt: Prompt, use_case: UseCase) -> bool:
    return prompt.name == use_case.name or prompt.name.startswith(f"{use_case.name}-")
