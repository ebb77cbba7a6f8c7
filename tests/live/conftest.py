"""What the live tests stand on: one relay service before one fault upstream."""

from collections.abc import Iterator

import pytest

from tests.live.service import Service, serving
from tests.upstream.fixtures import Upstream

# Short, so that no test waits for seconds; none asserts how long something took.
SILENCE_S = "1"
HEARTBEAT_S = "0.2"


@pytest.fixture(scope="session")
def relay(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service before the fault upstream; any model may be named, and names its fault."""
    with serving(
        tmp_path_factory.mktemp("relay"),
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        GLOSS_FIRST_TEXT_S=SILENCE_S,
        GLOSS_BETWEEN_TEXT_S=SILENCE_S,
        GLOSS_HEARTBEAT_S=HEARTBEAT_S,
        GLOSS_ATTEMPTS_WITHIN_S="5",
        GLOSS_RETRIES_PER_MINUTE="100000",  # here more is broken than is whole
    ) as service:
        yield service


@pytest.fixture(scope="module")
def deployed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as it is deployed; any model may be named, and names what the upstream does."""
    folder, any_model = tmp_path_factory.mktemp("page"), {"GLOSS_MODEL": "ok:5", "GLOSS_MODELS": "*"}
    with serving(folder, app="app:app", OPENAI_BASE_URL=upstream.base_url, **any_model) as service:
        yield service


@pytest.fixture(scope="module")
def browser():
    from tests.live import page  # noqa: PLC0415 - it skips where Playwright is missing

    with page.playwright.sync_playwright() as started:
        browser = page.launch(started)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, deployed):
    """Open a tab, on the service's page unless another is named."""
    from tests.live.page import Visit  # noqa: PLC0415 - it skips where Playwright is missing

    visits = []

    def visiting(url=deployed.url, **context):
        visits.append(Visit(browser, url, **context))
        return visits[-1]

    yield visiting
    for each in visits:
        each.context.close()


def asking(model: str, **options: object) -> dict[str, object]:
    """A body for the relay that names the model, and so what the upstream does."""
    return {"prompt": "Say something.", "options": {"model": model, **options}}
