"""What was used, for the operator."""

from datetime import date, timedelta

import pytest
from flask import Flask

from services.cost.history import Line
from services.telemetry.metrics import Metrics
from services.web.entries import parse_keys
from services.web.keys import Keys, new_key
from services.web.problems import install_problems
from services.web.usage_history import MOST_DAYS, UsageHistory
from tests.cost.lines import Kept, used
from tests.web.house import settings

TODAY = date(2026, 11, 26)
PATH = "/v1/usage/history"


def house(*kept: Line, keys: Keys | None = None, host: str = "127.0.0.1"):
    app, history = Flask(__name__, static_folder=None), Kept(kept)
    install_problems(app, Metrics())
    route = UsageHistory(
        history=history, keys=keys or Keys(), settings=settings(host=host, open=True), today=lambda: TODAY
    )
    app.register_blueprint(route.blueprint())
    return app.test_client(), history


def test_the_last_thirty_days_are_told_day_by_day():
    """Unless other days, or another split, are asked for."""
    client, history = house(used(TODAY, key="a", streams=2), used(TODAY - timedelta(30), streams=9))
    told = client.get(PATH).json
    assert (told["from"], told["to"], told["by"]) == ("2026-10-28", "2026-11-26", ["day"])
    assert [(row["day"], row["streams"]) for row in told["rows"]] == [("2026-11-26", 2)]
    assert told["total"]["streams"] == 2
    assert history.asked == [(date(2026, 10, 28), TODAY)]


def test_days_and_split_can_be_named():
    """Both days are in it."""
    client, history = house(used(TODAY, key="a"), used(TODAY, key="b", model="n"))
    told = client.get(f"{PATH}?from=2026-11-25&to=2026-11-26&by=key,model").json
    assert [(row["key"], row["model"]) for row in told["rows"]] == [("a", "m"), ("b", "n")]
    assert history.asked == [(date(2026, 11, 25), TODAY)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"from={rubbish}", "from") for rubbish in ("yesterday", "2026-W48-4", "20261126", "2026-02-30")),
        *((f"to={rubbish}", "to") for rubbish in ("2026-13-01", "", "0001-01-01")),
        ("from=2026-11-27", "from"),
        (f"from={TODAY - timedelta(MOST_DAYS)}", "from"),
        *((f"by={rubbish}", "by") for rubbish in ("hour", "", "day,day")),
    ],
)
def test_rubbish_is_refused_by_its_field(query, field):
    """And not repeated."""
    client, history = house()
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert query.partition("=")[2] not in answer.text.replace("2027-01-01", "") or query.endswith("=")
    assert history.asked == []


def test_only_the_operators_key_opens_it():
    """No key, and a key for use cases, do not."""
    other, entry = new_key("web", scopes=["translate"])
    admin, operator = new_key("operator", scopes=["admin"])
    client, _ = house(keys=Keys(parse_keys([entry.line(), operator.line()])))
    statuses = [
        client.get(PATH, headers={"Authorization": f"Bearer {key}"} if key else {}).status_code
        for key in (None, other, admin)
    ]
    assert statuses == [401, 403, 200]


def test_without_keys_only_this_machine_is_told():
    """Who opens the service to everybody has not opened its books."""
    client, history = house(host="0.0.0.0")  # noqa: S104 - nothing listens
    assert client.get(PATH).status_code == 403
    assert history.asked == []
