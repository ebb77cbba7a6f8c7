import os
import subprocess
import sys
from decimal import Decimal

import pytest

from services.cost.prices import context_window, price_usd
from services.llm import Tokens
from tests.upstream.fixtures import ROOT

MILLION = Tokens(input=1_000_000, output=0)
LOCAL = "http://127.0.0.1:8080/v1"


def test_exact():
    """A price is exact: gpt-4.1-mini costs 0.40 and 1.60 dollars a million."""
    assert price_usd("gpt-4.1-mini", Tokens(input=1001, output=7)) == Decimal("0.0004116")


def test_cached_input():
    """Input that the provider had cached costs less, and is not paid twice."""
    cached = price_usd("gpt-4.1-mini", Tokens(input=1_000_000, output=0, cached_input=1_000_000))

    assert 0 < cached < price_usd("gpt-4.1-mini", MILLION)


def test_reasoning_is_output():
    """Reasoning is a part of the output, and not paid twice."""
    thought = Tokens(input=9, output=50, reasoning=40)

    assert price_usd("gpt-5-mini", thought) == price_usd("gpt-5-mini", Tokens(input=9, output=50))


def test_more_cached_than_there_was():
    """A provider that counts more cached tokens than tokens breaks nothing."""
    odd = Tokens(input=5, output=0, cached_input=9)

    assert price_usd("gpt-4.1-mini", odd) == price_usd(
        "gpt-4.1-mini", Tokens(input=5, output=0, cached_input=5)
    )


def test_nothing_used():
    """Nothing used costs nothing, where there is a price."""
    assert price_usd("gpt-4.1-mini", Tokens(input=0, output=0)) == 0


@pytest.mark.parametrize("model", ["gpt-4.1-mini-2025-04-14", "GPT-4.1-mini"])
def test_dated_name(model):
    """A dated name has the price of its model."""
    assert price_usd(model, MILLION) == Decimal("0.4")


@pytest.mark.parametrize(
    "model",
    ["qwen2.5-coder-1.5b-instruct", "/models/qwen.gguf", "gpt-99", "openai/gpt-4o", "claude-sonnet-4-5", ""],
)
def test_no_price(model):
    """A model that OpenAI does not sell has no price there, which is not the price 0."""
    assert price_usd(model, MILLION) is None
    assert context_window(model) is None


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-oss-20b", "qwen2.5-coder-1.5b-instruct", "llama-3.3-70b"])
@pytest.mark.parametrize("url", [LOCAL, "http://localhost:11434/v1", "https://models.example/api.openai.com"])
def test_nobody_sells_it(model, url):
    """A model asked of a server that sells nothing has no price, whatever it is called."""
    assert price_usd(model, MILLION, base_url=url) is None
    assert context_window(model, base_url=url) is None


def test_another_seller():
    """Who is asked decides the price of a name."""
    openai = price_usd("gpt-oss-20b", MILLION)
    groq = price_usd("openai/gpt-oss-20b", MILLION, base_url="https://api.groq.com/openai/v1")

    assert openai is not None
    assert groq is not None
    assert openai != groq


def test_half_a_price():
    """A model whose output has no price has none."""
    assert price_usd("text-embedding-3-small", MILLION) is None


@pytest.mark.parametrize(
    ("model", "tokens"), [("gpt-4.1-mini", 1_000_000), ("gpt-4o", 128_000), ("gpt-4", 8_192)]
)
def test_context_window(model, tokens):
    """A model's window is known where its provider's table has it."""
    assert context_window(model) == tokens


NO_NETWORK = """
import socket
def refuse(*_): raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
from services.cost.prices import price_usd
from services.llm import Tokens
print(price_usd("gpt-4.1-mini", Tokens(input=1_000_000, output=0)))
"""


def test_no_network():
    """Prices come with the code."""
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK],
        cwd=ROOT,
        env={**os.environ},
        check=True,
        capture_output=True,
        text=True,
    )

    assert Decimal(done.stdout) == Decimal("0.4")
