"""The processes that the launcher starts, and their orderly end.

Each is the leader of a session of its own, so that a Ctrl-C in the terminal reaches the launcher
alone and the launcher says in which order the rest ends. Each also ends by itself when the
launcher is no more: the model server by the end of its input, gunicorn by its leash.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

LOOK_S = 0.2


class Child:
    """A process with a name for people and a polite way to ask it to end."""

    def __init__(  # noqa: PLR0913 - what a process is started with
        self,
        name: str,
        module: Sequence[str],
        *,
        ask: Callable[["Child"], None],
        patience_s: float,
        env: Mapping[str, str] | None = None,
        log: IO[bytes] | None = None,
    ) -> None:
        """Start ``python -m <module>``; ``env`` is added to ours, ``log`` takes its errors."""
        self.name, self._ask, self._patience_s = name, ask, patience_s
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if log else None,
            stderr=log,
            env=os.environ | (env or {}),  # a child inherits what the user set
            start_new_session=True,
        )

    def ended(self) -> str | None:
        """Return how the process ended, None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        return f"{self.name} ended " + (
            f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        )

    def end(self) -> None:
        """Ask, wait, then insist; a second Ctrl-C shortens the wait."""
        try:
            self._ask(self)
            self.process.wait(self._patience_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._kill()
        self._close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # it may just have gone
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()


def by_end_of_input(child: Child) -> None:
    """Ask by closing the child's standard input."""
    if child.process.stdin:
        with suppress(BrokenPipeError):
            child.process.stdin.close()


def by_sigterm(child: Child) -> None:
    """Ask by SIGTERM."""
    child.process.terminate()


def watch(children: Sequence[Child]) -> str:
    """Wait until one of the children has ended; returns which, and how."""
    while True:
        for child in children:
            if how := child.ended():
                return how
        time.sleep(LOOK_S)
