"""What clients can ask for; one module or folder each, registered here."""

from services.streams.use_case import UseCase
from services.use_cases.translate import USE_CASE as TRANSLATE
from services.use_cases.tutor import USE_CASE as TUTOR

USE_CASES: dict[str, UseCase] = {use_case.name: use_case for use_case in (TRANSLATE, TUTOR)}
