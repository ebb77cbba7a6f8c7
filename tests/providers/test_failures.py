import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.errors import ProviderError, ProviderRejected
from services.providers.failures import LOGGED_CHARS, code_of, in_stream, note, of_status, retry_after_s


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_passing(status):
    """What may pass is an error after which another try may help."""
    failure = of_status(status, {}, None)

    assert (type(failure), failure.retryable) == (ProviderError, True)


@pytest.mark.parametrize("status", [501, 505, 507, 520, 599])
def test_error(status):
    """What is the server's fault and will not pass is an error that is not asked about again."""
    failure = of_status(status, {}, None)

    assert (type(failure), failure.retryable) == (ProviderError, False)


@pytest.mark.parametrize(("status", "elsewhere"), [
    *[(status, True) for status in (301, 401, 402, 403, 404, 410, 429, 500, 501, 503)],
    *[(status, False) for status in (400, 413, 422, 451)],
])  # fmt: skip
def test_elsewhere(status, elsewhere):
    """Another provider may have what this one lacks; it has no other request."""
    assert of_status(status, {}, None).elsewhere is elsewhere


def test_no_credit_is_here_only():
    """Another provider's account may have some."""
    assert of_status(429, {}, {"code": "insufficient_quota"}).elsewhere


@pytest.mark.parametrize("status", [301, 307, 400, 401, 402, 403, 404, 413, 422])
def test_refusal(status):
    """What will be the same next time is a refusal."""
    failure = of_status(status, {}, None)

    assert (type(failure), failure.retryable) == (ProviderRejected, False)


@pytest.mark.parametrize(
    ("told", "status", "retryable"), [("true", 400, True), ("false", 503, False), ("?", 503, True)]
)
def test_told(told, status, retryable):
    """The provider's own word on another try beats the status."""
    assert of_status(status, {"x-should-retry": told}, None).retryable is retryable


@pytest.mark.parametrize("headers", [{}, {"x-should-retry": "true"}])
def test_no_credit(headers):
    """An account without credit is a refusal and never retried."""
    failure = of_status(429, headers, {"code": "insufficient_quota"})

    assert (type(failure), failure.retryable) == (ProviderRejected, False)


def test_wait():
    """How long the provider asks to wait is kept."""
    assert of_status(429, {"retry-after": "7"}, {"code": "rate_limit_exceeded"}).retry_after_s == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_retry_after(headers, seconds):
    """Both headers are read, in seconds, and rubbish is no wait."""
    assert retry_after_s(headers) == seconds


def test_retry_after_a_date():
    """A date that lies ahead is a wait from now on."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)

    assert 3500 < retry_after_s({"retry-after": date}) <= 3600


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "a", "type": "b"}, "a"),
        ({"code": None, "type": "b"}, "b"),
        ({"code": 429}, None),
        ({}, None),
        ("text", None),
        (None, None),
    ],
)
def test_code(body, code):
    """An error's name is its code, else its type, if that is a name."""
    assert code_of(body) == code


@pytest.mark.parametrize("error", [{"code": "server_error"}, "broken", ["broken"], 5])
def test_in_stream(error):
    """An error in the stream is an error, whatever it looks like."""
    assert type(in_stream(error)) is ProviderError


def test_no_credit_in_stream():
    """No credit, said in the stream, is a refusal."""
    assert type(in_stream({"code": "insufficient_quota"})) is ProviderRejected


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_detail_is_ours(status):
    """The detail never repeats what the provider said."""
    assert "secret" not in of_status(status, {"x": "secret"}, {"message": "secret", "code": "secret"}).detail


def logged(caplog, *said, **more):
    with caplog.at_level(logging.WARNING, "gloss.provider"):
        note(*said, **more)
    return caplog.records[-1].getMessage()


def test_log_is_one_line(caplog):
    """What the provider said cannot make a second log line, nor move a terminal's cursor."""
    line = logged(caplog, "status 500", "a\nb\r\x1b[2J\u2028\u0085é")

    assert line == r"status 500: 'a\nb\r\x1b[2J\u2028\x85\xe9'"


def test_log_is_bounded(caplog):
    """What the provider said cannot fill the log."""
    assert len(logged(caplog, "status 500", "x" * 10_000)) < LOGGED_CHARS + 20


def test_log_has_no_key(caplog):
    """A provider that repeats the key does not get it into the log."""
    assert "sk-1" not in logged(caplog, "status 401", {"message": "wrong key sk-1"}, secret="sk-1")  # noqa: S106 - none


def test_log_cuts_after_the_key(caplog):
    """A key at the bound is not cut in two and then missed."""
    assert "sk-1" not in logged(caplog, "x", "y" * (LOGGED_CHARS - 5) + "sk-1234", secret="sk-1234")  # noqa: S106 - none
