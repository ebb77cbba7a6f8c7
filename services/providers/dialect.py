"""What each model refuses of a request, and how it is asked without that.

Models of one provider do not take the same parameters: some know one name of the token cap
and not the other, some take no temperature, some do not stream before an account is verified.
A refusal is learnt from the provider's answer, once, and kept for the life of the process.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from services.llm import Request

NEW_CAP, OLD_CAP = "max_completion_tokens", "max_tokens"
MAY_GO = ("temperature", "stop", "stream_options", "stream", NEW_CAP, OLD_CAP)
REFUSING = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
REFUSED = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|extra|not (?:permitted|allowed)", re.IGNORECASE
)


class Dialect:
    """Remember what each model refused; ``new_cap`` tells which token cap is tried first.

    ``max_completion_tokens`` is the only one that OpenAI's reasoning models take;
    ``max_tokens`` is the one that every other implementation knows.
    """

    def __init__(self, *, new_cap: bool) -> None:
        self._caps = (NEW_CAP, OLD_CAP) if new_cap else (OLD_CAP, NEW_CAP)
        self._refused: defaultdict[str, set[str]] = defaultdict(set)

    def body(self, request: Request) -> tuple[dict[str, Any], list[str]]:
        """Return the request in this model's dialect, and what had to be left out of it."""
        refused = self._refused.get(request.model, set())
        wanted = self._wanted(request, refused)
        left_out = [name for name in wanted if name in refused]
        if "stream" in refused:
            wanted.pop("stream_options")  # it has a meaning in streams only
        taken = {name: value for name, value in wanted.items() if name not in refused}
        return {"model": request.model, "messages": request.messages, **taken}, left_out

    def _wanted(self, request: Request, refused: set[str]) -> dict[str, Any]:
        first, second = self._caps
        wanted: dict[str, Any] = {first: request.max_output_tokens}
        if first in refused:
            wanted[second] = request.max_output_tokens
        if request.temperature is not None:
            wanted["temperature"] = request.temperature
        if request.stop:
            wanted["stop"] = request.stop
        return wanted | {"stream": True, "stream_options": {"include_usage": True}}

    def learn(self, model: str, sent: Mapping[str, Any], status: int, error: object) -> bool:
        """Remember what the answer refuses of ``sent``; tell whether to ask again without it."""
        name = _refused_name(sent, error) if status in REFUSING else None
        if name is None:
            return False
        self._refused[model].add(name)
        return True


def _refused_name(sent: Mapping[str, Any], error: object) -> str | None:
    """Find the parameter: named by ``param`` as OpenAI does, or in quotes in what is said."""
    said = json.dumps(error)
    if not REFUSED.search(said):
        return None
    named = error.get("param") if isinstance(error, Mapping) else None
    candidates = [name for name in MAY_GO if name in sent]
    if named in candidates:
        return str(named)
    quoted = (name for name in candidates if re.search(rf"[\"'`]{name}\\*[\"'`]", said))
    return next(quoted, None)
