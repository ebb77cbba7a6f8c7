"""Shows what an operator sees, after a minute of a busy service: ``make demo-operator``.

Two workers over one Redis, a provider that is quick, slow or broken by the model's name, a
Prometheus that scrapes every second. The usage page goes to ``docs/operations/``, once more before a
month that is made up, and the dashboard, drawn by ``drawn.py`` with what that Prometheus answers.
"""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from docs.dashboard import dashboard
from tests.drawn import page
from tests.live.conftest import asking
from tests.live.page import PHONE, WIDE, Visit, launch, playwright
from tests.live.prometheus import Prometheus, watching
from tests.live.service import Service, serving
from tests.redis_server import redis_server
from tests.upstream.fixtures import running

SHOWN = Path(__file__).parents[1] / "docs" / "operations"
BUSY_S = 60
CALLERS = 12
LEAVE = 0.1
# How often each is asked for, and what a million of its tokens costs.
MODELS = {
    "paced:60:20": (6, "0.40"),
    "paced:150:20": (3, "2.00"),
    "ok:20": (2, "0.10"),
    "fault/status:500": (1, "0.40"),
}
KEY = "a-key-of-the-scraper"
VISITS = {"wide-light": {"viewport": WIDE}, "phone-dark": {"viewport": PHONE, "color_scheme": "dark"}}


@contextmanager
def deployed() -> Iterator[tuple[Service, Prometheus]]:
    with TemporaryDirectory() as name, running() as upstream, redis_server() as redis:
        folder = Path(name)
        prices = "".join(
            f'["{model}"]\ninput = {usd}\noutput = {usd}\n' for model, (_, usd) in MODELS.items()
        )
        (folder / "prices.toml").write_text(prices)
        env = {
            "OPENAI_BASE_URL": upstream.base_url, "GLOSS_MODEL": "ok:20", "GLOSS_MODELS": ",".join(MODELS),
            "GLOSS_PRICES": str(folder / "prices.toml"), "GLOSS_METRICS_KEY": KEY, "REDIS_URL": redis.url,
            "WEB_CONCURRENCY": "2", "GLOSS_TOKENS_PER_DAY": "10000000", "GLOSS_ATTEMPTS_WITHIN_S": "2",
        }  # fmt: skip
        with (
            serving(folder, app="tests.live.warm:app", **env) as service,
            watching(service, folder, key=KEY) as watcher,
        ):
            yield service, watcher


def call(service: Service, until: float) -> None:
    """Ask for one stream after the other, as people do: not all of them whole, not all of them right."""
    chance = random.Random()
    names, weights = list(MODELS), [often for often, _ in MODELS.values()]
    while time.monotonic() < until:
        [model] = chance.choices(names, weights)
        use_case = chance.choices(["relay", "relay-four", "nowhere"], [12, 6, 1])[0]
        with service.connect() as client:
            client.post(f"/v1/{use_case}", asking(model), "application/x-ndjson")
            if chance.random() < LEAVE:
                client.head()
            else:
                client.answer()


def month(browser: Any) -> None:
    """The usage page before a month that is made up."""
    with TemporaryDirectory() as folder, serving(Path(folder), app="tests.live.usage:app") as service:
        for name, context in VISITS.items():
            visit = Visit(browser, f"{service.url}/usage", **context)
            visit.page.wait_for_selector("#plot svg")
            visit.page.screenshot(path=SHOWN / f"usage-{name}.png", full_page=True)


def minute(browser: Any) -> None:
    """The usage page and the dashboard after a busy minute."""
    with deployed() as (service, watcher):
        until = time.monotonic() + BUSY_S
        callers = [Thread(target=call, args=(service, until)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        picture = browser.new_page(viewport={"width": 1440, "height": 900})
        picture.set_content(page(watcher, dashboard(), BUSY_S))
        picture.screenshot(path=SHOWN / "dashboard.png", full_page=True)
        visit = Visit(browser, f"{service.url}/usage", viewport=WIDE)
        visit.page.get_by_role("button", name="Model").click()
        visit.page.wait_for_selector("#plot svg")
        visit.page.screenshot(path=SHOWN / "usage-of-the-minute.png", full_page=True)


def main() -> None:
    with playwright.sync_playwright() as started:
        browser = launch(started)
        month(browser)
        minute(browser)
    sys.stdout.write(f"{SHOWN}: made anew\n")


if __name__ == "__main__":
    main()
