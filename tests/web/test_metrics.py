"""Who may see the figures, and what they see."""

import pytest

from services.web.keys import new_key
from tests.streams.stage import Stage
from tests.telemetry.reading import total

KEY = "a-key-of-the-scraper"
ENTRY = new_key("web")[1].line()


def test_the_figures_are_prometheus_text() -> None:
    """Version 0.0.4, and in it what has happened."""
    stage = Stage()
    stage.post().read()
    stage.call("GET", "/nowhere").read()
    reply = stage.call("GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    said = reply.read()
    assert total(said, "gloss_streams_ended_total", gloss_use_case="echo", reason="stop") == 1
    assert total(said, "gloss_requests_refused_total", error_type="not-found") == 1


@pytest.mark.parametrize(
    ("settings", "sent", "status"),
    [
        ({}, None, 200),
        ({"keys": (ENTRY,)}, None, 403),
        ({"host": "0.0.0.0", "open": True}, None, 403),  # noqa: S104 - nothing listens
        ({"host": "0.0.0.0", "open": True}, KEY, 403),  # noqa: S104 - the same
        ({"metrics_key": KEY}, None, 401),
        ({"metrics_key": KEY}, f"{KEY}x", 401),
        ({"metrics_key": KEY}, KEY, 200),
        ({"metrics_key": KEY, "keys": (ENTRY,)}, KEY, 200),
        ({"metrics_key": "schlüssel"}, "schl", 401),
    ],
)
def test_a_key_of_their_own_opens_them(settings: dict, sent: str | None, status: int) -> None:
    """S20: without one they are open to this machine alone, and only where no API key is asked for either."""
    assert Stage(settings=settings).call("GET", "/metrics", key=sent).status == status


def test_an_api_key_does_not_open_them() -> None:
    """Who may translate may not see what all others do."""
    key, entry = new_key("web")
    stage = Stage(settings={"metrics_key": KEY, "keys": (entry.line(),)})
    assert stage.call("GET", "/metrics", key=key).status == 401


def test_the_figures_are_no_pages_business() -> None:
    """Not where another site's page asks for them from this machine's browser."""
    assert Stage().call("GET", "/metrics", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
