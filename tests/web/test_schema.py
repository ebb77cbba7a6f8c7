"""The OpenAPI document is kept: requests made from it, right and wrong, get what it promises."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import gevent
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from app import HERE
from services.use_cases import USE_CASES
from services.web.keys import new_key
from tests.streams.stage import Stage

KEY, ENTRY = new_key("web")
HEADERS = {"Authorization": f"Bearer {KEY}", "Host": "localhost"}
EXAMPLES = 25
# A handshake is not a request that a client of HTTP makes.
LEFT_OUT = {("get", "/v1/ws")}
# Nothing that could be sent there is wrong.
ALWAYS_RIGHT = {
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/v1/use-cases",
    "/assets/{name}",
    "/problems/{slug}",
    "/usage",
    "/metrics",
    "/v1/usage",
    "/v1/sessions/{session_id}",
    "/v1/subjects/{subject}",
    "/v1/streams/{stream_id}",
    "/v1/streams/{stream_id}/status",
}


def service() -> Stage:
    """The real use cases before a provider that always says the same."""
    return Stage(
        use_cases=USE_CASES,
        prompts=HERE / "prompts",
        settings={"keys": (ENTRY.line(),), "secret": "of the tests, and long enough to be one"},
    )


STAGE = service()
CONFIG = SchemathesisConfig.from_dict(
    {
        # That a language exists, or that one field of three is named, no schema of ours says.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
        # What nobody asked for in an address or a head is ignored, as everywhere in HTTP.
        "generation": {"allow-extra-parameters": False, "with-security-parameters": False},
    }
)
LOADING = gevent.spawn(  # so that the time of this request is its own
    schemathesis.openapi.from_wsgi, "/openapi.json", STAGE.app, config=CONFIG, headers=HEADERS
)
SCHEMA = LOADING.get()


def operations() -> Iterator[Any]:
    for found in SCHEMA.get_all_operations():
        operation = found.ok()
        if (operation.method, operation.path) not in LEFT_OUT:
            yield pytest.param(operation, id=f"{operation.method} {operation.path}")


@pytest.mark.parametrize("mode", [*GenerationMode])
@pytest.mark.parametrize("operation", [*operations()])
def test_every_operation_does_what_it_says(operation: Any, mode: GenerationMode) -> None:
    """Status, type and shape of each answer are in the document, and no answer is an error of ours."""
    accept = "*/*" if mode is GenerationMode.NEGATIVE else "application/json, */*;q=0.5"

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        case.call_and_validate(headers={**HEADERS, "Accept": accept})

    with suppress(Unsatisfiable) if operation.path in ALWAYS_RIGHT else nullcontext():
        holds()
