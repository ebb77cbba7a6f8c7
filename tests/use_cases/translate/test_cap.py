"""A caller's own cap and the real stream: what is cut there ends as ``length``, and costs no more."""

from typing import Any

import pytest

from app import HERE
from services.llm import Request, Tokens
from services.use_cases import USE_CASES
from tests.streams.scripted import whole
from tests.streams.stage import Stage, joined

TEXT = "Where is the station, and when does the first train leave in the morning?"
CAP = 4


def stage(tokens: Tokens | None, *, said: str = "¿Dónde") -> Stage:
    """A model that ends at the cap that it is given, and counts otherwise than we do."""

    def says(request: Request) -> Any:
        if tokens is None:
            return whole(said, reason="length", tokens=None)
        used = Tokens(input=tokens.input, output=min(tokens.output, request.max_output_tokens))
        return whole(said, reason="length", tokens=used)

    return Stage(says=says, use_cases=USE_CASES, prompts=HERE / "prompts")


@pytest.mark.R1
@pytest.mark.parametrize("tokens", [Tokens(input=90, output=CAP), None], ids=["reported", "counted"])
@pytest.mark.parametrize("cache", [True, False])
def test_a_tiny_cap_of_the_callers_own(tokens: Tokens | None, *, cache: bool) -> None:
    """The model's own count uses it up, also where ours is smaller: nothing is asked for again."""
    played = stage(tokens)
    events = played.post(
        "translate", text=TEXT, target="es", options={"max_output_tokens": CAP, "cache": cache}
    ).events()
    assert (events[-1]["reason"], joined(events)) == ("length", "¿Dónde")
    assert [event["code"] for event in events if event["type"] == "notice"] == ["suspect"]
    assert events[-1]["usage"]["output_tokens"] <= CAP
    assert len(played.provider.asked) == 1
