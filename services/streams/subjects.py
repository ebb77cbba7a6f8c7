"""End users of a key (subjects): what belongs to one, noted as it is stored, so that it can be forgotten.

An owner ``<key id>/<subject>`` has a group of names in the store. Who puts something there that nobody
could find otherwise notes its name; a key without a subject is never forgotten, and nothing is noted.
"""

from collections.abc import Iterator

from services.errors import NotFound
from services.state.store import Store
from services.streams.registry import Streams
from services.streams.sharing import facts as known

PAGE = 200
ENDS_S = 2.0  # what is cancelled has ended by then
LAST_EPOCH = 2**40  # nobody writes a log after this one


def note(store: Store, owner: str, name: str, ttl_s: float) -> None:
    """Note that a value of this name belongs to an end user; raises StoreDownError."""
    if "/" in owner:
        store.join(_group(owner), name, ttl_s)


def cancel_all(streams: Streams, owner: str) -> None:
    """Cancel what runs here for an end user, and keep nothing of it in memory."""
    running = streams.forget(owner)
    for stream in running:
        stream.stop("cancelled")
    for stream in running:
        stream.attend_end(ENDS_S)
        stream.settle(ENDS_S)  # what is stored after this is stored of nobody
    streams.forget(owner)


def delete_all(store: Store, streams: Streams, owner: str) -> None:
    """Delete what is noted of an end user; what runs elsewhere is cancelled there. Raises StoreDownError."""
    for name in list(_names(store, owner)):
        stream_id = known.stream_of(name)
        if stream_id is not None:
            _end(streams, stream_id, owner)
            _delete(store, known.sent_of(stream_id))
            store.append(known.log_of(stream_id), LAST_EPOCH, 1, [], 0)
        _delete(store, name)
        store.quit(_group(owner), [name])


def _end(streams: Streams, stream_id: str, owner: str) -> None:
    try:
        stream = streams.get(stream_id, owner)
    except NotFound:
        return
    if stream.log.end is None:
        stream.stop("cancelled")
        stream.attend_end(ENDS_S)


def _names(store: Store, owner: str) -> Iterator[str]:
    skip = 0
    while page := store.members(_group(owner), skip, PAGE):
        yield from page
        skip += len(page)


def _delete(store: Store, name: str) -> None:
    while (value := store.get(name)) is not None and not store.swap(name, value, None, 0):
        pass


def _group(owner: str) -> str:
    return f"of:{owner}"
