"""The streams of one socket, by the refs that their caller gave them.

Each has a greenlet of its own, so one that is slow to open, or has much to tell, holds up neither a
cancel nor the others. They share the socket's writes, piece by piece.
"""

import random
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from functools import partial

import gevent
from gevent.lock import Semaphore
from gevent.pool import Group

from services.errors import InvalidInput, NotFound, Overloaded, ShuttingDown
from services.state import patience
from services.streams.clock import Timer
from services.streams.core import Core
from services.streams.discard import discard_of
from services.streams.readers import SPREAD_S, Reader
from services.streams.stream import Stream
from services.web.problems import counted
from services.web.ws.connection import Connection
from services.web.ws.served import Served
from services.wire.message import DRAIN, refusal
from services.wire.padding import messages

NO_REF = "No stream of this socket has this ref."
MOST_REFS = 100  # the least that HTTP/2 recommends for one connection (RFC 9113, 6.5.2)
SENT_AWAY_S = 1.0  # for readers to send what they have, and for other processes to know of it
GOING_AWAY, SERVICE_RESTART = 1001, 1012  # as IANA's registry of close codes has them


class Refs:
    """Those that are in use, and what becomes of them when the socket or the process ends."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self._core = core
        self._connection = connection
        self._framed = messages(core.settings.pad_bytes)
        self._used: dict[str, Served] = {}
        self._ended: OrderedDict[str, str | None] = OrderedDict()  # refs, and what was read by them
        self._greenlets = Group()
        self._telling = 0
        self._one_large = Semaphore()
        self._stopping = False
        self._sent_away = False
        self._leaving: Timer | None = None

    def serve(self, ref: str, opening: Callable[[], Reader], *, large: bool = False) -> None:
        """Tell under this ref what the reader gets; waits while another ``large`` one is being opened.

        So what a socket asks for weighs little more than two bodies at a time. Raises InvalidInput
        for a ref in use, Overloaded, and ShuttingDown where the socket is about to be closed.
        """
        if self._sent_away:
            raise ShuttingDown
        if ref in self._used:
            raise InvalidInput(errors=[{"field": "ref", "problem": "is in use on this socket"}])
        if len(self._used) >= MOST_REFS:
            raise Overloaded("This socket has as many streams as one may.", limit=MOST_REFS, retry_after_s=1)
        if large:
            self._one_large.acquire()
        self._used[ref] = served = Served(ref, opening, framed=self._framed)
        self._telling += 1
        self._greenlets.spawn(self._serve, served, self._one_large.release if large else _nothing)

    def cancel(self, ref: str) -> None:
        """End the stream of a ref, if it has not ended; raises NotFound for a ref that was not used."""
        if ref in self._used:
            self._used[ref].cancel(lambda stream: stream.stop("cancelled"))
        elif ref not in self._ended:  # else the end and the cancel crossed
            raise NotFound(NO_REF)

    def discard(self, ref: str, owner: str) -> None:
        """Forget the stream of a ref, also one that has ended, as this caller; raises NotFound."""
        if ref in self._used:
            self._used[ref].cancel(lambda stream: self._stop_and_discard(ref, stream, owner))
        elif ref not in self._ended:
            raise NotFound(NO_REF)
        elif (stream_id := self._ended[ref]) is not None:
            self._discard_soon(ref, stream_id, owner)

    def _stop_and_discard(self, ref: str, stream: Stream, owner: str) -> None:
        stream.stop("cancelled")  # at once: to forget it may take its time
        self._discard_soon(ref, stream.id, owner)

    def _discard_soon(self, ref: str, stream_id: str, owner: str) -> None:
        self._greenlets.spawn(self._discard, ref, stream_id, owner)

    def _discard(self, ref: str, stream_id: str, owner: str) -> None:
        patience.begin(self._core.settings.store_call_s)
        try:
            discard_of(self._core, stream_id, owner)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever goes wrong has its answer
            self._connection.send([refusal(ref, counted(self._core.metrics, error).problem())])

    def told_to_stop(self) -> None:
        """Send the socket on to another process within a few seconds; without one, close it when it is done.

        Called from the hub too.
        """
        if self._core.exchange.is_shared:
            spread_s = random.uniform(0, SPREAD_S)  # noqa: S311 - a spread
            self._leaving = self._core.clock.later(spread_s, self._leave_soon)
        else:
            gevent.spawn(self._stay_until_done)

    def leave(self) -> None:
        """Leave every stream: the socket is gone."""
        if self._leaving is not None:
            self._leaving.close()
        for served in self._used.values():
            served.leave()

    def _serve(self, served: Served, opened: Callable[[], object]) -> None:
        patience.begin(self._core.settings.store_call_s)
        try:
            self._tell(served, opened)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever goes wrong has its answer
            self._free(served)
            self._connection.bother()
            self._connection.send([refusal(served.ref, counted(self._core.metrics, error).problem())])
        finally:
            self._telling -= 1
            self._close_when_done()

    def _tell(self, served: Served, opened: Callable[[], object]) -> None:
        try:
            reader = served.open()
        finally:
            opened()
        with closing(reader):
            heartbeat_s = self._core.settings.heartbeat_s
            served.tell(reader, self._connection.send, heartbeat_s, partial(self._free, served))
            if reader.stream.log.broken:  # nothing follows here: its caller must read it elsewhere
                gevent.spawn(self._send_away)

    def _free(self, served: Served) -> None:
        if self._used.get(served.ref) is served:
            del self._used[served.ref]
            self._ended.pop(served.ref, None)
            self._ended[served.ref] = served.stream.id if served.stream else None
            if len(self._ended) > MOST_REFS:
                self._ended.popitem(last=False)

    def _leave_soon(self) -> None:
        gevent.spawn(self._leave_if_known)

    def _leave_if_known(self) -> None:
        """Send the socket on, if whoever goes on elsewhere finds there what it has seen here."""
        settling = [gevent.spawn(served.settle) for served in self._used.values()]
        gevent.joinall(settling)
        if all(one.value for one in settling):
            self._send_away()
        else:
            self._stay_until_done()

    def _send_away(self) -> None:
        self._sent_away = True
        for served in self._used.values():
            served.send_away()
        self._greenlets.join(SENT_AWAY_S)
        self._connection.close(SERVICE_RESTART, "go on elsewhere", last=DRAIN)

    def _stay_until_done(self) -> None:
        self._stopping = True
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._stopping and not self._telling:
            self._connection.close(GOING_AWAY, "the process was told to stop")


def _nothing() -> None:
    """Nobody waits."""
