"""Signals that end the launcher."""

import signal

import pytest

from services.launch.__main__ import end_on


@pytest.mark.parametrize(
    ("before", "after"),
    [(signal.SIG_DFL, signal.default_int_handler), (signal.SIG_IGN, signal.SIG_IGN)],
    ids=["usual", "ignored"],
)
def test_closed_terminal(before, after):
    """A closed terminal ends it like a Ctrl-C, unless that was to be ignored (nohup)."""
    kept = signal.signal(signal.SIGHUP, before)
    try:
        end_on(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is after
    finally:
        signal.signal(signal.SIGHUP, kept)
