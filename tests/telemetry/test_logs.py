"""What is logged, and how a line looks."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.telemetry import bare_traceback, fields
from services.telemetry.logs import formatter, redacted

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
    assert str(fields({"stream": "x", "problem": None, "gen_ai.usage.input_tokens": 0})) == (
        "stream=x gen_ai.usage.input_tokens=0"
    )


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    told = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("gloss.stream", logging.INFO, __file__, 1, message, args, told)


def line(*given: Any, **more: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(formatter("json", terminal=True).format(record(*given, **more)))
    return read


def test_a_line_is_an_object_with_its_fields():
    """Fields are members with their types; what every line has stands first, and nothing takes its place."""
    told = line("stream %s ended %s", 7, fields({"stream": "x", "cost_usd": None, "texts": 3, "level": "y"}))
    assert list(told) == ["time", "level", "logger", "process", "event", "stream", "texts"]
    assert (told["level"], told["logger"], told["event"]) == ("info", "gloss.stream", "stream 7 ended")
    assert (told["stream"], told["texts"]) == ("x", 3)


def test_a_line_without_arguments_is_not_formatted():
    """A per cent sign in a message of its own stands for itself."""
    assert line("100 % of it")["event"] == "100 % of it"


@pytest.mark.parametrize(
    ("form", "terminal", "words"),
    [("auto", True, True), ("auto", False, False), ("words", False, True), ("json", True, False)],
)
def test_a_terminal_gets_words(form, terminal, words):
    """Unless the setting says otherwise."""
    told = formatter(form, terminal=terminal).format(record("ended %s", fields({"stream": "x"})))
    assert told.endswith("INFO gloss.stream ended stream=x") is words


@pytest.mark.parametrize("form", ["json", "words"])
def test_an_error_is_told_without_its_message(form):
    """Not even where a record brings the exception along."""
    with pytest.raises(RuntimeError) as caught:
        planted()
    told = formatter(form, terminal=False).format(record("failed", error=caught.value))
    assert "builtins.ValueError" in told
    assert MARKER not in told


@pytest.mark.R25
@pytest.mark.parametrize("form", ["json", "words"])
@given(text=st.text())
def test_no_text_forges_a_line(form, text):
    """Whatever is logged, it begins no line of its own, and holds nothing that speaks to a terminal."""
    first, *more = formatter(form, terminal=False).format(record("x%s", text)).split("\n")
    assert all(each.startswith("    ") for each in more)
    assert form == "words" or not more
    controls = {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x2029, 0x202E)}
    assert not controls & set(first.join(more))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("key gloss_0a1b2c3d_Zm9vYmFy-x_y.", "key gloss_0a1b2c3d_…."),
        ("Incorrect API key provided: sk-proj-abcdefgh12345", "Incorrect API key provided: sk-…"),
        ("Authorization: Bearer eyJhbGciOi.x.y", "Authorization: Bearer …"),
        ("at https://me:pw@host/path?token=abc now", "at https://… now"),
        ("rediss://:secret@host:6379/0", "rediss://…"),
        ("a\x1b[31mb\u2028c\rd", "a\\x1b[31mb\\u2028c\\rd"),
        ("nothing to hide: 3 logs wait, 5 s", "nothing to hide: 3 logs wait, 5 s"),
    ],
)
def test_secrets_and_urls_are_left_out(text, left):
    """The last thing that happens to a line, whoever logged it."""
    assert redacted(text) == left


@given(secret=st.from_regex(r"[A-Za-z0-9_-]{32,64}", fullmatch=True), around=st.text(max_size=20))
def test_no_key_is_ever_logged(secret, around):
    """Wherever in a text it stands, a key's secret does not."""
    told = line("%s", f"{around} gloss_0a1b2c3d4e5f_{secret} {around}", error=None)["event"]
    assert secret not in told
