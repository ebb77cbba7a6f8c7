"""What every way in shares, be it a request or a message on a socket."""

from dataclasses import dataclass

from services.web.keys import Keys
from services.web.tokens import Tokens
from services.web.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Who is calling (``keys``, ``tokens``), and who ends what a caller may no longer do (``watch``)."""

    keys: Keys
    tokens: Tokens
    watch: Watch
