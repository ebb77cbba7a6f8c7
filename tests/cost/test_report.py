"""What was used, summed up."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost.history import Line
from services.cost.report import DIMENSIONS, report
from tests.cost.lines import used

DAY = date(2026, 11, 26)
LINES = st.builds(
    Line,
    day=st.integers(0, 3).map(lambda after: DAY + timedelta(days=after)),
    key=st.sampled_from("ab"), use_case=st.sampled_from(["translate", "tutor"]), model=st.sampled_from("mn"),
    input=st.integers(0, 99), output=st.integers(0, 99), lost=st.integers(0, 9), streams=st.integers(0, 9),
    cost_usd=st.none() | st.decimals(0, 1, places=6), unpriced=st.integers(0, 3),
    ends=st.dictionaries(st.sampled_from(["stop", "cancelled"]), st.integers(1, 9)),
)  # fmt: skip
SUMMED = ("streams", "input_tokens", "output_tokens", "lost_tokens", "unpriced")


@given(
    lines=st.lists(LINES),
    by=st.permutations(DIMENSIONS).flatmap(lambda all_: st.integers(1, 4).map(lambda n: all_[:n])),
)
def test_rows_add_up_to_the_total(lines, by):
    """However they are split, nothing is lost and nothing counts twice."""
    told = report(lines, by)
    for name in SUMMED:
        assert sum(row[name] for row in told["rows"]) == told["total"][name]
    known = [Decimal(row["cost_usd"]) for row in told["rows"] if row["cost_usd"] is not None]
    assert (sum(known, Decimal(0)) if known else None) == (
        None if told["total"]["cost_usd"] is None else Decimal(told["total"]["cost_usd"])
    )
    assert told["total"]["input_tokens"] == sum(line.input for line in lines)


@given(lines=st.lists(LINES))
def test_each_name_has_one_row(lines):
    """In the order of the names."""
    rows = [(row["day"], row["key"]) for row in report(lines, ["day", "key"])["rows"]]
    assert rows == sorted({(line.day.isoformat(), line.key) for line in lines})


def test_no_price_is_no_zero():
    """Dollars are null where nothing has a price, and a sum of those that have one elsewhere."""
    free, paid = used(DAY, unpriced=1), used(DAY, cost_usd=Decimal("0.10"))
    assert report([free], ["day"])["total"]["cost_usd"] is None
    told = report([free, paid], ["key"])["total"]
    assert (told["cost_usd"], told["unpriced"]) == ("0.10", 1)


def test_nothing_used_is_no_row():
    """And a total of nothing."""
    told = report([], ["day"])
    assert told["rows"] == []
    assert told["total"] == {
        "streams": 0, "input_tokens": 0, "output_tokens": 0, "cached_input_tokens": 0,
        "reasoning_tokens": 0, "lost_tokens": 0, "cost_usd": None, "unpriced": 0, "ends": {},
    }  # fmt: skip


def test_a_row_names_what_it_is_of():
    """And how its streams ended."""
    line = used(DAY, key="a", streams=3, ends={"stop": 2, "cancelled": 1})
    [row] = report([line, replace(line, model="n")], ["day", "key"])["rows"]
    assert (row["day"], row["key"], row["streams"]) == ("2026-11-26", "a", 6)
    assert list(row["ends"].items()) == [("cancelled", 2), ("stop", 4)]
    assert "model" not in row


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_dimension_can_be_asked_for(name):
    """By itself too."""
    assert report([used(DAY)], [name])["rows"][0][name] == str(getattr(used(DAY), name))
