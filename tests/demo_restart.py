"""Shows what a deploy and a crash look like to somebody who reads: ``make demo-restart``.

Two workers over one Redis, a page in Chromium, a provider that says one long answer slowly. The
worker that makes the answer is told to stop in the middle (SIGTERM), then the one that took over
its reader: the text goes on. In the second part the worker is killed (SIGKILL): the page says that
the answer broke off, and offers to ask again. What was seen is written to ``docs/demo-restart/``.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.control import Upstream, upstream
from bench.feeder import Plan
from bench.text import ENGLISH, SPANISH, deltas_of
from tests.live import page
from tests.live.page import Visit
from tests.live.service import Service, serving
from tests.redis_server import redis_server

SHOWN = Path(__file__).parents[1] / "docs" / "demo-restart"
DELTAS = deltas_of(SPANISH)
SHOWN_TEXT = "document.querySelector('#renderings .out')?.innerText ?? ''"
EVERY_S = 0.12  # the whole takes some 23 s: longer than a worker's grace
ANSWER = SPANISH.strip()


class Story:
    """What happened, second by second, for the terminal and for the file."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._began = time.monotonic()
        self.lines: list[str] = []

    def tell(self, what: str) -> None:
        """Note what happened, and what the page shows at this moment."""
        chars = len(self.text)
        line = f"{time.monotonic() - self._began:6.1f} s  {what:<58} {chars:4d} characters shown"
        self.lines.append(line)
        print(line, flush=True)

    def picture(self, name: str) -> None:
        """Keep what the page looks like now."""
        self._visit.page.screenshot(path=SHOWN / f"{name}.png")

    @property
    def text(self) -> str:
        """The translation as far as it is shown."""
        shown: str = self._visit.page.evaluate(SHOWN_TEXT)
        return shown.strip()

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Look at the page until this is so; tell whether it came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return True
            self._visit.page.wait_for_timeout(100)
        return False


def workers(master: int) -> list[int]:
    """The processes of the workers."""
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def maker(master: int, feeder: int) -> int:
    """The worker that reads the provider now: the one with a connection to its port."""
    port = f":{feeder:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(port) and row[3] == "01"}
    for pid in workers(master):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()) in inodes:
                    return pid
            except OSError:
                continue
    raise SystemExit("no worker reads the provider")


@contextmanager
def deployed(feeder: Upstream) -> Iterator[Service]:
    with TemporaryDirectory() as folder, redis_server() as redis:
        env = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{feeder.port}/v1",
            "GLOSS_MODEL": "gpt-4.1-mini",
            "REDIS_URL": redis.url,
            "WEB_CONCURRENCY": "2",
        }
        with serving(Path(folder), app="app:app", **env) as service:
            yield service


def ask(visit: Visit) -> None:
    visit.page.get_by_label("Text to translate").fill(ENGLISH.strip())
    visit.page.get_by_role("button", name="Translate", exact=True).click()


def deploy(visit: Visit, service: Service, feeder: Upstream) -> list[str]:
    """Stop the workers one after the other while an answer is written."""
    story = Story(visit)
    ask(visit)
    story.wait(lambda: len(story.text) > 60, 30)
    first = maker(service.process.pid, feeder.port)
    story.tell("the answer is being written")
    os.kill(first, signal.SIGTERM)
    story.tell(f"SIGTERM to the worker that makes it ({first})")
    before = len(story.text)
    story.wait(lambda: len(story.text) > before + 150, 30)
    story.tell("the page reads on, from the other worker")
    story.picture("1-after-sigterm")
    other = next(pid for pid in workers(service.process.pid) if pid != first)
    os.kill(other, signal.SIGTERM)
    story.tell(f"SIGTERM to that one too ({other})")
    whole = story.wait(lambda: story.text == ANSWER, 60)
    story.wait(lambda: not visit.page.get_by_role("button", name="Stop", exact=True).is_visible(), 20)
    story.tell("the answer is whole" if whole else "THE ANSWER IS NOT WHAT WAS SAID")
    story.picture("2-whole")
    return [*story.lines, "" if whole else "broken"]


def crash(visit: Visit, service: Service, feeder: Upstream) -> list[str]:
    """Kill the worker that makes an answer."""
    story = Story(visit)
    ask(visit)
    story.wait(lambda: 60 < len(story.text) < len(ANSWER) - 200, 30)
    killed = maker(service.process.pid, feeder.port)
    story.tell("the answer is being written")
    os.kill(killed, signal.SIGKILL)
    story.tell(f"SIGKILL to the worker that makes it ({killed})")
    again = visit.page.get_by_role("button", name="Ask again", exact=True)
    offered = story.wait(again.is_visible, 30)
    story.tell("the page says that it broke off, and offers to ask again" if offered else "NOTHING WAS SAID")
    story.picture("3-after-sigkill")
    again.click()
    whole = story.wait(lambda: story.text == ANSWER, 60)
    story.tell("asked again: the answer is whole" if whole else "THE SECOND ANSWER IS NOT WHOLE")
    return [*story.lines, "" if offered and whole else "broken"]


def main() -> None:
    """Play both parts; exits with 1 if one of them did not go as told above."""
    SHOWN.mkdir(exist_ok=True)
    with upstream() as feeder, deployed(feeder) as service, page.playwright.sync_playwright() as started:
        feeder.says(Plan(chunks=len(DELTAS), every_s=EVERY_S, deltas=DELTAS))
        browser = page.launch(started)
        visit = Visit(browser, service.url)
        parts = {"A deploy": deploy(visit, service, feeder), "A crash": crash(visit, service, feeder)}
        browser.close()
    written = ["# What a restart looks like", "", "Made by `make demo-restart`.", ""]
    for title, lines in parts.items():
        written += [f"## {title}", "", "```", *lines[:-1], "```", ""]
    written += [f"![{name}]({name}.png)\n" for name in ("1-after-sigterm", "2-whole", "3-after-sigkill")]
    (SHOWN / "README.md").write_text("\n".join(written), encoding="utf-8")
    if any(lines[-1] for lines in parts.values()):
        sys.exit("it did not go as it should")


if __name__ == "__main__":
    main()
