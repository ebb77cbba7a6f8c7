"""The use case itself: texts become segments, segments calls, answers text.

The segments of all texts and languages stand in one row. They are asked for in batches, so
that their calls run side by side, and are shown in their order. Nothing here knows how many
run at a time; a batch is large enough that its end, where fewer run, hardly matters.
"""

from collections.abc import Generator, Iterator
from typing import Any

from services.events import Event, FinishReason
from services.streams.use_case import Answer, Call, Context, Transform
from services.use_cases.translate.asked import Translate
from services.use_cases.translate.calls import Manner, rate
from services.use_cases.translate.checks import Wanted, held
from services.use_cases.translate.deliver import Job, Part, asked, copied, delivered
from services.use_cases.translate.events import Detected
from services.use_cases.translate.languages import Guess, base, detect
from services.use_cases.translate.segments import Cutter

BATCH_SEGMENTS = 256
BATCH_TOKENS = 8_000  # cutting and counting them takes some 30 ms, in which nobody else is served
LABEL_CHARS = 4  # of the delimiters' name for a small model: each token costs it 30 ms
LABEL_TRIES = 8  # a name that occurs in the text would not delimit it

GAP = "\n\n"


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
                yield from copied(job)
                continue
            cut = yield from delivered(job, job.wanted, next(answers), manner)
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
        pieces = Cutter(context.count, held, base(part.guess.language)).split(part.text)
        for index, piece in enumerate(pieces):
            wanted = _wanted(piece.source, part, manner, context) if piece.source else None
            yield Job(part=part, index=index, gap=gap, lead=piece.lead, wanted=wanted)
            gap = ""
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


def _ask(batch: list[Job], manner: Manner) -> Generator[Call | tuple[Call, ...], Any, Iterator[Answer]]:
    """Ask for a batch: one call alone, or several side by side."""
    calls = tuple(asked(job, job.wanted, manner) for job in batch if job.wanted)
    if len(calls) > 1:
        return iter((yield calls))
    return iter([(yield calls[0])] if calls else [])
