"""Requests as the SDK writes them."""

import httpx2
import pytest

from services.providers.asking import Forms, Refused, send

TIMEOUT = httpx2.Timeout(3, connect=2)


class Unread(httpx2.SyncByteStream):
    """A body that nobody may read yet."""

    closed = False

    def __iter__(self):
        raise AssertionError

    def close(self):
        self.closed = True


def forms(*, base_url="http://provider.test/v1", api_key="k"):
    return Forms.of(api_key=api_key, base_url=base_url, timeout=TIMEOUT)


def answering(status, body):
    return httpx2.MockTransport(lambda _: httpx2.Response(status, content=body))


def test_filled():
    """A form that is filled in has the SDK's key and address, the body and its length."""
    request = forms().chat.filled(b'{"a":1}')

    assert (request.method, str(request.url)) == ("POST", "http://provider.test/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers.get_list("content-length") == ["7"]
    assert request.read() == b'{"a":1}'


def test_time_limits():
    """A form keeps the time limits."""
    assert forms().chat.filled(b"{}").extensions["timeout"] == TIMEOUT.as_dict()


def test_filled_twice():
    """What one request was filled with is not in the next."""
    form = forms().chat
    form.filled(b"one")

    assert form.filled(b"another").read() == b"another"


def test_no_body():
    """A form without a body says nothing of one."""
    request = forms().models.filled(b"")

    assert request.method == "GET"
    assert "content-length" not in request.headers


def test_no_key():
    """A local server needs no key."""
    assert forms(api_key=None).chat.request.headers["authorization"] == "Bearer none"


def test_success_is_not_read():
    """The body of a success is left to who asked."""
    body = Unread()
    way = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=body))

    assert not send(way, forms().models.filled(b"")).is_closed
    assert not body.closed


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": {"code": "c"}}', {"code": "c"}),
        (b'{"code": "c"}', {"code": "c"}),
        (b'["c"]', ["c"]),
        (b" c \xff", "c \ufffd"),
    ],
)
def test_refused(body, error):
    """A status that is no success is raised, with what the body says of it."""
    with pytest.raises(Refused) as refused:
        send(answering(400, body), forms().models.filled(b""))

    assert (refused.value.status, refused.value.error) == (400, error)
