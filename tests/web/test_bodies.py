"""Reading a request's body."""

import io

import gevent.event
import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from services.errors import (
    BodyTooLarge,
    MalformedBody,
    Overloaded,
    RequestTimeout,
    UnsupportedMediaType,
)
from services.web.bodies import PIECE, parse_object, read_json
from tests.web.house import HERE, client, refusal

MARKER = "MARKER-7f3a"
LIMIT = 100


def request(body, *, headers=None, chunked=False):
    """A request with this body; a chunked one has no length, and the server says where it ends."""
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    environ = EnvironBuilder(method="POST", headers=headers).get_environ()
    environ["wsgi.input"] = stream
    if chunked:
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    else:
        environ["CONTENT_LENGTH"] = str(len(stream.getvalue()))
    return Request(environ)


def read(body, **more):
    return read_json(request(body, **more), max_bytes=LIMIT, within_s=5)


class Failing:
    """A body whose reading fails after a first piece."""

    def __init__(self, error):
        self._pieces = iter([b'{"a":'])
        self._error = error

    def read(self, _size):
        for piece in self._pieces:
            return piece
        raise self._error


class Silent:
    """A body that never comes."""

    def read(self, _size):
        gevent.event.Event().wait()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"]
)
def test_the_type_is_of_no_account(chunked, content_type):
    """A body is read as JSON whatever it is called, so that ``curl -d`` works."""
    headers = {"Content-Type": content_type} if content_type else None
    assert read(b'{"text": "Hola"}', headers=headers, chunked=chunked) == {"text": "Hola"}


def test_a_body_in_small_pieces_is_whole():
    """A reading that gives less than was asked for is read on."""
    body = io.BytesIO(b'{"a": 1}')
    body.read1 = body.read
    trickle = type("Trickle", (), {"read": lambda _self, _size: body.read1(1)})()
    assert read(trickle, chunked=True) == {"a": 1}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "fits"), [(LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False)])
def test_a_body_has_a_limit_to_the_byte(chunked, size, fits):
    """A body of the limit fits; with one byte more it is refused, with its length known or not."""
    body = b"{}".ljust(size)
    if fits:
        assert read(body, chunked=chunked) == {}
    else:
        with pytest.raises(BodyTooLarge) as caught:
            read(body, chunked=chunked)
        assert caught.value.problem()["limit"] == LIMIT


def test_a_huge_length_is_refused_unread():
    """A Content-Length above the limit is refused before a byte is read."""
    asked = request(b"")
    asked.environ["CONTENT_LENGTH"] = str(10**12)
    asked.environ["wsgi.input"] = Failing(AssertionError("read"))
    with pytest.raises(BodyTooLarge):
        read_json(asked, max_bytes=LIMIT, within_s=5)


def test_an_endless_body_is_left_at_the_limit():
    """No more than one byte beyond the limit is taken from a body without an end."""
    taken = []
    endless = type("Endless", (), {"read": lambda _self, size: taken.append(size) or b" " * size})()
    with pytest.raises(BodyTooLarge):
        read(endless, chunked=True)
    assert sum(taken) == LIMIT + 1


def test_a_body_that_does_not_come_times_out():
    """The whole body has to arrive within the time given."""
    with pytest.raises(RequestTimeout) as caught:
        read_json(request(Silent(), chunked=True), max_bytes=LIMIT, within_s=0.01)
    assert caught.value.problem()["limit"] == 0.01


def test_a_body_cut_short_is_malformed():
    """Fewer bytes than promised are not taken for the whole."""
    asked = request(b"{}")
    asked.environ["CONTENT_LENGTH"] = "3"
    with pytest.raises(MalformedBody, match="before its Content-Length"):
        read_json(asked, max_bytes=LIMIT, within_s=5)


def test_without_any_length_there_is_no_body():
    """Neither length nor a server that ends the body: nothing is read, so nothing hangs."""
    asked = request(b"")
    del asked.environ["CONTENT_LENGTH"]
    asked.environ["wsgi.input"] = Failing(AssertionError("read"))
    with pytest.raises(MalformedBody, match="empty"):
        read_json(asked, max_bytes=LIMIT, within_s=5)


@pytest.mark.S11
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "nonsense"])
def test_a_compressed_body_is_refused(coding):
    """A small body that grows is not taken in."""
    with pytest.raises(UnsupportedMediaType):
        read(b"{}", headers={"Content-Encoding": coding})


@pytest.mark.S11
@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, gzip"])
def test_a_body_compressed_on_its_way_is_refused_too(coding):
    """``Transfer-Encoding`` may be chunked and nothing else."""
    with pytest.raises(UnsupportedMediaType):
        read(b"{}", headers={"Transfer-Encoding": coding})


def test_identity_is_no_compression():
    """``Content-Encoding: identity`` says that nothing was done."""
    assert read(b"{}", headers={"Content-Encoding": "identity"}) == {}


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("text/plain", False),
        ("text/plain; application/json", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("application/json+x", False),
        (None, False),
    ],
)
def test_a_page_must_call_it_json(content_type, taken):
    """With an Origin only application/json is read: a form cannot send it."""
    headers = {"Origin": "http://localhost"} | ({"Content-Type": content_type} if content_type else {})
    if taken:
        assert read(b"{}", headers=headers) == {}
    else:
        with pytest.raises(UnsupportedMediaType):
            read(b"{}", headers=headers)


NOT_AN_OBJECT = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "words": b"text=Hola&target=es",
    "array": b"[{}]",
    "string": b'"{}"',
    "null": b"null",
    "number": b"1",
    "open": b'{"a": 1',
    "trailing": b"{} {}",
    "single quotes": b"{'a': 1}",
    "comment": b'{"a": 1} // x',
    "trailing comma": b'{"a": 1,}',
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "beyond doubles": b'{"a": 1e999}',
    "control character": b'{"a": "\n"}',
    "bom": b"\xef\xbb\xbf{}",
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "surrogate bytes": b'{"a": "\xed\xa0\x80"}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone low surrogate": b'{"a": "\\udc00 and more"}',
    "broken pair": b'{"a": "\\ud83d\\u0041"}',
    "nul": b"\x00",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}


@pytest.mark.parametrize("body", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
def test_anything_but_an_object_is_malformed(body):
    """Only one JSON object in UTF-8 is a body."""
    with pytest.raises(MalformedBody):
        parse_object(body)


@pytest.mark.parametrize("digits", [30, 5_000])
def test_a_huge_number_is_no_accident(digits):
    """A number of any length is read or malformed, never an error of ours."""
    error = refusal(lambda: parse_object(b'{"a":' + b"9" * digits + b"}"))
    assert error is None or isinstance(error, MalformedBody)


def test_the_place_of_a_fault_is_told():
    """The byte at fault is named, and nothing around it."""
    with pytest.raises(MalformedBody, match="from byte 6 on"):
        parse_object(b'{"a": x}')


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_malformed(body):
    """No body brings anything but an object or the problem."""
    error = refusal(lambda: parse_object(body))
    assert error is None or isinstance(error, MalformedBody)


@pytest.mark.parametrize("form", ["{}", "{{{}}}", '"{}', '{{"{}": 1, x}}', '{{"a": "{}"', '["{}"]'])
@pytest.mark.parametrize("chunked", [False, True])
def test_no_refusal_repeats_the_body(form, chunked):
    """A marker planted anywhere in a bad body is in no problem."""
    error = refusal(lambda: read(form.format(MARKER).encode(), chunked=chunked))
    assert MARKER not in str(error.problem())


def test_a_refusal_travels_as_a_problem():
    """Through the whole app, a bad body is a 400 without an echo."""
    answer = client().post("/v1/echo", data=f"{MARKER}=1", headers=HERE)
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/malformed-body")
    assert MARKER not in answer.text


def test_room_is_asked_for_while_a_large_body_comes():
    """For each piece after the first 64 KB: what is refused then is not kept, and not read on."""
    asked = []

    def spare():
        asked.append(1)
        raise Overloaded

    body = io.BytesIO(b'{"a": "' + b"x" * (1 << 20) + b'"}')
    with pytest.raises(Overloaded):
        read_json(request(body), max_bytes=1 << 21, within_s=5, spare=spare)
    assert (asked, body.tell()) == ([1], 2 * PIECE)
    assert read_json(request(b'{"a": 1}'), max_bytes=LIMIT, within_s=5, spare=spare) == {"a": 1}
