"""Prompts begin with what stays, so that a provider's own cache of prompts holds."""

import itertools
from pathlib import Path

from services import prompting
from services.streams.use_case import Call, Context
from services.use_cases.translate import USE_CASE as TRANSLATE
from services.use_cases.tutor import USE_CASE as TUTOR
from tests.use_cases.drive import drive

PROMPTS = prompting.load(Path(__file__).parents[2] / "prompts")
BACKGROUND = "A leaflet of a railway museum. " * 20
TEXT = "The first train left in the morning.\n\nThe second one never left.\n\nThe museum is open."


def rendered(call: Call, name: str) -> str:
    messages = PROMPTS[call.prompt or name].messages(call.variables, call.history)
    return "\n".join(f"{message.role}: {message.content}" for message in messages)


def common(prompts: list[str]) -> str:
    """What all begin with, letter by letter."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*prompts, strict=False))
    return "".join(letters[0] for letters in alike)


def test_all_calls_of_a_translation_begin_alike() -> None:
    """System block and background come first, and are the same for each of its segments."""
    numbers = iter(range(100))
    context = Context(new_id=lambda: f"label{next(numbers)}")
    body = {
        "text": TEXT, "target": "es", "source": "en", "context": BACKGROUND,
        "formality": "more", "instructions": ["Keep it short."],
    }  # fmt: skip
    calls = drive(TRANSLATE, body, lambda _: "Frase traducida.", context).calls
    prompts = [rendered(call, "translate") for call in calls]
    assert len(prompts) >= 3
    assert BACKGROUND.strip() in common(prompts)


def test_two_translations_of_a_kind_have_one_system_block() -> None:
    """What is random, and what is the caller's text, stands behind it."""
    systems = set()
    for text, label in ("Good morning.", "a1b2"), ("Where is the station?", "c3d4"):
        body = {"text": text, "target": "es", "source": "en"}
        [call, *_] = drive(
            TRANSLATE, body, lambda _: "Frase.", Context(new_id=lambda label=label: label)
        ).calls
        systems.add(PROMPTS["translate"].messages(call.variables)[0].content)
    assert len(systems) == 1


def test_two_lessons_of_a_language_have_one_system_block() -> None:
    """The rules of teaching are the same for every topic, level and student."""
    systems = set()
    for topic, label in ("Photosynthesis", "a1b2"), ("Solve 2x + 3 = 11", "c3d4"):
        body = {"topic": topic, "level": topic, "language": "en"}
        [call, *_] = drive(TUTOR, body, lambda _: "Text.", Context(new_id=lambda label=label: label)).calls
        systems.add(PROMPTS["tutor"].messages(call.variables, call.history)[0].content)
    assert len(systems) == 1
