"""What a caller is told of what was used."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from services.cost.accounts import Quota
from services.cost.history import History, Line
from services.web.keys import new_key
from tests.streams.scripted import Gate, whole
from tests.streams.stage import Stage, settle

PRICED = {"model": "gpt-4.1-mini", "usd_per_day": Decimal(1)}


def test_nothing_yet() -> None:
    """A caller without limits who has used nothing."""
    span = {
        "usd": "0",
        "tokens": 0,
        "limit_usd": None,
        "limit_tokens": None,
        "left_usd": None,
        "left_tokens": None,
    }
    assert Stage().call("GET", "/v1/usage").json() == {
        "key": "anonymous",
        "day": span,
        "month": span,
        "reserved_usd": "0",
        "reserved_tokens": 0,
        "open_streams": 0,
        "limits": [],
    }


def told_limits(stage: Stage, key: str | None = None) -> list[dict[str, Any]]:
    limits: list[dict[str, Any]] = stage.call("GET", "/v1/usage", key=key).json()["limits"]
    return limits


def test_every_limit_that_holds() -> None:
    """The key's and the deployment's, with what is left of each and when it begins anew."""
    key, entry = new_key("web", quota=Quota(tokens_minute=5000, usd_month=Decimal("2.50")))
    stage = Stage(settings={**PRICED, "tokens_per_day": 90_000, "keys": (entry.line(),)})
    stage.post(key=key).read()
    used, left = "0.0000076", {"minute": 4990, "day": 89_990}
    assert told_limits(stage, key) == [
        {"of": "key", "kind": "usd", "window": "month", "limit": "2.5", "used": used, "reserved": "0",
         "remaining": "2.4999924", "resets_at": "2026-02-01T00:00:00Z"},
        {"of": "key", "kind": "tokens", "window": "minute", "limit": 5000, "used": 10, "reserved": 0,
         "remaining": left["minute"], "resets_at": "2026-01-02T03:05:00Z"},
        {"of": "deployment", "kind": "tokens", "window": "day", "limit": 90_000, "used": 10, "reserved": 0,
         "remaining": left["day"], "resets_at": "2026-01-03T00:00:00Z"},
        {"of": "deployment", "kind": "usd", "window": "day", "limit": "1", "used": used, "reserved": "0",
         "remaining": "0.9999924", "resets_at": "2026-01-03T00:00:00Z"},
    ]  # fmt: skip


def test_what_runs_is_reserved_of_a_limit() -> None:
    """Used, reserved and remaining add up to the limit."""
    gate = Gate()
    stage = Stage(says=whole(gate), settings={"tokens_per_day": 5000})
    reply = stage.post(options={"max_output_tokens": 1000})
    next(reply.pieces)
    settle()
    [limit] = told_limits(stage)
    assert limit["reserved"] > 1000
    assert limit["used"] + limit["reserved"] + limit["remaining"] == limit["limit"] == 5000
    gate.set()
    reply.read()


def test_a_token_is_told_its_own_limit() -> None:
    """It does not begin anew; what its key and the service may spend is nothing for an end user."""
    key, entry = new_key("web", quota=Quota(tokens_day=7000))
    stage = Stage(
        settings={
            "tokens_per_day": 9000,
            "keys": (entry.line(),),
            "secret": "of the tests, and long enough to be one",
        }
    )
    wish = json.dumps({"subject": "ann", "budget_tokens": 1000})
    token = stage.call("POST", "/v1/tokens", key=key, data=wish).json()["token"]
    stage.post(key=key).read()
    stage.post(key=token).read()
    assert told_limits(stage, token) == [
        {"of": "token", "kind": "tokens", "window": "ever", "limit": 1000, "used": 10, "reserved": 0,
         "remaining": 990, "resets_at": None}
    ]  # fmt: skip
    assert [limit["used"] for limit in told_limits(stage, key)] == [20, 20]


def test_another_keys_limits_are_not_told() -> None:
    """Of what others use, only what the service may spend in all."""
    (first, one), (_, other) = new_key("one"), new_key("other", quota=Quota(tokens_day=7000))
    stage = Stage(settings={"keys": (one.line(), other.line())})
    assert told_limits(stage, first) == []


def test_used() -> None:
    """What an ended stream has used is there at once, in the day and in the month."""
    stage = Stage(settings={"model": "gpt-4.1-mini"})
    stage.post().read()
    told = stage.call("GET", "/v1/usage").json()
    assert [(told[span]["usd"], told[span]["tokens"]) for span in ("day", "month")] == [("0.0000076", 10)] * 2


def test_without_a_price() -> None:
    """Where nothing that was used has a price, dollars are null, never 0."""
    stage = Stage()
    stage.post().read()
    told = stage.call("GET", "/v1/usage").json()
    assert (told["day"]["usd"], told["day"]["tokens"]) == (None, 10)


def test_reserved() -> None:
    """While a stream runs, what it may cost is reserved and not yet used."""
    gate = Gate()
    stage = Stage(says=whole(gate), settings=PRICED)
    reply = stage.post(options={"max_output_tokens": 1000})
    next(reply.pieces)
    settle()
    told = stage.call("GET", "/v1/usage").json()
    assert (told["open_streams"], told["day"]["tokens"]) == (1, 0)
    assert told["reserved_tokens"] > 1000
    assert Decimal("0.0016") < Decimal(told["reserved_usd"]) < Decimal("0.0017")
    gate.set()
    reply.read()
    told = stage.call("GET", "/v1/usage").json()
    assert (told["reserved_usd"], told["reserved_tokens"], told["open_streams"]) == ("0", 0, 0)


def test_each_key_its_own() -> None:
    """What one key has used is not told to another."""
    (first, one), (second, other) = new_key("one"), new_key("other")
    stage = Stage(settings={"keys": (one.line(), other.line())})
    stage.post(key=first).read()
    told = [stage.call("GET", "/v1/usage", key=key).json()["day"]["tokens"] for key in (first, second)]
    assert (told, stage.call("GET", "/v1/usage").status) == ([10, 0], 401)


def test_history() -> None:
    """What was used is kept by day, key, use case and model, with how the streams ended."""
    stage = Stage(settings={"model": "gpt-4.1-mini", "models": ("nobody-knows",)})
    stage.post().read()
    stage.post().read()
    stage.post("four", options={"model": "nobody-knows"}).read()
    history, day = History(stage.core.exchange.store, stage.core.ledger.flush), date(2026, 1, 2)
    about = {"day": day, "key": "anonymous"}
    assert history.lines(date(2025, 12, 1), day) == [
        Line(**about, use_case="echo", model="gpt-4.1-mini", input=14, output=6, streams=2,
             cost_usd=Decimal("0.0000152"), ends={"stop": 2}),
        Line(**about, use_case="four", model="nobody-knows", input=28, output=12, streams=1,
             cost_usd=None, unpriced=4, ends={"stop": 1}),
    ]  # fmt: skip
    assert history.lines(day, day, key="another") == []
