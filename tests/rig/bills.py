"""The ledger against the provider's journal, over all that a house has asked for."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.rig.house import MARK, House, wait_until
from tests.rig.wire import CutError, ask

TOLD_S = 10.0  # for a process to tell of the ledger


def bill(attempt: Mapping[str, Any]) -> int:
    """Return what the provider charges for a request: the words of the prompt, the tokens it sent."""
    words = sum(len(message["content"].split()) for message in attempt["asked"].get("messages", ()))
    return words + int(attempt["tokens"])


def unbilled(house: House, *, forgot: bool) -> list[str]:
    """The ledger has at least what the journal has (R14).

    ``forgot``: it may have less, since a process died with it while the store was away. So it is where
    the store came back empty. What comes from now on is compared.
    """
    ledger, journal = charged(house), sum(map(bill, house.upstream.journal()))
    if emptied(house) or forgot or ledger is None:
        house.settled = (ledger or 0, journal)
        return []
    before, asked_before = house.settled
    if ledger - before >= journal - asked_before:
        return []
    return [
        f"the ledger grew by {ledger - before} tokens, the provider's journal by {journal - asked_before}"
    ]


def emptied(house: House) -> bool:
    """Tell whether the store has lost what this wrote the last time."""
    known = house.redis.ask("EXISTS", MARK)
    house.redis.ask("SET", MARK, "1")
    return not int(known)


def charged(house: House) -> int | None:
    """Return what stands in the ledger for this month, or is reserved; None where nobody tells."""
    told: list[int] = []

    def asked() -> bool:
        for port in house.ports():
            with suppress(OSError, CutError):
                status, body = ask(port, "GET", "/v1/usage")
                if status == 200:
                    usage = json.loads(body)
                    told.append(usage["month"]["tokens"] + usage["reserved_tokens"])
                    return True
        return False

    wait_until(asked, TOLD_S)
    return told[-1] if told else None
