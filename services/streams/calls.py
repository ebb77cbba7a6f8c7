"""All calls of one stream.

A call that stands alone is read by the producer itself; calls that come in a tuple are read
ahead (``ahead.py``).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.errors import InputTooLong
from services.events import Usage
from services.streams.ahead import Ahead, Batch
from services.streams.attempt import Terms
from services.streams.known import Before, Known, Said
from services.streams.reply import Reply
from services.streams.route import Planned

Answering: TypeAlias = Reply | Known


@dataclass(kw_only=True, eq=False)
class Calls:
    """Answers calls, ``parallel`` at a time and ``most`` in all; those known ``before`` are not asked.

    ``lent()`` gives what others' calls for the same answer were answered with.
    """

    terms: Terms
    parallel: int
    most: int
    before: Before | None = None
    lent: Callable[[], tuple[Said | None, ...]] = tuple
    made: list[Answering | Batch] = field(default_factory=list)
    asked: list[Answering] = field(default_factory=list)

    def answer(self, planned: Planned) -> Answering:
        """Answer one call; nothing is sent before the first delta is asked for.

        Raises InputTooLong past ``most`` calls; so does ``answers``.
        """
        [reply] = self._admitted([planned])
        self.made.append(reply)
        return reply

    def answers(self, planned: Sequence[Planned]) -> tuple[Ahead, ...]:
        """Answer several: the first few are sent now, each next one when one has ended."""
        replies = self._admitted(planned)
        self._cover(one for one, reply in zip(planned, replies, strict=True) if isinstance(reply, Reply))
        batch = Batch(replies, self.terms.allowance, self.parallel)
        self.made.append(batch)
        return batch.answers

    def _cover(self, planned: Iterable[Planned]) -> None:
        """Reserve for all of them at once what is not reserved yet; each looks again when it is asked."""
        calls = [(one.input_tokens, one.request.max_output_tokens) for one in planned]
        self.terms.reservation.cover(self.terms.models[0], calls, self.terms.allowance.left)

    @property
    def short(self) -> bool:
        """Tell whether one of them said less than it would have, for want of budget."""
        return self.terms.reservation.short

    def _admitted(self, planned: Sequence[Planned]) -> list[Answering]:
        if len(self.asked) + len(planned) > self.most:
            raise InputTooLong("This needs more calls than one stream may make.", limit=self.most)
        replies = [self._reply(number, one) for number, one in enumerate(planned, len(self.asked))]
        self.asked += replies
        return replies

    def _reply(self, number: int, planned: Planned) -> Answering:
        said = self.before.answer(number) if self.before else None
        if said is None:
            return Reply(self.terms, planned)
        tokens = self.terms.models[0].counter.count(said.text)
        return Known(said, tokens, self.terms.allowance)

    def answered(self) -> tuple[Said | None, ...]:
        """Return the whole answers so far, in the order of the calls; None for those that are not whole."""
        return self.lent() or tuple(
            Said(one.said, one.reason, one.curbed) if one.said is not None and one.reason else None
            for one in self.asked
        )

    def close(self) -> None:
        """Close the provider of every call that is not done."""
        for answered in self.made:
            answered.close()

    @property
    def fell_back(self) -> bool:
        """Tell whether another model than the one that was chosen has answered."""
        return self.terms.route.moved

    def usage(self) -> Usage:
        """Return what the calls have cost until now, those that still run as counted here."""
        running = [(attempt.counted, attempt.model.price) for attempt in self.terms.running]
        return self.terms.tally.usage(running)
