"""From a use case's calls to requests that fit: rendered, counted, capped.

What is long is rendered and counted off the hub, so that nobody else waits for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gevent
from gevent.util import wrap_errors

from services import llm
from services.errors import InputTooLong
from services.prompting import Prompt
from services.streams.models import Model
from services.streams.route import Planned
from services.streams.use_case import Call

# Below this many tokens an answer is no answer: refuse rather than send.
LEAST_ROOM = 64
# So many calls are planned on the spot; more of them leave the hub (some 50 µs each).
ON_THE_HUB = 16


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Plans the calls of one stream."""

    prompts: dict[str, Prompt]
    default: Prompt
    model: Model
    max_output_tokens: int
    own_cap: bool

    def plan(self, calls: Sequence[Call]) -> list[Planned]:
        """Plan calls in their order; those that name no cap share the stream's equally.

        Raises InputTooLong for one that does not fit the window.
        """
        share = max(1, self.max_output_tokens // max(1, len(calls)))
        if len(calls) <= ON_THE_HUB:
            return self._all(calls, share)
        quietly = wrap_errors((Exception,), self._all)  # the pool prints what is raised in it
        planned: list[Planned] | Exception = gevent.get_hub().threadpool.apply(quietly, (calls, share))
        if isinstance(planned, Exception):
            raise planned
        return planned

    def _all(self, calls: Sequence[Call], share: int) -> list[Planned]:
        return [self._one(call, share) for call in calls]

    def _one(self, call: Call, share: int) -> Planned:
        prompt = self.prompts[call.prompt] if call.prompt else self.default
        messages = prompt.messages(call.variables, call.history)
        tokens = self.model.counter.count_messages(messages)
        wanted = min(call.max_output_tokens or share, self.max_output_tokens)
        least = wanted if self.own_cap else min(wanted, LEAST_ROOM)
        request = llm.Request(
            model=self.model.name,
            messages=messages,
            max_output_tokens=self._cap(wanted, least, tokens),
            temperature=prompt.caps.temperature,
            stop=call.stop,
        )
        curbed = (call.max_output_tokens or 0) > self.max_output_tokens
        return Planned(request=request, input_tokens=tokens, least=least, curbed=curbed)

    def _cap(self, wanted: int, least: int, tokens: int) -> int:
        room = self.model.room(tokens)
        if room is None:
            return wanted
        if room < least:
            raise InputTooLong(
                "The prompt and its answer do not fit into the model's window.",
                tokens=tokens,
                limit=self.model.longest_prompt(least),
            )
        return min(wanted, room)
