"""What is said once the service answers."""

import json
import shlex

import pytest

from services.launch.__main__ import is_keyed
from services.launch.welcome import welcome, who_answers
from services.settings import DEFAULT_MODEL, Settings
from services.state.choice import beside
from services.use_cases import USE_CASES
from services.web import stored_keys
from services.web.keys import new_key

ALONE = {"_env_file": None}
AT = "http://127.0.0.1:8001"


def curl_lines(*, keyed: bool = False) -> list[list[str]]:
    text = welcome(keyed=keyed, at=AT, model="x")
    return [shlex.split(line) for line in text.splitlines() if line.strip().startswith("curl")]


def test_lines_are_requests():
    """Each curl line asks a use case for what its input model takes."""
    lines = curl_lines()
    assert [line[2] for line in lines] == [f"{AT}/v1/translate", f"{AT}/v1/tutor"]
    for line in lines:
        USE_CASES[line[2].rsplit("/", 1)[1]].input.model_validate(json.loads(line[-1]))


def test_lines_with_keys():
    """Where keys are needed, the curl lines have a place for one."""
    assert all("Authorization: Bearer <your key>" in line for line in curl_lines(keyed=True))


def test_a_key_in_the_store_is_a_key(tmp_path):
    """Be it in the settings or in the store that the service has; without a disk there is none."""
    chosen = Settings(**ALONE, data=tmp_path / "state")
    assert not is_keyed(chosen)
    assert is_keyed(Settings(**ALONE, data=tmp_path, keys="k"))
    store = beside(chosen)
    stored_keys.add(store, new_key("web")[1])
    store.close()
    assert is_keyed(chosen)
    (tmp_path / "file").touch()
    assert not is_keyed(Settings(**ALONE, data=tmp_path / "file" / "state"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"openai_api_key": "sk"}, f"{DEFAULT_MODEL} at OpenAI"),
        ({"openai_base_url": "http://x/v1"}, "the first of its models at http://x/v1"),
        ({"openai_base_url": "http://x/v1", "model": "m"}, "m at http://x/v1"),
    ],
)
def test_who_answers(settings, said):
    """The model and its provider are named as the settings name them."""
    assert who_answers(Settings(**ALONE, **settings)) == said
