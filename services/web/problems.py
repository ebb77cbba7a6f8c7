"""Errors as answers: every one is an RFC 9457 problem, and none repeats what the caller sent."""

import logging
from html import escape
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from services import errors
from services.errors import GlossError, Overloaded
from services.state.store import StoreDownError
from services.telemetry import bare_traceback, names
from services.telemetry.metrics import Metrics

PROBLEM_TYPE = "application/problem+json; charset=utf-8"
SERVER_FAULT = 500

log = logging.getLogger("gloss.web")

# What werkzeug raises by itself, by status; it has no business with any other.
BY_STATUS: dict[int, type[GlossError]] = {
    400: errors.MalformedBody,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    406: errors.NotAcceptable,
    408: errors.RequestTimeout,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Gloss</title>
<link rel="stylesheet" href="../assets/page.css">
</head>
<body>
<main>
<h1>{title}</h1>
<p>{meaning}</p>
<p>Problem <code>{slug}</code>, HTTP status {status}.</p>
<p><a href="../">Gloss</a></p>
</main>
</body>
</html>
"""


def install_problems(app: Flask, metrics: Metrics) -> None:
    """Answer every error of the app with its problem, which is counted, and serve a page about each."""

    def refused(error: Exception) -> Response:
        response = problem_response(counted(metrics, error))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(Exception, refused)
    app.register_blueprint(_pages())


def as_problem(error: Exception) -> GlossError:
    """Return what a caller is told of an error; one of ours is logged.

    That the store is away is nobody's fault here, and soon over: running streams go on without it.
    """
    if isinstance(error, GlossError):
        return error
    if isinstance(error, HTTPException) and (error.code or SERVER_FAULT) < SERVER_FAULT:
        return BY_STATUS.get(error.code or SERVER_FAULT, errors.MalformedBody)()
    if isinstance(error, StoreDownError):
        return Overloaded("The store cannot be reached.", retry_after_s=1)
    log_unexpected(error)
    return errors.Internal()


def counted(metrics: Metrics, error: Exception) -> GlossError:
    """Return what a caller is told of an error, and count it."""
    problem = as_problem(error)
    metrics.count(names.PROBLEMS, problem.slug)
    return problem


def problem_response(error: GlossError, instance: str | None = None) -> Response:
    """Return the answer for an error; ``instance`` is the stream's path where there is one."""
    body = msgspec.json.encode(error.problem(instance))
    response = Response(body, error.status, content_type=PROBLEM_TYPE)
    if error.retry_after is not None:
        response.headers["Retry-After"] = error.retry_after
    if isinstance(error, errors.RateLimited):
        response.headers.update(error.told)
    if "quotas" in error.members:  # they cannot be looked at, and are taken to be used up
        response.headers["Gloss-Quotas"] = str(error.members["quotas"])
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="gloss"'
    if isinstance(error, errors.UpgradeRequired):  # RFC 9110, 15.5.22, and RFC 6455, 4.4
        response.headers.update(Upgrade="websocket", Connection="Upgrade")
        response.headers["Sec-WebSocket-Version"] = "13"
    return response


def log_unexpected(error: BaseException) -> None:
    """Log an error of ours: where it happened, and nothing of what anybody sent."""
    log.error("internal error\n%s", bare_traceback(error))


def slugs() -> dict[str, type[GlossError]]:
    """Return every kind of problem by its slug; the first class that bears it describes it."""
    kinds: dict[str, type[GlossError]] = {}
    for kind in GlossError.tree():
        kinds.setdefault(kind.slug, kind)
    return kinds


def _pages() -> Blueprint:
    pages = Blueprint("problems", __name__)
    kinds = slugs()

    @pages.get("/problems/<slug>")
    def problem_page(slug: str) -> Response:
        """Explain one kind of problem, to a person or to a program."""
        if slug not in kinds:
            raise errors.NotFound("There is no such kind of problem.")
        about = _about(kinds[slug])
        wanted = request.accept_mimetypes.best_match(["text/html", "application/json"])
        if wanted == "application/json":
            return Response(msgspec.json.encode(about), content_type="application/json; charset=utf-8")
        return Response(
            PAGE.format_map({name: escape(str(value)) for name, value in about.items()}),
            content_type="text/html; charset=utf-8",
        )

    return pages


def _about(kind: type[GlossError]) -> dict[str, Any]:
    return {
        "type": f"/problems/{kind.slug}",
        "slug": kind.slug,
        "title": kind.title,
        "status": kind.status,
        "meaning": kind.meaning,
    }
