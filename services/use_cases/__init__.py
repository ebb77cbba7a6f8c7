"""What clients can ask for; one module or folder each, registered here."""

from services.streams.use_case import UseCase

USE_CASES: dict[str, UseCase] = {}
