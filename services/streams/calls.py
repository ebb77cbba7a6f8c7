"""All calls of one stream.

A call that stands alone is read by the producer itself; calls that come in a tuple are read
ahead (``ahead.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.errors import InputTooLong
from services.events import Usage
from services.streams.ahead import Ahead, Batch
from services.streams.attempt import Terms
from services.streams.reply import Reply
from services.streams.route import Planned


@dataclass(kw_only=True, eq=False)
class Calls:
    """Answers calls, ``parallel`` at a time and ``most`` in all."""

    terms: Terms
    parallel: int
    most: int
    made: list[Reply | Batch] = field(default_factory=list)
    asked: int = 0

    def answer(self, planned: Planned) -> Reply:
        """Answer one call; nothing is sent before the first delta is asked for.

        Raises InputTooLong past ``most`` calls; so does ``answers``.
        """
        self._admit(1)
        reply = Reply(self.terms, planned)
        self.made.append(reply)
        return reply

    def answers(self, planned: Sequence[Planned]) -> tuple[Ahead, ...]:
        """Answer several: the first few are sent now, each next one when one has ended."""
        self._admit(len(planned))
        replies = [Reply(self.terms, one) for one in planned]
        batch = Batch(replies, self.terms.allowance, self.parallel)
        self.made.append(batch)
        return batch.answers

    def _admit(self, calls: int) -> None:
        self.asked += calls
        if self.asked > self.most:
            raise InputTooLong("This needs more calls than one stream may make.", limit=self.most)

    def close(self) -> None:
        """Close the provider of every call that is not done."""
        for answered in self.made:
            answered.close()

    def usage(self) -> Usage:
        """Return what the calls have cost until now, those that still run as counted here."""
        running = [(attempt.counted, attempt.model.price) for attempt in self.terms.running]
        return self.terms.tally.usage(running)
