"""The operator's page in a real browser."""

import re
from collections.abc import Iterator

import pytest

from services.cost.report import report
from services.web.keys import new_key
from services.web.pages import ASSETS
from tests.live.page import CHROMIUM, PHONE, expect
from tests.live.service import Service, serving

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]
APP = "tests.live.usage:app"
NOTHING = {"from": "2026-11-01", "to": "2026-11-26", "by": ["day", "key"], **report([], ["day"])}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("usage"), app=APP) as service:
        yield service


@pytest.fixture
def opened(visit, deployed):
    visited = visit(f"{deployed.url}/usage")
    expect(visited.text("#plot svg")).to_be_visible()
    return visited


def test_a_month_is_drawn_without_a_complaint(opened, deployed):
    """Thirty days, each with its figures in words; nothing but its own files and the history is asked for."""
    expect(opened.text(".day")).to_have_count(30)
    expect(opened.text("#legend li")).to_have_count(3)
    expect(opened.text(".day").last).to_have_attribute("aria-label", re.compile(r"\$"))
    assert opened.complaints == []
    assert {url.removeprefix(deployed.url).partition("?")[0] for url in opened.asked} <= {
        "/usage",
        "/v1/usage/history",
        *(f"/assets/{name}" for name in ASSETS),
    }


def test_the_table_says_what_the_plot_shows(opened):
    """Day by day, the last one first, the sum beside the parts."""
    rows = opened.text("#by-day-table tbody tr")
    expect(rows).to_have_count(30)
    expect(opened.text("#by-day-table thead th")).to_have_text(
        ["Day", "All", "3f9c21ab77d0", "b80e5512aa34", "0d77c4f1e6b9"]
    )
    day = rows.first.locator("th").inner_text()
    total = rows.first.locator("td").first.inner_text()
    expect(opened.text(".day").last).to_have_attribute(
        "aria-label", re.compile(f"^{re.escape(day)}: {re.escape(total)}")
    )


def test_measure_and_split_can_be_chosen(opened):
    """The plot, its title and both tables follow."""
    opened.page.get_by_role("button", name="Tokens").click()
    expect(opened.text("#chart-title")).to_have_text("Tokens by day and key")
    opened.page.get_by_role("button", name="Model").click()
    expect(opened.text("#parts-title")).to_have_text("By model")
    expect(opened.text("#legend li")).to_have_text(["gpt-4.1-mini", "gpt-4.1", "local-llama"])
    expect(opened.text("#parts-table tbody tr").last).to_contain_text("no price")
    opened.page.get_by_role("button", name="7 days").click()
    expect(opened.text(".day")).to_have_count(7)
    expect(opened.page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")


def test_arrows_go_from_day_to_day(opened):
    """One stop for Tab; the figures of the day are written above."""
    opened.text(".day").last.focus()
    expect(opened.text("#readout")).to_contain_text("$")
    here = opened.text("#readout").inner_text()
    opened.page.keyboard.press("ArrowLeft")
    expect(opened.text("#readout")).not_to_have_text(here)
    opened.page.keyboard.press("Home")
    expect(opened.text(".day").first).to_be_focused()
    expect(opened.text('.day[tabindex="0"]')).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(visit, deployed, scheme):
    """Wide tables scroll in themselves."""
    opened = visit(f"{deployed.url}/usage", viewport=PHONE, color_scheme=scheme)
    expect(opened.text("#plot svg")).to_be_visible()
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_key_is_asked_for_until_one_opens_it(visit, tmp_path):
    """With keys the page needs the operator's; it is kept for this tab."""
    other, entry = new_key("web", scopes=["translate"])
    admin, operator = new_key("operator", scopes=["admin"])
    with serving(tmp_path, app=APP, GLOSS_KEYS=f"{entry.line()},{operator.line()}") as service:
        opened = visit(f"{service.url}/usage")
        for key in (other, admin):
            expect(opened.text("#key-dialog")).to_be_visible()
            opened.page.get_by_label("Key", exact=True).fill(key)
            opened.page.get_by_role("button", name="Continue").click()
        expect(opened.text("#plot svg")).to_be_visible()
        opened.page.reload()
        expect(opened.text("#plot svg")).to_be_visible()


def test_days_without_use_say_so(visit, deployed):
    """Instead of a plot of nothing."""
    opened = visit()
    opened.page.route("**/v1/usage/history*", lambda route: route.fulfill(json=NOTHING))
    opened.page.goto(f"{deployed.url}/usage")
    expect(opened.text("#nothing")).to_be_visible()
    expect(opened.text("#plot svg")).to_have_count(0)
