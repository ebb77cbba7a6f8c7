"""The core on a stage: the real app, made by its front door, with a scripted provider.

The use cases here are the smallest ones that use each thing a transform can do.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
from werkzeug.test import EnvironBuilder

from app import create_app
from services.errors import InvalidInput
from services.events import Event, Text
from services.llm import Request
from services.settings import Settings
from services.state.memory import MemoryStore
from services.state.store import Shared, Store
from services.streams.core import Core
from services.streams.use_case import Call, Context, Input, Remember, Transform, UseCase, one_call
from services.telemetry.traces import Traces
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Lines, WatchedProvider, whole

PROMPTS = Path(__file__).parent / "prompts"
FALL_BACK_KEY = "key-of-a-fall-back"
SSE, NDJSON, TEXT, JSON = "text/event-stream", "application/x-ndjson", "text/plain", "application/json"


class Said(Input):
    """What the stage's use cases take."""

    text: str = "hello"
    parts: int = 4
    part_tokens: int | None = 100
    session: str | None = None

    def written(self) -> Iterable[str]:
        return [self.text]


class Mark(Event, frozen=True, tag="mark"):
    """An event of a use case's own."""

    n: int


def say(given: Said, part: int | None = None) -> dict[str, str]:
    return {"say": given.text if part is None else f"{part}: {given.text}"}


def mute(given: Said, _context: Context) -> Transform:
    yield Text(text=given.text)
    yield Mark(n=1)
    return None


def four(given: Said, _context: Context) -> Transform:
    calls = (
        Call(variables=say(given, part), max_output_tokens=given.part_tokens) for part in range(given.parts)
    )
    answers = yield tuple(calls)
    for index, answer in enumerate(answers):
        for delta in answer:
            yield Text(text=delta, text_index=index)
    return None


def steps(given: Said, _context: Context) -> Transform:
    for part in range(given.parts):
        yield Mark(n=part)
        answer = yield Call(variables=say(given, part), max_output_tokens=given.part_tokens)
        for delta in answer:
            yield Text(text=delta)
    return None


def diary(given: Said, context: Context) -> Transform:
    if given.text == "refuse":
        raise InvalidInput(errors=[{"field": "text", "problem": "is refused"}])
    pages = (context.state or 0) + 1
    yield Remember(pages)
    answer = yield Call(variables=say(given))
    for delta in answer:
        yield Text(text=delta)
    yield Remember(pages * 10)
    return None


def growing(given: Said, _context: Context) -> Transform:
    answer = yield Call(variables=say(given))
    yield Text(text="".join(answer))
    answer = yield Call(variables={"say": given.text * 300})
    yield Text(text="".join(answer))
    return None


def broken(given: Said, _context: Context) -> Transform:
    answer = yield Call(variables=say(given))
    for delta in answer:
        yield Text(text=delta)
        raise ValueError(given.text)
    return None


def use_case(name: str, transform: Any, **more: Any) -> UseCase:
    return UseCase(name=name, title=name, input=Said, transform=transform, example={"text": "hi"}, **more)


STAGE = {
    one.name: one
    for one in (
        use_case("echo", one_call(say)),
        use_case("mute", mute, events=(Mark,)),
        use_case("four", four),
        use_case("steps", steps, events=(Mark,)),
        use_case("diary", diary, sessions=True),
        use_case("growing", growing),
        use_case("broken", broken),
    )
}


def stage_settings(**given: Any) -> Settings:
    """Settings that no environment and no .env of the machine has a say in."""
    plain = {
        "host": "127.0.0.1", "keys": (), "open": False, "trusted_hosts": (), "cors_origins": (),
        "model": "scripted", "models": (), "openai_base_url": None, "openai_api_key": None,
        "providers": (), "retries_per_minute": 1_000_000,  # a clock that stands still has one minute
        "max_memory_mb": 1_000_000,
    }  # fmt: skip
    return Settings(_env_file=None, **{**plain, **given})


@dataclass
class Reply:
    """A response as a WSGI server sees it: nothing of the body is asked for before a test asks."""

    status: int
    headers: dict[str, str]
    body: Any
    stream: str | None
    _pieces: Iterator[bytes] | None = None

    @property
    def pieces(self) -> Iterator[bytes]:
        """The body's items that have bytes."""
        if self._pieces is None:
            self._pieces = (piece for piece in self.body if piece)
        return self._pieces

    def read(self) -> bytes:
        """Read to the end and close, as a server does."""
        try:
            return b"".join(self.pieces)
        finally:
            self.close()

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()

    def json(self) -> Any:
        return json.loads(self.read())

    def events(self) -> list[dict[str, Any]]:
        """Read an NDJSON body."""
        return [json.loads(line) for line in self.read().splitlines() if line]


@dataclass
class Stage:
    """The app, and everything that stands around it."""

    says: Lines | Callable[[Request], Lines] = field(default_factory=lambda: whole("Hello", " world"))
    use_cases: Mapping[str, UseCase] = field(default_factory=lambda: STAGE)
    prompts: Path = PROMPTS
    clock: FakeClock = field(default_factory=FakeClock)
    settings: dict[str, Any] = field(default_factory=dict)
    shared: Shared | None = None
    store: Store | None = None
    traces: Traces | None = None
    elsewhere: Mapping[str, Lines] = field(default_factory=dict)  # what the models of fall-backs say

    def __post_init__(self) -> None:
        self.provider = WatchedProvider(self.says)
        self.fall_backs = [WatchedProvider(says) for says in self.elsewhere.values()]
        entries = tuple(f"https://:{FALL_BACK_KEY}@host.test/v1#{model}" for model in self.elsewhere)
        self.app = create_app(
            stage_settings(**{"providers": entries, **self.settings}),
            provider=self.provider,
            fall_backs=self.fall_backs,
            use_cases=dict(self.use_cases),
            prompts=self.prompts,
            clock=self.clock,
            store=self.shared or self.store or MemoryStore(monotonic=self.clock.monotonic),
            shared=self.shared,
            traces=self.traces,
        )

    @property
    def core(self) -> Core:
        """What the app is made of."""
        core: Core = self.app.extensions["gloss"]
        return core

    def post(self, name: str = "echo", accept: str = NDJSON, *, key: str | None = None, **body: Any) -> Reply:
        """Start a stream."""
        return self.call("POST", f"/v1/{name}", accept=accept, key=key, data=json.dumps(body))

    def get(self, stream: str | None, accept: str = NDJSON, *, path: str = "", **more: Any) -> Reply:
        """Read a stream again, or what stands below it."""
        return self.call("GET", f"/v1/streams/{stream}{path}", accept=accept, **more)

    def delete(self, stream: str | None, **more: Any) -> Reply:
        """Cancel a stream."""
        return self.call("DELETE", f"/v1/streams/{stream}", **more)

    def call(  # noqa: PLR0913 - a request has that many parts
        self,
        method: str,
        path: str,
        *,
        accept: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        environ: Mapping[str, Any] | None = None,
        data: str | None = None,
    ) -> Reply:
        """Make one request, straight to the WSGI callable."""
        sent = {"Host": "localhost", **(headers or {})}
        if accept:
            sent["Accept"] = accept
        if key:
            sent["Authorization"] = f"Bearer {key}"
        builder = EnvironBuilder(method=method, path=path, headers=sent, data=data)
        told: dict[str, Any] = {}

        def start_response(status: str, head: list[tuple[str, str]], _error: object = None) -> None:
            told.update(status=int(status[:3]), headers=dict(head))

        body = self.app(builder.get_environ() | dict(environ or {}), start_response)
        return Reply(told["status"], told["headers"], body, told["headers"].get("Gloss-Stream"))


def settle() -> None:
    """Let everything run that can run."""
    gevent.idle()


def joined(events: Iterable[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "text")
