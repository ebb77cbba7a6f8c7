"""What every way in shares, be it a request or a message on a socket."""

from dataclasses import dataclass

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

    keys: Keys
    tokens: Tokens
    grants: Grants
    forgotten: Forgotten
    rates: Rates
    watch: Watch
