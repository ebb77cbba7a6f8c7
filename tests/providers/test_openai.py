"""The adapter against a real provider of tokens and of faults, over real sockets."""

import hashlib
import logging
from collections.abc import Iterable

import gevent
import httpx2
import pytest
from gevent.event import Event

from services.errors import (
    ProviderError,
    ProviderFailure,
    ProviderIncomplete,
    ProviderRejected,
    ProviderTimeout,
)
from services.llm import Done, Dropped, Message, Thinking, Tokens
from services.providers.asking import Refused
from services.providers.openai import FOREIGN, OpenAIProvider, mapped
from tests.providers.conftest import KEY, ask, gate


def heard(values: Iterable[object]):
    """Return what was said, and the failure if it ended in one."""
    said: list[object] = []
    try:
        said.extend(values)
    except ProviderFailure as failure:
        return said, failure
    return said, None


def words(count):
    return [f"w{number} " for number in range(count)]


def test_answer(provider):
    """An answer is its deltas, then the reason of its end and what it cost."""
    assert list(provider.stream(ask("ok:3"))) == [*words(3), Done("stop", Tokens(input=2, output=3))]


def test_what_is_asked(provider, upstream):
    """The request carries model, messages, cap, wishes, and asks for a stream that counts."""
    messages = (Message("system", "Be brief"), Message("user", "Hi"))
    request = ask("ok:1", messages=messages, max_output_tokens=7, temperature=0.5, stop=("END",))
    list(provider.stream(request))
    entry = upstream.journal(request.model)[0]

    assert entry["asked"] == {
        "model": request.model,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert entry["key"] == hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()[:16]


def test_nothing_is_asked_before_the_first_value(provider, upstream):
    """A stream that is never read asks nothing."""
    request = ask("ok:1")
    provider.stream(request).close()

    assert upstream.journal(request.model) == []


def test_no_key(upstream):
    """A local server needs no key."""
    assert heard(OpenAIProvider(api_key=None, base_url=upstream.base_url).stream(ask("ok:1")))[1] is None


@pytest.mark.parametrize(
    ("model", "said", "reason"),
    [
        ("fault/no-done:2", words(2), "stop"),
        ("fault/content-filter:2", words(2), "content_filter"),
        ("fault/ignores-cap:5", words(5), "stop"),
        ("fault/two-finishes", words(2), "length"),
        ("fault/null-delta", words(1), "stop"),
        ("fault/no-choices", words(1), "stop"),
        ("fault/reset-after-finish:2", words(2), "stop"),
        ("fault/surrogates", ["a", "😀b", "\ufffdc\ufffd", "d"], "stop"),
        (
            "fault/treacherous",
            ["one\ntwo\n\n", "event: finish\ndata: {}\n\n", ": x\r\nid: 9\u2028\u0085", "end"],
            "stop",
        ),
        ("fault/cut", ["é", "漢", "😀", "ß"], "stop"),
        ("fault/crlf", words(5), "stop"),
        ("fault/thinks:2", [Thinking(), Thinking(), *words(2)], "stop"),
    ],
)
def test_tolerated(provider, model, said, reason):
    """What is odd and yet complete is an answer."""
    *values, done = provider.stream(ask(model))

    assert (values, done.reason) == (said, reason)


@pytest.mark.parametrize("model", ["fault/no-usage:2", "fault/no-done:2", "fault/reset-after-finish:2"])
def test_not_counted(provider, model):
    """A provider that sends no usage is not credited with one."""
    *_, done = provider.stream(ask(model))

    assert done == Done("stop", None)


FAULTS = {
    # model: (deltas before it, kind of failure, may the same be asked again)
    "fault/no-finish:2": (2, ProviderIncomplete, True),
    "fault/no-finish:0": (0, ProviderIncomplete, True),
    "fault/done-only:2": (2, ProviderIncomplete, True),
    "fault/odd-reason:2": (2, ProviderIncomplete, False),
    "fault/odd-reason:0": (0, ProviderIncomplete, False),
    "fault/rst:2": (2, ProviderIncomplete, True),
    "fault/rst:0": (0, ProviderIncomplete, True),
    "fault/fin:2": (2, ProviderIncomplete, True),
    "fault/fin:0": (0, ProviderIncomplete, True),
    "fault/rst-before-head": (0, ProviderError, True),
    "fault/fin-before-head": (0, ProviderError, True),
    "fault/html": (0, ProviderError, False),
    "fault/gzip": (0, ProviderError, False),
    "fault/redirect": (0, ProviderRejected, False),
    "fault/error:2": (2, ProviderError, False),
    "fault/error:0:insufficient_quota": (0, ProviderRejected, False),
    "fault/not-json": (1, ProviderError, False),
    "fault/not-utf8": (1, ProviderError, False),
    "fault/not-a-chunk": (1, ProviderError, False),
    "fault/deep": (1, ProviderError, False),
    "fault/huge:8": (1, ProviderError, False),
    "fault/big-refusal:8": (0, ProviderError, True),
    "fault/packed-refusal": (0, ProviderError, True),
    "fault/quota": (0, ProviderRejected, False),
    "fault/status:400": (0, ProviderRejected, False),
    "fault/status:401": (0, ProviderRejected, False),
    "fault/status:404": (0, ProviderRejected, False),
    "fault/status:408": (0, ProviderError, True),
    "fault/status:429": (0, ProviderError, True),
    "fault/status:500": (0, ProviderError, True),
    "fault/status:529": (0, ProviderError, True),
    "fault/should-retry:503:false": (0, ProviderError, False),
}


@pytest.mark.parametrize("model", FAULTS)
def test_faults(provider, upstream, model):
    """Each fault has its kind, is told from one that may pass, and is asked about once."""
    request = ask(model)
    said, failure = heard(provider.stream(request))

    assert (len(said), type(failure), failure.retryable) == FAULTS[model]
    assert len(upstream.journal(request.model)) == 1


@pytest.mark.parametrize("model", FAULTS)
def test_after_a_fault(provider, model):
    """No fault harms the next stream."""
    heard(provider.stream(ask(model)))

    assert heard(provider.stream(ask("ok:1")))[1] is None


@pytest.mark.parametrize("model", ["fault/huge:64", "fault/big-refusal:64"])
def test_no_more_is_read(provider, upstream, model):
    """What is too large is not read on: the connection is closed before the failure is handled."""
    request = ask(model)
    _, failure = heard(provider.stream(request))

    assert failure is not None
    assert [entry["ended"] for entry in upstream.journal(request.model, ended=1)] == ["peer"]


def test_wait(provider):
    """How long the provider asks to wait is passed on."""
    assert heard(provider.stream(ask("fault/retry-after:7")))[1].retry_after_s == 7


def test_what_it_said_is_for_the_log(provider, caplog):
    """The provider's words stand in the log, on one line, and not in the failure."""
    with caplog.at_level(logging.WARNING, "gloss.provider"):
        _, failure = heard(provider.stream(ask("fault/error:0")))

    assert "in confidence" not in str(failure.problem())
    assert [r"told\\nin confidence" in line.getMessage() for line in caplog.records] == [True]


@pytest.mark.parametrize("model", [f"fault/status:401:{KEY}", f"fault/error:0:{KEY}", "fault/rst:0", "ok:1"])
def test_key_is_for_nobody(provider, caplog, model):
    """The key is in no log line and no failure, though the provider repeats it."""
    with caplog.at_level(logging.DEBUG):
        _, failure = heard(provider.stream(ask(model)))

    ours = [line.getMessage() for line in caplog.records if line.name.startswith("gloss")]
    assert KEY not in "".join(ours)
    assert KEY not in repr(failure)


@pytest.mark.parametrize("param", ["temperature", "stop", "stream_options", "max_tokens"])
def test_refused_parameter(provider, upstream, param):
    """What a model refuses is left out, told in each stream, and asked for once only."""
    request = ask(f"fault/refuses:{param}", temperature=0.1, stop=("END",))
    answers = [list(provider.stream(request)) for _ in range(2)]

    assert [answer[:-1] for answer in answers] == [[Dropped(param), *words(5)]] * 2
    assert [param in entry["asked"] for entry in upstream.journal(request.model)] == [True, False, False]


def test_refused_stream(provider):
    """A model that does not stream gives its answer in one delta."""
    assert list(provider.stream(ask("fault/refuses:stream"))) == [
        Dropped("stream"),
        "".join(words(5)),
        Done("stop", Tokens(input=2, output=5)),
    ]


def test_refused_for_good(provider, upstream):
    """A refusal that names nothing to leave out is not asked again."""
    request = ask("fault/status:400:unsupported_value")
    heard(provider.stream(request))

    assert len(upstream.journal(request.model)) == 1


@pytest.mark.parametrize(
    "model", ["ok:3", "fault/status:500", "fault/refuses:temperature", "fault/no-finish:2"]
)
def test_connection_is_used_again(provider, upstream, model):
    """What was read to its end leaves its connection to the next stream."""
    request = ask(model, temperature=0.1)
    for _ in range(5):
        heard(provider.stream(request))

    assert len({entry["connection"] for entry in upstream.journal(request.model)}) == 1


def test_side_by_side(provider, upstream):
    """Streams that run at once have a connection each, and do not mix."""
    name = gate()
    requests = [ask(f"fault/stall:{count}:{name}") for count in range(1, 21)]
    readers = [gevent.spawn(list, provider.stream(request)) for request in requests]
    for request in requests:
        upstream.journal(request.model, begun=1)
    upstream.gate(name)
    gevent.joinall(readers, raise_error=True)

    assert [reader.value[:-1] for reader in readers] == [words(count + 2) for count in range(1, 21)]


SILENCES = ["fault/silent:{}", "fault/stall:0:{}", "fault/stall:3:{}", "fault/pings:0:{}", "fault/pings:3:{}"]


def listening(provider, request, deltas):
    """Return a greenlet that reads, once it waits in the silence after so many deltas."""
    arrived = Event()

    def read():
        for count, _ in enumerate(provider.stream(request), start=1):
            if count == deltas:
                arrived.set()

    reader = gevent.spawn(read)
    if deltas:
        arrived.wait()
    return reader


@pytest.mark.parametrize("model", SILENCES)
def test_killed_reader(provider, upstream, model):
    """A reader killed while the provider is silent closes the connection, and only its own."""
    request = ask(model.format(gate()))
    reader = listening(provider, request, 3 if ":3" in model else 0)
    upstream.journal(request.model, begun=1)
    reader.kill()

    assert [entry["ended"] for entry in upstream.journal(request.model, ended=1)] == ["peer"]
    assert heard(provider.stream(ask("ok:1")))[1] is None


@pytest.mark.parametrize("model", SILENCES)
def test_failure_thrown_into_a_silence(provider, upstream, model):
    """A time limit that fires in the reader comes out as it is, and closes the connection."""
    request = ask(model.format(gate()))
    reader = listening(provider, request, 3 if ":3" in model else 0)
    upstream.journal(request.model, begun=1)
    late = ProviderTimeout("too late")
    reader.kill(late)

    assert reader.exception is late
    assert [entry["ended"] for entry in upstream.journal(request.model, ended=1)] == ["peer"]


def test_left_in_mid_stream(provider, upstream):
    """Closing the stream between two deltas closes the connection."""
    request = ask(f"fault/stall:3:{gate()}")
    stream = provider.stream(request)
    next(stream)
    stream.close()

    assert [entry["ended"] for entry in upstream.journal(request.model, ended=1)] == ["peer"]


def test_silence_after_the_finish(upstream):
    """A provider that has said why it ended is not waited for long."""
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, tail_s=0.05)

    assert list(provider.stream(ask(f"fault/hangs-after-finish:2:{gate()}"))) == [
        *words(2),
        Done("stop", None),
    ]


def test_no_head(upstream):
    """A provider that accepts and says nothing is given up after the read time."""
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, read_s=0.05)
    _, failure = heard(provider.stream(ask(f"fault/silent:{gate()}")))

    assert (type(failure), failure.retryable) == (ProviderTimeout, False)


def test_content_is_timed_by_who_reads(upstream):
    """The read time ends with the head: a silence in the answer is not the adapter's to end."""
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, read_s=1)

    assert heard(provider.stream(ask("paced:1:1500")))[1] is None


def test_a_fast_provider_starves_nobody(provider, upstream):
    """While a provider that never lets us wait is read, other greenlets get their turns."""
    request = ask("ok:1000")
    stream = provider.stream(request)
    next(stream)
    upstream.journal(request.model, ended=1)  # all of it lies ready now
    turns = 0

    def others():
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    other = gevent.spawn(others)
    list(stream)
    other.kill()

    assert turns > 10


def test_event_of_the_largest_size(upstream):
    """The limit of an event's size is the one that was given."""
    roomy = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, max_event_bytes=2000)
    tight = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, max_event_bytes=100)

    assert heard(roomy.stream(ask("ok:1")))[1] is None
    assert type(heard(tight.stream(ask("ok:1")))[1]) is ProviderError


def test_whole_answer_of_the_largest_size(upstream):
    """An answer in one piece has the same limit."""
    tight = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, max_event_bytes=100)

    assert type(heard(tight.stream(ask("fault/refuses:stream")))[1]) is ProviderError


def test_models(provider):
    """The models are the ids that the provider lists, in its order."""
    assert provider.models() == ("ok:20", "echo")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status:401", ProviderRejected),
        ("status:503", ProviderError),
        ("rst-before-head", ProviderError),
        ("html", ProviderError),
        ("not-json", ProviderError),
        ("huge:8", ProviderError),
    ],
)
def test_no_models(upstream, fault, kind):
    """A list that cannot be had is a failure like any other."""
    provider = OpenAIProvider(api_key=KEY, base_url=f"{upstream.origin}/_list/{fault}/v1")
    with pytest.raises(kind):
        provider.models()


def test_models_in_time(upstream):
    """A list that does not come is given up."""
    provider = OpenAIProvider(
        api_key=KEY, base_url=f"{upstream.origin}/_list/stall:0:{gate()}/v1", list_s=0.05
    )
    with pytest.raises(ProviderTimeout):
        provider.models()


def exceptions(module):
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)]
    return [one for one in found if not issubclass(one, Warning)]


@pytest.mark.parametrize("kind", {Refused, *exceptions(httpx2)}, ids=lambda kind: kind.__name__)
def test_every_foreign_exception(kind):
    """Whatever asking can raise is caught, and is one of our failures."""
    assert issubclass(kind, FOREIGN)
    assert isinstance(
        mapped(kind.__new__(kind) if kind is not Refused else Refused(500, {}, None)), ProviderFailure
    )
