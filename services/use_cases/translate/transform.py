"""The use case itself: texts become segments, segments calls, answers text.

The segments of all texts and languages stand in one row. They are asked for in batches, so
that their calls run side by side, and are shown in their order. Nothing here knows how many
run at a time; a batch is large enough that its end, where fewer run, hardly matters.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from services.events import Event, FinishReason, Notice, Text
from services.streams.use_case import Answer, Call, Context, Transform
from services.use_cases.translate.asked import Translate
from services.use_cases.translate.calls import MARK, Manner, call, is_marked, rate
from services.use_cases.translate.checks import Fault, Wanted, held
from services.use_cases.translate.events import Detected, Segment
from services.use_cases.translate.languages import Guess, base, detect, name
from services.use_cases.translate.release import Release
from services.use_cases.translate.segments import Cutter

BATCH_SEGMENTS = 256
BATCH_TOKENS = 8_000  # cutting and counting them takes some 30 ms, in which nobody else is served
LABEL_CHARS = 4  # of the delimiters' name for a small model: each token costs it 30 ms
LABEL_TRIES = 8  # a name that occurs in the text would not delimit it

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
GAP = "\n\n"

Said: TypeAlias = Generator[Event | Call, Answer, FinishReason | Literal["exhausted"] | None]


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
        return (
            Text(text=text) if self.alone else Text(text=text, target=self.target, text_index=self.text_index)
        )


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
    before: str
    wanted: Wanted | None


def translate(given: Translate, context: Context) -> Transform:
    """Translate every text into every language, language by language."""
    guesses = [Guess(given.source, 1.0) if given.source else detect(text) for text in given.texts]
    if not given.source:
        yield from _detected(guesses)
    manner = _manner(given, context)
    jobs = _jobs(_parts(given, guesses), manner, context)
    ended: FinishReason = "stop"
    while batch := _batch(jobs):
        answers = yield from _ask(batch, manner)
        for job in batch:
            if job.wanted is None:
                yield from _copied(job)
                continue
            cut = yield from _deliver(job, job.wanted, next(answers), manner)
            if cut == "exhausted":
                return "length"
            ended = cut or ended
    return ended


def _detected(guesses: list[Guess]) -> Iterator[Event]:
    for index, guess in enumerate(guesses):
        yield Detected(
            language=guess.language,
            confidence=guess.confidence,
            text_index=index if len(guesses) > 1 else None,
        )


def _manner(given: Translate, context: Context) -> Manner:
    for _ in range(LABEL_TRIES):
        label = context.new_id()[: LABEL_CHARS if context.compact else None]
        if not any(label in text for text in given.texts):
            break
    return Manner(
        compact=context.compact,
        label=label,
        formality=given.formality,
        instructions=tuple(given.instructions),
        context=given.context,
    )


def _parts(given: Translate, guesses: list[Guess]) -> Iterator[Part]:
    alone = len(given.texts) * len(given.targets) == 1
    for target in given.targets:
        for index, (text, guess) in enumerate(zip(given.texts, guesses, strict=True)):
            yield Part(text=text, text_index=index, target=target, guess=guess, alone=alone)


def _jobs(parts: Iterator[Part], manner: Manner, context: Context) -> Iterator[Job]:
    """Cut the parts into jobs, lazily; the last job of each part wants nothing."""
    gap = ""
    for part in parts:
        before = ""
        pieces = Cutter(context.count, held, base(part.guess.language)).split(part.text)
        for index, piece in enumerate(pieces):
            wanted = _wanted(piece.source, part, manner, context) if piece.source else None
            yield Job(part=part, index=index, gap=gap, lead=piece.lead, before=before, wanted=wanted)
            before, gap = piece.source, ""
        gap = GAP


def _batch(jobs: Iterator[Job]) -> list[Job]:
    """Take the next jobs that are asked for together."""
    batch: list[Job] = []
    tokens = 0
    for job in jobs:
        batch.append(job)
        tokens += job.wanted.tokens if job.wanted else 0
        if len(batch) == BATCH_SEGMENTS or tokens >= BATCH_TOKENS:
            break
    return batch


def _wanted(source: str, part: Part, manner: Manner, context: Context) -> Wanted:
    return Wanted(
        source=source,
        source_language=part.guess.language,
        target=part.target,
        tokens=context.count(source),
        rate=rate(part.target, compact=manner.compact),
        label=manner.label,
        count=context.count,
    )


def _call(job: Job, wanted: Wanted, manner: Manner, fault: Fault | None = None) -> Call:
    source = name(job.part.guess.language) if job.part.guess.sure else ""
    return call(wanted, manner, source_name=source, before=job.before, fault=fault)


def _ask(batch: list[Job], manner: Manner) -> Generator[Call | tuple[Call, ...], Any, Iterator[Answer]]:
    """Ask for a batch: one call alone, or several side by side."""
    calls = tuple(_call(job, job.wanted, manner) for job in batch if job.wanted)
    if len(calls) > 1:
        return iter((yield calls))
    return iter([(yield calls[0])] if calls else [])


def _copied(job: Job) -> Iterator[Event]:
    """Give what follows the last segment of a part, which may be all of it."""
    if job.gap:
        yield Text(text=job.gap)
    if job.lead:
        yield job.part.say(job.lead)
    if job.index == 0:
        yield _segment(job, job.lead, job.lead)


def _deliver(job: Job, wanted: Wanted, answer: Answer, manner: Manner) -> Said:
    """Show one segment as it comes; tell how it was cut off, if it was."""
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
    text = release.text
    if fault and not release.shown:
        text, fault = yield from _again(job, wanted, manner, release.text, fault)
        rest = text
    if lead + rest:
        yield job.part.say(lead + rest)
    if fault:
        yield _notice(job, fault, shown=text is not wanted.source)
    yield _segment(job, wanted.source, text)
    return CUTS.get(fault) if fault and text is not wanted.source else None


def _again(
    job: Job, wanted: Wanted, manner: Manner, first: str, fault: Fault
) -> Generator[Call, Answer, tuple[str, Fault | None]]:
    """Try a second and last time; return the text to show, and the fault that is left."""
    answer = yield _call(job, wanted, manner, fault)
    release = Release(wanted, hold=True)
    marked = is_marked(wanted, manner)
    for _ in _listen(answer, release, mark=MARK if marked else ""):
        pass
    text, left = release.end(answer.reason)
    if left is None:
        return text, None
    if fault == left == "length" and not release.text:
        return first, fault  # the cap of the whole stream is reached: better cut than copied
    return wanted.source, fault


def _listen(answer: Answer, release: Release, *, mark: str = "") -> Iterator[str]:
    """Read an answer as long as it is wanted; yield what may be shown."""
    for delta in answer:
        if shown := release.feed(delta.replace(mark, " ") if mark else delta):
            yield shown
        if release.done:
            answer.close()
            return


def _notice(job: Job, fault: Fault, *, shown: bool) -> Notice:
    where = f"Segment {job.index} of text {job.part.text_index} in {job.part.target}"
    if shown:
        return Notice(code="suspect", detail=f"{where} may be wrong: {WRONG[fault]}.")
    return Notice(code="untranslated", detail=f"{where} is given as it was: {WRONG[fault]}, twice.")


def _segment(job: Job, source: str, text: str) -> Segment:
    return Segment(
        index=job.index, text_index=job.part.text_index, target=job.part.target, source=source, text=text
    )
