"""The embedded model's process: llama.cpp's server, alive as long as its standard input.

It reads one line of JSON (the fields of ``Orders``), loads the model, prints the address it
listens on, and ends when its input ends. That covers every way in which the launcher can go,
``kill -9`` included, and keeps the key out of the process list.
"""

import os
import sys
import threading
from typing import Any

import msgspec
import xllamacpp

WINDOW = 2048  # tokens of one slot; four of them, 1.3 GB with the model
BATCH = 64  # tokens of a prompt read at a time: the other slots wait for 4 s then, and not for 38


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve: a GGUF file, under which name, for whom, and to how many at a time."""

    path: str
    name: str
    key: str
    threads: int
    slots: int


def parameters(orders: Orders) -> Any:
    """Return llama.cpp's parameters; most of its defaults are for somebody else."""
    params = xllamacpp.CommonParams()
    params.model.path = orders.path
    params.model_alias = {orders.name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [orders.key]  # else any page in a browser on this machine may ask
    params.cors_origins = "http://127.0.0.1"  # the default is every origin
    params.ui = False
    params.endpoint_slots = False  # it shows prompts
    params.n_parallel = orders.slots
    params.n_ctx = orders.slots * WINDOW  # the total of all slots
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    params.no_extra_bufts = True  # repacked weights would be a second copy: 0.6 GB
    params.n_batch = params.n_ubatch = BATCH
    params.cpuparams.n_threads = orders.threads
    params.cpuparams_batch.n_threads = orders.threads
    return params


def main() -> None:
    """Serve until standard input ends."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    ended = threading.Thread(target=_end_with_input, daemon=True)  # a model that fails to load ends it, too
    ended.start()  # before loading: a launcher may be gone by the time the model is there
    server = xllamacpp.Server(parameters(orders))
    print(server.listening_address, flush=True)
    ended.join()


def _end_with_input() -> None:
    """End the process at once when the input ends: its destructors abort while a slot is busy."""
    while os.read(sys.stdin.fileno(), 1):  # unbuffered: a lock held here would block the way out
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
