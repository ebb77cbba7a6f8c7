"""What the server itself says to a student, and the words by which it knows a language's forms.

The server speaks first where it has decided: a verdict does not wait for a model, and a small
model that praises a wrong answer cannot undo it. In a language that is not here the model is
asked to say it.
"""

import re
from dataclasses import dataclass

LATIN = 0x24F  # the last letter of Latin Extended-B


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """One language. ``next_step`` is asked where no model asked anything."""

    name: str
    right: str
    wrong: str
    partial: str
    again: str
    exercise: str  # {letter} and {equation} are filled in
    next_step: str
    correction: str  # {is_} and {said} are filled in
    common: str  # words by which a short text gives its language away


PHRASES: dict[str, Phrases] = {
    "en": Phrases(
        name="English",
        right="That's right.",
        wrong="Not quite yet.",
        partial="Partly right.",
        again="Try again:",
        exercise="What is {letter} in {equation}?",
        next_step="What would you do next, and why?",
        correction="Correction: {is_}, not {said}.",
        common="the is of and to a how what why solve in with for explain",
    ),
    "de": Phrases(
        name="German",
        right="Das ist richtig.",
        wrong="Noch nicht ganz.",
        partial="Teilweise richtig.",
        again="Versuche es noch einmal:",
        exercise="Was ist {letter} in {equation}?",
        next_step="Was würdest du als Nächstes tun, und warum?",
        correction="Berichtigung: {is_}, nicht {said}.",
        common="der die das ist und wie was warum löse ein eine mit für erkläre von zu",
    ),
    "es": Phrases(
        name="Spanish",
        right="Es correcto.",
        wrong="Todavía no.",
        partial="En parte es correcto.",
        again="Inténtalo otra vez:",
        exercise="¿Cuánto vale {letter} en {equation}?",
        next_step="¿Qué harías a continuación, y por qué?",
        correction="Corrección: {is_}, no {said}.",
        common="el la los las es y cómo qué por resuelve un una con para explica de",
    ),
    "fr": Phrases(
        name="French",
        right="C'est juste.",
        wrong="Pas encore.",
        partial="C'est juste en partie.",
        again="Essaie encore :",
        exercise="Combien vaut {letter} dans {equation} ?",
        next_step="Que ferais-tu ensuite, et pourquoi ?",
        correction="Correction : {is_}, et non {said}.",
        common="le la les est et comment que pourquoi résous un une avec pour explique de",
    ),
    "it": Phrases(
        name="Italian",
        right="È giusto.",
        wrong="Non ancora.",
        partial="In parte è giusto.",
        again="Prova ancora:",
        exercise="Quanto vale {letter} in {equation}?",
        next_step="Che cosa faresti dopo, e perché?",
        correction="Correzione: {is_}, non {said}.",
        common="il lo gli è e come che perché risolvi un una con per spiega di",
    ),
    "pt": Phrases(
        name="Portuguese",
        right="Está certo.",
        wrong="Ainda não.",
        partial="Está certo em parte.",
        again="Tente outra vez:",
        exercise="Quanto vale {letter} em {equation}?",
        next_step="O que você faria a seguir, e por quê?",
        correction="Correção: {is_}, e não {said}.",
        common="o os as é e como que porquê resolva um uma com para explique de",
    ),
    "nl": Phrases(
        name="Dutch",
        right="Dat klopt.",
        wrong="Nog niet helemaal.",
        partial="Dat klopt gedeeltelijk.",
        again="Probeer het nog eens:",
        exercise="Wat is {letter} in {equation}?",
        next_step="Wat zou je hierna doen, en waarom?",
        correction="Verbetering: {is_}, niet {said}.",
        common="de het is en hoe wat waarom los een met voor leg van",
    ),
}
OTHERS = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "el": "Greek", "fi": "Finnish", "he": "Hebrew",
    "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "ja": "Japanese", "ko": "Korean",
    "nb": "Norwegian", "no": "Norwegian", "pl": "Polish", "ro": "Romanian", "ru": "Russian",
    "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
DECIMAL_COMMA = "de es fr it pt nl cs da el fi hu id nb no pl ro ru sv tr uk vi"


@dataclass(frozen=True, kw_only=True)
class Language:
    """The language of a lesson: what a prompt calls it, what the server can say in it."""

    tag: str
    name: str
    phrases: Phrases | None
    decimal_comma: bool


def language(given: str | None, sample: str) -> Language:
    """Return the language that a tag or a name means; without one, that of the sample.

    A language that is not known here keeps the name it was given: the model may know it.
    """
    if given is None:
        tag = _guessed(sample)
        return _language(tag, PHRASES[tag].name if tag else "the language of the request")
    tag = given.split("-")[0].lower()
    if tag in PHRASES or tag in OTHERS:
        return _language(tag, f"{_name(tag)} ({given})" if "-" in given else _name(tag))
    named = (tag for tag in (*PHRASES, *OTHERS) if _name(tag).lower() == given.lower())
    tag = next(named, "")
    return _language(tag, _name(tag) if tag else given)


def _name(tag: str) -> str:
    return PHRASES[tag].name if tag in PHRASES else OTHERS[tag]


def _language(tag: str, name: str) -> Language:
    return Language(tag=tag, name=name, phrases=PHRASES.get(tag), decimal_comma=tag in DECIMAL_COMMA.split())


def _guessed(sample: str) -> str:
    """Return the language with the most common words in the sample; English if there are none.

    A script that none of them uses gives no language at all.
    """
    words = re.findall(r"[^\W\d_]+", sample.lower())
    if any(ord(letter) > LATIN for word in words for letter in word):
        return ""
    return max(PHRASES, key=lambda tag: sum(word in PHRASES[tag].common.split() for word in words))


REASONS = {
    "same-value": "The value is right.",
    "other-value": "It is another value.",
    "same-words": "",
    "same-choice": "",
    "other-choice": "It is another option.",
    "same-equation": "The equation is right.",
    "other-equation": "It is another equation.",
    "other-form": "It leads to the value, but is not what was asked for yet.",
    "other-letter": "It is about another letter.",
    "other-unit": "The unit measures something else.",
    "unexpected-unit": "The unit does not fit the question.",
    "unit-missing": "Say the unit, too.",
    "percent-missing": "The percent sign makes a difference here.",
    "not-worked-out": "It still has to be worked out.",
    "some-values": "Some of the values are right.",
    "empty": "There is no answer in it.",
    "judged": "",
}


def reason(code: str, language: Language) -> str:
    """Return what a student is told about a grade, in English; in other languages its code."""
    return REASONS[code] if language.tag in {"en", ""} else code
