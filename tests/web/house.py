"""A small app that has the real doors and problems, and rooms made for looking at them."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request
from flask.testing import FlaskClient

from services.errors import GlossError
from services.settings import Settings
from services.telemetry.metrics import Metrics
from services.web.bodies import read_json
from services.web.doors import Doors, install_doors
from services.web.entries import parse_keys
from services.web.keys import Keys, authenticate
from services.web.problems import install_problems

HERE = {"Host": "localhost:8000"}


def settings(**given: Any) -> Settings:
    """Settings that no environment and no .env of the machine has a say in."""
    plain = {"host": "127.0.0.1", "keys": (), "open": False, "trusted_hosts": (), "cors_origins": ()}
    return Settings(_env_file=None, **{**plain, **given})


def client(**given: Any) -> FlaskClient:
    """A client of an app with these settings."""
    return house(settings(**given)).test_client()


def house(chosen: Settings) -> Flask:
    app = Flask(__name__, static_folder=None)
    keys = Keys(parse_keys(chosen.keys))
    install_doors(app, Doors.of(chosen, keys.__bool__))
    install_problems(app, Metrics())

    @app.post("/v1/echo")
    def echo() -> dict[str, Any]:
        authenticate(request, keys, scope="echo")
        return read_json(request, max_bytes=2_000, within_s=5)

    @app.get("/v1/admin")
    def admin() -> Response:
        authenticate(request, keys, scope="admin")
        return Response(status=200)

    @app.get("/v1/secret")
    def secret() -> Response:
        return Response("42", content_type="text/plain; charset=utf-8")

    @app.get("/v1/own")
    def own() -> Response:
        return Response("x", headers={"Cache-Control": "private", "Content-Security-Policy": "sandbox"})

    @app.get("/")
    def page() -> Response:
        return Response("<!doctype html>", content_type="text/html; charset=utf-8")

    @app.get("/v1/use-cases")
    def use_cases() -> list[str]:
        return []

    return app


def get(given: FlaskClient, path: str, headers: Mapping[str, str] = HERE, **more: Any) -> Any:
    """GET with headers laid over a Host that loopback serves."""
    return given.get(path, headers={**HERE, **headers}, **more)


def refusal(action: Callable[[], object]) -> GlossError | None:
    """What the action is refused with; None where it is not."""
    try:
        action()
    except GlossError as error:
        return error
    return None
