import os
import subprocess
import sys
from dataclasses import dataclass, field

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost.tokens import (
    FILES,
    LONG_CHARS,
    PIECE_CHARS,
    TAIL_CHARS,
    VOCABULARY,
    BrokenVocabularyError,
    Counter,
    OutputMeter,
    counter_of,
    load,
    verify,
)
from services.llm import Message
from tests.upstream.fixtures import ROOT

NEW, OLD = counter_of("gpt-4.1-mini"), counter_of("gpt-4")
COUNTERS = pytest.mark.parametrize("counter", [NEW, OLD], ids=["o200k", "cl100k"])
WORDS = [
    "hello",
    " world",
    "don",
    "'t",
    "'",
    "'S",
    "HTTPServer",
    "x",
    "_",
    "-",
    "e.g.",
    "(",
    "! ",
    ".",
    ",",
    "…",
]
MARKS = ["123", "½", "9", "Ünï", "漢字", "。", "、", "é", "\u0301", "😀", "\u2019s", "\u017f"]
SPACES = [" ", "  ", "\n", " \n", "\r\n", "\t", "\u3000"]
PIECES = st.sampled_from([*WORDS, *MARKS, *SPACES])
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=60)


@pytest.mark.parametrize(
    ("model", "vocabulary", "estimated"),
    [
        ("gpt-4.1-mini", "o200k_base", False),
        ("gpt-4o", "o200k_base", False),
        ("gpt-5-nano", "o200k_base", False),
        ("o3-mini", "o200k_base", False),
        ("gpt-oss-20b", "o200k_base", False),
        ("gpt-4", "cl100k_base", False),
        ("gpt-3.5-turbo-0125", "cl100k_base", False),
        ("gpt-6-sol", "o200k_base", True),
        ("openai/gpt-4o", "o200k_base", True),
        ("qwen2.5-coder-1.5b-instruct", "o200k_base", True),
        ("davinci", "o200k_base", True),
        ("gpt2", "o200k_base", True),
        ("", "o200k_base", True),
    ],
)
def test_counter_of(model, vocabulary, estimated):
    """Each model is counted with its vocabulary, and one that is not known as the newest, as an estimate."""
    assert counter_of(model) == Counter(vocabulary, estimated)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("tiktoken is great!", 6), ("お誕生日おめでとう", 8)],
)
def test_count(text, tokens):
    """Text is counted as what it is, also where it looks like a special token."""
    assert NEW.count(text) == tokens


def test_count_messages():
    """A prompt weighs 3 per message, its role and content, and 3 for the answer's beginning."""
    messages = [Message("system", "hello world"), Message("user", "hello")]

    assert NEW.count_messages(messages) == 3 + (3 + 1 + 2) + (3 + 1 + 1)


def test_a_million_spaces():
    """A run that makes tiktoken panic is counted in pieces."""
    spaces = NEW.count(" " * PIECE_CHARS)

    assert NEW.count(" " * (10 * PIECE_CHARS)) == 10 * spaces


def turns_during(work):
    """Return how often another greenlet got its turn while this was done."""
    turns = 0

    def others():
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    other = gevent.spawn(others)
    work()
    other.kill()
    return turns


@pytest.mark.parametrize("work", [NEW.count, lambda text: NEW.clip(text, 9)], ids=["count", "clip"])
def test_long_text_stalls_nobody(work):
    """Long text is counted off the hub: other greenlets go on."""
    load(NEW.vocabulary)

    assert turns_during(lambda: work("word " * LONG_CHARS)) > 1


@COUNTERS
@given(text=TEXTS.map("".join), tokens=st.integers(0, 40))
def test_clip(counter, text, tokens):
    """A clipped text is a beginning that weighs no more than was allowed, all of it if it can be."""
    clipped = counter.clip(text, tokens)

    assert text.startswith(clipped)
    assert counter.count(clipped) <= tokens
    assert clipped == text or counter.count(text) > tokens


@pytest.mark.parametrize("tokens", [1, 5, 50])
def test_clip_keeps_what_fits(tokens):
    """Of words as many are kept as are allowed."""
    assert NEW.clip(" word" * 100, tokens) == " word" * tokens


def test_clip_of_a_long_text():
    """A text of many pieces is cut where the cap is, not where a piece ends."""
    words = PIECE_CHARS // 5 * 3

    assert NEW.clip(" word" * words, words - 7) == " word" * (words - 7)


@pytest.mark.parametrize(("tokens", "clipped"), [(1, ""), (3, ""), (4, "𒀀"), (7, "𒀀"), (8, "𒀀𒀀")])
def test_clip_cuts_no_character(tokens, clipped):
    """A character that weighs several tokens is kept whole or not at all."""
    assert NEW.count("𒀀") == 4
    assert NEW.clip("𒀀𒀀", tokens) == clipped


def metered(counter, cap, deltas):
    meter = OutputMeter(counter, cap)
    return meter, [meter.add(delta) for delta in deltas]


@COUNTERS
@given(deltas=TEXTS, cap=st.integers(0, 60))
def test_never_more_than_the_cap(counter, deltas, cap):
    """What passes is a beginning of what was said, weighs at most the cap, and is counted exactly."""
    meter, passed = metered(counter, cap, deltas)
    text = "".join(passed)

    assert "".join(deltas).startswith(text)
    assert meter.tokens == counter.count(text) <= cap
    assert meter.full is (text != "".join(deltas))


@COUNTERS
@given(deltas=TEXTS)
def test_exact_at_any_cut(counter, deltas):
    """However the deltas are cut, and wherever the count was settled, it is the whole text's."""
    text = "".join(deltas)
    roomy, _ = metered(counter, counter.count(text) + 8, list(text))

    assert roomy.full or roomy.tokens == counter.count(text)


def test_a_cap_that_is_just_kept():
    """A provider that says exactly as many tokens as it may is not cut."""
    meter, passed = metered(NEW, 100, [" word"] * 100)

    assert (meter.tokens, meter.full, "".join(passed)) == (100, False, " word" * 100)


def test_part_of_a_delta():
    """Of the delta that goes over the cap the beginning passes, and of those after it nothing."""
    meter, passed = metered(NEW, 3, [" one two", " three four", " five"])

    assert (passed, meter.full, meter.tokens) == ([" one two", " three", ""], True, 3)


@COUNTERS
def test_text_without_words(counter):
    """Text that has no border is settled in pieces: the cap holds, and little is counted too much."""
    meter, passed = metered(counter, 2 * TAIL_CHARS, ["aaaa"] * (10 * TAIL_CHARS))
    exact = counter.count("".join(passed))

    assert meter.full
    assert exact <= meter.tokens <= min(exact + 40, 2 * TAIL_CHARS)


@dataclass
class Weighing:
    """A counter that notes how much it was given to count."""

    chars: int = 0
    texts: list[int] = field(default_factory=list)

    def count(self, text: str) -> int:
        self.chars += len(text)
        return NEW.count(text)

    def clip(self, text: str, tokens: int) -> str:
        return NEW.clip(text, tokens)


def test_nothing_is_counted_that_need_not():
    """An answer whose bytes cannot pass the cap is not counted at all."""
    weighing = Weighing()
    metered(weighing, 500, [" word"] * 100)

    assert weighing.chars == 0


@pytest.mark.parametrize("words", [100, 1000, 10_000])
def test_cost(words):
    """The characters that are counted grow with the answer, not with its square."""
    weighing = Weighing()
    meter, _ = metered(weighing, words, [" word"] * words)

    assert not meter.full
    assert weighing.chars < 8 * words * len(" word")


def test_cost_without_words():
    """Where there is no border, each delta costs a bounded look back."""
    weighing = Weighing()
    meter, _ = metered(weighing, 2600, ["aaaa"] * 5000)

    assert not meter.full
    assert weighing.chars < 5000 * TAIL_CHARS


@pytest.mark.parametrize("vocabulary", FILES)
def test_vocabularies(vocabulary):
    """The vocabularies that come with the code are what they should be."""
    name, sha256 = FILES[vocabulary]
    verify(VOCABULARY / name, sha256)


def test_missing_vocabulary(tmp_path):
    """A vocabulary that is missing is named."""
    with pytest.raises(BrokenVocabularyError, match="nowhere cannot be read"):
        verify(tmp_path / "nowhere", "00")


def test_wrong_vocabulary(tmp_path):
    """A vocabulary that is another is refused, and stays where it is."""
    file = tmp_path / "vocabulary"
    file.write_bytes(b"SGVsbG8= 0\n")

    with pytest.raises(BrokenVocabularyError, match="not the vocabulary"):
        verify(file, FILES["o200k_base"][1])
    assert file.exists()


NO_NETWORK = """
import socket
def refuse(*_): raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
from services.cost.tokens import counter_of, warm
warm()
print(counter_of("gpt-4.1").count("hello world"), counter_of("gpt-4").count("hello world"))
"""


def test_no_network(tmp_path):
    """Counting needs no network, whatever cache the environment names."""
    environment = {
        **os.environ,
        "TIKTOKEN_CACHE_DIR": str(tmp_path),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout == "2 2\n"
