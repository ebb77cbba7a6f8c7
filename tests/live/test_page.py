"""The page in a real browser, served by the real gunicorn, with a provider that does as it is told."""

import json
import re
import subprocess
import uuid
from contextlib import ExitStack

import pytest

from services.web.keys import new_key
from services.web.pages import ASSETS
from tests.live.full import House, running
from tests.live.page import CHROMIUM, HOSTILE, LESSON, PHONE, RETOLD, SENTENCE, SPANISH, expect, saying
from tests.live.service import serving

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]


@pytest.mark.S15
def test_the_page_loads_from_its_own_host_without_a_complaint(visit, deployed):
    """The page breaks none of its own policy, asks no other host, and calls no API by itself."""
    opened = visit()
    expect(opened.page).to_have_title("Gloss")
    expect(opened.text("#targets select")).to_have_count(1)
    assert opened.complaints == []
    assert {url.removeprefix(deployed.url) for url in opened.asked} <= {
        "/",
        *(f"/assets/{name}" for name in ASSETS),
    }


def test_a_translation_appears_while_it_is_made(visit, upstream):
    """The first words stand there while the provider still holds back the rest."""
    gate = uuid.uuid4().hex
    opened = visit()
    opened.translate(SENTENCE, f"fault/stall:60:{gate}")
    expect(opened.text(".out")).to_contain_text("w0 w1")
    expect(opened.facts).to_contain_text("first word after")
    upstream.gate(gate)
    expect(opened.text(".out")).to_contain_text("w61")
    expect(opened.facts).to_contain_text("62 out · no price known for this model")
    expect(opened.text("#answered-by")).to_contain_text("translate@")


def test_the_detected_language_is_shown(visit):
    """What the source seems to be stands where it could be chosen."""
    opened = visit()
    opened.translate("All human beings are born free and equal.", saying(SPANISH))
    expect(opened.page.get_by_label("From").locator("option").first).to_have_text("Detected: English")


def test_two_languages_stand_under_their_names(visit):
    """With two targets each translation has its own place."""
    opened = visit()
    opened.page.get_by_role("button", name="Add a language").click()
    opened.translate("Good morning to you all.", saying("Hola."))
    expect(opened.text(".rendering")).to_have_count(2)
    expect(opened.text(".rendering h3")).to_have_text(["Spanish", "German"])
    expect(opened.text(".rendering .out")).to_have_text(["Hola.", "Hola."])


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_stop_ends_it_at_the_provider_and_says_what_it_saved(visit, upstream, how):
    """Stop closes the provider's connection, and the page says how much was not generated."""
    model = f"fault/stall:60:{uuid.uuid4().hex}"
    opened = visit()
    opened.translate(SENTENCE, model)
    expect(opened.text(".out")).to_contain_text("w0")
    if how == "button":
        opened.page.get_by_role("button", name="Stop").click()
    else:
        opened.page.keyboard.press("Escape")
    saved = re.compile(
        r"Stopped after (about )?\d+ of at most [\d,]+ output tokens; up to [\d,]+ were not generated\."
    )
    expect(opened.text(".note")).to_have_text(saved)
    expect(opened.text(".cut")).to_have_text("Stopped here")
    assert upstream.journal(model, begun=1, ended=1)[-1]["ended"] == "peer"


def test_an_answer_that_broke_off_is_never_shown_as_whole(visit):
    """Where the provider breaks off the text is marked, and a person is told what to do."""
    opened = visit()
    opened.translate(SENTENCE, "fault/no-finish:60")
    expect(opened.text(".cut")).to_have_text("Broke off here")
    expect(opened.text(".note")).to_contain_text("The answer broke off")
    expect(opened.text(".note")).to_contain_text("Its answer is not whole.")
    expect(opened.page.get_by_role("button", name="Ask again")).to_be_enabled()


def test_a_refusal_is_told_in_a_persons_words(visit):
    """A problem before the first byte is a sentence, with the way to read more."""
    opened = visit()
    opened.translate("Good morning to you all.", "ok:5", text="Good morning " * 70_000)
    expect(opened.text(".note strong")).to_have_text("The text is too long")
    expect(opened.text(".note")).to_contain_text(re.compile(r"It has [\d,]+ tokens, and [\d,]+ are allowed"))
    with opened.context.expect_page() as about:
        opened.page.get_by_role("link", name="What this means").click()
    expect(about.value.locator("h1")).to_have_text("The input has too many tokens")


def test_a_server_that_is_gone_is_told_in_a_persons_words(visit):
    """Without a connection the page says so, and goes on when it is back."""
    opened = visit()
    opened.context.set_offline(True)
    opened.translate("Good morning to you all.", saying(SPANISH))
    expect(opened.text(".note")).to_contain_text("The server cannot be reached")
    opened.context.set_offline(False)
    opened.page.get_by_role("button", name="Try again").click()
    expect(opened.text(".out")).to_have_text(SPANISH)


@pytest.mark.S15
@pytest.mark.parametrize("tab", ["translate", "tutor"])
def test_markup_in_an_answer_is_only_text(visit, tab):
    """What a model says never becomes an element that the page did not make."""
    opened = visit()
    if tab == "translate":
        opened.translate("Good morning to you all.", saying(HOSTILE))
        shown = opened.text(".out")
    else:
        opened.begin(saying(f":::step 1 {HOSTILE}\nIt is {HOSTILE} here.\n"))
        shown = opened.text(".step .prose").first
    expect(shown).to_contain_text("<img src=x onerror=alert(1)>")
    expect(opened.facts).to_contain_text("in all")
    assert opened.page.locator("img, #translate b, #tutor b, main a").count() == 0
    assert opened.complaints == []


def test_a_lesson_is_cards_with_a_question_at_the_end(visit):
    """Steps are titled cards, finished blocks are set as prose, and the question stands once."""
    opened = visit()
    opened.begin(saying(LESSON))
    expect(opened.text(".step h3")).to_have_text(["What it says", "Undo it"])
    expect(opened.text(".step strong")).to_have_text("three")
    expect(opened.text(".check .question")).to_have_text("What is 11 - 3?")
    expect(opened.text("#turns").get_by_text("What is 11 - 3?")).to_have_count(1)
    expect(opened.text("#turns").get_by_text("What it says")).to_have_count(1)


@pytest.mark.parametrize(("answer", "verdict"), [("8", "Right"), ("7", "Not yet")])
def test_an_answer_is_graded_where_it_was_given(visit, answer, verdict):
    """The verdict stands at the question, and the lesson goes on in the same session."""
    opened = visit()
    opened.begin(saying(LESSON))
    opened.page.get_by_role("textbox", name="Your answer").fill(answer)
    opened.page.get_by_role("button", name="Answer").click()
    expect(opened.text(".verdict").first).to_have_text(verdict)
    expect(opened.page.get_by_role("button", name="Ask")).to_be_enabled()
    assert opened.text(".turn").count() == 2


def test_a_step_told_anew_keeps_its_earlier_wording(visit):
    """Simpler tells the step again in its place; what stood there is folded away."""
    opened = visit()
    opened.begin(saying(LESSON), saying(RETOLD))
    opened.page.get_by_role("button", name="Simpler").first.click()
    first = opened.text(".step").first
    expect(first.locator(".step-body")).to_have_text("A box hides a number.")
    expect(first.locator("details")).to_contain_text("Earlier wording")
    expect(opened.text(".step")).to_have_count(2)


def test_a_question_about_the_lesson_is_answered(visit):
    """What is typed below the lesson is sent with its session, and stands there as asked."""
    opened = visit()
    opened.begin(saying(LESSON), saying("Because both sides stay equal."))
    opened.page.get_by_label("Ask about this lesson").fill("Why both sides?")
    opened.page.keyboard.press("Enter")
    expect(opened.text(".mine")).to_have_text("Why both sides?")
    expect(opened.text(".turn").last).to_contain_text("Because both sides stay equal.")


def test_the_wire_shows_the_lines_and_a_command_that_gives_the_same(visit):
    """Each event stands there as it came, and the curl line, run in a shell, answers the same text."""
    opened = visit()
    opened.page.get_by_role("switch", name="Show what is on the wire").click()
    opened.translate('It\'s $HOME, "quoted" `here`.\nAnd \\ there.', saying(SPANISH))
    expect(opened.wire.last).to_contain_text('"type":"finish"')
    lines = [json.loads(line) for line in opened.text("#events code").all_text_contents()[1:]]
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))
    command = opened.text("#curl").text_content()
    sent = json.loads(opened.text("#events code").first.text_content())
    assert sent.pop("options") == {
        "on_disconnect": 30
    }  # a terminal's Ctrl+C means stop, a page's loss does not
    assert json.loads(in_bash(f'curl() {{ printf %s "${{@: -1}}"; }}; {command}')) == sent
    assert events_of(in_bash(f"{command} -sS"))[-1]["reason"] == "stop"


def in_bash(script):
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout


def events_of(ndjson):
    return [json.loads(line) for line in ndjson.splitlines() if line]


def test_the_keyboard_is_enough(visit):
    """Arrows move between the tabs, and Ctrl+Enter sends."""
    opened = visit()
    opened.answers(saying(SPANISH))
    opened.page.get_by_role("tab", name="Translate").focus()
    opened.page.keyboard.press("ArrowRight")
    expect(opened.page.get_by_role("tab", name="Tutor")).to_be_focused()
    expect(opened.page.get_by_role("tabpanel", name="Tutor")).to_be_visible()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.get_by_label("Text to translate").fill("Good morning to you all.")
    opened.page.keyboard.press("Control+Enter")
    expect(opened.text(".out")).to_have_text(SPANISH)


def test_a_screen_reader_hears_whole_sentences(visit):
    """The live region gets sentences in the language they are in, not tokens."""
    opened = visit()
    opened.translate("Good morning. Come in.", saying("Buenos días. Pase usted. Y"))
    expect(opened.text("#spoken p[lang=es]").first).to_have_text("Buenos días. Pase usted.")


@pytest.mark.parametrize("tab", ["translate", "tutor"])
def test_nothing_is_wider_than_a_phone(visit, tab):
    """On a narrow screen no part of the page has to be scrolled sideways."""
    opened = visit(viewport=PHONE, is_mobile=True, has_touch=True)
    opened.page.get_by_role("switch").click()
    if tab == "translate":
        opened.page.get_by_role("button", name="Add a language").click()
        opened.translate("Good morning to you all.", saying("Donaudampfschiff" * 9))
    else:
        opened.begin(saying(LESSON))
    expect(opened.facts).to_contain_text("in all")
    assert opened.page.locator("html").evaluate("html => html.scrollWidth") == PHONE["width"]


def test_choices_of_the_form_outlive_a_visit_and_texts_do_not(visit):
    """After a reload the languages are as they were, and the text is gone."""
    opened = visit()
    opened.page.get_by_label("Language to translate into").select_option("fr")
    opened.translate("Good morning to you all.", saying("Bonjour."))
    expect(opened.text(".out")).to_have_text("Bonjour.")
    opened.page.reload()
    expect(opened.page.get_by_label("Language to translate into")).to_have_value("fr")
    expect(opened.page.get_by_label("Text to translate")).to_have_value("")


def test_where_there_are_keys_the_page_asks_for_one(visit, upstream, tmp_path):
    """A wrong key is asked for again; the right one goes on with what was asked, in this tab only."""
    key, entry = new_key("page")
    with serving(
        tmp_path,
        app="app:app",
        OPENAI_BASE_URL=upstream.base_url,
        GLOSS_MODEL=saying(SPANISH),
        GLOSS_KEYS=entry.line(),
    ) as keyed:
        opened = visit(keyed.url)
        opened.page.get_by_label("Text to translate").fill("Good morning to you all.")
        opened.page.get_by_role("button", name="Translate", exact=True).click()
        opened.page.get_by_label("Key", exact=True).fill("gloss_wrong_key")
        opened.page.get_by_role("button", name="Continue").click()
        expect(opened.page.get_by_text("That key opens nothing here.")).to_be_visible()
        opened.page.get_by_label("Key", exact=True).fill(key)
        opened.page.get_by_role("button", name="Continue").click()
        expect(opened.text(".out")).to_have_text(SPANISH)
        assert key not in opened.text("#curl").text_content()
        assert "$GLOSS_KEY" in opened.text("#curl").text_content()
        assert (
            opened.page.evaluate_handle("localStorage").evaluate("kept => JSON.stringify(kept)").find(key) < 0
        )
        opened.page.get_by_role("button", name="Forget the key").click()
        opened.page.reload()
        expect(opened.page.get_by_role("button", name="Forget the key")).to_be_hidden()
        opened.context.close()  # else the service waits for it while it shuts down


def test_the_page_says_which_number_one_is(upstream, tmp_path, visit):
    """While it waits for its place; then it waits for the first word like everybody."""
    with running(upstream, tmp_path, GLOSS_MAX_STREAMS="1") as service, ExitStack() as stack:
        house = House(service, upstream, "page", stack)
        house.enter("a")
        house.works("a")
        guest = house.enter("b")
        guest.head()
        guest.until(b'"place":1')
        opened = visit(service.url)
        opened.translate("Good morning", house.model("c"))
        expect(opened.facts).to_contain_text("All places are taken; you are number 2")
        guest.close()
        expect(opened.facts).to_contain_text("All places are taken; you are number 1")
        house.serve("a")
        expect(opened.facts).to_contain_text("Waiting for the first word")
