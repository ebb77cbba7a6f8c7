"""What one stream may weigh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidInput
from services.events import Limits
from services.prompting import Caps
from services.streams.caps import agreed, input_cap, server_limits
from services.streams.use_case import Options
from tests.streams.stage import stage_settings

PLAIN = stage_settings()
NAMED = stage_settings(max_input_tokens=11, max_output_tokens=22, deadline_s=33)
FILE = Caps(version=1, max_input_tokens=111, max_output_tokens=222, deadline_s=333)


@pytest.mark.parametrize(
    ("settings", "caps", "expected"),
    [
        (PLAIN, Caps(version=1), (16_000, 2_000, 120)),
        (PLAIN, FILE, (111, 222, 333)),
        (NAMED, FILE, (11, 22, 33)),
        (NAMED, Caps(version=1), (11, 22, 33)),
    ],
)
def test_the_environment_beats_the_prompt_file_beats_the_default(
    settings: object, caps: Caps, expected: tuple[int, int, float]
) -> None:
    """Each of the three caps, by itself."""
    limits = server_limits(settings, caps, 1)  # type: ignore[arg-type]
    assert (input_cap(settings, caps), limits.max_output_tokens, limits.deadline_s) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("tokens", "output"), [(0, 222), (100, 222), (111, 222), (112, 224), (1000, 2000)])
def test_an_output_cap_may_grow_with_the_input(tokens: int, output: int) -> None:
    """The file's own cap is then the least that it can be."""
    caps = Caps(version=1, max_output_tokens=222, output_per_input=2.0)
    assert server_limits(PLAIN, caps, tokens).max_output_tokens == output


def test_the_environment_beats_what_grows() -> None:
    """A cap that the deployment named is that cap."""
    caps = Caps(version=1, output_per_input=2.0)
    assert server_limits(NAMED, caps, 1000).max_output_tokens == 22


SERVER = Limits(max_output_tokens=100, deadline_s=60)


def test_the_caller_may_ask_for_less() -> None:
    """Each option stands alone; what is not named is the server's."""
    assert agreed(SERVER, Options()) == SERVER
    assert agreed(SERVER, Options(max_output_tokens=100)) == SERVER
    assert agreed(SERVER, Options(max_output_tokens=7)) == Limits(max_output_tokens=7, deadline_s=60)
    assert agreed(SERVER, Options(deadline_s=1.5)) == Limits(max_output_tokens=100, deadline_s=1.5)


def test_the_caller_may_not_ask_for_more() -> None:
    """A larger number is refused with the field and the server's number, never clipped in silence."""
    with pytest.raises(InvalidInput) as refused:
        agreed(SERVER, Options(max_output_tokens=101, deadline_s=60.5))
    assert refused.value.members["errors"] == [
        {"field": "options.max_output_tokens", "problem": "at most 100 here"},
        {"field": "options.deadline_s", "problem": "at most 60 here"},
    ]


@given(st.integers(1, 10**7))
def test_the_refusal_names_the_number_exactly(most: int) -> None:
    """A caller that sends the number it was told is not refused again."""
    server = Limits(max_output_tokens=most, deadline_s=60)
    with pytest.raises(InvalidInput) as refused:
        agreed(server, Options(max_output_tokens=most + 1))
    (error,) = refused.value.members["errors"]  # type: ignore[misc]
    told = error["problem"].removeprefix("at most ").removesuffix(" here")
    assert agreed(server, Options(max_output_tokens=int(told))).max_output_tokens == most
