"""Accepting connections, also when there are no descriptors left.

Then a connection cannot be accepted, and stays where it is: the socket goes on being readable, and
its client waits for nothing. One descriptor is kept in reserve to tell it so.
"""

import errno
import os
import socket
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from gevent import monkey
from gevent.server import StreamServer

from services.web.server.connections import Connections

OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
HEARD_BYTES = 64 * 1024


class Listener(StreamServer):
    """gevent's server; ``full`` is what a connection is told that has no room, ``late`` one at the end."""

    def __init__(
        self, listener: Any, *, connections: Connections, full: bytes, late: bytes, **more: Any
    ) -> None:
        super().__init__(listener, **more)
        self._connections = connections
        self._full = full
        self._late = late
        self._reserve: FileIO | None = None
        self._others_accept = False
        self._keep_one()

    def do_read(self) -> Any:
        """Accept one; None where there is none, where room is being made, or where it was turned away."""
        if self._connections.crowded and self._connections.make_room():
            return None
        self._keep_one()
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            if self._connections.make_room():
                return None
            if self._reserve is None:
                raise  # gevent waits a little, up to a second, and tries again
        self._give_up_reserve()
        if accepted := super().do_read():
            turn_away(accepted[0], self._full)
        return None

    def do_handle(self, client: Any, address: Any) -> None:
        """Have it served, or turn it away."""
        connection = self._connections.take(client)
        if connection is None:
            turn_away(client, self._full)
        else:
            super().do_handle(connection, address)  # type: ignore[arg-type]  # it stands before a socket

    def do_close(self, *args: Any) -> None:
        """Leave it open when its greenlet ends: a conversation may go on in another, and closes it."""

    def leave_to(self, pid: int) -> None:
        """Accept nothing as long as that process listens here too: it has others who do."""
        self._others_accept = _holds(pid, self.socket.fileno())
        if self._others_accept:
            self.stop_accepting()
        else:
            self.start_accepting()

    def close(self) -> None:
        """Stop listening; who is in the queue is told so, where the kernel would reset it without a word.

        A client that was reset does not know whether what it asked for has begun.
        """
        self._give_up_reserve()
        with suppress(OSError):
            while not (self.closed or self._others_accept) and (accepted := super().do_read()):
                turn_away(accepted[0], self._late)
        super().close()

    def _keep_one(self) -> None:
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = FileIO(os.devnull)

    def _give_up_reserve(self) -> None:
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None


def _holds(pid: int, number: int) -> bool:
    """Tell whether another process has this descriptor's socket open; false where there is no /proc."""
    ours = os.fstat(number)
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed in the meantime
                if os.path.samestat(path.stat(), ours):
                    return True
    return False


def turn_away(client: Any, told: bytes) -> None:
    """Tell a connection why it is not served, and close it, without waiting for anything.

    What it has sent is read: unread, it would reset what it is told. gevent's own socket would
    close a turn later, and its descriptor is needed now.
    """
    with monkey.get_original("socket", "socket")(fileno=client.detach()) as plain, suppress(OSError):
        plain.settimeout(0)
        plain.send(told)
        plain.shutdown(socket.SHUT_WR)
        plain.recv(HEARD_BYTES)
