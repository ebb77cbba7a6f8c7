"""What every way in shares, be it a request or a message on a socket."""

from dataclasses import dataclass

from flask import Request

from services.errors import InvalidInput
from services.web.doors import Doors
from services.web.forgotten import Forgotten
from services.web.grants import Grants
from services.web.keys import Keys
from services.web.rates import Rates
from services.web.tokens import Tokens
from services.web.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Who is calling, how often he may, and till when.

    ``tokens`` read one stream, ``grants`` stand for an end user; ``forgotten`` are those who do no more.
    """

    doors: Doors
    keys: Keys
    tokens: Tokens
    grants: Grants
    forgotten: Forgotten
    rates: Rates
    watch: Watch

    def check_page(self, origin: str | None, request: Request) -> None:
        """Raise InvalidInput for the origin of pages that could use no token: they are not let in.

        Whoever makes the token learns it at once, and not its end users one by one.
        """
        if origin is not None and not self.doors.may_call(origin, request):
            problem = "names pages that may not call here: list it in GLOSS_CORS_ORIGINS first"
            raise InvalidInput(errors=[{"field": "origin", "problem": problem}])
