"""What the service is told of the embedded model, and which file it is."""

from pathlib import Path

import pytest

from services.launch.embedded import SLOW, model_file, need_limit, service_env
from services.launch.refusal import Refusal
from services.settings import Settings

ALONE = {"_env_file": None}


def test_told():
    """The service is told where the model is, its key and name, and limits that a slow model needs."""
    told = service_env(Settings(**ALONE), address="http://127.0.0.1:1", key="secret", name="small")
    assert told == {
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_API_KEY": "secret",
        "GLOSS_MODEL": "small",
        **{slow.env: slow.value for slow in SLOW},
    }


@pytest.mark.parametrize("slow", SLOW, ids=lambda slow: slow.field)
def test_user_wins(slow):
    """A limit that the user has set stays as it is."""
    told = service_env(Settings(**ALONE, **{slow.field: slow.value}), address="", key="", name="")
    assert slow.env not in told


@pytest.mark.parametrize("slow", SLOW, ids=lambda slow: slow.field)
def test_settings_exist(slow):
    """Each limit is a setting of that variable, and its value is one that the setting takes."""
    assert Settings.model_fields[slow.field].validation_alias == slow.env
    assert str(getattr(Settings(**ALONE, **{slow.env: slow.value}), slow.field)).startswith(slow.value)


def test_model_wins():
    """A model that the user has named stays the one that is asked for."""
    assert "GLOSS_MODEL" not in service_env(Settings(**ALONE, model="mine"), address="", key="", name="x")


def test_own_file(tmp_path):
    """GLOSS_MODEL_FILE is used as it is, and the model is called by the file's name."""
    path = tmp_path / "Mine-7B.gguf"
    path.write_bytes(b"GGUF rest")
    assert model_file(Settings(**ALONE, model_file=str(path))) == ("mine-7b", path)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read: No such file"), (b"PK\x03\x04", "is no GGUF file")]
)
def test_own_file_refused(tmp_path, content, why):
    """A file that is not there, or is no GGUF file, is refused before a model is started."""
    path = tmp_path / "mine.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refusal, match=why):
        model_file(Settings(**ALONE, model_file=str(path)))


def test_a_limit_in_dollars_alone():
    """It could not be kept, so nothing is fetched for it."""
    with pytest.raises(Refusal, match=r"GLOSS_USD_PER_DAY limits dollars.*GLOSS_TOKENS_PER_DAY"):
        need_limit(Settings(**ALONE, usd_per_day=5))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"usd_per_day": 5, "tokens_per_day": 9},
        {"usd_per_day": 5, "prices": Path("p.toml")},
        {"tokens_per_day": 9},
    ],
)
def test_a_limit_that_may_be_kept(settings):
    """In tokens, or with prices of one's own, at which the service looks."""
    need_limit(Settings(**ALONE, **settings))
