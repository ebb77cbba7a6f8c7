"""A tab of a real browser before the real service, as the tests of the page use it."""

import json
import re
import shutil
from base64 import urlsafe_b64encode

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -r requirements-dev.txt")
expect = playwright.expect
expect.set_options(timeout=20_000)  # a busy machine is no finding

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SPANISH = "Todos los seres humanos nacen libres e iguales en dignidad y derechos."
# One long sentence: long answers to short sources are taken for mistakes.
SENTENCE = f"All human beings are {'free, and equal, and ' * 40}endowed with reason."
# Short, since the model's name carries it: 144 bytes at most.
LESSON = """:::step 1 What it says
Twice a number and **three** more.
:::step 2 Undo it
Take three away.
:::check type=number
What is 11 - 3?
:::expect 8
"""
RETOLD = ":::step 1 What it says\nA box hides a number.\n"
HOSTILE = "<img src=x onerror=alert(1)> <b>x</b> [a](//e.example)"


def launch(started):
    """Start Chromium as root, in a container, without a GPU: what CI has."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    return started.chromium.launch(executable_path=CHROMIUM, args=arguments)


class Visit:
    """One tab; it remembers what the browser complained about and where it went."""

    def __init__(self, browser, url, **context):
        self.context = browser.new_context(locale="en-US", **({"viewport": WIDE} | context))
        self.page = self.context.new_page()
        self.complaints = []
        self.asked = []
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def answers(self, *models, **fields):
        """Let the next requests be answered as these models do; ``fields`` are sent instead."""
        left = list(models)

        def name_model(route):
            model = left.pop(0) if len(left) > 1 else left[0]
            asked = route.request.post_data_json
            body = {**asked, **fields, "options": {**asked["options"], "model": model}}
            route.continue_(post_data=json.dumps(body))

        self.page.unroute_all()
        self.page.route(re.compile(r"/v1/(translate|tutor)$"), name_model)

    def translate(self, source, model, **fields):
        self.answers(model, **fields)
        self.page.get_by_label("Text to translate").fill(source)
        self.page.get_by_role("button", name="Translate", exact=True).click()

    def begin(self, *models):
        self.answers(*models)
        self.page.get_by_role("tab", name="Tutor").click()
        self.page.get_by_label("Topic or problem").fill("Solve 2x + 3 = 11")
        self.page.get_by_role("button", name="Begin").click()

    def text(self, selector):
        return self.page.locator(selector)

    @property
    def facts(self):
        return self.page.locator("section:not([hidden]) .facts").last

    @property
    def wire(self):
        return self.page.locator("#events li")


def saying(text):
    return f"say:{urlsafe_b64encode(text.encode()).decode().rstrip('=')}"
