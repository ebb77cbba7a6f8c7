"""What a short answer amounts to: numbers, fractions, percents, words to twenty, simple units.

``12.25``, ``12,25``, ``49/4``, ``12 1/4``, ``1225 %``, ``x = 12.25``, ``twelve`` and ``1500 m`` are
read exactly; what is not one of these forms to its last character is not read at all, so that nothing
is graded by a likeness.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

_WORDS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn"
    " sechzehn siebzehn achtzehn neunzehn zwanzig",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis"
    " diecisiete dieciocho diecinueve veinte",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
    " dix-sept dix-huit dix-neuf vingt",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici"
    " quindici sedici diciassette diciotto diciannove venti",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis"
    " dezessete dezoito dezenove vinte",
    "nl": "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien"
    " zeventien achttien negentien twintig",
}
_PARTS = {
    "one half": (1, 2), "a half": (1, 2), "half": (1, 2), "one third": (1, 3), "a third": (1, 3),
    "two thirds": (2, 3), "one quarter": (1, 4), "a quarter": (1, 4), "one fourth": (1, 4),
    "three quarters": (3, 4), "three fourths": (3, 4), "ein halb": (1, 2), "ein drittel": (1, 3),
    "ein viertel": (1, 4), "drei viertel": (3, 4), "un medio": (1, 2), "un tercio": (1, 3),
    "un cuarto": (1, 4), "un demi": (1, 2), "un tiers": (1, 3), "un quart": (1, 4),
}  # fmt: skip
_MINUS_WORDS = ("minus ", "negative ", "menos ", "moins ", "meno ", "min ")

# Each unit's dimension and its size in the dimension's first unit.
_UNITS: dict[str, tuple[str, Fraction]] = {
    unit: (dimension, Fraction(size))
    for dimension, sizes in {
        "length": "mm 0.001 cm 0.01 dm 0.1 m 1 km 1000",
        "mass": "mg 0.001 g 1 kg 1000 t 1000000",
        "volume": "ml 0.001 cl 0.01 dl 0.1 l 1",
        "time": "ms 0.001 s 1 sec 1 min 60 h 3600",
        "money": "ct 0.01 € 1 eur 1 euro 1 euros 1",
        "dollars": "$ 1 usd 1 dollar 1 dollars 1",
        "pounds": "£ 1 gbp 1",
        "angle": "° 1",
    }.items()
    for unit, size in zip(sizes.split()[::2], sizes.split()[1::2], strict=True)
}
_PERCENT = frozenset({"%", "percent", "prozent", "por ciento", "pour cent"})
_PLACE = re.compile(r"^(?P<letter>[a-z])\s*=\s*|\s*=\s*(?P<last>[a-z])$")
_NUMBER = re.compile(
    r"(?P<before>[$€£])?\s*(?P<sign>[-+]?)\s*(?P<currency>[$€£])?\s*"
    r"(?:(?P<whole>\d{1,15})\s+(?P<top>\d{1,15})/(?P<bottom>\d{1,15})"
    r"|(?P<over>\d{1,15}(?:\.\d{1,15})?)\s*/\s*(?P<under>\d{1,15}(?:\.\d{1,15})?)"
    r"|(?P<plain>\d{1,15}(?:\.\d{1,15})?|\.\d{1,15}))"
    r"(?P<gap>\s*)(?P<unit>%|percent|prozent|por ciento|pour cent|[^\W\d_]{1,20}|[$€£°])?"
)
_MARKS = re.compile(r"\\[()\[\]$,]|\\(?:text|mathrm)\b|[$*_`{}](?!\d)|[*_`{}]|[\u200b-\u200f\u2060\ufeff]")
_DOTTED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3})+(?![\d.])")
_AROUND = " !,;:\"'“”"
_DASHES = str.maketrans({"−": "-", "–": "-", "\u2010": "-", "\u2044": "/", "\u2215": "/", "’": "'"})
_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")


@dataclass(frozen=True)
class Quantity:
    """An exact number with what was written around it; ``amount`` of a percent is its fraction."""

    amount: Fraction
    unit: str = ""
    letter: str = ""
    percent: bool = False

    @property
    def dimension(self) -> str:
        """Return what kind of unit it has, or "" where the unit is none that is known."""
        return _UNITS[self.unit][0] if self.unit in _UNITS else ""

    def measured(self) -> Fraction:
        """Return the amount in the first unit of its dimension."""
        return self.amount * (_UNITS[self.unit][1] if self.unit in _UNITS else 1)


def tidy(text: str) -> str:
    """Return the text without marks, in one case, digits and spaces of one kind."""
    text = _FRACTION.sub(r"\1/\2", text)
    text = re.sub(r"(\d)([½¼¾⅓⅔⅛])", r"\1 \2", text)
    text = unicodedata.normalize("NFKC", text).translate(_DASHES)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return " ".join(_MARKS.sub(" ", text).casefold().split()).strip(_AROUND).rstrip(" .")


def readings(text: str, *, comma: bool = False) -> list[Quantity]:
    """Return all that the text may amount to where decimals have a comma: ``1.125`` is two numbers."""
    both = (comma, False) if "." in text and "," not in text else (comma,)
    found = (quantity(text, comma=way) for way in dict.fromkeys(both))
    return [amount for amount in found if amount is not None]


def quantity(text: str, *, comma: bool = False) -> Quantity | None:
    """Return what the whole text amounts to; ``comma`` says that decimals have one."""
    text = tidy(text)
    letter = _PLACE.search(text)
    bare = _PLACE.sub("", text).strip() if letter else text
    name = (letter["letter"] or letter["last"]) if letter else ""
    found = _NUMBER.fullmatch(_with_points(bare, comma=comma))
    if found:
        return _read(found, name)
    return _worded(bare, name)


def _with_points(text: str, *, comma: bool) -> str:
    """Turn decimal commas into points, and drop what groups thousands."""
    if comma:
        text = _DOTTED.sub(lambda number: number[0].replace(".", ""), text)
        return re.sub(r"(?<=\d),(?=\d)", ".", text)
    if re.search(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", text):
        return re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return re.sub(r"(?<![\d,])(\d+),(\d{1,2}|\d{4,})(?![\d,.])", r"\1.\2", text)


def _read(found: re.Match[str], letter: str) -> Quantity | None:
    try:
        amount = _amount(found)
    except ZeroDivisionError:
        return None
    if found["sign"] == "-":
        amount = -amount
    unit = found["unit"] or ""
    if (
        unit not in _UNITS
        and unit not in _PERCENT
        and unit.isalpha()
        and (not found["gap"] or len(unit) == 1)
    ):
        return None  # `4x` is algebra
    if unit in _PERCENT:
        return Quantity(amount / 100, "", letter, percent=True)
    return Quantity(amount, found["before"] or found["currency"] or unit, letter)


def _amount(found: re.Match[str]) -> Fraction:
    if found["plain"]:
        return Fraction(found["plain"])
    if found["over"]:
        return Fraction(found["over"]) / Fraction(found["under"])
    return int(found["whole"]) + Fraction(int(found["top"]), int(found["bottom"]))


def _worded(text: str, letter: str) -> Quantity | None:
    minus = next((word for word in _MINUS_WORDS if text.startswith(word)), "")
    text = text.removeprefix(minus).strip()
    sign = -1 if minus else 1
    if text in _PARTS:
        return Quantity(sign * Fraction(*_PARTS[text]), "", letter)
    number, _, unit = text.partition(" ")
    words = next((words for names in _WORDS.values() if number in (words := names.split())), None)
    if (
        words is None
        or unit in words
        or not re.fullmatch(r"[^\W\d_]{0,20}|[$€£%]|por ciento|pour cent", unit)
    ):
        return None
    amount = Fraction(sign * words.index(number))
    if unit in _PERCENT:
        return Quantity(amount / 100, "", letter, percent=True)
    return Quantity(amount, unit, letter)
