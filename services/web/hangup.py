"""Notices at once that a client has left, also while nothing is being written.

A server that only writes learns of a hang-up at the next write, and a silent provider hides it
until then. The socket tells sooner: it becomes readable and has no bytes (``MSG_PEEK``).
Behind a router this sees the router; heartbeats find the rest.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any

import gevent

READ = 1  # libev's and libuv's name for "readable"


class HangUp:
    """Calls ``gone`` once, from the hub, when the client's side of the connection is closed."""

    def __init__(self, environ: Mapping[str, Any], gone: Callable[[], None]) -> None:
        """Watch the connection of this request; without gunicorn's socket there is no watch."""
        self._gone = gone
        self._watcher = None
        sock = environ.get("gunicorn.socket")
        if sock is not None:
            # gevent's wrapper would wait in the hub, which cannot wait: ask the socket inside.
            self._socket: socket.socket = getattr(sock, "_sock", sock)
            self._watcher = gevent.get_hub().loop.io(sock.fileno(), READ)
            self._watcher.start(self._look)

    def close(self) -> None:
        """Stop watching: the number of a closed socket belongs to the next connection."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def _look(self) -> None:
        try:
            waiting = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            waiting = b""
        self.close()  # bytes are the next request: they hide a hang-up until they are read
        if not waiting:
            self._gone()
