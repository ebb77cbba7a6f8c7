"""A provider that cannot answer, and others that can, over real sockets."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificate import self_signed
from tests.live.conftest import SILENCE_S, asking
from tests.live.http import events
from tests.live.service import Service, free_port, serving
from tests.upstream.fixtures import Upstream, running

pytestmark = pytest.mark.live

NDJSON = "application/x-ndjson"
MAIN_KEY, KEY = "sk-of-the-first", "sk-of-the-fall-back"
OTHER = "ok:3@fall-back"

# fault of the first provider, how often it is asked
CURED = [
    ("fault/quota", 1),
    ("fault/status:401", 1),
    ("fault/status:402", 1),
    ("fault/status:404", 1),
    ("fault/status:500", 3),
    ("fault/status:529", 3),
    ("fault/retry-after:300", 1),
    ("fault/rst-before-head", 3),
    ("fault/silent:never-opened", 1),
    ("fault/pings:0:never-opened", 1),
    ("fault/html", 1),
    ("fault/error:0", 1),
    ("fault/no-finish:0", 3),
]
NOT_CURED = ["fault/status:400", "fault/status:413", "fault/rst:3", "fault/error:3", "fault/content-filter:0"]


def before(upstream: Upstream, folder: Path, base_url: str, *providers: str) -> Iterator[Service]:
    """The service before a provider at this address, and these behind it."""
    with serving(
        folder,
        OPENAI_BASE_URL=base_url,
        OPENAI_API_KEY=MAIN_KEY,
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        GLOSS_FIRST_TEXT_S=SILENCE_S,
        GLOSS_ATTEMPTS_WITHIN_S="5",
        GLOSS_RETRIES_PER_MINUTE="100000",
        GLOSS_PROVIDERS=" ".join([*providers, f"http://:{KEY}@127.0.0.1:{upstream.port}/v1#{OTHER}"]),
    ) as service:
        yield service


@pytest.fixture(scope="module")
def with_another(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The first provider does what a model's name says, the second answers."""
    yield from before(upstream, tmp_path_factory.mktemp("another"), upstream.base_url)


@pytest.fixture(params=["refused", "untrusted"])
def unreachable(
    request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Path
) -> Iterator[tuple[str, Service]]:
    """Nobody listens at the first two addresses, or nobody there can prove who he is."""
    made = self_signed(tmp_path)
    with running(certificate=made.file, key=made.key) as untrusted:
        refused = f"http://127.0.0.1:{free_port()}/v1"
        nobody = refused if request.param == "refused" else untrusted.base_url
        for service in before(upstream, tmp_path, nobody, f"{nobody}#nobody"):
            yield request.param, service


def told(service: Service, model: str = "ok:5") -> list[dict]:
    with service.connect() as client:
        return events(client.post("/v1/relay", asking(model), NDJSON).answer()[1])


def text_of(told: list[dict]) -> str:
    return "".join(event["text"] for event in told if event["type"] == "text")


def notices(told: list[dict]) -> list[tuple[str, str]]:
    return [(event["code"], event["detail"]) for event in told if event["type"] == "notice"]


@pytest.mark.parametrize(("model", "attempts"), CURED)
def test_another_provider_answers(
    with_another: Service, upstream: Upstream, model: str, attempts: int
) -> None:
    """Asked with its own model and key, after the first was spent; the start keeps what was asked for."""
    asked, answered = len(upstream.journal(model)), len(upstream.journal(OTHER))
    got = told(with_another, model)
    assert (got[0]["model"], text_of(got), got[-1].get("reason")) == (model, "w0 w1 w2 ", "stop")
    assert notices(got)[-1] == ("provider-fallback", f"{OTHER} answers from here on.")
    assert (len(upstream.journal(model)) - asked, len(upstream.journal(OTHER)) - answered) == (attempts, 1)
    keys = {entry["key"] for entry in upstream.journal(OTHER)}
    assert keys == {hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()[:16]}


@pytest.mark.parametrize("model", NOT_CURED)
def test_nobody_else_is_asked(with_another: Service, upstream: Upstream, model: str) -> None:
    """Where the request is at fault, where text was said, and where the provider said that it was done."""
    answered = len(upstream.journal(OTHER))
    got = told(with_another, model)
    assert (notices(got), len(upstream.journal(OTHER))) == ([], answered)


def test_unreachable_providers_are_passed_over(unreachable: tuple[str, Service]) -> None:
    """A refused connection is tried again, one that cannot be trusted is not; each fall-back has its turn."""
    how, service = unreachable
    got = told(service)
    assert (text_of(got), got[-1]["usage"]["input_tokens"] > 0) == ("w0 w1 w2 ", True)
    retries = ["provider-retry"] * (2 if how == "refused" else 0)
    assert [code for code, _ in notices(got)] == [*retries, "provider-fallback", "provider-fallback"]
    with service.connect() as client:
        assert client.send("GET", "/readyz").answer()[0].status == 200
    assert not {MAIN_KEY, KEY} & set(service.log.replace("@", " ").replace(":", " ").split())
