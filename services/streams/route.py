"""Who is asked for a call: the model that was chosen, then the fall-backs that it fits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from services import llm
from services.streams.models import Model


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A call that was rendered, counted and found to fit; ``input_tokens`` is our own count.

    ``least`` is the smallest output cap with which it is worth asking; it is ``curbed`` where the call
    asked for more than the stream's cap.
    """

    request: llm.Request
    input_tokens: int
    least: int
    curbed: bool = False

    def limited_to(self, output_tokens: int) -> "Planned":
        """Return the same call with this output cap."""
        if output_tokens == self.request.max_output_tokens:
            return self
        return replace(self, request=self.request.limited_to(output_tokens))

    def at(self, model: Model) -> "Planned | None":
        """Return the call as another model is asked, in its own vocabulary; None if it does not fit."""
        tokens = model.counter.count_messages(self.request.messages)
        cap = self.request.max_output_tokens
        room = model.room(tokens)
        if room is not None:
            if room < min(self.least, cap):
                return None
            cap = min(cap, room)
        return replace(self, request=self.request.to(model.name, cap), input_tokens=tokens)


class Route:
    """The models of one stream, in the order in which they are asked.

    A stream that fell back stays there: its later calls do not wait for the first one to fail
    again. ``tell`` is called with the model that answers from now on; ``moved`` tells whether it ever was.
    """

    def __init__(self, models: Sequence[Model], tell: Callable[[Model], None]) -> None:
        self.moved = False
        self._models = models
        self._tell = tell
        self._at = 0

    def ways(self, planned: Planned) -> Iterator[tuple[Model, Planned]]:
        """Yield who is to be asked for a call, each after the one before has failed."""
        asked = False
        for place, model in enumerate(self._models):
            if place < self._at:
                continue
            there = planned if place == 0 else planned.at(model)
            if there is not None and place >= self._at:  # others move on while a long prompt is counted
                asked = True
                self._move(place)
                yield model, there
        if not asked:  # too long for the fall-backs: it was planned for the first
            self._move(0)
            yield self._models[0], planned

    def _move(self, place: int) -> None:
        if place != self._at:
            self._at = place
            self.moved = True
            self._tell(self._models[place])
