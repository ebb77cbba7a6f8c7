"""The member that the JSON result gets."""

from services.events import Notice, Text
from services.use_cases.translate.events import Detected, Segment
from services.use_cases.translate.result import translations


def segment(text_index, target, text) -> Segment:
    return Segment(index=0, text_index=text_index, target=target, source="…", text=text)


def test_one_text_in_one_language_is_all_text_events():
    """Without several parts the text events name none."""
    events = [
        Detected(language="en", confidence=0.9),
        Text(text="- "),
        Text(text="Hola"),
        segment(0, "es", "Hola"),
        Notice(code="suspect", detail=""),
        Text(text="\n"),
    ]
    assert translations(events) == {
        "translations": [{"text_index": 0, "target": "es", "detected": "en", "text": "- Hola\n"}]
    }


def test_several_parts_are_told_apart():
    """Each has the text that names it, and the gap between belongs to none."""
    events = [
        Detected(language="en", confidence=0.9, text_index=0),
        Detected(language="fr", confidence=0.9, text_index=1),
        Text(text="Ho", target="es", text_index=0),
        Text(text="la", target="es", text_index=0),
        segment(0, "es", "Hola"),
        Text(text="\n\n"),
        Text(text="Adiós", target="es", text_index=1),
        segment(1, "es", "Adiós"),
    ]
    assert translations(events)["translations"] == [
        {"text_index": 0, "target": "es", "detected": "en", "text": "Hola"},
        {"text_index": 1, "target": "es", "detected": "fr", "text": "Adiós"},
    ]


def test_a_part_that_was_never_begun_is_not_listed():
    """A stream that ended early lists what it has."""
    events = [Text(text="Hola", target="es", text_index=0), segment(0, "es", "Hola"), Text(text="\n\n")]
    assert [part["text_index"] for part in translations(events)["translations"]] == [0]


def test_a_named_source_was_not_detected():
    """The member is there, and null."""
    assert translations([Text(text="a"), segment(0, "es", "a")])["translations"][0]["detected"] is None
