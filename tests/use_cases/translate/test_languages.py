"""Tags, names, detection."""

# ruff: noqa: RUF001 - texts in Greek and Cyrillic are meant to be so

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.use_cases.translate.languages import (
    NAMES,
    SURE,
    UNKNOWN,
    alike,
    base,
    canonical,
    detect,
    name,
    warm,
)

ARTICLES = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh-Hans": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "zh-Hant": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
}


@pytest.mark.parametrize(
    ("tag", "standard"),
    [
        ("es", "es"),
        ("EN", "en"),
        ("pt-br", "pt-BR"),
        ("en_us", "en-US"),
        ("zh-hant", "zh-Hant"),
        ("iw", "he"),
        ("es-419", "es-419"),
    ],
)
def test_a_tag_is_written_as_the_standard_writes_it(tag, standard):
    """Case, underscores and replaced codes are put right."""
    assert canonical(tag) == standard


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "e",
        "english",
        "xx",
        "zzz",
        "es-",
        "es--MX",
        "und",
        "mul",
        "zxx",
        "a b",
        "es\n",
        "é",
        "x" * 40,
        "en" + "-x-abcdefgh" * 8,
    ],
)
def test_what_is_no_language_is_refused(tag):
    """Unknown, malformed, over-long and special tags raise ValueError."""
    with pytest.raises(ValueError, match="BCP 47"):
        canonical(tag)


@given(st.text(max_size=50))
def test_any_string_is_a_tag_or_refused(text):
    """Nothing but ValueError comes of what a caller may send."""
    try:
        assert canonical(canonical(text)) == canonical(text)
    except ValueError as refused:
        assert "BCP 47" in str(refused)  # noqa: PT017 - either outcome is right, any other error is not


def test_a_refusal_does_not_repeat_the_tag():
    """The message names the rule only."""
    with pytest.raises(ValueError, match="must be") as raised:
        canonical("klingonese")
    assert "klingonese" not in str(raised.value)


@pytest.mark.parametrize(
    ("tag", "called"),
    [
        ("de", "German"),
        ("pt-BR", "Brazilian Portuguese"),
        ("de-AT", "German (de-AT)"),
        ("zh-Hant", "Traditional Chinese"),
        ("tlh", "tlh"),
        ("haw-US", "haw-US"),
    ],
)
def test_a_prompt_calls_a_language_by_its_name(tag, called):
    """Varieties have names of their own; what is not in the table is called by its tag."""
    assert name(tag) == called


def test_every_named_language_is_a_valid_tag():
    """The table has no code that a caller could not send."""
    assert all(canonical(tag) for tag in NAMES)


@pytest.mark.parametrize(("tag", "text"), ARTICLES.items())
def test_a_sentence_is_enough_to_tell_its_language(tag, text):
    """Detection is right and sure about a whole sentence, scripts of Chinese included."""
    guess = detect(text)
    assert (guess.language, guess.sure) == (tag, True)


def test_a_single_word_is_not_sure():
    """The detector's guess about one word may not be stated in a prompt."""
    guess = detect("Hello")
    assert guess.confidence < SURE
    assert not guess.sure


def test_a_text_without_letters_is_in_no_language():
    """Numbers, placeholders and addresses tell nothing."""
    assert detect("12 {name} https://example.com/the/quick/brown/fox") == detect("!")
    assert detect("!").language == UNKNOWN


def test_chinese_of_neither_script_alone_is_chinese():
    """Characters that both scripts share decide nothing."""
    assert detect("今天天气很好").language == "zh"


def test_japanese_without_kana_is_chinese():
    """The detector takes formal Chinese for Japanese, which is never written without its own signs."""
    assert detect("人人生而自由").language == "zh"


def test_only_the_beginning_is_looked_at():
    """What follows the first few thousand characters changes nothing."""
    assert detect(ARTICLES["de"] * 40 + ARTICLES["ru"] * 4000) == detect(ARTICLES["de"] * 40)


@pytest.mark.parametrize(
    ("one", "other"), [("es", "es-MX"), ("nb", "da"), ("zh-Hans", "yue"), ("hr", "sr-Latn"), ("id", "ms")]
)
def test_neighbours_are_alike(one, other):
    """What the detector confuses is never called the wrong language."""
    assert alike(one, other)
    assert alike(other, one)


def test_strangers_are_not_alike():
    """English is no Spanish, and nothing is like an unknown language."""
    assert not alike("en", "es")
    assert not alike(UNKNOWN, "es")


def test_the_base_is_the_language_alone():
    """Script and region go."""
    assert base("zh-Hant-TW") == "zh"


def test_warming_changes_no_verdict():
    """The model loads once; asking again gives the same."""
    warm()
    assert detect(ARTICLES["es"]) == detect(ARTICLES["es"])
