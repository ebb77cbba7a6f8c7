"""Try everything with one seed: ``python -m tests.rig --seed N [--minutes M] [--fault ID]``.

Prints a line per fault as it is done, writes docs/scorecard.md, and ends with 1 where a promise
was broken, saying how to see that again.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import sys  # noqa: E402
from random import SystemRandom  # noqa: E402

from tests.rig.scorecard import CARD, Row, card, rows  # noqa: E402

MINUTES = 4.0


def main() -> int:
    """Return 1 where a promise was broken."""
    asked = arguments()
    say(f"seed {asked.seed}")
    told: list[Row] = []
    for row in rows(asked.seed, asked.minutes, asked.fault):
        told.append(row)
        promised = ", ".join(row.promises)
        say(f"{row.verdict:>6} {row.tries:5d} tries {row.took_s:6.1f} s  {row.fault} ({promised})")
        if row.broken:
            say(f"{row.broken}\n  again: make chaos SEED={asked.seed} FAULT={row.id}")
    if asked.fault is None:
        CARD.write_text(card(told, asked.seed))
        say(f"{sum(row.tries for row in told)} tries, {CARD}")
    return int(any(row.broken for row in told))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000))
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="all of it, the machine takes what is left"
    )
    parser.add_argument("--fault", help="only this one, by its id")
    return parser.parse_args()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
