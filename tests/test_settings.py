"""Settings: declared once, read once, and named when they are wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app import HERE
from services.settings import Settings

PLANTED = "planted-value"
READ = "from services.settings import read; read()"


def from_file(folder: Path, **lines: str) -> Settings:
    """Settings read from a ``.env`` file of this content."""
    file = folder / ".env"
    file.write_text("\n".join(f"{name}={value}" for name, value in lines.items()))
    return Settings(_env_file=file)


def told(folder: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Python in this folder, with nothing in the environment but these."""
    needed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=needed | {"PYTHONPATH": str(HERE)} | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def started_with(folder: Path, where: str, variable: str, value: str) -> subprocess.CompletedProcess[str]:
    """Read the settings with one variable, of the environment or of ``.env``."""
    if where == "environment":
        return told(folder, READ, **{variable: value})
    (folder / ".env").write_text(f"{variable}={value}\n")
    return told(folder, READ)


def test_every_setting_says_what_it_is_for() -> None:
    """Each has a variable of its own, in capitals, and a reason; limits have a unit."""
    variables = {name: field.validation_alias for name, field in Settings.model_fields.items()}
    assert len(set(variables.values())) == len(variables)
    for name, field in Settings.model_fields.items():
        assert str(variables[name]).isupper()
        assert field.description
        assert field.description.endswith((".", ")"))
        if name.endswith("_s"):
            assert field.json_schema_extra == {"unit": "s"}


def test_every_limit_is_named_after_its_variable() -> None:
    """``GLOSS_<NAME>``, or the name under which the world knows it."""
    known = {
        "HOST",
        "PORT",
        "WEB_CONCURRENCY",
        "TRUSTED_HOSTS",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "XDG_CACHE_HOME",
        "REDIS_URL",
        "PROMETHEUS_MULTIPROC_DIR",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_SERVICE_NAME",
    }
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias)
        assert variable in known or variable == f"GLOSS_{name.upper()}"


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("PORT", "9000", "port", 9000),
        ("GLOSS_MODELS", "a, b-*,,c ", "models", ("a", "b-*", "c")),
        ("TRUSTED_HOSTS", "x.example", "trusted_hosts", ("x.example",)),
        ("GLOSS_CORS_ORIGINS", "https://a.example,https://b.example", "cors_origins",
         ("https://a.example", "https://b.example")),
        ("GLOSS_KEYS", "a:1 b:2,c:3", "keys", ("a:1", "b:2", "c:3")),
        ("GLOSS_PROVIDERS", "https://:k@a.test/v1#m,https://b.test/v1#n\thttp://c#o", "providers",
         tuple(map(SecretStr, ("https://:k@a.test/v1#m", "https://b.test/v1#n", "http://c#o")))),
        ("GLOSS_OPEN", "1", "open", True),
        ("GLOSS_DEADLINE_S", "1.5", "deadline_s", 1.5),
        ("GLOSS_MODEL", "", "model", None),
        ("UNKNOWN", "x", "attempts", 3),
    ],
)  # fmt: skip
def test_variables_are_read(tmp_path: Path, variable: str, value: str, field: str, expected: object) -> None:
    """Lists by commas, keys by white space too, what is empty is unset, what is unknown is not ours."""
    assert getattr(from_file(tmp_path, **{variable: value}), field) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "x"), ("PORT", "70000"), ("GLOSS_DEADLINE_S", "0"), ("GLOSS_ATTEMPTS", "11"),
     ("GLOSS_RETRY_SHARE", "1.5"), ("GLOSS_RETRIES_PER_MINUTE", "-1"),
     ("GLOSS_MAX_STREAMS", "0"), ("GLOSS_OPEN", "maybe"), ("GLOSS_CONTEXT_WINDOW", "10"),
     ("GLOSS_SECRET", "a" * 31), ("OPENAI_BASE_URL", "foo"), ("OPENAI_BASE_URL", "https://"),
     ("GLOSS_TOKENS_PER_DAY", "0"), ("GLOSS_USD_PER_DAY", "0")],
)  # fmt: skip
def test_what_is_out_of_its_limits_is_refused(tmp_path: Path, variable: str, value: str) -> None:
    """At start, by name."""
    with pytest.raises(ValidationError, match=variable):
        from_file(tmp_path, **{variable: value})


def test_a_setting_that_was_made_here_is_told_from_a_default(tmp_path: Path) -> None:
    """``named`` is what lets the environment beat a prompt file, also with the default's own value."""
    settings = from_file(tmp_path, GLOSS_MAX_OUTPUT_TOKENS="2000")
    assert (settings.named("max_output_tokens"), settings.named("deadline_s")) == (True, False)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("gloss.example", False), ("", False)],  # noqa: S104
)  # fmt: skip
def test_loopback_is_known(host: str, loopback: bool) -> None:
    """A name that could be anything is not taken for this machine."""
    assert Settings(_env_file=None, host=host).on_loopback is loopback


def test_settings_are_values() -> None:
    """Nobody changes them after the start."""
    with pytest.raises(ValidationError):
        Settings(_env_file=None).port = 1


def test_a_key_is_not_shown() -> None:
    """Neither when settings are printed nor when they are dumped to JSON."""
    settings = Settings(
        _env_file=None, openai_api_key=PLANTED, providers=(f"https://:{PLANTED}@h.test/v1#m",)
    )
    assert PLANTED not in repr(settings) + str(settings) + settings.model_dump_json()


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    """And the file beats the default."""
    (tmp_path / ".env").write_text("PORT=1111\nGLOSS_ATTEMPTS=2\n")
    code = "from services.settings import read; s = read(); print([s.port, s.attempts, s.parallel_calls])"
    assert json.loads(told(tmp_path, code, PORT="2222").stdout) == [2222, 2, 4]


def test_a_value_that_is_refused_stands_in_no_message() -> None:
    """It may be a secret in the wrong place."""
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, port=PLANTED, providers=5)
    assert PLANTED not in str(refused.value)


def test_a_wrong_fall_back_is_named_by_its_position(tmp_path: Path) -> None:
    """The process does not start, and no word of the entry is printed."""
    wrong = f"https://:k@host.test/v1#m https://:{PLANTED}@host.test/v1"
    run = told(tmp_path, "from app import app", OPENAI_API_KEY="k", GLOSS_PROVIDERS=wrong)
    assert run.returncode == 1
    assert "GLOSS_PROVIDERS: entry 2 " in run.stderr
    assert PLANTED not in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("code", [READ, "from app import app"])
def test_a_wrong_setting_is_named_and_not_repeated(tmp_path: Path, code: str) -> None:
    """The process ends with the variable and the rule; the value may be a secret in the wrong place."""
    run = told(tmp_path, code, PORT=PLANTED, GLOSS_ATTEMPTS="99")
    assert run.returncode == 1
    assert "PORT: " in run.stderr
    assert "GLOSS_ATTEMPTS: " in run.stderr
    assert PLANTED not in run.stderr
    assert "Traceback" not in run.stderr


def test_limits_hold_for_what_is_made_in_python_too() -> None:
    """A test or a bench cannot set what the environment could not."""
    wrong: dict[str, Any] = {"max_streams": 0}
    with pytest.raises(ValidationError):
        Settings(_env_file=None, **wrong)


@pytest.mark.parametrize(
    ("variable", "instead"),
    [("GLOSS_MODLE", "GLOSS_MODEL"), ("GLOSS_USD_DAY", "GLOSS_USD_PER_DAY"),
     ("gloss_prices_file", "GLOSS_PRICES"),
     ("GLOSS_REDIS_URL", "REDIS_URL"), ("GLOSS_PORT", "PORT"), ("GLOSS_TOKENS_DAY", "GLOSS_TOKENS_PER_DAY")],
)  # fmt: skip
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_misspelt_setting_is_refused(tmp_path: Path, where: str, variable: str, instead: str) -> None:
    """A limit whose name is wrong would limit nothing: the start says so, and which name is nearest."""
    run = started_with(tmp_path, where, variable, PLANTED)
    assert run.returncode == 1
    assert (
        f"{variable.upper()}: there is no such setting. Is it {instead}? Rename it or unset it" in run.stderr
    )
    assert PLANTED not in run.stderr
    assert "Traceback" not in run.stderr


def test_what_resembles_no_setting_is_refused_too(tmp_path: Path) -> None:
    """With no guess at what was meant, and beside what else is wrong."""
    run = told(tmp_path, READ, GLOSS_XYZZY="1", PORT=PLANTED)
    assert "GLOSS_XYZZY: there is no such setting. Unset it; README.md lists all" in run.stderr
    assert "PORT: " in run.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GLOSS_MODLE", ""), ("GLOSS_KEY", "gloss_a_b"), ("GLOSSY", "1"), ("GLOSS_PORT", "tcp://10.0.0.7:8000"),
     ("GLOSS_SERVICE_HOST", "10.0.0.7"), ("GLOSS_SERVICE_PORT", "80"), ("GLOSS_SERVICE_PORT_HTTP", "80"),
     ("GLOSS_PORT_8000_TCP", "tcp://10.0.0.7:8000"), ("GLOSS_PORT_8000_TCP_ADDR", "10.0.0.7"),
     ("GLOSS_WEB_SERVICE_HOST", "10.0.0.7"), ("GLOSS_WEB_PORT", "tcp://10.0.0.7:80")],
)  # fmt: skip
def test_what_others_set_is_let_be(tmp_path: Path, variable: str, value: str) -> None:
    """What is empty, a caller's key in the same shell, what Kubernetes says of a service gloss."""
    run = told(tmp_path, READ, **{variable: value})
    assert (run.returncode, run.stderr) == (0, "")
