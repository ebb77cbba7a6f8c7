"""What is held, when it is shown, and what is found too late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.use_cases.translate.release import FAR_LETTERS, HEAD_LETTERS, Release, head
from tests.use_cases.translate.cutting import cuts, pieces
from tests.use_cases.translate.test_checks import LANGO, LONG, wanted
from tests.use_cases.translate.test_loop import PHRASE

GERMAN = "Der Ausschuss traf sich am Dienstag und beschloss, seinen Bericht bald zu veröffentlichen."


def shown_while(release, answer) -> str:
    """Return what is shown before the answer has ended, read in words."""
    said = ""
    for word in answer.split(" "):
        said += release.feed(word + " ")
        if release.done:
            break
    return said


def outcome(source, answer, *, places=(), reason="stop", hold=False):
    """Return what was shown before the end, all that was shown, the text, and the fault."""
    release = Release(wanted(source), hold=hold)
    said = ""
    for delta in pieces(answer, places):
        said += release.feed(delta)
        if release.done:
            break
    rest, fault = release.end(reason)
    return said + rest, release.text, fault, release.shown


def letters(text) -> int:
    return sum(map(str.isalpha, text))


def first_shown_at(source, answer) -> int:
    """Return how many letters had come when the first were shown; -1 if none were before the end."""
    release = Release(wanted(source))
    for place in range(len(answer)):
        if release.feed(answer[place]):
            return letters(answer[: place + 1])
    return -1


def test_ordinary_prose_is_shown_after_its_head():
    """Two dozen letters, some 100 ms at 50 tokens/s, are held and no more."""
    assert first_shown_at(LONG, LANGO) == HEAD_LETTERS


def test_a_head_whose_language_is_not_clear_is_held_a_little_longer():
    """Names at the beginning cost another few letters, not the whole."""
    source = (
        "Barack Hussein Obama, Angela Dorothea Merkel and Emmanuel Macron met in Berlin to talk about trade."
    )
    answer = "Barack Hussein Obama; Angela Dorothea Merkel y Emmanuel Macron se reunieron en Berlín ayer."
    assert first_shown_at(source.replace("Barack", "President Barack"), answer) <= FAR_LETTERS


def test_after_the_head_everything_passes_as_it_comes():
    """Each further word leaves when it is there."""
    release = Release(wanted(LONG))
    release.feed(LANGO)
    assert release.feed(" y nada") == " y nada"


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        (
            "Where is the station that we passed this morning?",
            "¿Dónde está la estación por la que pasamos esta mañana?",
        ),
        ("Write a long and beautiful poem about the sea.", "Escribe un poema largo y hermoso sobre el mar."),
        (
            "Hello {name}, welcome to our beautiful old town.",
            "Hola {name}, te damos la bienvenida a nuestra bella ciudad antigua.",
        ),
        ("Hello", "Hola"),
    ],
)
def test_what_a_model_may_answer_obey_or_break_is_shown_as_a_whole(source, answer):
    """Questions, orders, literals and very short text wait for their end, and are shown then."""
    assert first_shown_at(source, answer) == -1
    assert outcome(source, answer) == (answer, answer, None, False)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (LONG, "echo"),
        (GERMAN, "language"),
        ("I'm sorry, but I can't assist with translating this kind of text for you.", "refusal"),
    ],
)
def test_a_suspicious_head_holds_the_whole(answer, fault):
    """An answer that begins like the source, a refusal or another language is never shown."""
    assert first_shown_at(LONG, answer) == -1
    assert outcome(LONG, answer) == ("", answer, fault, False)


def test_a_suspicious_head_of_a_good_answer_only_costs_time():
    """An apology that was in the source is shown at its end."""
    answer = "Lo siento, no puedo ir mañana a la reunión del comité."
    assert outcome("I am sorry, I can not come to the committee tomorrow.", answer)[0] == answer


def test_what_is_found_after_the_head_is_reported_and_not_taken_back():
    """A note behind the translation was shown with it."""
    answer = LANGO + " (Note: literal)"
    assert outcome(LONG, answer, places=range(5, 200, 5)) == (answer, answer, "comment", True)


def test_a_loop_ends_the_reading():
    """Nothing of what follows the proof is wanted or shown."""
    release = Release(wanted(LONG))
    said = shown_while(release, LANGO + " " + PHRASE * 20)
    rest, fault = release.end(None)
    assert (release.done, fault) == (True, "loop")
    assert (said + rest).count(PHRASE.strip()) == 4


def test_an_answer_at_its_cap_is_a_fault():
    """What was cut off is not whole, however good it looks."""
    assert outcome("Hello", "Hola", reason="length") == ("", "Hola", "length", False)


def test_an_answer_that_was_filtered_is_a_fault():
    """The provider's filter ended it."""
    assert outcome("Hello", "Hola", reason="content_filter")[2] == "filtered"


def test_a_second_attempt_is_held_whatever_it_is():
    """After one fault nothing is shown before every check has passed."""
    assert outcome(LONG, LANGO, places=range(5, 100, 5), hold=True) == (LANGO, LANGO, None, False)


def test_quotes_around_a_source_with_quotes_are_taken_off_at_the_end():
    """The model's own pair goes, the source's stays."""
    assert outcome("He said «no» and left.", '"Dijo «no» y se fue."')[0] == "Dijo «no» y se fue."


def test_a_quote_that_never_closes_is_a_fault():
    """An answer about the word is no translation of it."""
    assert outcome("Hello", '"Hello" in Spanish is Hola')[2] == "comment"


ANSWERS = st.sampled_from(
    [
        LANGO,
        LONG,
        GERMAN,
        "",
        "Hola",
        f'"{LANGO}"',
        f"Here is the translation:\n{LANGO}",
        f"{LANGO}\n\nNote: done.",
        f"<think>hm</think>{LANGO}",
        LANGO + " " + PHRASE * 8,
        PHRASE * 8,
        "I'm sorry, I cannot assist with that request.",
        LANGO + "</k7qz2m4x>",
        LANGO + " k7qz2m4x",
        "Sure, why not",
        f"La {LONG}",
    ]
)


@given(ANSWERS, cuts(), st.sampled_from([LONG, "Hello", "How are you?", "Say {name}"]))
def test_the_cut_of_the_deltas_changes_nothing(answer, places, source):
    """Text, fault and whether anything was shown depend on the whole answer only."""
    assert outcome(source, answer, places=places) == outcome(source, answer)


@given(ANSWERS, cuts())
def test_what_was_shown_is_the_text(answer, places):
    """An answer is shown as a whole or not at all, unless a fault was found after its head."""
    said, text, fault, shown = outcome(LONG, answer, places=places)
    assert said == (text if shown or fault is None else "")


@pytest.mark.parametrize(
    ("text", "verdict"), [("La comisión", None), (LANGO, True), (LONG, False), (GERMAN, False)]
)
def test_a_head_is_judged_once_there_is_enough_of_it(text, verdict):
    """Too little is neither good nor bad."""
    assert head(wanted(LONG), text) is verdict
