"""From one segment's answer to what the client sees of it.

An answer is shown as far as ``release`` lets it. One that proves faulty before any of it was
shown is asked for a second and last time; if that fails too the source is given as it was.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.events import Event, FinishReason, Notice, Text
from services.streams.use_case import Answer, Call
from services.use_cases.translate.calls import MARK, Manner, call, is_marked
from services.use_cases.translate.checks import Fault, Wanted
from services.use_cases.translate.events import Segment
from services.use_cases.translate.languages import Guess, name
from services.use_cases.translate.release import Release

WRONG: dict[Fault, str] = {
    "empty": "nothing was said",
    "leak": "it shows a part of the prompt",
    "refusal": "the model refused",
    "comment": "it was commented",
    "echo": "it is the source again",
    "language": "it is in another language",
    "literals": "a placeholder, tag or address is not as in the source",
    "question": "one asks and the other does not",
    "short": "it is too short",
    "long": "it is too long",
    "loop": "it repeats itself",
    "length": "it was cut off at its cap",
    "filtered": "the provider's filter cut it off",
}

CUTS: dict[Fault, FinishReason] = {"length": "length", "filtered": "content_filter"}

Cut: TypeAlias = FinishReason | Literal["exhausted"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One text in one language; ``alone`` if there is no other in the stream."""

    text: str
    text_index: int
    target: str
    guess: Guess
    alone: bool

    def say(self, text: str) -> Text:
        """Return a text event of this part."""
        if self.alone:
            return Text(text=text)
        return Text(text=text, target=self.target, text_index=self.text_index)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One segment of a part: what is copied before it, and what is wanted of it.

    ``gap`` stands between two parts; ``wanted`` is None where nothing but the end of a part
    is left to copy.
    """

    part: Part
    index: int
    gap: str
    lead: str
    wanted: Wanted | None


@dataclass(frozen=True)
class Outcome:
    """What became of a segment: its text, what is wrong with it, whether it is its source again.

    It is ``capped`` where the stream's own cap left too little to say it, or to say it better.
    """

    text: str
    fault: Fault | None = None
    copied: bool = False
    capped: bool = False

    @property
    def cut(self) -> FinishReason | None:
        """Return how it was cut off, if it was."""
        if self.capped:
            return "length"
        return CUTS.get(self.fault) if self.fault and not self.copied else None


def copied(job: Job) -> Iterator[Event]:
    """Give what follows the last segment of a part, which may be all of it."""
    if job.gap:
        yield Text(text=job.gap)
    if job.lead:
        yield job.part.say(job.lead)
    if job.index == 0:
        yield _segment(job, job.lead, job.lead)


def delivered(
    job: Job, wanted: Wanted, answer: Answer, manner: Manner
) -> Generator[Event | Call, Answer, Cut | None]:
    """Show one segment as it comes; return how it was cut off, if it was.

    ``exhausted`` means that nothing may be said any more in the whole stream.
    """
    release = Release(wanted)
    lead = job.lead
    if job.gap:
        yield Text(text=job.gap)
    for shown in _listen(answer, release):
        yield job.part.say(lead + shown)
        lead = ""
    rest, fault = release.end(answer.reason)
    if fault == "length" and not release.text:
        return "exhausted"
    outcome = Outcome(release.text, fault)
    if fault and not release.shown:
        if not _is_capped(fault, answer):  # a second one could say less still
            outcome = yield from _again(job, wanted, manner, outcome.text, fault)
        rest = outcome.text
    if lead + rest:
        yield job.part.say(lead + rest)
    if outcome.fault:
        yield _notice(job, outcome.fault, copied=outcome.copied)
    yield _segment(job, wanted.source, outcome.text)
    return outcome.cut


def asked(job: Job, wanted: Wanted, manner: Manner, fault: Fault | None = None) -> Call:
    """Return the call for a segment, after a fault the second one."""
    source = name(job.part.guess.language) if job.part.guess.sure else ""
    return call(wanted, manner, source_name=source, fault=fault)


def _again(
    job: Job, wanted: Wanted, manner: Manner, first: str, fault: Fault
) -> Generator[Call, Answer, Outcome]:
    """Try a second and last time; nothing of it is shown before it is whole."""
    answer = yield asked(job, wanted, manner, fault)
    release = Release(wanted, hold=True)
    for _ in _listen(answer, release, mark=MARK if is_marked(wanted, manner) else ""):
        pass  # held
    text, left = release.end(answer.reason)
    if left is None:
        return Outcome(text)
    capped = _is_capped(left, answer)
    if fault == "length" and (capped or not release.text):
        return Outcome(first, fault, capped=capped)  # better cut than copied
    return Outcome(wanted.source, fault, copied=True, capped=capped)


def _is_capped(fault: Fault, answer: Answer) -> bool:
    """Tell whether it was the stream's own cap that cut an answer, and not the call's."""
    return fault == "length" and answer.curbed


def _listen(answer: Answer, release: Release, *, mark: str = "") -> Iterator[str]:
    """Read an answer as long as it is wanted; yield what may be shown."""
    for delta in answer:
        if shown := release.feed(delta.replace(mark, " ") if mark else delta):
            yield shown
        if release.done:
            answer.close()
            return


def _notice(job: Job, fault: Fault, *, copied: bool) -> Notice:
    where = f"Segment {job.index}"
    if not job.part.alone:
        where += f" of text {job.part.text_index} in {job.part.target}"
    if copied:
        return Notice(code="untranslated", detail=f"{where} is left as it was: {WRONG[fault]}, twice.")
    return Notice(code="suspect", detail=f"{where} may be wrong: {WRONG[fault]}.")


def _segment(job: Job, source: str, text: str) -> Segment:
    return Segment(
        index=job.index, text_index=job.part.text_index, target=job.part.target, source=source, text=text
    )
