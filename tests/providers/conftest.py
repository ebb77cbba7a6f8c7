import itertools
from collections.abc import Iterator

import pytest

from services.llm import Message, Request
from services.providers.openai import OpenAIProvider
from tests.upstream.fixtures import Upstream

KEY = "sk-test-0123456789"
numbers = itertools.count(1)


@pytest.fixture
def provider(upstream: Upstream) -> Iterator[OpenAIProvider]:
    """A provider whose pool is its own."""
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url)
    yield provider
    provider.close()


def ask(model: str, text: str = "Say hi", **more: object) -> Request:
    """Return a request; its model's name is this test's own, so the journal can tell it."""
    name = f"{model}#{next(numbers)}"
    return Request(
        **{"model": name, "messages": (Message("user", text),), "max_output_tokens": 100_000, **more}
    )


def gate() -> str:
    """Return the name of a gate that is this test's own."""
    return f"gate-{next(numbers)}"
