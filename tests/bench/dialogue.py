"""Lets the feeder and the client speak, and writes what came of it as JSON.

It is a process of its own: the tests' is patched by gevent, which takes epoll away.
"""

import json
import socket
import sys
from dataclasses import asdict
from itertools import pairwise
from threading import Thread
from typing import Any

from bench.client import BrokenRunError, client, load
from bench.control import Upstream, upstream
from bench.feeder import Plan
from bench.relays import DIRECT, Running, sse_text

LIMIT_S = 20
QUICKLY = Plan(chunks=20, every_s=0.001)


def many_readers(feeder: Upstream, direct: Running) -> dict[str, Any]:
    feeder.says(QUICKLY)
    streams = load(direct.address, direct.request, total=50, at_once=50)
    journal = feeder.journal()
    return {
        "texts": sorted({sse_text(stream.body) for stream in streams}),
        "chunks": journal.chunks,
        "in order": all(told.written == sorted(told.written) for told in journal.streams),
        "done": sum(told.done for told in journal.streams),
        "closed": sum(told.closed_at is not None for told in journal.streams),
    }


def one_at_a_time(feeder: Upstream, direct: Running) -> bool:
    feeder.says(QUICKLY)
    load(direct.address, direct.request, total=4, at_once=1)
    return all(after.asked_at > before.written[-1] for before, after in pairwise(feeder.journal().streams))


def hang_up_in_silence(feeder: Upstream, direct: Running) -> dict[str, Any]:
    feeder.says(Plan(every_s=0.001, silent_after=3))
    with client(direct.address) as reader:
        stream = reader.open(7, direct.request(7))
        reader.run(lambda: feeder.journal().chunks == 3, limit_s=LIMIT_S)
        reader.hang_up(stream)
    (told,) = feeder.journal().streams
    return asdict(told) | {"hung_up_at": stream.hung_up_at}


def silence_from_the_start(feeder: Upstream, direct: Running) -> int:
    feeder.says(Plan(silent_after=0))
    with client(direct.address) as reader:
        stream = reader.open(1, direct.request(1))
        reader.run(lambda: len(feeder.journal().streams) == 1, limit_s=LIMIT_S)
        return len(stream.raw)


def forgetting(feeder: Upstream, direct: Running) -> dict[str, Any]:
    feeder.says(Plan(every_s=0.001, silent_after=1))
    with client(direct.address) as reader:
        stream = reader.open(1, direct.request(1))
        reader.run(lambda: bool(stream.first_word_at), limit_s=LIMIT_S)
        feeder.forget()
        reader.run(lambda: stream.over, limit_s=LIMIT_S)
    return {"complete": stream.complete, "journal": len(feeder.journal().streams)}


def breaking_off(_feeder: Upstream, direct: Running) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=lambda: listener.accept()[0].close()).start()  # noqa: PLW0108 - waits in the thread
        try:
            load(listener.getsockname(), direct.request, total=1, at_once=1)
        except BrokenRunError as error:
            return str(error)
    return "whole"


SCENES = (many_readers, one_at_a_time, hang_up_in_silence, silence_from_the_start, forgetting, breaking_off)

if __name__ == "__main__":
    with upstream() as feeder:
        direct = Running(relay=DIRECT, address=("127.0.0.1", feeder.port), pid=0)
        sys.stdout.write(json.dumps({scene.__name__: scene(feeder, direct) for scene in SCENES}))
