"""Origins, as browsers write them and as nobody does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.web.origins import host_of

RIGHT = {
    "https://app.example": "app.example",
    "http://localhost:3000": "localhost",
    "https://xn--bcher-kva.example:8443": "xn--bcher-kva.example",
    "http://under_score.example": "under_score.example",
    "http://127.0.0.1:8000": "127.0.0.1",
    "http://[::1]:8000": "[::1]",
}
WRONG = [
    "",
    "null",
    "*",
    "app.example",
    "https://",
    "https://app.example/",
    "https://app.example/page",
    "https://app.example?",
    "https://app.example#",
    "https://user@app.example",
    "https://app.example ",
    "https://app.example\n",
    "HTTPS://app.example",
    "https://App.example",
    "https://bücher.example",
    "https://*.example",
    "https://.example",
    "https://app..example",
    "https://-app.example",
    "https://app.example:",
    "https://app.example:0",
    "https://app.example:08443",
    "https://app.example:65536",
    "https://app.example:443",
    "http://app.example:80",
    "https://app.example:٤٤",
    "https://1.2.3",
    "https://1.2.3.04",
    "https://1.2.3.256",
    "https://[::1",
    "https://[0:0:0:0:0:0:0:1]",
    "https://[x]",
    "ftp://app.example",
    "javascript://app.example",
    "file:///",
]


@pytest.mark.parametrize("origin", RIGHT)
def test_what_a_browser_sends_is_an_origin(origin: str) -> None:
    """Its host is what stands between scheme and port."""
    assert host_of(origin) == RIGHT[origin]


@pytest.mark.parametrize("text", WRONG)
def test_what_no_browser_sends_is_none(text: str) -> None:
    """It would never be equal to the origin of a page."""
    assert host_of(text) is None


@given(st.sampled_from(sorted(RIGHT)), st.text(min_size=1, max_size=3), st.integers(0, 40))
def test_a_sign_too_many_is_never_overlooked(origin: str, put: str, at: int) -> None:
    """Whatever is an origin is in small letters, ASCII, and ends with its host or its port."""
    text = origin[:at] + put + origin[at:]
    if host_of(text) is not None:
        assert text.isascii()
        assert text == text.strip().lower()
        assert text.count("/") == 2
        assert not set(text) & set("@?#*\\ ")
