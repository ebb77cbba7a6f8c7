"""What must hold whatever happened, over what clients heard, what is kept, and the upstream's journal.

Each function returns the breaches that it found, in words; none is what is wanted.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.rig.clients import Reader
from tests.upstream.faults import words

ATTEMPTS = 3  # at the provider, of one call (R8)
HAND_OVERS = 2  # of one stream: each process of a house is told to stop once, and each costs a generation
WITHIN_S = 10.0  # of the first attempt, the last one begins
ENDS = {"finish", "error"}


@dataclass(frozen=True)
class Story:
    """One stream: who read it, the log as each process gives it, and what the provider saw.

    ``recovers``: it is asked for once more after each hand-over (R8, 6). ``crashed``: a process
    that made it was killed or frozen, so its readers may be ahead of what is kept (R11). ``emptied``:
    the store forgot it meanwhile, so only the process that made it knows its end, and its key is new.
    """

    model: str
    readers: Sequence[Reader]
    records: Sequence[bytes]
    attempts: Sequence[Mapping[str, Any]]
    recovers: bool = False
    crashed: bool = False
    emptied: bool = False

    @property
    def began(self) -> bool:
        """Tell whether anybody was told its id."""
        return any(reader.stream for reader in self.readers)


def breaches(story: Story) -> list[str]:
    """Return all that is wrong with one stream."""
    found = [breach for reader in story.readers for breach in a_connection(story, reader)]
    found += within_budget(story)
    if story.records:
        record = story.records[0].splitlines(keepends=True)
        found += [*same_everywhere(story), *a_log(record), *honest(story.model, record)]
        if not story.emptied:  # else attempts of several streams stand under this name
            found += billed(record, story.attempts)
        found += [breach for reader in story.readers for breach in a_reader(story, reader, record)]
    elif story.began and not story.emptied and not (story.crashed and all(map(never_stored, story.readers))):
        found.append(f"nobody knows it, {fates(story.readers)}")
    return [f"{story.model}: {breach}" for breach in found]


def never_stored(reader: Reader) -> bool:
    """Tell whether what a reader heard may have died with its process, and is true."""
    whole = reader.fate == "ended" and not honest(reader.model, reader.lines)
    return whole or reader.fate in {"gone", "lost", "left"}


def fates(readers: Sequence[Reader]) -> str:
    """Return what became of readers, for who has to find out why."""
    return "; ".join(f"{one.fate} after {one.last}: {one.readings[-3:]}" for one in readers)


def same_everywhere(story: Story) -> list[str]:
    """Every process gives the very same bytes (R3)."""
    return [] if len(set(story.records)) == 1 else ["two processes keep different logs"]


def a_log(lines: Sequence[bytes]) -> list[str]:
    """Numbers rise by one from one; one end, and nothing after it (R2, R4)."""
    events = [json.loads(line) for line in lines]
    found = []
    if [event["id"] for event in events] != list(range(1, len(events) + 1)):
        found.append(f"numbers {[event['id'] for event in events]}")
    if [event["type"] for event in events[:1]] != ["start"]:
        found.append("it does not begin with start")
    if [event["type"] in ENDS for event in events] != [False] * (len(events) - 1) + [True]:
        found.append(f"its ends: {[event['type'] for event in events if event['type'] in ENDS]}")
    return found


def text_of(lines: Iterable[bytes]) -> str:
    """Return the joined text."""
    return "".join(event["text"] for line in lines if (event := json.loads(line))["type"] == "text")


def answer_of(model: str) -> str:
    """Return all that the provider would say under this name."""
    named = model.partition("@")[0].removeprefix("fault/").split(":")
    more = {"ok": 0, "paced": 0, "stall": 2}[named[0]]
    return "".join(words(int(named[1]) + more))


def honest(model: str, lines: Sequence[bytes]) -> list[str]:
    """The text is the provider's; ``stop`` means all of it; its sums are right (R1)."""
    text, end = text_of(lines), json.loads(lines[-1])
    found = []
    if not answer_of(model).startswith(text):
        found.append(f"other text than the provider's: {text[-60:]!r}")
    if end["type"] == "finish":
        if (end["chars"], end["sha256"]) != (len(text), hashlib.sha256(text.encode()).hexdigest()):
            found.append("chars or sha256 are not the text's")
        if end["reason"] == "stop" and text != answer_of(model):
            found.append("stop, and not all of the text")
    return found


def billed(lines: Sequence[bytes], attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The provider's own count where it gave one; else at least what came, counted here (R14)."""
    end = json.loads(lines[-1])
    usage, came = end["usage"], len(text_of(lines).split())
    reported = [one["tokens"] for one in attempts if one["ended"] == "upstream"]
    if len(attempts) == len(reported) == 1 and end.get("reason") == "stop":
        right = usage["output_tokens"] == reported[0] and not usage["estimated"]
    else:
        told = len(attempts) == len(reported) and usage["output_tokens"] == sum(reported)
        right = usage["output_tokens"] >= came and (
            usage["estimated"] or told
        )  # it may leave after the last word
    return [] if right else [f"usage {usage} for {came} words, {reported} reported, end {end.get('reason')}"]


def within_budget(story: Story) -> list[str]:
    """Few attempts, soon after each other, and one that said something (R8, R9)."""
    spoke = [one for one in story.attempts if one["tokens"]]
    most, found = 1 + (HAND_OVERS if story.recovers else 0), []
    if story.emptied:
        return []  # whoever came with its key began it anew
    if len(spoke) > most:
        found.append(f"{len(spoke)} generations")
    if len(story.attempts) > ATTEMPTS + most - 1:
        found.append(f"{len(story.attempts)} attempts")
    first = min((one["begun_at"] for one in story.attempts), default=0)
    if not story.recovers and any(one["begun_at"] - first > WITHIN_S for one in story.attempts):
        found.append("an attempt that began too late")
    return found


def a_connection(story: Story, reader: Reader) -> list[str]:
    """No connection said that all was well when it was not, and whoever came in was let in."""
    found = []
    if any(reading.ended == "clean" for reading in reader.readings):
        found.append("a reading ended in order without an end")
    lost = reader.fate == "lost" and not (story.crashed or reader.was_cut)
    taken = reader.key and story.crashed and reader.readings[-1].problem == "/problems/provider-incomplete"
    if reader.fate == "tired" or lost or (reader.fate == "refused" and not taken):
        found.append(f"a reader whose fate is {reader.fate}: {reader.readings[-3:]}")
    return found


def a_reader(story: Story, reader: Reader, record: Sequence[bytes]) -> list[str]:
    """What one heard is the log, as far as it heard it."""
    found = []
    if reader.fate == "nothing" and reader.end is None:
        found.append("a reader without an end was told that nothing is left")
    same = common(reader.lines, record)
    if same < reader.last and not (story.crashed and ahead(story.model, reader.lines, record, same)):
        found.append(
            f"a reader heard {reader.lines[same : same + 2]} where {record[same : same + 2]} is kept"
        )
    told_right = story.emptied or (story.crashed and reader.last >= len(record))
    if reader.fate == "gone" and not told_right:
        found.append(f"a reader with {reader.last} of {len(record)} events was told that there are none")
    return found


def common(heard: Sequence[bytes], kept: Sequence[bytes]) -> int:
    """Return how many lines agree from the beginning."""
    return next((at for at, (one, other) in enumerate(zip(heard, kept, strict=False)) if one != other),
                min(len(heard), len(kept)))  # fmt: skip


def ahead(model: str, heard: Sequence[bytes], record: Sequence[bytes], same: int) -> bool:
    """Tell whether what a reader has too much was shown by a process that died with it, and is true."""
    only_the_end = same == len(record) - 1 and json.loads(record[-1])["type"] == "error"
    return only_the_end and answer_of(model).startswith(text_of(heard))


def no_secret(printed: str, secrets: Iterable[str]) -> list[str]:
    """Nothing that was planted stands in a log (R25)."""
    return [f"a secret in the log: …{found.group()}…" for secret in secrets
            if (found := re.search(f".{{0,60}}{re.escape(secret)}", printed))]  # fmt: skip
