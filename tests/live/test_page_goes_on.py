"""The page where the network breaks, the page is loaded again, or the answer is lost: in a real browser."""

import json
import re
import uuid

import pytest

from tests.live.page import CHROMIUM, LESSON, SENTENCE, SPANISH, expect, saying
from tests.proxy.fixtures import proxied

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]

STALLS_AT = 60
WHOLE = " ".join(f"w{number}" for number in range(STALLS_AT + 2))
STREAMS = re.compile(r"/v1/streams/")


@pytest.fixture(scope="module")
def line(deployed):
    """What lies between the browser and the service, and can break."""
    with proxied(deployed.port) as proxy:
        yield proxy


class Stalled:
    """An answer that has come half, whose rest waits for a gate, and whose network can break."""

    def __init__(self, opened, upstream, line):
        self.gate = uuid.uuid4().hex
        self.model = f"fault/stall:{STALLS_AT}:{self.gate}"
        self.opened, self.upstream, self.line = opened, upstream, line
        opened.translate(SENTENCE, self.model)
        expect(opened.text(".out")).to_contain_text(f"w{STALLS_AT - 4}")

    def release(self):
        self.upstream.gate(self.gate)

    def offline(self):
        """Take the network away, and see that the page has noticed."""
        self.opened.context.set_offline(True)  # alone it leaves open connections alone
        self.line.down(reset_peer=0)
        expect(self.opened.facts).to_contain_text("You are offline; going on as soon as you are back")

    def online(self):
        self.line.heal()
        self.opened.context.set_offline(False)

    @property
    def attempts(self):
        return len(self.upstream.journal(self.model, begun=1))


@pytest.fixture
def stalled(visit, upstream, line):
    opened = visit(f"http://127.0.0.1:{line.port}")
    opened.page.get_by_role("switch").click()
    yield Stalled(opened, upstream, line)
    line.heal()


def refusing(opened, status, **headers):
    """Let every reading on be refused."""
    problem = {"type": "/problems/not-found", "title": "Not found", "status": status}
    opened.page.route(
        STREAMS, lambda route: route.fulfill(status=status, headers=headers, body=json.dumps(problem))
    )


def test_an_answer_goes_on_after_the_network_was_gone(stalled):
    """Offline and back in mid-answer: the text goes on without a gap or a repetition, asked only once."""
    opened = stalled.opened
    stalled.offline()
    expect(opened.page.get_by_role("button", name="Stop")).to_be_visible()
    stalled.online()
    expect(opened.facts).to_contain_text("Writing")
    stalled.release()
    expect(opened.text(".out")).to_have_text(WHOLE)
    expect(opened.facts).to_contain_text("62 out")
    expect(opened.text(".cut, .note")).to_have_count(0)
    assert stalled.attempts == 1


def test_what_came_while_nobody_listened_is_not_lost(stalled):
    """What the model writes while the network is gone stands there when it is back."""
    stalled.offline()
    stalled.release()
    stalled.online()
    expect(stalled.opened.text(".out")).to_have_text(WHOLE)


def test_an_answer_goes_on_after_a_reload(stalled):
    """Reload in mid-answer: form and text are as they were, and the rest comes, asked only once."""
    opened = stalled.opened
    before = opened.text(".out").text_content()
    opened.page.reload()
    expect(opened.text(".out")).to_contain_text(before)
    expect(opened.page.get_by_label("Text to translate")).to_have_value(SENTENCE)
    expect(opened.facts).to_contain_text(re.compile(r"Writing · \d+\.\d s · first word after"))
    stalled.release()
    expect(opened.text(".out")).to_have_text(WHOLE)
    expect(opened.text(".cut, .note")).to_have_count(0)
    assert stalled.attempts == 1


def test_two_languages_go_on_after_a_reload(visit, upstream):
    """Each translation goes on in its own place, in the languages that were chosen."""
    opened, gate = visit(), uuid.uuid4().hex
    opened.page.get_by_role("button", name="Add a language").click()
    opened.translate(SENTENCE, f"fault/stall:{STALLS_AT}:{gate}")
    expect(opened.text(".out").first).to_contain_text("w50")
    opened.page.reload()
    upstream.gate(gate)
    expect(opened.text(".rendering h3")).to_have_text(["Spanish", "German"])
    expect(opened.text(".rendering .out")).to_have_text([WHOLE, WHOLE])


def test_an_answer_that_ended_meanwhile_is_whole_after_a_reload(stalled):
    """An answer that ended while the page was elsewhere is fetched to its end."""
    stalled.opened.page.goto("about:blank")
    stalled.release()
    stalled.upstream.journal(stalled.model, begun=1, ended=1)
    stalled.opened.page.go_back()
    expect(stalled.opened.text(".out")).to_have_text(WHOLE)
    expect(stalled.opened.facts).to_contain_text("62 out")


def test_a_reload_before_the_first_word_loses_nothing(visit, upstream):
    """An answer that has not begun is waited for again, and asked only once."""
    opened, gate = visit(), uuid.uuid4().hex
    model = f"fault/silent:{gate}"
    opened.page.get_by_role("switch").click()
    opened.translate("Good morning to you all.", model)
    expect(opened.wire.get_by_text("start", exact=True)).to_be_visible()
    opened.page.reload()
    expect(opened.facts).to_contain_text("Waiting for the first word")
    upstream.gate(gate)
    expect(opened.text(".out")).to_contain_text("w4")
    assert len(upstream.journal(model, begun=1)) == 1


def test_stop_after_a_reload_ends_it_at_the_provider(stalled):
    """The answer that goes on after a reload can be stopped like any other."""
    stalled.opened.page.reload()
    stalled.opened.page.get_by_role("button", name="Stop").click()
    expect(stalled.opened.text(".cut")).to_have_text("Stopped here")
    expect(stalled.opened.text(".note")).to_contain_text("were not generated")
    assert stalled.upstream.journal(stalled.model, begun=1, ended=1)[-1]["ended"] == "peer"


def test_a_stop_without_a_network_says_what_comes_of_it(stalled):
    """Where the server cannot be told, the page says so, and that it stops by itself."""
    stalled.offline()
    stalled.opened.page.get_by_role("button", name="Stop").click()
    expect(stalled.opened.text(".note")).to_contain_text("The server could not be told; it stops by itself")
    expect(stalled.opened.text(".cut")).to_have_text("Stopped here")
    expect(stalled.opened.text(".note button")).to_have_count(0)


def test_a_lost_answer_is_said_to_be_broken_and_can_be_asked_again(stalled):
    """Where the rest is gone the page says at once that it broke off, and one button asks again."""
    opened = stalled.opened
    refusing(opened, 404)
    stalled.offline()
    stalled.online()
    expect(opened.text(".note")).to_contain_text("The answer broke off")
    expect(opened.text(".cut")).to_have_text("Broke off here")
    expect(opened.text(".note button")).to_have_text(["Ask again"])
    opened.page.unroute(STREAMS)
    opened.answers(saying(SPANISH))
    opened.page.get_by_role("button", name="Ask again").click()
    expect(opened.text(".out")).to_have_text(SPANISH)


def test_an_answer_that_cannot_be_reached_for_long_is_gone_on_with_later(stalled):
    """When it has given up, one button reads the same answer on; it is not asked anew."""
    opened = stalled.opened
    refusing(opened, 503, **{"Retry-After": "3600"})
    stalled.offline()
    stalled.online()
    expect(opened.text(".note")).to_contain_text("The answer broke off")
    expect(opened.text(".cut")).to_have_text("Broke off here")
    opened.page.unroute(STREAMS)
    stalled.release()
    opened.page.get_by_role("button", name="Go on").click()
    expect(opened.text(".out")).to_have_text(WHOLE)
    expect(opened.text(".cut, .note")).to_have_count(0)
    assert stalled.attempts == 1


def test_the_wire_shows_how_the_connection_is_made_again(stalled):
    """Who watches the wire sees the loss, and the request that reads on."""
    opened = stalled.opened
    stalled.offline()
    stalled.online()
    expect(opened.wire.get_by_text("connection lost").first).to_be_visible()
    after = re.compile(r"GET /v1/streams/[\w-]{22}\?after=\d+")
    expect(opened.wire.get_by_text(after).first).to_be_visible()


def test_a_lesson_outlives_a_reload(visit):
    """After a reload the lesson stands there: its steps, what was answered, how it was graded."""
    opened = visit()
    opened.begin(saying(LESSON))
    opened.page.get_by_role("textbox", name="Your answer").fill("8")
    opened.page.get_by_role("button", name="Answer").click()
    expect(opened.text(".verdict").first).to_have_text("Right")
    expect(opened.page.get_by_role("button", name="Ask")).to_be_enabled()
    steps = opened.text(".step h3").all_text_contents()
    opened.page.reload()
    expect(opened.text(".step h3")).to_have_text(steps)
    expect(opened.text(".verdict").first).to_have_text("Right")
    expect(opened.page.get_by_role("textbox", name="Your answer").first).to_have_value("8")
    expect(opened.text("#spoken p")).to_have_count(0)  # it was heard before
    opened.answers(saying("Because both sides stay equal."))
    opened.page.get_by_label("Ask about this lesson").fill("Why both sides?")
    opened.page.keyboard.press("Enter")
    expect(opened.text(".turn").last).to_contain_text("Because both sides stay equal.")


def test_a_lesson_goes_on_after_a_reload_in_mid_answer(visit, upstream):
    """The question that was asked, and what had come of its answer, stand there, and the rest comes."""
    opened, gate = visit(), uuid.uuid4().hex
    opened.begin(saying(LESSON), f"fault/stall:{STALLS_AT}:{gate}")
    opened.page.get_by_label("Ask about this lesson").fill("Why both sides?")
    opened.page.keyboard.press("Enter")
    expect(opened.text(".turn").last).to_contain_text("w58")
    opened.page.reload()
    expect(opened.text(".mine")).to_have_text("Why both sides?")
    expect(opened.text(".step h3")).to_have_text(["What it says", "Undo it"])
    upstream.gate(gate)
    expect(opened.text(".turn .prose").last).to_have_text(WHOLE)
    expect(opened.page.get_by_role("button", name="Ask")).to_be_enabled()


def test_a_new_lesson_is_not_haunted_by_the_old_one(visit):
    """A lesson that was left is not there after a reload."""
    opened = visit()
    opened.begin(saying(LESSON))
    expect(opened.text(".check")).to_be_visible()
    opened.page.get_by_role("button", name="New lesson").click()
    opened.page.reload()
    expect(opened.page.get_by_label("Topic or problem")).to_be_visible()
    expect(opened.text(".step")).to_have_count(0)
