"""Translate: texts in, the same texts in other languages out, while they are being translated.

A client sees for each text ``detected`` (where it did not name the source), then for each
language and text the ``text`` of every segment and a ``segment`` when it is complete. With
several texts or languages, ``text`` events say which they belong to, and a ``text`` of one
empty line that belongs to none stands between two of them.

A segment that could not be translated is given as it was, with the notice ``untranslated``; one
that looks wrong after it was shown is followed by the notice ``suspect``.
"""

from services.streams.use_case import UseCase
from services.use_cases.translate.asked import Translate
from services.use_cases.translate.events import Detected, Segment
from services.use_cases.translate.result import translations
from services.use_cases.translate.transform import translate

USE_CASE = UseCase(
    name="translate",
    title="Translate texts while you read",
    input=Translate,
    transform=translate,
    events=(Detected, Segment),
    example={"text": "Where is the station?", "target": "es"},
    result=translations,
    cache=True,
    doubts=frozenset({"untranslated", "suspect"}),
    recovers=True,  # each call is one segment, at temperature 0: the same again is likely, and cheap
)

__all__ = ["USE_CASE"]
