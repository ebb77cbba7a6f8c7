"""gunicorn, on the launcher's leash: ``python -m services.launch.serve <launcher's pid>``.

A launcher that is killed can end nobody. So gunicorn's master looks once a second whether its
parent is still the launcher, and stops gracefully when it is not; its worker does the same with
the master by itself. An interval timer does not need a thread, which a fork would not survive,
and is not inherited by the worker.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from gunicorn.app.wsgiapp import run

LOOK_S = 1.0


def leash(launcher: int, parent: Callable[[], int] = os.getppid) -> Callable[[int, FrameType | None], None]:
    """Return a signal handler that ends this process once its parent is not the launcher."""

    def look(_signal: int, _frame: FrameType | None) -> None:
        if parent() != launcher:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(os.getpid(), signal.SIGTERM)

    return look


def main(launcher: int, *gunicorn: str) -> None:
    """Run gunicorn in this process, with the arguments given."""
    signal.signal(signal.SIGALRM, leash(launcher))
    signal.setitimer(signal.ITIMER_REAL, LOOK_S, LOOK_S)
    sys.argv = ["gunicorn", *gunicorn]
    run()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
