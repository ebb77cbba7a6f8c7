"""What anybody may read without a key: the page, its assets, health, what is on offer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from services.errors import NotFound
from services.events import type_of
from services.streams.use_case import UseCase

PAGES = {"/": "index.html", "/usage": "usage.html"}
RETRY_AFTER_S = "2"  # of /readyz; balancers ask every few seconds
# Named one by one: a folder that is served whole serves one day what nobody meant to show.
ASSETS = (
    "gloss.js",
    "gloss.d.ts",
    *(f"{part}.js" for part in ("page", "translate", "tutor", "prose", "activity", "status")),
    *(f"{part}.js" for part in ("key", "wire", "words", "view")),
    *(f"{part}.js" for part in ("usage", "plot")),
    "page.css",
    "usage.css",
    "icon.svg",
)
# Python's own table calls .ts a video.
TYPES = {".js": "text/javascript", ".ts": "text/plain", ".css": "text/css", ".svg": "image/svg+xml"}


def pages_blueprint(  # noqa: PLR0913 - what there is to show
    client: Path,
    *,
    use_cases: Mapping[str, UseCase],
    limits: Callable[[UseCase], Mapping[str, Any]],
    ready: Callable[[], Mapping[str, bool]],
    openapi: Callable[[bool], Mapping[str, Any]],
    keyed: Callable[[], bool],
) -> Blueprint:
    """Make the public routes.

    ``client`` is the folder of the page, read once, here; ``limits`` gives the caps of a use
    case, ``ready`` what must hold before traffic is sent here, ``openapi`` the document,
    as it is where keys are asked for and where not; ``keyed`` tells which holds now.
    Raises FileNotFoundError when a file of the page is missing.
    """
    pages = Blueprint("pages", __name__)
    documents = [msgspec.json.encode(openapi(guarded)) for guarded in (False, True)]
    shown = {path: (client / name).read_bytes() for path, name in PAGES.items()}
    assets = {name: (client / name).read_bytes() for name in ASSETS}

    @pages.get("/")
    @pages.get("/usage")
    def page() -> Response:
        """Show a page; what it shows, it asks for itself."""
        if request.path not in shown:  # with a slash at its end it would look for its parts elsewhere
            raise NotFound("There is no such page.")
        return Response(shown[request.path], content_type="text/html; charset=utf-8")

    @pages.get("/assets/<name>")
    def asset(name: str) -> Response:
        """Send one file of the page, or the client library."""
        if name not in assets:
            raise NotFound("There is no such asset.")
        return Response(assets[name], content_type=f"{TYPES[Path(name).suffix]}; charset=utf-8")

    @pages.get("/healthz")
    def healthz() -> Response:
        """Say that the process is alive."""
        return _json({"status": "ok"})

    @pages.get("/readyz")
    def readyz() -> Response:
        """Say whether traffic may be sent here, and what stands against it."""
        checks = dict(ready())
        fine = all(checks.values())
        answer = _json({"status": "ready" if fine else "not ready", "checks": checks})
        if not fine:
            answer.status_code = 503
            answer.headers["Retry-After"] = RETRY_AFTER_S
        return answer

    @pages.get("/v1/use-cases")
    def list_use_cases() -> Response:
        """List what can be asked for."""
        return _json([_about(use_case, limits(use_case)) for use_case in use_cases.values()])

    @pages.get("/openapi.json")
    def openapi_document() -> Response:
        """Send the OpenAPI document."""
        return Response(documents[keyed()], content_type="application/json; charset=utf-8")

    return pages


def _about(use_case: UseCase, limits: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": use_case.name,
        "title": use_case.title,
        "schema": use_case.input.model_json_schema(),
        "events": [type_of(event) for event in use_case.events],
        "limits": dict(limits),
        "example": dict(use_case.example),
    }


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json; charset=utf-8")
