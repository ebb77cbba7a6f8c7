"""Errors as answers."""

import io
import logging
from html import escape

import pytest
from flask import abort
from werkzeug.exceptions import default_exceptions

from services import errors
from services.errors import GlossError
from services.web.problems import problem_response, slugs
from tests.web.house import HERE, client, get, house, settings

MARKER = "MARKER-7f3a"


def raising(error):
    """A client of an app with one route that raises this."""
    app = house(settings())

    @app.get("/raise")
    def route():
        raise error

    return app.test_client()


@pytest.mark.parametrize("kind", [kind for kind in GlossError.tree() if kind is not GlossError])
def test_every_error_is_answered_with_its_problem(kind):
    """Each class of the tree gives its status, its type, and RFC 9457's media type."""
    answer = get(raising(kind("Why.")), "/raise")
    assert (answer.status_code, answer.mimetype) == (kind.status, "application/problem+json")
    assert answer.json == kind("Why.").problem()


def test_members_stand_in_the_problem():
    """What an error knows besides its detail is told; the instance is the stream."""
    answer = problem_response(errors.InputTooLong(tokens=20, limit=10), "/v1/streams/a")
    assert answer.json == {
        "type": "/problems/input-too-long",
        "title": "The input has too many tokens",
        "status": 413,
        "instance": "/v1/streams/a",
        "tokens": 20,
        "limit": 10,
    }


@pytest.mark.parametrize(("seconds", "header"), [(2, "2"), (0.2, "1"), (1.2, "2"), (None, "1")])
def test_when_to_come_back_is_a_header_too(seconds, header):
    """Retry-After is in whole seconds, rounded up, and never says at once."""
    assert problem_response(errors.Overloaded(retry_after_s=seconds)).headers.get("Retry-After") == header


@pytest.mark.parametrize("kind", [kind for kind in GlossError.tree() if kind.status in {429, 503}])
def test_who_is_refused_for_now_is_told_when_to_come_back(kind):
    """A 429 or 503 has Retry-After, and the same seconds in its problem."""
    answer = problem_response(kind(retry_after_s=7.5))
    assert (answer.headers["Retry-After"], answer.json["retry_after_s"]) == ("8", 8)


def test_only_a_budget_may_never_come_back():
    """Whoever raises it knows when, or that waiting does not help; all else has seconds in any case."""
    silent = [kind for kind in GlossError.tree() if kind.status in {429, 503} and not kind().retry_after]
    assert silent == [errors.BudgetExhausted]


@pytest.mark.parametrize(("kind", "asks"), [(errors.Unauthorized, True), (errors.Forbidden, False)])
def test_only_a_missing_key_asks_for_one(kind, asks):
    """WWW-Authenticate belongs to 401 (RFC 9110, 15.5.2)."""
    assert ("WWW-Authenticate" in problem_response(kind()).headers) is asks


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nothing", f"/{MARKER}", "/v1/secret%00", "/%ff"])
def test_an_unknown_path_is_a_problem(path):
    """What is not there is said without the path."""
    answer = get(client(), path)
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")
    assert MARKER not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", MARKER])
def test_a_wrong_method_is_told_the_right_ones(method):
    """405 keeps its Allow header (RFC 9110, 15.5.6)."""
    answer = client().open("/v1/secret", method=method, headers=HERE)
    assert (answer.status_code, answer.json["type"]) == (405, "/problems/method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert MARKER not in answer.text


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_error_of_the_framework_is_a_problem(status, log):
    """Whatever werkzeug raises becomes a problem of ours, without its text."""
    app = house(settings())

    @app.get("/raise")
    def route():
        abort(status, description=MARKER)

    answer = get(app.test_client(), "/raise")
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    assert answer.status_code // 100 == status // 100
    assert MARKER not in answer.text + log.getvalue()


@pytest.fixture
def log():
    """What is logged as an error of ours, whatever the process has set up."""
    written, logger = io.StringIO(), logging.getLogger("gloss.web")
    handler = logging.StreamHandler(written)
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def planted():
    try:
        int(MARKER)
    except ValueError as error:
        message = f"cannot use {MARKER}"
        raise RuntimeError(message) from error


def test_the_unexpected_is_internal_and_logged_bare(log):
    """An error of ours shows nothing, and its log shows where it was, never what was sent."""
    app = house(settings())
    app.add_url_rule("/raise", view_func=planted)
    answer = get(app.test_client(), f"/raise?q={MARKER}", {"X-Marker": MARKER})
    assert answer.json == errors.Internal().problem()
    assert "in planted" in log.getvalue()
    assert MARKER not in log.getvalue()


@pytest.mark.parametrize("slug", sorted(slugs()))
def test_every_type_leads_to_a_page(slug):
    """The URL in a problem's ``type`` tells a person what it means."""
    answer = get(client(), f"/problems/{slug}", {"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert f"<h1>{escape(slugs()[slug].title)}</h1>" in answer.text
    assert "form-action 'none'" in answer.headers["Content-Security-Policy"]


def test_a_page_is_json_for_programs():
    """The same page by ``Accept: application/json``."""
    answer = get(client(), "/problems/busy", {"Accept": "application/json"})
    assert answer.json == {
        "type": "/problems/busy",
        "slug": "busy",
        "title": errors.Busy.title,
        "status": 409,
        "meaning": errors.Busy.meaning,
    }


@pytest.mark.parametrize("accept", ["*/*", "image/png", ""])
def test_a_page_is_html_for_everybody_else(accept):
    """Without a wish for JSON the page is for people."""
    assert get(client(), "/problems/busy", {"Accept": accept}).mimetype == "text/html"


def test_a_page_of_no_problem_is_not_found():
    """An unknown slug is a 404 that does not repeat it."""
    answer = get(client(), f"/problems/{MARKER}")
    assert answer.status_code == 404
    assert MARKER not in answer.text


def test_a_page_has_no_body_for_head():
    """HEAD tells a page's headers."""
    answer = client().head("/problems/busy", headers=HERE)
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"", "text/html")


def test_every_slug_has_a_class_of_its_own():
    """The class that describes a slug is the one that says most about it."""
    assert slugs()["provider-error"].status == 502
    assert slugs()["internal"].status == 500
