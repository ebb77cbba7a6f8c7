"""Prompt files: read once, checked at start, rendered without surprises."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from app import HERE
from services import prompting
from services.llm import Message
from services.prompting import Caps

HEAD = "+++\nversion = 3\n+++\n"
BLOCKS = "{% block system %}Be brief.{% endblock %}\n{% block user %}{{ text }}{% endblock %}\n"


def loaded(folder: Path, content: str, name: str = "story") -> prompting.Prompt:
    (folder / f"{name}.md").write_text(content, encoding="utf-8")
    return prompting.load(folder)[name]


def test_a_file_is_its_caps_and_its_blocks(tmp_path: Path) -> None:
    """One message per role, in this order; the label names file and version."""
    prompt = loaded(tmp_path, HEAD + BLOCKS)
    assert (prompt.label, prompt.caps) == ("story@3", Caps(version=3))
    assert prompt.messages({"text": "Hi"}) == (Message("system", "Be brief."), Message("user", "Hi"))


def test_every_cap_can_be_set(tmp_path: Path) -> None:
    """What stands in the head is what holds."""
    caps = {"max_input_tokens": 2, "max_output_tokens": 3, "output_per_input": 2.5, "deadline_s": 4.5}
    lines = "".join(f"{name} = {value}\n" for name, value in caps.items())
    head = f"+++\nversion = 1\n{lines}temperature = 0.2\n+++\n"
    assert loaded(tmp_path, head + BLOCKS).caps == Caps(version=1, temperature=0.2, **caps)


def test_history_stands_between_system_and_user(tmp_path: Path) -> None:
    """Earlier turns come before the new one."""
    history = (Message("user", "a"), Message("assistant", "b"))
    roles = [one.role for one in loaded(tmp_path, HEAD + BLOCKS).messages({"text": "c"}, history)]
    assert roles == ["system", "user", "assistant", "user"]


def test_an_empty_system_block_is_no_message(tmp_path: Path) -> None:
    """Some models take none."""
    prompt = loaded(tmp_path, HEAD + "{% block system %} {% endblock %}{% block user %}x{% endblock %}")
    assert prompt.messages({}) == (Message("user", "x"),)


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% block system %}", "<b>&amp;</b>", "+++", "a\nb\n\n  c", "{# x #}"]
)
def test_what_is_filled_in_is_never_read_as_a_template(tmp_path: Path, text: str) -> None:
    """Neither rendered again nor escaped: it stands there as it is."""
    assert loaded(tmp_path, HEAD + BLOCKS).messages({"text": text})[-1].content == text


def test_a_variable_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Never an empty string."""
    with pytest.raises(UndefinedError):
        loaded(tmp_path, HEAD + BLOCKS).messages({})


@pytest.mark.parametrize(
    "content",
    [
        "",
        BLOCKS,
        "+++\nversion = 3\n" + BLOCKS,
        "+++\nversion = \n+++\n" + BLOCKS,
        "+++\n+++\n" + BLOCKS,
        "+++\nversion = 3\nmax_ouput_tokens = 5\n+++\n" + BLOCKS,
        '+++\nversion = "3"\n+++\n' + BLOCKS,
        HEAD + "{% block user %}x{% endblock %}",
        HEAD + "{% block system %}x{% endblock %}",
        HEAD + "{% block system %}",
        "x" + HEAD + BLOCKS,
    ],
)
def test_a_broken_file_is_named_at_start(tmp_path: Path, content: str) -> None:
    """Not when it is first used, and by its path."""
    with pytest.raises(ValueError, match=r"story\.md"):
        loaded(tmp_path, content)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Only ``*.md`` is read."""
    (tmp_path / "notes.txt").write_text("nothing")
    assert prompting.load(tmp_path) == {}


@pytest.mark.parametrize("name", prompting.load(HERE / "prompts"))
def test_our_own_prompts_are_whole(name: str) -> None:
    """Each has a version from 1 on and renders no line end at its borders."""
    prompt = prompting.load(HERE / "prompts")[name]
    assert prompt.caps.version >= 1
    assert prompt.label == f"{name}@{prompt.caps.version}"
