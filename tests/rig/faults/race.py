"""One key, many POSTs at once, at all processes."""

from tests.rig.clients import Reader
from tests.rig.faults import Size, fault
from tests.rig.rig import PROMPT, Rig, promise


def racing(rig: Rig, kind: str, count: int) -> list[Reader]:
    """POST the same with the same key, at all processes at once."""
    model = rig.model(kind)
    key = f"a key of its own for {model}"
    ports = rig.house.ports()
    readers = [
        Reader(rig.house.ports, rig.random, model, prompt=PROMPT, key=key, first=ports[at % len(ports)])
        for at in range(count)
    ]
    for reader in readers:
        reader.start()
    rig.readers += readers
    return readers


@fault("POSTs with one idempotency key race on two processes", "R9", "R3")
def one_key(rig: Rig, size: Size) -> int:
    races = [racing(rig, "paced:20:20", 4) for _ in range(size.streams(8, 40))]
    tries = rig.judge()
    for readers in races:
        promise(len({one.stream for one in readers}) == 1, "one key began two streams")
    late = [racing_again(rig, readers[0]) for readers in races]
    rig.judge()
    for again, readers in zip(late, races, strict=True):
        promise(again.lines == readers[0].lines, "a repeated POST got another answer")
    return tries


def racing_again(rig: Rig, reader: Reader) -> Reader:
    """Send a POST once more whose stream has ended."""
    again = Reader(rig.house.ports, rig.random, reader.model, prompt=PROMPT, key=reader.key)
    rig.readers.append(again.start())
    return again


@fault("streams that supersede each other at once, at any process", "R9")
def superseding(rig: Rig, size: Size) -> int:
    """Of all with one key exactly one goes on to its end."""
    options = {"supersedes": f"an editor of {rig.model('x')}"}
    readers = [rig.reader("paced:60:50", options=options) for _ in range(size.streams(6, 12))]
    tries = rig.judge()
    reasons = sorted(str((one.end or {}).get("reason")) for one in readers)
    promise(reasons == ["stop", *["superseded"] * (len(readers) - 1)], f"ended: {reasons}")
    return tries
