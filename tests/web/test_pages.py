"""What anybody may read without a key."""

import re
from pathlib import Path

import pytest
from flask import Flask

from services.events import Event
from services.settings import Settings
from services.streams.use_case import Input, UseCase, one_call
from services.telemetry.metrics import Metrics
from services.web.doors import Doors, install_doors
from services.web.keys import new_key
from services.web.openapi import document
from services.web.pages import ASSETS, pages_blueprint
from services.web.problems import install_problems
from tests.web.house import HERE, get, settings

CLIENT = Path(__file__).parents[2] / "client"


class Segment(Event, tag="segment"):
    index: int


class Given(Input):
    text: str


USE_CASE = UseCase(
    name="copy",
    title="Copy a text",
    input=Given,
    transform=one_call(lambda given: {"text": given.text}),
    events=(Segment,),
    example={"text": "Hola"},
)
IMPORTED = re.compile(r'^(?:import|}) .*from "\./([^"]+)";$', re.MULTILINE)
PUBLIC = [
    "/",
    "/usage",
    "/healthz",
    "/readyz",
    "/v1/use-cases",
    "/openapi.json",
    *(f"/assets/{name}" for name in ASSETS),
]


def folder(tmp_path: Path) -> Path:
    """A page of which every file says its own name."""
    for name in ["index.html", "usage.html", *ASSETS]:
        (tmp_path / name).write_text(f"{name} · ü")
    return tmp_path


def app(
    client: Path,
    *,
    ready: dict[str, bool] | None = None,
    chosen: Settings | None = None,
    keyed: bool = False,
) -> Flask:
    made, use_cases = Flask(__name__, static_folder=None), {USE_CASE.name: USE_CASE}
    install_doors(made, Doors.of(chosen or settings(), lambda: bool(chosen and chosen.keys)))
    install_problems(made, Metrics())
    made.register_blueprint(
        pages_blueprint(
            client,
            use_cases=use_cases,
            limits=lambda _use_case: {"max_output_tokens": 7},
            ready=lambda: {"provider": True} if ready is None else ready,
            openapi=lambda keyed: document(use_cases, version="1", keyed=keyed),
            keyed=lambda: keyed,
        )
    )
    return made


@pytest.fixture
def client(tmp_path):
    return app(folder(tmp_path)).test_client()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/usage", "text/html; charset=utf-8"),
        ("/assets/gloss.js", "text/javascript; charset=utf-8"),
        ("/assets/page.js", "text/javascript; charset=utf-8"),
        ("/assets/page.css", "text/css; charset=utf-8"),
        ("/assets/gloss.d.ts", "text/plain; charset=utf-8"),
        ("/healthz", "application/json; charset=utf-8"),
        ("/readyz", "application/json; charset=utf-8"),
        ("/v1/use-cases", "application/json; charset=utf-8"),
        ("/openapi.json", "application/json; charset=utf-8"),
    ],
)
def test_each_page_has_its_type(client, path, content_type):
    """Every public page says what it is, with its charset; a script is never called anything else."""
    answer = get(client, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_the_file(client, name):
    """An asset is sent byte for byte."""
    assert get(client, f"/assets/{name}").data == f"{name} · ü".encode()


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "package.json",
        "..%2fapp.py",
        "../app.py",
        "%2e%2e/app.py",
        "gloss.js%00.css",
        "GLOSS.JS",
        ".",
    ],
)
def test_nothing_else_is_an_asset(client, name):
    """Only files that are named are served, whatever lies in the folder or above it."""
    assert get(client, f"/assets/{name}").status_code == 404


@pytest.mark.parametrize("path", PUBLIC)
def test_head_is_get_without_a_body(client, path):
    """HEAD answers with the headers of GET."""
    head, whole = client.head(path, headers=HERE), get(client, path)
    assert (head.status_code, head.data) == (whole.status_code, b"")
    assert head.headers == whole.headers


def test_a_page_is_not_a_folder(client):
    """With a slash behind its name a page would look for its parts in the wrong place."""
    assert get(client, "/usage/").status_code == 404


@pytest.mark.parametrize("path", PUBLIC)
def test_no_key_is_asked_for(tmp_path, path):
    """With keys configured these stay open."""
    keyed = settings(keys=(new_key("web")[1].line(),))
    answer = get(app(folder(tmp_path), chosen=keyed).test_client(), path)
    assert answer.status_code == 200


def test_a_missing_file_stops_the_start(tmp_path):
    """A page that is not whole is found at the start, not by the first visitor."""
    (folder(tmp_path) / "page.css").unlink()
    with pytest.raises(FileNotFoundError, match=r"page\.css"):
        app(tmp_path)


def test_the_page_of_the_project_is_whole():
    """Every file that is served exists in the project, and the page and its modules load only served ones."""
    client = app(CLIENT).test_client()
    pages = get(client, "/").text + get(client, "/usage").text
    wanted = {part.split('"')[0] for part in pages.split('"assets/')[1:]}
    for name in wanted & {name for name in ASSETS if name.endswith(".js")}:
        wanted |= set(IMPORTED.findall(get(client, f"/assets/{name}").text))
    assert wanted == set(ASSETS) - {"gloss.d.ts"}


@pytest.mark.parametrize("inline", ["<style", " style=", " onclick=", "javascript:", "<base", "<script>"])
def test_the_page_lives_with_its_policy(inline):
    """The page has nothing that its Content-Security-Policy would refuse."""
    assert inline not in (CLIENT / "index.html").read_text(encoding="utf-8")


def test_healthz_says_alive(client):
    """The process answers, whatever its provider does."""
    assert get(client, "/healthz").json == {"status": "ok"}


@pytest.mark.parametrize(
    ("checks", "status", "said"),
    [
        ({"provider": True, "accepting": True}, 200, "ready"),
        ({"provider": False, "accepting": True}, 503, "not ready"),
        ({}, 200, "ready"),
    ],
)
def test_readyz_says_what_stands_against_it(tmp_path, checks, status, said):
    """One check that fails keeps traffic away, and is named."""
    answer = get(app(folder(tmp_path), ready=checks).test_client(), "/readyz")
    assert (answer.status_code, answer.json) == (status, {"status": said, "checks": checks})
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_use_cases_tell_all_that_a_client_needs(client):
    """Each use case comes with its schema, events, limits and an example that works."""
    (about,) = get(client, "/v1/use-cases").json
    assert about.pop("schema")["required"] == ["text"]
    assert about == {
        "name": "copy",
        "title": "Copy a text",
        "events": ["segment"],
        "limits": {"max_output_tokens": 7},
        "example": {"text": "Hola"},
    }
    Given.model_validate(USE_CASE.example)


def test_the_document_is_served(client):
    """``/openapi.json`` is the document that was made at the start."""
    assert get(client, "/openapi.json").json["openapi"] == "3.1.0"
