"""README says what is so: its tables are made from the code, its example works."""

import re
from pathlib import Path

import pytest

from docs.tables import OPERATIONS, README, filled
from services import prompting
from services.streams.use_case import Options
from services.use_cases import USE_CASES
from tests.use_cases.drive import drive

TEXT = README.read_text(encoding="utf-8")


def block(after: str) -> str:
    """The first fenced block after these words."""
    found = re.search(r"```\w+\n(.*?)```", TEXT[TEXT.index(after) :], re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("path", [README, OPERATIONS], ids=lambda path: path.parent.name)
def test_the_tables_are_those_of_the_code(path: Path) -> None:
    """Settings, problems, use cases and figures are as the code has them (`python -m docs.tables`)."""
    text = path.read_text(encoding="utf-8")
    assert filled(text) == text


@pytest.mark.parametrize("name", USE_CASES)
def test_every_use_case_has_a_section(name: str) -> None:
    """README has a section with a ready curl line for each use case."""
    assert f"\n### {name}\n" in TEXT
    assert f"/v1/{name} " in block(f"\n### {name}\n")


def test_the_use_case_of_the_readme_works(tmp_path: Path) -> None:
    """The example module makes a use case, and its prompt file loads and renders."""
    names: dict = {"__name__": "haiku"}
    exec(block("`services/use_cases/haiku.py`"), names)  # noqa: S102 - it is our own README
    (tmp_path / "haiku.md").write_text(block("`prompts/haiku.md`"), encoding="utf-8")
    played = drive(names["USE_CASE"], {"subject": "rain"}, lambda call: ["Rain", " falls"])
    prompt = prompting.load(tmp_path)["haiku"]
    assert played.text == "Rain falls"
    assert prompt.messages(played.calls[0].variables)[-1].content == "rain"


@pytest.mark.parametrize("path", [README, OPERATIONS], ids=lambda path: path.parent.name)
def test_every_local_link_leads_somewhere(path: Path) -> None:
    """No link points to a file that does not exist."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("option", Options.model_fields)
def test_every_option_stands_in_the_readme(option: str) -> None:
    """In the one list of what every request takes."""
    [listed] = re.findall(r"^Every request takes `options`: .*$", TEXT, re.MULTILINE)
    assert f"`{option}`" in listed
