import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderError, ProviderIncomplete
from services.llm import Done, Tokens
from services.providers.chunks import Reading, decode


def chunk(content=None, finish=None, **more):
    return decode(
        json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": finish}], **more}).encode()
    )


def read(*chunks):
    """Return the texts and the end."""
    reading = Reading()
    texts = [reading.take(one)[0] for one in chunks]
    return texts, reading.done()


def test_text_and_end():
    """Text is taken from the delta, the end from the finish reason."""
    assert read(chunk("a"), chunk("b"), chunk(finish="stop")) == (["a", "b", ""], Done("stop"))


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_reasons(reason):
    """The three reasons that end an answer are passed on."""
    assert read(chunk(finish=reason))[1].reason == reason


@pytest.mark.parametrize("reason", ["tired", "tool_calls", "error", "STOP"])
def test_odd_reason(reason):
    """A reason that does not say that the answer is complete is taken for none."""
    with pytest.raises(ProviderIncomplete):
        read(chunk("a"), chunk(finish=reason))


def test_text_with_its_finish():
    """Text in the same chunk as the finish reason counts."""
    assert read(chunk("a", finish="stop")) == (["a"], Done("stop"))


def test_second_finish():
    """The first finish reason counts, and text after it does not."""
    assert read(chunk("a"), chunk(finish="length"), chunk("b", finish="stop")) == (
        ["a", "", ""],
        Done("length"),
    )


@pytest.mark.parametrize("texts", [[], ["a"]])
@pytest.mark.parametrize(("finish", "retryable"), [(None, True), ("tired", False)])
def test_no_finish(texts, finish, retryable):
    """Without a finish reason the answer broke off; one that nobody knows is an end all the same."""
    with pytest.raises(ProviderIncomplete) as raised:
        read(*map(chunk, texts), chunk(finish=finish))

    assert raised.value.retryable is retryable


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"choices":null}',
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"delta":null}]}',
        b'{"choices":[{"delta":{"role":"assistant","content":""}}]}',
        b'{"choices":[{"delta":{"content":null}}],"usage":null,"error":null}',
        b'{"x_future":{"a":[1,2]},"choices":[{"index":0,"logprobs":null,"delta":{"tool_calls":[]}}]}',
    ],
)
def test_nothing_said(data):
    """What says nothing is tolerated."""
    assert Reading().take(decode(data)) == ("", False)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(("said", "thinks"), [("hm", True), ("", False), (None, False)])
def test_thinking(name, said, thinks):
    """Reasoning that is not empty is a sign of thinking, whatever the field is called."""
    data = json.dumps({"choices": [{"delta": {name: said}}]}).encode()

    assert Reading().take(decode(data)) == ("", thinks)


def test_answer_in_one_piece():
    """A whole message is read like a delta."""
    data = b'{"choices":[{"message":{"content":"Hola"},"finish_reason":"stop"}]}'

    assert read(decode(data)) == (["Hola"], Done("stop"))


def test_usage():
    """The usage is kept in our own words, whenever it comes; the last one counts."""
    early = decode(b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}')
    late = decode(
        b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,'
        b'"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}'
    )

    assert read(early, chunk(finish="stop"), late)[1] == Done(
        "stop", Tokens(input=9, output=5, cached_input=4, reasoning=3)
    )


@pytest.mark.parametrize(
    "usage",
    [{}, {"prompt_tokens": None, "completion_tokens": 1}, {"prompt_tokens": 1}, {"total_tokens": 3}],
)
def test_half_a_usage(usage):
    """A usage that lacks a number is no usage."""
    assert read(chunk(finish="stop", usage=usage))[1].tokens is None


def test_parts_are_no_more_than_the_whole():
    """Cached and reasoning tokens never exceed what they are a part of."""
    usage = {
        "prompt_tokens": 2,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 9},
        "completion_tokens_details": {"reasoning_tokens": 9},
    }

    assert read(chunk(finish="stop", usage=usage))[1].tokens == Tokens(
        input=2, output=3, cached_input=2, reasoning=3
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"<html>",
        b"[]",
        b"\xff",
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"delta":{"content":5}}]}',
        b'{"choices":"none"}',
        b'{"usage":{"prompt_tokens":-1,"completion_tokens":1}}',
        b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"choices":[{"delta":{"content":"\\ud83d"}',
        b'{"choices":"\\ud83d"}',
        b'{"a":"\\ud83d","error":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_nonsense(data):
    """What is no chat completion in JSON is the provider's error."""
    with pytest.raises(ProviderError, match="not a chat completion"):
        decode(data)


@pytest.mark.parametrize(
    ("deltas", "texts"),
    [
        (["a\ud83d", "\ude00b"], ["a", "😀b"]),
        (["\ud83d", "\ude00"], ["", "😀"]),
        (["\ud83d", "", "\ude00"], ["", "", "😀"]),
        (["a\ud83db"], ["a\ufffdb"]),
        (["\ude00"], ["\ufffd"]),
        (["\ud83d", "a"], ["", "\ufffda"]),
        (["\ud83d", "\ud83d", "\ude00"], ["", "\ufffd", "😀"]),
        (["\ud83d\ude00"], ["😀"]),
    ],
)
def test_halves(deltas, texts):
    """Half a surrogate pair waits for its other half; alone it becomes U+FFFD."""
    said, _ = read(*map(chunk, deltas), chunk(finish="stop"))

    assert said[:-1] == texts


def test_half_before_the_end():
    """A half that is the last thing said becomes U+FFFD."""
    assert read(chunk("a\ud83d"), chunk(finish="stop"))[0] == ["a", "\ufffd"]


@given(
    st.lists(st.text(st.characters() | st.sampled_from("\ud800\udbff\udc00\udfff"), max_size=5), max_size=8)
)
def test_text_can_always_be_sent(deltas):
    """Joined, the deltas are the provider's text with lone halves replaced, and valid UTF-8."""
    said, _ = read(*map(chunk, deltas), chunk(finish="stop"))
    whole = "".join(deltas).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    assert "".join(said) == whole
    assert "".join(said).encode().decode() == whole
