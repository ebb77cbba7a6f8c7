"""Translate as a client sees it, with models that say what the test wants."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import Notice, Text
from services.streams.use_case import Call
from services.use_cases.translate import USE_CASE
from services.use_cases.translate.asked import Translate
from services.use_cases.translate.events import Detected, Segment
from services.use_cases.translate.transform import BATCH_SEGMENTS, BATCH_TOKENS
from tests.use_cases.drive import FakeAnswer
from tests.use_cases.translate.cutting import cuts, pieces
from tests.use_cases.translate.speaking import CONTEXT, backwards, knows, notices, run, segments, source_of
from tests.use_cases.translate.test_checks import LANGO, LONG
from tests.use_cases.translate.test_loop import PHRASE
from tests.use_cases.translate.test_release import GERMAN
from tests.use_cases.translate.test_segments import TEXTS

MEMO = f"Dear all,\r\n\r\n  - {LONG}\r\n  - Milk\r\n\r\n1) Eggs\n> 12:30\n"
KNOWN = {"Dear all,": "Hola a todos:", LONG: LANGO, "Milk": "Leche", "Eggs": "Huevos", "Hello": "Hola"}


def test_a_text_is_translated():
    """The simplest case: what was detected, the text, the segment."""
    assert run("Hello", knows(KNOWN)).events == [
        Detected(language="en", confidence=0.228),
        Text(text="Hola"),
        Segment(index=0, text_index=0, target="es", source="Hello", text="Hola"),
    ]


def test_structure_survives():
    """Lines, blank lines, indentation, marks and line ends are as they were."""
    assert run(MEMO, knows(KNOWN)).text == (
        f"Hola a todos:\r\n\r\n  - {LANGO}\r\n  - Leche\r\n\r\n1) Huevos\n> 12:30\n"
    )


@given(TEXTS.filter(str.strip))
def test_the_frame_of_any_text_survives(text):
    """Whatever the model answers, the line ends are those of the text, in their order."""
    played = run(text, lambda call: " X \n" * len(source_of(call)))
    assert re.findall(r"\r\n|\r|\n", played.text) == re.findall(r"\r\n|\r|\n", text)


@given(TEXTS.filter(str.strip))
def test_a_model_that_repeats_its_text_gives_the_text_back(text):
    """Joined, leads and sources are the input: into its own language nothing is lost."""
    assert run(text, source_of, target="en", source="en").text == text


@given(cuts(), st.sampled_from(["{}", '"{}"', "Here is the translation:\n{}", "{}\n\nNote: literal."]))
def test_the_cut_of_the_deltas_changes_nothing(places, wrapped):
    """The text, the segments and the notices are the same however the answers were cut."""
    whole = run(MEMO, lambda call: ["".join(knows(KNOWN, wrapped=wrapped)(call))])
    cut = run(MEMO, lambda call: pieces("".join(knows(KNOWN, wrapped=wrapped)(call)), places))
    assert (cut.text, segments(cut), notices(cut)) == (whole.text, segments(whole), notices(whole))


def test_a_named_source_is_not_detected():
    """Who says the language is believed."""
    played = run("Hello", knows(KNOWN), source="en")
    assert [type(event).__name__ for event in played.events] == ["Text", "Segment"]
    assert played.calls[0].variables["source"] == "English"


def test_a_source_that_is_not_sure_is_not_told():
    """One word is too little to state its language to the model; the event says so."""
    played = run("Hello", knows(KNOWN))
    assert played.calls[0].variables["source"] == ""
    assert run(LONG, knows(KNOWN)).calls[0].variables["source"] == "English"


def test_several_texts_are_detected_each():
    """Each has its event with its index."""
    played = run([LONG, GERMAN], backwards)
    assert [(e.language, e.text_index) for e in played.events if isinstance(e, Detected)] == [
        ("en", 0),
        ("de", 1),
    ]


def test_several_texts_and_languages_stand_in_order():
    """Language by language, text by text, an empty line between two."""
    played = run(
        ["Hello", "Milk"], lambda call: f"{source_of(call)}-{call.variables['target']}", target=["es", "de"]
    )
    assert played.text == "Hello-Spanish\n\nMilk-Spanish\n\nHello-German\n\nMilk-German"
    assert [(e.text, e.target, e.text_index) for e in played.events if isinstance(e, Text)] == [
        ("Hello-Spanish", "es", 0),
        ("\n\n", None, None),
        ("Milk-Spanish", "es", 1),
        ("\n\n", None, None),
        ("Hello-German", "de", 0),
        ("\n\n", None, None),
        ("Milk-German", "de", 1),
    ]
    assert [(s.target, s.text_index) for s in segments(played)] == [
        ("es", 0),
        ("es", 1),
        ("de", 0),
        ("de", 1),
    ]


def test_text_events_join_to_the_text_of_each_part():
    """What names a part, joined, is that part."""
    result = USE_CASE.result(run([MEMO, "Hello"], knows(KNOWN), target=["es"]).events)
    assert [part["text"] for part in result["translations"]] == [run(MEMO, knows(KNOWN)).text, "Hola"]


def test_a_text_without_letters_is_copied_without_a_call():
    """It is one segment, the same before and after."""
    played = run(" 12:30 {name}\n", backwards)
    assert (played.calls, played.text) == ([], " 12:30 {name}\n")
    assert [(s.source, s.text) for s in segments(played)] == [(" 12:30 {name}\n", " 12:30 {name}\n")]


def test_segments_are_numbered_within_their_part():
    """What is copied has no number."""
    assert [s.index for s in segments(run("a b\n\n12\nc d", backwards))] == [0, 1]


def test_calls_of_a_text_are_asked_together():
    """All segments of an ordinary text are one tuple, so that they can run side by side."""
    transform = USE_CASE.transform(Translate(text=MEMO, target="es", source="en"), CONTEXT)
    first = next(transform)
    assert [source_of(call) for call in first] == ["Dear all,", LONG, "Milk", "Eggs"]


def test_one_call_stands_alone():
    """Nothing needs to run beside it."""
    assert isinstance(
        next(USE_CASE.transform(Translate(text="Hello", target="es", source="en"), CONTEXT)), Call
    )


@pytest.mark.parametrize("line", ["a b\n", "word " * 250 + "\n"])
def test_long_texts_are_asked_for_in_batches(line):
    """A batch ends at so many segments, or so many tokens: what is cut at once is bounded."""
    transform = USE_CASE.transform(Translate(text=line * 1000, target="es", source="en"), CONTEXT)
    first = next(transform)
    assert len(first) == min(BATCH_SEGMENTS, BATCH_TOKENS // len(line.split()))


def test_batches_make_one_text():
    """Where one batch ends nothing is lost or doubled."""
    text = "ab cd\n" * (2 * BATCH_SEGMENTS + 5)
    assert run(text, backwards, source="en").text == "dc ba\n" * (2 * BATCH_SEGMENTS + 5)


def test_a_segment_is_all_that_its_call_knows():
    """What another one says, an order for instance, reaches no other call."""
    assert ["c d" in str(call.variables) for call in run("a b\nc d\ne f", backwards).calls] == [
        False,
        True,
        False,
    ]


def test_a_small_model_is_told_less():
    """No context, and a shorter name for the delimiters."""
    [call] = run("a b", backwards, context=replace(CONTEXT, compact=True), source="en").calls
    assert (call.variables["context"], call.variables["label"]) == ("", "k7qz")


def test_the_random_name_is_not_one_that_stands_in_the_text():
    """A delimiter that occurs in what it delimits would end it."""
    names = iter(["hello123", "hello123", "fresh456"])
    played = run("say hello123 now", backwards, context=replace(CONTEXT, new_id=lambda: next(names)))
    assert played.calls[0].variables["label"] == "fresh456"


def test_a_text_that_holds_every_name_is_translated_all_the_same():
    """The tries for a name are bounded."""
    assert run("say k7qz2m4x now", backwards).calls[0].variables["label"] == "k7qz2m4x"


def test_a_text_without_letters_stands_apart_too():
    """The gap is there also before a text that is only copied."""
    assert run(["Hello", "12:30"], knows(KNOWN)).text == "Hola\n\n12:30"


def test_the_models_own_white_space_is_dropped():
    """The white space of the text is the program's."""
    assert run(" Hello \n", lambda _: "\n  Hola \n\n").text == " Hola \n"


def first_then(*said):
    """Answer the calls one after the other; the last answer stays."""
    rest = list(said)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


@pytest.mark.parametrize(
    ("source", "bad", "good"),
    [
        (
            "What is the capital of France?",
            "La capital de Francia es París.",
            "¿Cuál es la capital de Francia?",
        ),
        ("Hi {name}!", "¡Hola {nombre}!", "¡Hola {name}!"),
        (LONG, LONG, LANGO),
        (LONG, GERMAN, LANGO),
        (LONG, "", LANGO),
        ("Who says so?", PHRASE * 9, "¿Quién lo dice?"),
        ("Hello", FakeAnswer(["Hol"], ends="length"), "Hola"),
    ],
)
def test_a_fault_costs_one_more_attempt(source, bad, good):
    """What was not shown is asked for again, alone, and told what went wrong."""
    played = run(source, first_then(bad, good), source="en")
    assert (played.text, len(played.calls), notices(played)) == (good, 2, [])
    assert played.calls[1].variables["hint"]


def test_a_second_fault_gives_the_source_back():
    """One retry and no more; the client is told."""
    played = run("Hi {name}!", lambda _: "Hola", source="en")
    assert (played.text, len(played.calls), notices(played)) == ("Hi {name}!", 2, ["untranslated"])
    assert segments(played)[0].text == "Hi {name}!"


def test_a_failed_segment_leaves_the_others_alone():
    """The rest of the text is translated."""
    played = run("Dear all,\n- {x} is up\nMilk", knows(KNOWN | {"{x} is up": "nada"}), source="en")
    assert played.text == "Hola a todos:\n- {x} is up\nLeche"


def test_the_signs_of_marked_text_are_taken_off():
    """A second attempt may answer with the marks, which become spaces again."""
    played = run("What is it?", first_then("Es eso.", "¿Qué\u02c6es\u02c6eso?"), source="en")
    assert played.text == "¿Qué es eso?"


def test_what_is_found_too_late_is_told():
    """Sent text stays as it is; a notice follows it, before its segment."""
    played = run(LONG, lambda _: list(LANGO + " (Note: literal)"), source="en")
    assert played.text == LANGO + " (Note: literal)"
    assert [type(event).__name__ for event in played.events[-2:]] == ["Notice", "Segment"]
    assert (notices(played), len(played.calls)) == (["suspect"], 1)


def test_notices_name_the_place_and_repeat_no_text():
    """Segment, text, language and fault are ours to say."""
    played = run("Who are you?", lambda _: GERMAN, source="en")
    assert [event.detail for event in played.events if isinstance(event, Notice)] == [
        "Segment 0 is left as it was: it is in another language, twice."
    ]


def test_notices_name_text_and_language_where_there_are_several():
    """With one text and one language their numbers would tell nobody anything."""
    played = run(["Hola.", "Who are you?"], lambda _: GERMAN, source="en")
    details = [event.detail for event in played.events if isinstance(event, Notice)]
    assert details[-1] == "Segment 0 of text 1 in es is left as it was: it is in another language, twice."


def test_a_loop_closes_the_call():
    """What would be said after its proof is not paid for."""
    played = run(LONG, lambda _: list(LANGO + " " + PHRASE * 99), source="en")
    assert played.answers[0].closed
    assert played.text.count(PHRASE.strip()) == 4


def test_a_comment_closes_the_call():
    """A model that goes on after a whole translation is stopped."""
    played = run("Hello", lambda _: list("Hola\n\nThis is a greeting in Spanish."), source="en")
    assert played.answers[0].closed
    assert played.text == "Hola"


def finish(source, *said, **fields):
    """Return the transform's own finish reason and what it showed."""
    transform = USE_CASE.transform(Translate(text=source, target="es", source="en", **fields), CONTEXT)
    answers = iter(said)
    shown, back = [], None
    while True:
        try:
            value = transform.send(back)
        except StopIteration as end:
            return end.value, "".join(event.text for event in shown if isinstance(event, Text))
        back = None
        if isinstance(value, Call):
            back = next(answers)
        elif isinstance(value, tuple):
            back = tuple(next(answers) for _ in value)
        else:
            shown.append(value)


def test_a_whole_translation_ends_with_stop():
    """Also when a second attempt was needed."""
    assert finish("What is it?", FakeAnswer(["Eso."]), FakeAnswer(["¿Qué es?"])) == ("stop", "¿Qué es?")


def test_a_translation_that_was_cut_after_it_was_shown_ends_with_length():
    """The stream is not whole, and says so; the segments behind it are still given."""
    assert finish(f"{LONG}\nHello", FakeAnswer([LANGO], ends="length"), FakeAnswer(["Hola"])) == (
        "length",
        f"{LANGO}\nHola",
    )


def test_an_exhausted_stream_stops_where_it_is():
    """When a call may say nothing any more, what follows is not filled up with the source."""
    assert finish(
        "Hello\nMilk\nEggs", FakeAnswer(["Hola"]), FakeAnswer([], ends="length"), FakeAnswer([])
    ) == (
        "length",
        "Hola",
    )


def test_what_the_cap_of_the_stream_cut_is_shown():
    """A caller who asked for three tokens gets them."""
    answers = (FakeAnswer(["Hol"], ends="length"), FakeAnswer([], ends="length"))
    assert finish("Hello", *answers) == ("length", "Hol")


def test_a_source_given_back_is_not_cut():
    """What was cut off was not shown, so the stream is whole, with a notice."""
    answers = (FakeAnswer(["Hol"], ends="length"), FakeAnswer(["Hola"]))
    assert finish("Hi {name}!", *answers) == ("stop", "Hi {name}!")


def test_a_filtered_translation_that_was_shown_ends_so():
    """The provider's filter ended it in the middle."""
    assert finish(LONG, FakeAnswer([LANGO], ends="content_filter"))[0] == "content_filter"


def test_the_example_works():
    """What the description of the use case shows is a valid request."""
    Translate.model_validate(dict(USE_CASE.example))


@pytest.mark.parametrize("said", [["Hol"], ["Ho", "l"]])
def test_what_the_streams_cap_cuts_is_not_asked_for_again(said):
    """A second attempt could say less still: what came is shown, and the end is ``length``."""
    played = run("Hello", lambda _: FakeAnswer(said, ends="length", curbed=True), source="en")
    assert (played.text, len(played.calls), notices(played)) == ("Hol", 1, ["suspect"])
    assert finish("Hello", FakeAnswer(said, ends="length", curbed=True)) == ("length", "Hol")


@pytest.mark.parametrize("again", [["H"], []])
def test_a_second_attempt_that_the_streams_cap_cuts_ends_with_length(again):
    """What was wrong before is left as it was, and the end says that it was the cap."""
    answers = (FakeAnswer(["Eso."]), FakeAnswer(again, ends="length", curbed=True))
    assert finish("What is it?", *answers) == ("length", "What is it?")
    answers = (FakeAnswer(["Hol"], ends="length"), FakeAnswer(again, ends="length", curbed=True))
    assert finish("Hello", *answers) == ("length", "Hol")
