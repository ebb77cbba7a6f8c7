"""What a store has to say of itself: how often it failed, and whether it is left alone for it."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Trouble:
    """Kept by whoever asks the store; read by whoever tells the operator."""

    failures: int = 0
    down: bool = False
