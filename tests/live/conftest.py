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


def asking(model: str, **options: object) -> dict[str, object]:
    """A body for the relay that names the model, and so what the upstream does."""
    return {"prompt": "Say something.", "options": {"model": model, **options}}
