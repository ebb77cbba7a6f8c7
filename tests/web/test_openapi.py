"""The OpenAPI document."""

import json
import re
from datetime import date

import msgspec
import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import create_model

from services.errors import GlossError, UpgradeRequired
from services.events import Event, Finish, Notice, Start, Text, Timing, Usage, to_line
from services.streams.use_case import Input, UseCase, one_call
from services.telemetry.metrics import Metrics
from services.web.keys import Keys
from services.web.metrics import MetricsRoute
from services.web.openapi import document
from services.web.pages import pages_blueprint
from services.web.problems import install_problems, problem_response
from services.web.sessions import SessionRoutes
from services.web.streams import StreamRoutes
from services.web.subjects import SubjectRoutes
from services.web.usage import UsageRoute
from services.web.usage_history import UsageHistory
from services.web.ws.route import WebSocketRoute
from services.wire.negotiation import offered
from tests.streams.scripted import Gate, whole
from tests.streams.stage import Stage, settle, stage_settings
from tests.web.test_pages import CLIENT, USE_CASE


class Check(Event, tag="check"):
    question: str


Answered = create_model("Check", __base__=Input, value=(str, ...))


class Other(Input):
    """An input that holds a model of the same name as an event."""

    check: Answered | None = None


OTHER = UseCase(name="other", title="Other", input=Other, transform=one_call(dict), events=(Check,))
USE_CASES = {use_case.name: use_case for use_case in (USE_CASE, OTHER)}
STREAM = {"$ref": "#/components/responses/stream"}
DOCUMENT = json.loads(msgspec.json.encode(document(USE_CASES, version="1.2", keyed=True)))
SCHEMAS = DOCUMENT["components"]["schemas"]


def valid(name, value):
    """Tell whether the value is what the document says of this schema."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return Draft202012Validator(whole).is_valid(value)


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method in ("get", "post", "delete"):
            if method in item:
                yield path, method, item[method]


def routes():
    """Every route of the app, as the document writes it."""
    app = Flask(__name__, static_folder=None)
    install_problems(app, Metrics())
    app.register_blueprint(StreamRoutes(None, USE_CASES, None).blueprint())
    app.register_blueprint(SessionRoutes(None, USE_CASES, Keys()).blueprint())
    app.register_blueprint(SubjectRoutes(None, USE_CASES, None).blueprint())
    app.register_blueprint(UsageRoute(None, Keys()).blueprint())
    app.register_blueprint(MetricsRoute(Metrics(), stage_settings(), bool, bool).blueprint())
    app.register_blueprint(
        UsageHistory(history=None, keys=Keys(), settings=stage_settings(), today=date.today).blueprint()
    )
    app.register_blueprint(WebSocketRoute(None, None).blueprint())
    app.register_blueprint(
        pages_blueprint(
            CLIENT, use_cases=USE_CASES, limits=lambda _: {}, ready=dict, openapi=bool, keyed=bool
        )
    )
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if path == "/v1/{name}":
                yield from ((f"/v1/{name}", method) for name in USE_CASES)
            else:
                yield path, method


def test_it_is_openapi():
    """The document is valid OpenAPI 3.1, every reference in it resolved."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_it_knows_every_route():
    """The document and the app have the same routes and methods."""
    assert {(path, method.upper()) for path, method, _ in operations()} == set(routes())


def test_every_operation_has_a_name_of_its_own():
    """Generated clients name their functions by operationId."""
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", USE_CASES)
def test_a_start_answers_in_four_encodings(name):
    """The answer's encodings are those that are spoken."""
    assert DOCUMENT["paths"][f"/v1/{name}"]["post"]["responses"]["200"] == STREAM
    content = DOCUMENT["components"]["responses"]["stream"]["content"]
    assert list(content) == ["text/plain", "application/x-ndjson", "text/event-stream", "application/json"]


def test_padded_streams_have_no_text() -> None:
    """What is not offered is not documented."""
    padded = document(USE_CASES, version="1", keyed=True, types=offered(128))
    assert "text/plain" not in padded["components"]["responses"]["stream"]["content"]


@pytest.mark.parametrize("kind", GlossError.tree())
def test_every_problem_is_described(kind):
    """Each kind of problem stands with its status, and its body is of the schema."""
    described = DOCUMENT["components"]["responses"][f"problem.{kind.status}"]
    assert f"`{kind.slug}`" in described["description"]
    assert valid("problem", problem_response(kind("Why.", retry_after_s=2)).json)


@pytest.mark.parametrize(
    "status", sorted({kind.status for kind in GlossError.tree()} - {UpgradeRequired.status})
)
def test_every_status_of_a_problem_can_come_from_a_start(status):
    """Starting a stream can fail in every way there is, but for what a WebSocket's handshake lacks."""
    assert str(status) in DOCUMENT["paths"]["/v1/copy"]["post"]["responses"]


def test_private_routes_ask_for_a_key():
    """With keys, all but the public pages need one; without keys, nothing does."""
    assert DOCUMENT["security"] == [{"key": []}]
    assert document(USE_CASES, version="1", keyed=False)["security"] == []
    free = {path for path, _, operation in operations() if operation.get("security") == []}
    assert free == {
        "/",
        "/usage",
        "/assets/{name}",
        "/healthz",
        "/readyz",
        "/v1/use-cases",
        "/openapi.json",
        "/problems/{slug}",
    }


EVENTS = [
    Start(
        stream="s",
        use_case="copy",
        model="m",
        prompt="copy@1",
        input_tokens=1,
        limits={"max_output_tokens": 1, "deadline_s": 1.0},
        created="2026-01-01T00:00:00Z",
    ),
    Text(text="Hola"),
    Notice(code="thinking", detail="…"),
    Check(question="Why?"),
    Finish(
        reason="stop", usage=Usage(), chars=4, sha256="0" * 64, timing=Timing(first_text_ms=1, total_ms=2)
    ),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_as_described(event):
    """An event on the wire, with its number, is of its schema and of the schema of any event."""
    told = json.loads(to_line(event, 3))
    assert valid("event", told)
    assert valid(f"event.{type(event).__name__}", told)
    assert not valid("event", told | {"id": 0})
    assert not valid("event", {name: value for name, value in told.items() if name != "id"})


def test_an_input_and_an_event_may_share_a_name():
    """Names of inputs and events do not get into each other's way."""
    assert "question" in SCHEMAS["event.Check"]["properties"]
    assert "value" in SCHEMAS["input.Check"]["properties"]


@pytest.mark.parametrize("name", USE_CASES)
def test_a_start_takes_its_input(name):
    """The body of a start is of its use case's schema: the example is, an unknown field is not."""
    body = DOCUMENT["paths"][f"/v1/{name}"]["post"]["requestBody"]["content"]["application/json"]
    schema = body["schema"]["$ref"].rpartition("/")[2]
    assert valid(schema, body["example"])
    assert not valid(schema, body["example"] | {"unknown": 1})


@pytest.mark.parametrize(
    "says", [whole("Hello"), ("Hello",), whole("Hello", Gate())], ids=["ended", "failed", "runs"]
)
def test_the_status_of_a_stream_is_of_the_schema(says):
    """Its ``finish`` is the event that readers get, with its number."""
    stage = Stage(says=says)
    reply = stage.post(options={"on_disconnect": "finish"})
    settle()
    told = stage.get(reply.stream, path="/status").json()
    assert valid("status", told)
    if told["finish"]:
        assert told["finish"] == reply.events()[-1]
        assert told["finish"]["id"] == told["last_id"]


def test_a_client_token_says_which_fields_it_needs():
    """One, and one of the two budgets; every other tells what is meant where it is left out."""
    schema = SCHEMAS["input.TokenWish"]
    assert (schema["required"], schema["additionalProperties"]) == (["subject"], False)
    assert schema["anyOf"] == [{"required": ["budget_usd"]}, {"required": ["budget_tokens"]}]
    described = {
        name: one.get("description") or one["anyOf"][0]["description"]
        for name, one in schema["properties"].items()
    }
    assert all("Left out" in described[name] for name in ("use_cases", "ttl_s", "origin"))
    assert "3600" in described["ttl_s"]
