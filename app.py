"""The composition root: what is made of what, and nothing else.

``gunicorn app:app`` makes the application from the environment, when the name ``app`` is first
asked for; so importing this module opens nothing, and tests bring their own parts.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from services import prompting
from services.cost import prices, tokens
from services.cost.accounts import Account, Quota
from services.cost.history import History
from services.cost.ledger import Ledger
from services.cost.price_file import read_prices
from services.cost.prices import Prices
from services.llm import Provider
from services.prompting import Prompt
from services.providers.addresses import addresses
from services.providers.openai import OpenAIProvider
from services.settings import Settings, SettingsError, read
from services.state import patience
from services.state.choice import Chosen, choose
from services.state.store import Shared, Store, StoreDownError
from services.streams.answers.cache import Cache
from services.streams.answers.elsewhere import Elsewhere
from services.streams.answers.flight import Flights
from services.streams.capacity import Capacity
from services.streams.caps import input_cap, server_limits
from services.streams.claims import Claims
from services.streams.clock import Clock, GeventClock
from services.streams.core import Core
from services.streams.drain import Drain
from services.streams.handover import let_go_later, lose
from services.streams.levels import Levels
from services.streams.models import Model, Models
from services.streams.priced import require_prices, warn_of_keys
from services.streams.registry import Streams
from services.streams.resources import Resources, bounds
from services.streams.retry import Retry, RetryBudget
from services.streams.sessions import Sessions
from services.streams.sharing.exchange import Exchange
from services.streams.slots import Slots
from services.streams.takeover import take_over
from services.streams.use_case import UseCase
from services.telemetry import folder, setup_logging
from services.telemetry.metrics import Metrics
from services.telemetry.pulse import Pulse
from services.telemetry.traces import Traces
from services.telemetry.traces import traces as traces_of
from services.use_cases import USE_CASES
from services.use_cases.translate import languages
from services.web.doors import Doors, check_open, install_doors, may_be_anonymous
from services.web.entrance import Entrance
from services.web.entries import Entry, parse_keys
from services.web.forgotten import Forgotten
from services.web.grants import Grants
from services.web.keys import Keys
from services.web.metrics import MetricsRoute
from services.web.openapi import document
from services.web.pages import pages_blueprint
from services.web.problems import install_problems
from services.web.rates import Rates
from services.web.sessions import SessionRoutes
from services.web.signing import Signing
from services.web.streams import StreamRoutes
from services.web.subjects import SubjectRoutes, erase
from services.web.tokens import Tokens
from services.web.usage import UsageRoute
from services.web.usage_history import UsageHistory
from services.web.watch import Watch
from services.web.ws.route import WebSocketRoute
from services.wire.negotiation import offered

HERE = Path(__file__).parent
PROMPTS = HERE / "prompts"
VERSION = "0.1.0"
DAY_S = 86_400

log = logging.getLogger("gloss.start")


def create_app(  # noqa: PLR0913 - the seams, each with its default
    settings: Settings,
    *,
    provider: Provider | None = None,
    fall_backs: Sequence[Provider] | None = None,
    use_cases: dict[str, UseCase] = USE_CASES,
    prompts: Path = PROMPTS,
    clock: Clock | None = None,
    store: Store | None = None,
    shared: Shared | None = None,
    traces: Traces | None = None,
) -> Flask:
    """Put the service together; ``shared`` is the store once more where other processes see it.

    ``fall_backs`` are asked for the models of GLOSS_PROVIDERS, in its order. What only keeps the first
    process of a server from starting is no reason for one that takes another's place: it serves what can
    be served without a store, and the rest when the store answers again.
    Raises ``SettingsError`` or ValueError where the settings or a prompt file are not right.
    """
    fixed = parse_keys(settings.keys, scopes=use_cases)
    clock = clock or GeventClock()
    models = _models(settings, provider, fall_backs, clock)
    require_prices(models, _quota(settings))
    again = folder.has_served(settings.metrics_folder)
    chosen = choose(settings, again=again) if store is None else Chosen(store=store, shared=shared)
    log.info(chosen.told)
    store = chosen.store
    signing = Signing(store, settings.secret.get_secret_value() if settings.secret else None)
    forgotten = Forgotten(store, now=clock.now, kept_s=settings.token_s)
    keys = _keys(fixed, settings, store, clock, signing, forgotten)
    _check_keys(settings, keys, forgotten, again=again)
    warn_of_keys(models, keys.quotas)
    core = _core(
        settings, models, use_cases, prompting.load(prompts), clock, chosen, traces or traces_of(settings)
    )
    core.exchange.open(partial(take_over, core))
    core.drain.watch(partial(let_go_later, core))
    app = Flask("gloss", static_folder=None)
    app.extensions["gloss"] = core  # the server's worker asks for it
    levels = Levels(core, chosen.trouble, version=VERSION)
    app.extensions["gloss.pulse"] = _pulse(core, levels)
    install_problems(app, core.metrics)
    app.before_request(lambda: patience.begin(settings.store_call_s))
    doors = Doors.of(settings, keys.__bool__)
    install_doors(app, doors)
    entrance = _entrance(core, doors, keys, signing, forgotten, chosen.shared)
    app.extensions["gloss.entrance"] = entrance  # and so it does for this
    _register(app, core, entrance)
    _register_operator(app, core, keys, levels)
    return app


def _register_operator(app: Flask, core: Core, keys: Keys, levels: Levels) -> None:
    """Give the routes for whoever runs the service."""
    history = History(core.exchange.store, core.ledger.flush)
    figures = MetricsRoute(core.metrics, core.settings, keyed=keys.__bool__, refresh=levels.reserved)
    app.register_blueprint(figures.blueprint())
    used = UsageHistory(
        history=history, keys=keys, settings=core.settings, today=lambda: core.clock.now().date()
    )
    app.register_blueprint(used.blueprint())


def _register(app: Flask, core: Core, entrance: Entrance) -> None:
    use_cases, types = core.use_cases, offered(core.settings.pad_bytes)
    app.register_blueprint(StreamRoutes(core, use_cases, entrance, types).blueprint())
    app.register_blueprint(SessionRoutes(core, use_cases, entrance.keys).blueprint())
    app.register_blueprint(SubjectRoutes(core, use_cases, entrance).blueprint())
    app.register_blueprint(UsageRoute(core, entrance.keys).blueprint())
    app.register_blueprint(WebSocketRoute(core, entrance).blueprint())
    app.register_blueprint(
        pages_blueprint(
            HERE / "client",
            use_cases=use_cases,
            limits=lambda use_case: _limits(core, use_case),
            ready=partial(_ready, core, entrance.keys),
            openapi=lambda keyed: document(use_cases, version=VERSION, keyed=keyed, types=types),
            keyed=entrance.keys.__bool__,
        )
    )


def _keys(  # noqa: PLR0913, PLR0917 - what is known of who may call
    fixed: Mapping[str, Entry],
    settings: Settings,
    store: Store,
    clock: Clock,
    signing: Signing,
    forgotten: Forgotten,
) -> Keys:
    return Keys(
        fixed,
        store=store,
        grants=Grants(signing),
        forgotten=forgotten,
        anonymous=may_be_anonymous(settings),
        now=clock.now,
        monotonic=clock.monotonic,
    )


def _check_keys(settings: Settings, keys: Keys, forgotten: Forgotten, *, again: bool) -> None:
    """Raise SettingsError where nobody may call, or nobody knows who may; ``again`` only says so."""
    try:
        keys.look()
        forgotten.look()
    except (StoreDownError, ValueError):
        if not again:
            raise SettingsError("The store's keys cannot be read, so nobody knows who may call.") from None
        log.warning("The store's keys cannot be read yet: who has none of GLOSS_KEYS is told to come again.")
        return
    if not again:
        check_open(settings, keyed=not keys.empty)


def _core(  # noqa: PLR0913, PLR0917 - the seams
    settings: Settings,
    models: Models,
    use_cases: dict[str, UseCase],
    prompts: dict[str, Prompt],
    clock: Clock,
    chosen: Chosen,
    traces: Traces,
) -> Core:
    store, shared = chosen.store, chosen.shared
    exchange = Exchange(
        store,
        clock,
        shared=shared,
        retention_s=settings.retention_s,
        events=lambda name: use_cases[name].events if name in use_cases else (),
        named=models.named,
        local=lambda stream_id: streams.here(stream_id) or flights.here(stream_id),  # made below
        lost=lambda stream: lose(core, stream),
        dropped=lambda stream: streams.dropped(stream),  # noqa: PLW0108 - made below too
    )
    streams = Streams(clock, retention_s=settings.retention_s, elsewhere=exchange.find)
    flights = Flights(_cache(settings, store, clock), Elsewhere(exchange) if shared else None)
    core = Core(
        settings=settings,
        use_cases=use_cases,
        models=models,
        retry=Retry(
            attempts=settings.attempts,
            within_s=settings.attempts_within_s,
            budget=RetryBudget(share=settings.retry_share, floor=settings.retries_per_minute),
        ),
        prompts=prompts,
        clock=clock,
        streams=streams,
        sessions=Sessions(store, clock, days=settings.session_days, alive=streams.alive),
        claims=Claims(store=store, clock=clock, streams=streams),
        exchange=exchange,
        drain=Drain(),
        capacity=_capacity(settings, clock, relieve=streams.shed),
        ledger=_ledger(settings, clock, store, alone=shared is None),
        flights=flights,
        metrics=Metrics(folder=settings.metrics_folder, known=models.is_named),
        traces=traces,
    )
    return core


def _quota(settings: Settings) -> Quota:
    return Quota(usd_day=settings.usd_per_day, tokens_day=settings.tokens_per_day)


def _ledger(settings: Settings, clock: Clock, store: Store, *, alone: bool) -> Ledger:
    return Ledger(
        store,
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        deployment=Account("deployment", _quota(settings)),
        keeps_on=alone or settings.quotas_open,  # who is alone counts right alone
        kept_s=settings.usage_days * DAY_S,
        call_s=settings.store_call_s,
    )


def _cache(settings: Settings, store: Store, clock: Clock) -> Cache:
    return Cache(
        store=store,
        clock=clock,
        total_bytes=settings.cache_bytes,
        bucket_bytes=settings.cache_bucket_bytes,
        kept_s=settings.cache_s,
    )


def _pulse(core: Core, levels: Levels) -> Pulse:
    """Return what the server's worker runs beside its streams."""
    return Pulse(
        core.metrics,
        monotonic=core.clock.monotonic,
        sleep=core.clock.sleep,
        levels=levels,
    )


def _capacity(settings: Settings, clock: Clock, *, relieve: Callable[[], None]) -> Capacity:
    found = bounds(settings.max_memory_mb)
    log.info(found.told)
    return Capacity(
        slots=Slots(running=settings.max_streams, queued=settings.max_queued, monotonic=clock.monotonic),
        resources=Resources(found, monotonic=clock.monotonic, relieve=relieve),
        clock=clock,
        queue_s=settings.queue_s,
    )


def _models(
    settings: Settings, provider: Provider | None, fall_backs: Sequence[Provider] | None, clock: Clock
) -> Models:
    provider = provider or _provider(settings)
    prices = Prices(read_prices(settings.prices)) if settings.prices else Prices()
    return Models(
        settings, provider, clock, fall_backs=_fall_backs(settings, fall_backs, prices), prices=prices
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
    return _openai(settings, settings.openai_base_url, key.get_secret_value() if key else None)


def _fall_backs(settings: Settings, given: Sequence[Provider] | None, prices: Prices) -> tuple[Model, ...]:
    """Return the models of GLOSS_PROVIDERS, at providers that are given or made here."""
    entries = addresses(entry.get_secret_value() for entry in settings.providers)
    providers = (
        given if given is not None else [_openai(settings, entry.base_url, entry.key) for entry in entries]
    )
    pairs = zip(entries, providers, strict=True)
    return tuple(Model.at(entry.base_url, entry.model, provider, prices=prices) for entry, provider in pairs)


def _openai(settings: Settings, base_url: str | None, key: str | None) -> OpenAIProvider:
    return OpenAIProvider(
        api_key=key,
        base_url=base_url,
        connect_s=settings.connect_s,
        max_event_bytes=settings.max_event_bytes,
    )


def _entrance(  # noqa: PLR0913, PLR0917 - what every way in shares
    core: Core, doors: Doors, keys: Keys, signing: Signing, forgotten: Forgotten, shared: Shared | None
) -> Entrance:
    settings, clock = core.settings, core.clock
    rates = Rates(settings, clock, shared)
    kept_s = settings.deadline_s + settings.retention_s
    return Entrance(
        doors=doors,
        keys=keys,
        tokens=Tokens(store=core.exchange.store, signing=signing, kept_s=kept_s, live=keys.opens),
        grants=Grants(signing),
        forgotten=forgotten,
        rates=rates,
        watch=Watch(keys, core.streams, clock, rates=rates, forgotten=forgotten, erase=partial(erase, core)),
    )


def _ready(core: Core, keys: Keys) -> dict[str, bool]:
    return {
        "provider": core.models.reachable,
        "store": core.exchange.store.reachable() and keys.complete,
        "accepting": not core.drain.draining,
        "resources": core.capacity.resources.scarce is None,
    }


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
    settings = read()
    setup_logging(settings.log)
    try:
        app = create_app(settings)
    except ValueError as error:
        raise SystemExit(f"Gloss cannot start. {error}") from None
    tokens.warm()
    prices.warm()
    for model in app.extensions["gloss"].models.fall_backs:
        tokens.load(model.counter.vocabulary)  # else the first call that falls back stalls everybody
    languages.warm()
    globals()["app"] = app
    return app
