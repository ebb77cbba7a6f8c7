import os
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack

import gevent
import httpx2
import pytest

from services.errors import ProviderError, ProviderIncomplete, ProviderTimeout
from services.providers.openai import OpenAIProvider
from services.providers.transport import LeanTransport, proxied
from tests.certificate import self_signed
from tests.providers.conftest import KEY, ask
from tests.upstream.fixtures import ROOT, running


def failure_of(provider):
    try:
        list(provider.stream(ask("ok:1")))
    except Exception as failure:  # noqa: BLE001 - its kind is what is asked
        return failure
    return None


def test_nobody_listens():
    """A refused connection is an error that may pass."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failure = failure_of(OpenAIProvider(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1"))

    assert (type(failure), failure.retryable) == (ProviderError, True)


def test_nobody_accepts():
    """A connection that is not made in time is a timeout that may pass."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # the queue is full then, and the next one is not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        failure = failure_of(OpenAIProvider(api_key=KEY, base_url=url, connect_s=0.1))

    assert (type(failure), failure.retryable) == (ProviderTimeout, True)


@pytest.mark.parametrize("url", ["ftp://provider.test/v1", "provider.test/v1"])
def test_no_address(url):
    """A base URL that is none is an error that does not pass."""
    failure = failure_of(OpenAIProvider(api_key=KEY, base_url=url))

    assert (type(failure), failure.retryable) == (ProviderError, False)


def test_no_name():
    """A host whose name cannot be one is an error."""
    failure = failure_of(OpenAIProvider(api_key=KEY, base_url=f"http://{'a' * 64}.test/v1"))

    assert type(failure) is ProviderError


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """An upstream that speaks TLS with a certificate of its own."""
    made = self_signed(tmp_path_factory.mktemp("tls"))
    with running(certificate=made.file, key=made.key) as upstream:
        yield upstream


def test_tls(secured):
    """Over TLS answers come as they do without, on one connection."""
    trusting = ssl.create_default_context(cafile=secured.authority)
    provider = OpenAIProvider(api_key=KEY, base_url=secured.base_url, verify=trusting)
    request = ask("ok:3")
    answers = [list(provider.stream(request))[:-1] for _ in range(3)]

    assert answers == [["w0 ", "w1 ", "w2 "]] * 3
    assert len({entry["connection"] for entry in secured.journal(request.model)}) == 1


@pytest.mark.parametrize(
    ("model", "said", "kind", "retryable"),
    [
        ("fault/fin:2", 2, ProviderIncomplete, True),
        ("fault/rst:2", 2, ProviderIncomplete, True),
        ("fault/rst:0", 0, ProviderIncomplete, True),
        ("fault/fin-before-head", 0, ProviderError, True),
        ("fault/rst-before-head", 0, ProviderError, True),
    ],
)
def test_cut_off_in_tls(secured, model, said, kind, retryable):
    """A connection that breaks is no connection that cannot be trusted."""
    trusting = ssl.create_default_context(cafile=secured.authority)
    heard = []
    with pytest.raises(kind) as raised:
        heard.extend(
            OpenAIProvider(api_key=KEY, base_url=secured.base_url, verify=trusting).stream(ask(model))
        )

    assert (len(heard), type(raised.value), raised.value.retryable) == (said, kind, retryable)


def test_cut_off_in_the_handshake():
    """A connection that ends before it is secured may be secured next time."""

    def hang_up(server):
        connection, _ = server.accept()
        connection.recv(65536)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        gevent.spawn(hang_up, server)
        failure = failure_of(
            OpenAIProvider(api_key=KEY, base_url=f"https://127.0.0.1:{server.getsockname()[1]}/v1")
        )

    assert (type(failure), failure.retryable) == (ProviderError, True)


def test_unknown_authority(secured):
    """A certificate that nobody vouches for ends it, for good, before anything is asked."""
    asked = len(secured.journal())
    failure = failure_of(OpenAIProvider(api_key=KEY, base_url=secured.base_url))

    assert (type(failure), failure.retryable) == (ProviderError, False)
    assert len(secured.journal()) == asked


def test_another_host(secured):
    """A certificate for another name is refused too."""
    trusting = ssl.create_default_context(cafile=secured.authority)
    url = secured.base_url.replace("127.0.0.1", "localhost")
    failure = failure_of(OpenAIProvider(api_key=KEY, base_url=url, verify=trusting))

    assert (type(failure), failure.retryable) == (ProviderError, False)


@pytest.mark.parametrize(
    ("url", "proxies", "uses_one"),
    [
        ("https://provider.test/v1", {}, False),
        ("https://provider.test/v1", {"https": "http://proxy.test"}, True),
        ("https://provider.test/v1", {"all": "http://proxy.test"}, True),
        ("https://provider.test/v1", {"http": "http://proxy.test"}, False),
        ("https://provider.test/v1", {"no": "provider.test"}, False),
        ("http://provider.test/v1", {"http": "http://proxy.test"}, True),
        ("http://127.0.0.1:8080/v1", {"http": "http://proxy.test"}, False),
        ("http://[::1]:8080/v1", {"all": "http://proxy.test"}, False),
        ("http://localhost:8080/v1", {"http": "http://proxy.test"}, False),
    ],
)
def test_proxied(url, proxies, uses_one):
    """A proxy is used where the environment names one for the address, never for loopback."""
    assert proxied(url, proxies) is uses_one


THROUGH_PROXY = """
import sys
from services.llm import Message, Request
from services.providers.openai import OpenAIProvider
provider = OpenAIProvider(api_key="k", base_url="http://provider.test/v1")
request = Request(model=sys.argv[1], messages=(Message("user", "Hi"),), max_output_tokens=9)
for _ in range(2):
    print(list(provider.stream(request))[:-1])
"""


def test_through_a_proxy(upstream):
    """With a proxy in the environment requests go through it."""
    request = ask("ok:2")
    environment = {**os.environ, "HTTP_PROXY": upstream.origin, "http_proxy": upstream.origin}
    done = subprocess.run(
        [sys.executable, "-c", THROUGH_PROXY, request.model],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stdout == "['w0 ', 'w1 ']\n" * 2
    assert len(upstream.journal(request.model)) == 2


def test_more_connections_than_are_kept(upstream, caplog):
    """Connections beyond those that are kept are closed without a word."""
    with (
        httpx2.Client(transport=LeanTransport(ssl.create_default_context(), kept=1)) as client,
        ExitStack() as stack,
    ):
        for _ in range(3):
            stack.enter_context(client.stream("GET", f"{upstream.base_url}/models")).read()
        answers = [stack.enter_context(client.stream("GET", f"{upstream.base_url}/models")) for _ in range(3)]
        for answer in answers:
            answer.read()

    assert caplog.records == []
