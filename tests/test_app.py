"""What is made of what."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app as module
from app import HERE, create_app
from services.settings import Settings, SettingsError
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.telemetry import setup_logging
from services.telemetry.folder import note_served
from services.use_cases import USE_CASES
from tests.streams.scripted import whole
from tests.streams.stage import JSON, PROMPTS, Stage, stage_settings


def test_importing_opens_nothing() -> None:
    """The app is made when a server asks for it by name."""
    assert "app" not in vars(module)


def test_it_has_no_other_name_to_give() -> None:
    """A typing error in a server's configuration is an error."""
    with pytest.raises(AttributeError, match="application"):
        module.application  # noqa: B018 - reading it asks


def test_without_a_model_it_tells_the_ways_to_one() -> None:
    """Each is a line to copy."""
    with pytest.raises(SettingsError) as refused:
        create_app(stage_settings(model=None))
    said = str(refused.value)
    assert all(way in said for way in ("make run", "OPENAI_API_KEY=", "OPENAI_BASE_URL=http"))


def test_strangers_need_a_key() -> None:
    """Beyond loopback, without keys and without a word, it does not start."""
    with pytest.raises(SettingsError, match="GLOSS_OPEN"):
        Stage(settings={"host": "0.0.0.0"})  # noqa: S104 - refused


class Away(MemoryStore):
    """A store that has gone away, and may come back."""

    there = False

    def get(self, key: str) -> bytes | None:
        if not self.there:
            raise StoreDownError
        return super().get(key)

    def reachable(self) -> bool:
        return self.there


def test_a_service_does_not_start_without_its_store() -> None:
    """Nobody would know who may call."""
    with pytest.raises(SettingsError, match="who may call"):
        Stage(store=Away())


@pytest.mark.R17
def test_a_worker_that_takes_anothers_place_starts_without_its_store(tmp_path: Path) -> None:
    """It is alive, tells who comes to come again, and goes on as soon as the store answers."""
    note_served(tmp_path)
    store = Away()
    stage = Stage(store=store, settings={"metrics_folder": tmp_path})
    refused = stage.post()
    assert (refused.status, refused.json()["type"]) == (503, "/problems/overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    assert [stage.call("GET", path).status for path in ("/healthz", "/readyz")] == [200, 503]
    store.there = True
    assert stage.call("GET", "/readyz").status == 503  # it does not know yet who may call
    stage.app.extensions["gloss.entrance"].watch.round()
    assert stage.call("GET", "/readyz").status == 200
    assert stage.post().events()[-1]["reason"] == "stop"


@pytest.mark.S2
def test_a_worker_that_takes_anothers_place_lets_no_stranger_in(tmp_path: Path) -> None:
    """Where a store comes back empty, and with it the only keys are gone."""
    note_served(tmp_path)
    store = Away()
    stage = Stage(store=store, settings={"metrics_folder": tmp_path, "host": "0.0.0.0"})  # noqa: S104
    store.there = True
    stage.app.extensions["gloss.entrance"].watch.round()
    assert stage.post().status == 401


def test_a_key_with_an_unknown_scope_is_refused_at_start() -> None:
    """Scopes are use cases."""
    entry = f"web:abcdefgh1234:{'0' * 64}:scopes=paint"
    with pytest.raises(SettingsError, match="entry 1") as refused:
        Stage(settings={"keys": (entry,)})
    assert "paint" not in str(refused.value)


def test_a_broken_prompt_is_an_error_at_start(tmp_path: Path) -> None:
    """Not at the first request."""
    (tmp_path / "echo.md").write_text("nonsense")
    with pytest.raises(ValueError, match=r"echo\.md"):
        Stage(prompts=tmp_path)


def test_every_use_case_has_its_route() -> None:
    """What is registered is served, listed and described, with its limits."""
    stage = Stage(use_cases=USE_CASES, prompts=HERE / "prompts")
    listed = {one["name"]: one for one in stage.call("GET", "/v1/use-cases").json()}
    assert set(listed) == set(USE_CASES)
    described = stage.call("GET", "/openapi.json").json()["paths"]
    for name, one in listed.items():
        assert f"/v1/{name}" in described
        assert set(one["limits"]) == {"max_input_tokens", "max_output_tokens", "deadline_s"}
        assert stage.post(name, "image/png", **one["example"]).status == 406


def test_the_limits_that_are_listed_are_those_that_hold() -> None:
    """The prompt file's, unless the deployment named its own."""
    listed = Stage(settings={"max_output_tokens": 7}).call("GET", "/v1/use-cases").json()
    assert listed[0]["limits"] == {"max_input_tokens": 16_000, "max_output_tokens": 7, "deadline_s": 120}


def test_ready_means_that_the_provider_answers() -> None:
    """Until it does not."""
    checks = {"provider": True, "store": True, "accepting": True, "resources": True}
    assert Stage().call("GET", "/readyz").json() == {"status": "ready", "checks": checks}


def test_input_is_counted_before_anything_is_asked() -> None:
    """What is too long is refused with both numbers, and costs nothing."""
    stage = Stage(settings={"max_input_tokens": 10})
    reply = stage.post(text="word " * 50)
    problem = reply.json()
    assert (reply.status, problem["limit"], stage.provider.asked) == (413, 10, [])
    assert problem["tokens"] > 50
    assert stage.post(text="word " * 9).status == 200


def test_a_call_that_does_not_fit_the_window_is_refused_with_a_status() -> None:
    """Before the first byte, where it is the first call."""
    stage = Stage(settings={"context_window": 256})
    reply = stage.post(text="word " * 300)
    problem = reply.json()
    assert (reply.status, problem["type"], stage.provider.asked) == (413, "/problems/input-too-long", [])
    assert problem["tokens"] > problem["limit"]


def test_a_later_call_that_does_not_fit_is_the_streams_error() -> None:
    """After the first byte the same object stands in the error event, with the stream as instance."""
    stage = Stage(whole("Hello"), settings={"context_window": 256})
    reply = stage.post("growing", text="word ")
    events = reply.events()
    end = events[-1]
    assert (end["type"], end["partial"], len(stage.provider.asked)) == ("error", True, 1)
    assert end["problem"]["tokens"] > end["problem"]["limit"]
    assert end["problem"]["instance"] == f"/v1/streams/{reply.stream}"


def test_an_output_cap_shrinks_to_the_window() -> None:
    """The provider is asked for no more than fits."""
    stage = Stage(settings={"context_window": 300})
    stage.post(text="word " * 100).read()
    (asked,) = stage.provider.asked
    assert 0 < asked.request.max_output_tokens < 300 - 100


def test_too_much_is_refused_with_the_number_that_holds() -> None:
    """422 for each option above the server's."""
    reply = Stage().post(options={"max_output_tokens": 2001, "deadline_s": 121})
    assert (reply.status, [one["problem"] for one in reply.json()["errors"]]) == (
        422,
        ["at most 2000 here", "at most 120 here"],
    )


@pytest.mark.parametrize("accept", [JSON])
def test_the_result_has_what_a_use_case_adds(accept: str) -> None:
    """In one piece, beside the text."""
    adding = Stage().use_cases["echo"]
    changed = type(adding)(
        name="echo", title="echo", input=adding.input, transform=adding.transform,
        result=lambda events: {"pieces": sum(type(event).__name__ == "Text" for event in events)},
    )  # fmt: skip
    stage = Stage(use_cases={"echo": changed}, prompts=PROMPTS)
    assert stage.post("echo", accept).json()["pieces"] == 2


def run(code: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    needed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code], env=needed | {"PYTHONPATH": str(HERE)} | environ, cwd=folder,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_server_gets_an_app_made_from_the_environment(tmp_path: Path) -> None:
    """``gunicorn app:app`` asks for the name, twice, and gets one app."""
    code = "import app; print(app.app is app.app, app.app.name)"
    assert run(code, tmp_path, OPENAI_API_KEY="x").stdout.splitlines()[-1] == "True gloss"


def test_what_stands_in_the_way_of_a_start_is_told_in_words(tmp_path: Path) -> None:
    """No traceback for what the operator can put right."""
    ended = run("from app import app", tmp_path)
    assert (ended.returncode, "Gloss cannot start." in ended.stderr) == (1, True)
    assert "Traceback" not in ended.stderr


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """Our logger, as it was before."""
    logger = logging.getLogger("gloss")
    kept: dict[str, Any] = {
        "handlers": logger.handlers, "level": logger.level, "propagate": logger.propagate,
    }  # fmt: skip
    yield logger
    vars(logger).update(kept)


def test_records_go_to_standard_output_once(ours: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is set up; other people's loggers are left alone."""
    setup_logging()
    setup_logging()
    ours.getChild("stream").info("one line")
    out = capsys.readouterr().out
    assert out.count("one line") == 1
    assert '"level":"info","logger":"gloss.stream"' in out
    assert logging.getLogger().handlers != ours.handlers


def test_settings_are_the_only_thing_that_it_needs() -> None:
    """Everything else has a default that works."""
    made = create_app(Settings(_env_file=None, openai_api_key="x"), store=MemoryStore())
    assert made.test_client().get("/healthz", headers={"Host": "localhost"}).json == {"status": "ok"}
