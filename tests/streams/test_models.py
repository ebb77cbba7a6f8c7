"""Which model answers, and what is known of it."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from services.errors import InvalidInput, ProviderError, ProviderRejected
from services.llm import Tokens
from services.settings import DEFAULT_MODEL
from services.streams.models import ASKED_EVERY_S, COMPACT_BELOW, Model, Models
from tests.providers.scripted import ScriptedProvider
from tests.streams.calling import model_of
from tests.streams.fake_clock import FakeClock
from tests.streams.stage import stage_settings

LOCAL = "http://localhost:11434/v1"
MILLION = Tokens(input=1_000_000, output=0)


class Listing(ScriptedProvider):
    """A provider that counts how often its list is asked for, and may refuse it."""

    def __init__(self, *listed: str, failure: Exception | None = None) -> None:
        super().__init__(models=listed)
        self.lists = 0
        self.failure = failure

    def models(self) -> tuple[str, ...]:
        self.lists += 1
        if self.failure:
            raise self.failure
        return super().models()


def models(provider: Listing | None = None, *, fall_backs: Sequence[Model] = (), **given: object) -> Models:
    return Models(
        stage_settings(**{"model": None, **given}),
        provider or Listing("first", "second"),
        FakeClock(),
        fall_backs=fall_backs,
    )


def test_the_named_model_answers() -> None:
    """GLOSS_MODEL is asked for nothing."""
    provider = Listing()
    assert models(provider, model="mine", openai_base_url=LOCAL).default == "mine"
    assert provider.lists == 0


def test_openai_has_a_default() -> None:
    """Without a base URL the default is named in one place."""
    assert models().default == DEFAULT_MODEL


def test_another_provider_is_asked_once_what_it_has() -> None:
    """With a base URL and no model named, the first of its list answers."""
    provider = Listing("first", "second")
    chosen = models(provider, openai_base_url=LOCAL)
    assert [chosen.default, chosen.default] == ["first", "first"]
    assert provider.lists == 1


def test_a_list_that_failed_is_asked_for_again() -> None:
    """A provider that was down at the first request is not down for ever."""
    provider = Listing("first", failure=ProviderError("down"))
    chosen = models(provider, openai_base_url=LOCAL)
    with pytest.raises(ProviderError):
        chosen.default  # noqa: B018 - reading it asks
    provider.failure = None
    assert chosen.default == "first"


def test_an_empty_list_is_told() -> None:
    """The operator is told which setting names a model."""
    with pytest.raises(ProviderError, match="GLOSS_MODEL"):
        models(Listing(), openai_base_url=LOCAL).default  # noqa: B018 - reading it asks


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        ((), None),
        ((), "mine"),
        (("a", "b"), "b"),
        (("a-*",), "a-large"),
        (("*",), "anything"),
        (("a",), "mine"),
    ],
)
def test_a_model_that_is_allowed_may_be_named(allowed: tuple[str, ...], asked: str | None) -> None:
    """The default always may; others stand in GLOSS_MODELS, where ``*`` is any letters."""
    assert models(model="mine", models=allowed).choose(asked).name == (asked or "mine")


@pytest.mark.parametrize(
    ("allowed", "asked"), [((), "other"), (("a-*",), "b"), (("a",), "A"), (("a",), "ab")]
)
def test_a_model_that_is_not_allowed_is_refused(allowed: tuple[str, ...], asked: str) -> None:
    """422 names the field and the setting, and not what was asked for."""
    with pytest.raises(InvalidInput) as refused:
        models(model="mine", models=allowed).choose(asked)
    assert refused.value.members["errors"] == [
        {"field": "options.model", "problem": "names a model that is not allowed here (GLOSS_MODELS)"}
    ]


def test_the_window_of_a_known_model_is_known() -> None:
    """The price table tells; a setting of the deployment's own wins; elsewhere nothing is assumed."""
    assert (models().choose(None).window or 0) > 100_000
    assert models(context_window=4096).choose(None).window == 4096
    assert models(model="nobody-knows").choose(None).window is None


def test_a_price_belongs_to_who_is_asked() -> None:
    """A model that runs on this machine costs nothing that is known, whatever its name."""
    assert models(model="gpt-4.1-mini").choose(None).price(MILLION) == Decimal("0.4")
    local = models(model="gpt-4.1-mini", openai_base_url=LOCAL).choose(None)
    assert (local.price(MILLION), local.window) == (None, None)


@pytest.mark.parametrize(
    ("window", "compact"), [(COMPACT_BELOW - 1, True), (COMPACT_BELOW, False), (None, False)]
)
def test_small_models_get_short_prompts(window: int | None, compact: bool) -> None:
    """An unknown window is taken for a large one."""
    assert models(model="mine", context_window=window).choose(None).compact is compact


@pytest.mark.parametrize(
    ("failure", "reachable"),
    [(None, True), (ProviderRejected("no list"), True), (ProviderError("down"), False)],
)
def test_a_provider_that_answers_is_reachable(failure: Exception | None, reachable: bool) -> None:
    """A refusal is an answer too: some servers have no list of models."""
    assert models(Listing(failure=failure)).reachable is reachable


@pytest.mark.parametrize(("second", "reachable"), [(None, True), (ProviderError("down"), False)])
def test_one_provider_that_answers_is_enough(second: Exception | None, *, reachable: bool) -> None:
    """A service that can fall back is not out of service."""
    other = model_of(Listing(failure=second), "other")
    assert models(Listing(failure=ProviderError("down")), fall_backs=[other]).reachable is reachable


def test_fall_backs_are_asked_after_the_model_that_was_chosen() -> None:
    """Whichever it was."""
    one, two = model_of(Listing(), "one"), model_of(Listing(), "two")
    chosen = models(model="mine", models=("*",), fall_backs=[one, two])
    assert [model.name for model in chosen.route(chosen.choose("theirs"))] == ["theirs", "one", "two"]


def test_a_list_that_cannot_be_had_is_no_matter_with_a_fall_back() -> None:
    """The first fall-back is the model then, and is asked once."""
    one, two = model_of(Listing(), "one"), model_of(Listing(), "two")
    chosen = models(
        Listing(failure=ProviderError("down")), openai_base_url=LOCAL, models=("a",), fall_backs=[one, two]
    )
    assert chosen.choose(None) is one
    assert chosen.route(one) == (one, two)


def test_a_model_that_is_named_needs_no_list() -> None:
    """Nobody is asked what there is."""
    provider = Listing(failure=ProviderError("down"))
    assert models(provider, openai_base_url=LOCAL, models=("a",)).choose("a").name == "a"
    with pytest.raises(ProviderError):
        models(provider, openai_base_url=LOCAL, models=("a",), fall_backs=[model_of(Listing(), "b")]).choose(
            "b"
        )


def test_a_fall_back_is_priced_by_its_address() -> None:
    """Its own table tells what it costs and how much it holds."""
    there = Model.at("https://api.deepseek.com/v1", "deepseek-chat", Listing())
    elsewhere = Model.at(LOCAL, "deepseek-chat", Listing())
    assert ((there.price(MILLION) or 0) > 0, (there.window or 0) > 10_000) == (True, True)
    assert (elsewhere.price(MILLION), elsewhere.window) == (None, None)


def test_health_checks_do_not_ask_each_time() -> None:
    """The provider is asked again only after a while, and then again."""
    provider = Listing(failure=ProviderError("down"))
    chosen = models(provider)
    assert [chosen.reachable, chosen.reachable] == [False, False]
    assert provider.lists == 1
    provider.failure = None
    chosen.clock.advance(ASKED_EVERY_S + 0.1)  # type: ignore[attr-defined]
    assert chosen.reachable is True


def test_a_model_has_its_name_where_the_operator_gave_it():
    """In a setting or among the fall-backs; what only a pattern lets through is a caller's word."""
    settings = stage_settings(model="mine", models=("listed", "gpt-*"))
    models = Models(settings, Listing(), FakeClock(), fall_backs=(model_of(Listing(), "other"),))
    assert all(map(models.is_named, ("mine", "listed", "other", DEFAULT_MODEL)))
    assert not models.is_named("gpt-" + "x" * 50)


def test_the_providers_first_model_has_its_name():
    """Once it was asked for."""
    settings = stage_settings(model=None, openai_base_url=LOCAL)
    models = Models(settings, Listing("local"), FakeClock())
    assert not models.is_named("local")
    models.choose(None)
    assert models.is_named("local")
