import math

import pytest

from bench.measure import Column
from bench.report import between, shown, table, tutorial_code, with_ratios

COST = Column(key="cost", heading="cost, µs", digits=1, ratio=True)
ROWS = {"nginx": {"cost": 10.0}, "Gloss": {"cost": 25.0}}


@pytest.mark.parametrize(
    ("value", "text"), [(1234.56, "1,234.6"), (None, "-"), (math.inf, "never"), (0.0, "0.0")]
)
def test_figure_that_never_came_is_called_never(value, text):
    """An infinite figure reads ``never``, one that was not taken a dash."""
    assert shown(value, 1) == text


def test_table_has_a_line_per_relay():
    """A table is Markdown: head, rule, and one padded line for each relay."""
    assert table([COST], ROWS) == [
        "|       | cost, µs |",
        "| ----- | -------: |",
        "| nginx |     10.0 |",
        "| Gloss |     25.0 |",
    ]


def test_quotients_stand_beside_the_figure():
    """Each figure is followed by its multiple of the base's."""
    columns, rows = with_ratios([COST], ROWS, {"nginx": "nginx"})
    assert [column.heading for column in columns] == ["cost, µs", "÷ nginx"]
    assert rows["Gloss"]["cost/nginx"] == 2.5


def test_no_quotient_without_its_base():
    """A base that was not measured leaves a dash, not an error."""
    columns, rows = with_ratios([COST], ROWS, {"LiteLLM": "LiteLLM"})
    assert table(columns, rows)[-1] == "| Gloss |     25.0 |         - |"


def test_only_what_stands_between_the_markers_changes():
    """New lines replace the old ones between two markers."""
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert between("x", ["new"], text) == "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"


def test_tutorial_has_fifteen_lines_at_most():
    """The tutorial's way is as short as in the posts that show it."""
    assert len([line for line in tutorial_code() if line]) <= 15
