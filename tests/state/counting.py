"""A process of its own that uses one state together with others.

``python -m tests.state.counting <url> <name> <times>`` counts up a value by swapping, and then
appends to a log as long as nobody has taken it over, from the epoch and number that it is told
on standard input; it prints ``fenced`` when somebody has.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

from services.state.redis import RedisStore  # noqa: E402
from services.state.store import FIRST_EPOCH, FencedError, Shared  # noqa: E402

LONG = 60.0


def count_up(store: Shared, key: str, times: int) -> None:
    """Add one, so many times."""
    for _ in range(times):
        old = store.get(key)
        while not store.swap(key, old, b"%d" % (int(old or 0) + 1), LONG):
            old = store.get(key)


def write_until_fenced(store: Shared, log: str) -> None:
    """Write numbers to a log until another process has seized it."""
    store.lease([log], LONG)
    number = 1
    try:
        while True:
            store.append(log, FIRST_EPOCH, number, [b"%d" % number], LONG)
            number += 1
    except FencedError:
        print(f"fenced {number - 1}", flush=True)  # noqa: T201 - who started it reads this


def main() -> None:
    """Count, then write."""
    url, key, times = sys.argv[1:]
    store = RedisStore(url, call_s=LONG)
    print("begins", flush=True)  # noqa: T201 - who started it reads this
    count_up(store, key, int(times))
    write_until_fenced(store, key)


if __name__ == "__main__":
    main()
