"""The composition root: what is made of what, and nothing else.

``gunicorn app:app`` makes the application from the environment, when the name ``app`` is first
asked for; so importing this module opens nothing, and tests bring their own parts.
"""

from pathlib import Path
from typing import Any

from flask import Flask

from services import prompting
from services.cost import tokens
from services.llm import Provider
from services.prompting import Prompt
from services.providers.openai import OpenAIProvider
from services.settings import Settings, SettingsError, read
from services.streams.caps import input_cap, server_limits
from services.streams.clock import Clock, GeventClock
from services.streams.drain import Drain
from services.streams.models import Models
from services.streams.open import Core
from services.streams.registry import Streams
from services.streams.sessions import Sessions
from services.streams.use_case import UseCase
from services.telemetry import setup_logging
from services.use_cases import USE_CASES
from services.use_cases.translate import languages
from services.web.doors import Doors, check_open, install_doors
from services.web.keys import parse_keys
from services.web.openapi import document
from services.web.pages import pages_blueprint
from services.web.problems import install_problems
from services.web.sessions import SessionRoutes
from services.web.streams import StreamRoutes

HERE = Path(__file__).parent
PROMPTS = HERE / "prompts"
VERSION = "0.1.0"


def create_app(
    settings: Settings,
    *,
    provider: Provider | None = None,
    use_cases: dict[str, UseCase] = USE_CASES,
    prompts: Path = PROMPTS,
    clock: Clock | None = None,
) -> Flask:
    """Put the service together.

    Raises ``SettingsError`` or ValueError where the settings or a prompt file are not right.
    """
    check_open(settings)
    keys = parse_keys(settings.keys, scopes=use_cases)
    core = _core(settings, provider or _provider(settings), prompting.load(prompts), clock or GeventClock())
    app = Flask("gloss", static_folder=None)
    app.extensions["gloss"] = core  # the server's worker asks for it
    install_problems(app)
    install_doors(app, Doors.of(settings))
    app.register_blueprint(StreamRoutes(core, use_cases, keys).blueprint())
    app.register_blueprint(SessionRoutes(core, use_cases, keys).blueprint())
    app.register_blueprint(
        pages_blueprint(
            HERE / "client",
            use_cases=use_cases,
            limits=lambda use_case: _limits(core, use_case),
            ready=lambda: {"provider": core.models.reachable, "accepting": not core.drain.draining},
            openapi=document(use_cases, version=VERSION, keyed=bool(keys)),
        )
    )
    return app


def _core(settings: Settings, provider: Provider, prompts: dict[str, Prompt], clock: Clock) -> Core:
    return Core(
        settings=settings,
        provider=provider,
        models=Models(settings, provider, clock),
        prompts=prompts,
        clock=clock,
        streams=Streams(clock, most=settings.max_streams, retention_s=settings.retention_s),
        sessions=Sessions(most=settings.max_sessions, days=settings.session_days, monotonic=clock.monotonic),
        drain=Drain(),
    )


def _provider(settings: Settings) -> Provider:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise SettingsError(
            "There is no model to ask. Do one of these:\n"
            "  make run                                             the embedded model, no key\n"
            "  OPENAI_API_KEY=…                                     OpenAI\n"
            "  OPENAI_BASE_URL=http://localhost:11434/v1            anything that speaks its protocol"
        )
    key = settings.openai_api_key
    return OpenAIProvider(
        api_key=key.get_secret_value() if key else None,
        base_url=settings.openai_base_url,
        connect_s=settings.connect_s,
        max_event_bytes=settings.max_event_bytes,
    )


def _limits(core: Core, use_case: UseCase) -> dict[str, Any]:
    caps = core.prompts[use_case.name].caps
    limits = server_limits(core.settings, caps, input_tokens=0)
    return {
        "max_input_tokens": input_cap(core.settings, caps),
        "max_output_tokens": limits.max_output_tokens,
        "deadline_s": limits.deadline_s,
    }


def __getattr__(name: str) -> Flask:
    """Make ``app`` from the environment when a server asks for it."""
    if name != "app":
        raise AttributeError(name)
    setup_logging()
    try:
        app = create_app(read())
    except ValueError as error:
        raise SystemExit(f"Gloss cannot start. {error}") from None
    tokens.warm()
    languages.warm()
    globals()["app"] = app
    return app
