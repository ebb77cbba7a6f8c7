"""What is logged, and in which words."""

import pytest

from services.telemetry import bare_traceback, fields

MARKER = "MARKER-7f3a"


def planted():
    try:
        int(MARKER)
    except ValueError as error:
        message = f"cannot use {MARKER}"
        raise RuntimeError(message) from error


def test_a_bare_traceback_follows_causes():
    """Each link of the chain is told by its class and its frames."""
    with pytest.raises(RuntimeError) as caught:
        planted()
    told = bare_traceback(caught.value)
    assert told.index("builtins.RuntimeError") < told.index("builtins.ValueError")
    assert MARKER not in told


def test_a_bare_traceback_ends_in_a_circle():
    """Errors that name each other as cause are told once each."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert bare_traceback(first).splitlines() == ["builtins.ValueError", "", "builtins.KeyError"]


def test_a_suppressed_context_is_left_out():
    """``raise … from None`` hides what came before, here too."""
    error = ValueError()
    error.__context__, error.__suppress_context__ = KeyError(), True
    assert "KeyError" not in bare_traceback(error)


def test_fields_are_words():
    """One ``name=value`` each, in their order; what is not known is left out, what is zero is not."""
    assert fields({"stream": "x", "problem": None, "gen_ai.usage.input_tokens": 0}) == (
        "stream=x gen_ai.usage.input_tokens=0"
    )
