"""Run every experiment: ``python -m bench [--quick | --full] [--only WORD] [--relays WORD]``.

Only a run of everything, and not a quick one, is written to the README.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime

from bench import (
    capacity,
    cpu_per_chunk,
    cpu_per_stream,
    first_word,
    hang_up,
    machine,
    memory,
    money,
    overload,
    readers,
    report,
    resume,
    stall,
)
from bench.client import BrokenRunError, load
from bench.control import Upstream, upstream
from bench.feeder import Plan
from bench.measure import DEFAULT, QUICK, Figures, Measure, Scale
from bench.relays import ALL, NGINX_RELAY, TUTORIAL, Relay, Running, missing, running

MEASURES = (
    cpu_per_chunk.MEASURE,
    cpu_per_stream.MEASURE,
    first_word.MEASURE,
    memory.MEASURE,
    hang_up.MEASURE,
    resume.MEASURE,
    readers.MEASURE,
    stall.MEASURE,
    capacity.MEASURE,
    overload.MEASURE,
    money.MEASURE,
)
WARM_UP = 5
BASES = {TUTORIAL.name: "tutorial", NGINX_RELAY.name: "nginx"}


def main() -> None:
    """Measure, print, write; exits with 1 if an experiment did not do what it measures."""
    arguments = _arguments()
    machine.allow_many_files()
    machine.take_precedence()
    machine.pin(machine.FEEDER_CORE)
    relays = [relay for relay in ALL if _named(relay, arguments.relays) and not _left_out(relay)]
    measures = [measure for measure in MEASURES if arguments.only in measure.title]
    scale = _scale(arguments)
    busy = os.getloadavg()[0]
    began = time.monotonic()
    with ExitStack() as stack:
        feeder = stack.enter_context(upstream())
        try:
            lines, figures = _all(measures, relays, feeder, scale, stack)
        except BrokenRunError as error:
            sys.exit(f"broken: {error}")
    seconds = time.monotonic() - began
    print(f"\n{seconds:.0f} s")
    if len(measures) == len(MEASURES) and not (arguments.relays or arguments.quick):
        _write(lines, figures, scale, {"seconds": f"{seconds:.0f}", "load before": f"{busy:.1f}"})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: does it all work?")
    parser.add_argument("--full", action="store_true", help="memory at 1,000 open streams too")
    parser.add_argument("--only", default="", metavar="WORD", help="measures whose title holds this")
    parser.add_argument(
        "--relays", default="", metavar="WORD", help="relays whose name holds this; several with commas"
    )
    return parser.parse_args()


def _scale(arguments: argparse.Namespace) -> Scale:
    if arguments.quick:
        return QUICK
    return replace(DEFAULT, open_streams=(500, 1000)) if arguments.full else DEFAULT


def _named(relay: Relay, words: str) -> bool:
    return any(word in relay.name for word in words.split(","))


def _left_out(relay: Relay) -> bool:
    reason = missing(relay)
    if reason:
        print(f"without {relay.name}: {reason}")
    return reason is not None


def _all(
    measures: Sequence[Measure], relays: Sequence[Relay], feeder: Upstream, scale: Scale, stack: ExitStack
) -> tuple[list[str], dict[str, Figures]]:
    """Return the report's lines, and all figures by relay."""
    lines: list[str] = []
    figures: dict[str, Figures] = {relay.name: {} for relay in relays}
    started = [_warm(stack.enter_context(running(relay, feeder.port)), feeder) for relay in relays]
    for measure in measures:
        taken = _rounds(measure, started, feeder, scale)
        section = _section(measure, taken, scale)
        print("\n" + "\n".join(section))
        lines += section
        for name in taken:
            figures.setdefault(name, {}).update(taken[name])
    return lines, figures


def _warm(one: Running, feeder: Upstream) -> Running:
    """Let a relay load what it loads on its first request."""
    feeder.says(Plan(chunks=len(one.relay.deltas), every_s=0, deltas=one.relay.deltas))
    load(one.address, one.request, total=WARM_UP, at_once=1)
    return one


def _rounds(
    measure: Measure, started: Sequence[Running], feeder: Upstream, scale: Scale
) -> dict[str, Figures]:
    """Take a measure from all relays in turn, several times over; the medians."""
    if measure.rows is not None:
        _progress(measure.title)
        return measure.rows(started, feeder, scale)
    rounds: dict[str, list[Figures]] = {one.relay.name: [] for one in started}
    count = 1 if measure.once else scale.rounds
    for number in range(count):
        for one in started:
            _progress(f"{measure.title}, round {number + 1} of {count}: {one.relay.name}")
            rounds[one.relay.name].append(_take(measure, one, feeder, scale))
    _progress("")
    return {name: _medians(taken) for name, taken in rounds.items()}


def _progress(line: str) -> None:
    """Overwrite the last line of a terminal; say nothing to a file."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _take(measure: Measure, one: Running, feeder: Upstream, scale: Scale) -> Figures:
    if not measure.fresh:
        return measure.take(one, feeder, scale)
    with running(one.relay, feeder.port) as fresh:
        return measure.take(fresh, feeder, scale)


def _medians(taken: Sequence[Figures]) -> Figures:
    return {key: statistics.median(figures[key] for figures in taken) for key in taken[0]}


def _section(measure: Measure, taken: dict[str, Figures], scale: Scale) -> list[str]:
    columns, rows = report.with_ratios(measure.columns(scale), taken, BASES)
    title = measure.title[0].upper() + measure.title[1:].format(**asdict(scale))
    how = measure.how.format(**asdict(scale))
    return [f"### {title}", "", f"{how[0].upper()}{how[1:]}.", "", *report.table(columns, rows), ""]


def _write(lines: Sequence[str], figures: dict[str, Figures], scale: Scale, run: dict[str, str]) -> None:
    about = machine.description() | {"date": datetime.now(UTC).date().isoformat()} | run
    said = ", ".join(f"{name} {value}" for name, value in about.items())
    head = [f"Median of {scale.rounds} interleaved rounds: {said}.", ""]
    report.write([*head, *lines], {"about": about, "scale": asdict(scale), "figures": figures})
    print(f"written to {report.README.name} and {report.RESULTS.name} in {report.FOLDER.name}/")


if __name__ == "__main__":
    main()
