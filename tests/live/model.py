"""The small real model, for tests that want a model and not what it says."""

from pathlib import Path

import pytest

from services import settings
from services.launch import machine
from services.launch.embedded import models_folder
from services.launch.fetch import fetch
from services.launch.models import SMOLLM2
from services.launch.refusal import Refusal


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2's file: 98 MB, fetched once into the user's cache folder, checked."""
    if why := machine.lacks():
        pytest.skip(f"the embedded model cannot run here: {why}")
    if not machine.runtime_installed():
        pytest.skip("its runtime is missing: pip install -r requirements-embedded.txt")
    try:
        return fetch(SMOLLM2, models_folder(settings.read()))
    except Refusal as refusal:
        pytest.skip(f"{SMOLLM2.title} could not be fetched: {refusal}")
