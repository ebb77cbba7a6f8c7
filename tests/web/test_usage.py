"""What a caller is told of what was used."""

from datetime import date
from decimal import Decimal

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
    }


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
