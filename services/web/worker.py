"""gunicorn's gevent worker, with what it lacks for streams that last.

Time limits per connection, an input that withholds nothing, an end that neither hangs nor cuts what
can still be finished, and answers of ours for requests that never reach the application. Nothing of
gunicorn's is patched: what is overridden here are the methods that it calls.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from socket import SO_SNDBUF, SOL_SOCKET
from time import monotonic
from typing import Any

import gevent
import msgspec
from gevent.pool import Group
from gunicorn.http.errors import (  # type: ignore[attr-defined]  # the stubs are older than two of them
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from services.errors import GlossError, Internal, MalformedBody, Overloaded, ShuttingDown, UntrustedHost
from services.streams.drain import Drain
from services.telemetry import bare_traceback
from services.web.connection import SEND_BUFFER_BYTES, Limits, Phase
from services.web.connections import Connections
from services.web.input import Input, arriving
from services.web.listener import Listener

# So often the worker looks whether it was told to stop, and signs that it lives.
TURN_S = 0.05
# gunicorn's master kills when the grace is over; a little before, the worker ends by itself.
BEFORE_THE_MASTER_S = 1.0
# What came in when nothing was left to wait for is answered, or not.
LAST_ANSWERS_S = 2.0
KILL_S = 0.5
HTTP_1_1 = (1, 1)


class Worker(GeventWorker):
    """Serves the application; ``limits`` must be given in ``post_worker_init``."""

    limits: Limits

    def run(self) -> None:
        """Serve until told to stop, then let end what can end."""
        core = getattr(self.wsgi, "extensions", {}).get("gloss")
        self._connections = Connections(self.limits, most=self.worker_connections)
        self._greenlets = Group()
        self._tls = _tls(self.cfg) if self.cfg.is_ssl else None
        listeners = [self._listen(sock) for sock in self.sockets]
        while self.alive:
            self._turn()
        self._stop(listeners, core.drain if core else Drain(), (lambda: core.unfinished) if core else bool)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        try:
            if self._tls:
                client.secure(self._tls)
            super().handle(listener, client, addr)
        finally:
            self._connections.discard(client)

    def timeout_ctx(self) -> AbstractContextManager[None]:  # type: ignore[override] # its stub says None
        """Set no alarm for a head: ``Connections.look`` ends what is overdue."""
        return nullcontext()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Have the application answer a request; raises StopIteration where the connection ends with it."""
        sock.enter(Phase.REQUEST)
        if sock.refused:
            raise Overloaded
        if req.version >= HTTP_1_1 and all(name != "HOST" for name, _ in req.headers):
            raise UntrustedHost("The request names no host.")  # RFC 9112, 3.2
        _take_as_it_comes(req)
        super().handle_request(listener_name, req, sock, addr)
        self._connections.answered(sock, more=req.unreader.buf.tell() > 0)
        return True

    def handle_error(self, _request: Any, client: Any, addr: Any, error: BaseException) -> None:
        """Answer a request that could not be read, or could not be served, and log its kind.

        gunicorn's own pages and log lines quote the request.
        """
        if isinstance(error, gevent.GreenletExit):
            return
        ours = isinstance(error, InvalidResponseHeader | InvalidResponseHeaderName)
        if isinstance(error, GlossError):
            problem = error
        elif isinstance(error, ParseException) and not ours:
            problem = MalformedBody("This is not HTTP/1.1 as it is spoken here.")
            self.log.warning("Unreadable request from %s: %s", addr and addr[0], type(error).__name__)
        else:
            problem = Internal()
            self.log.error("Error while serving a request\n%s", bare_traceback(error))
        with suppress(OSError):  # nobody is left to tell
            client.sendall(answer(problem))

    def _listen(self, sock: Any) -> Listener:
        sock.settimeout(None)
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)  # its connections inherit it
        listener = Listener(
            sock,
            connections=self._connections,
            full=answer(Overloaded()),
            late=answer(ShuttingDown()),
            handle=partial(self.handle, sock),
            spawn=self._greenlets.spawn,
        )
        if self.cfg.workers > 1:
            listener.max_accept = 1  # the others accept too
        listener.start()
        return listener

    def _turn(self) -> None:
        self.notify()
        gevent.sleep(TURN_S)
        self._connections.look()

    def _stop(self, listeners: list[Listener], drain: Drain, busy: Callable[[], bool]) -> None:
        """Go on until what had begun has ended, and tell whoever comes meanwhile.

        Listening goes on so long: a running stream can be read and cancelled from new connections,
        and a balancer that asks hears that nothing more is taken. Unless the master goes on too
        (a reload, one worker of several): then others accept, and can do more for whoever comes.
        """
        began = monotonic()
        until = began + self.cfg.graceful_timeout - BEFORE_THE_MASTER_S
        drain.begin()
        self._connections.drain()

        def held() -> bool:
            for listener in listeners:
                listener.leave_to(self.ppid)
            return self._connections.answering(began) or busy()

        self._wait(held, until)
        for listener in listeners:
            listener.close()
        self._wait(self._connections.asking, min(until, monotonic() + LAST_ANSWERS_S))
        if monotonic() >= until:
            self.log.warning("Whoever is still connected is cut: the grace time is over.")
        self._greenlets.kill(timeout=KILL_S)

    def _wait(self, busy: Callable[[], bool], until: float) -> None:
        while busy() and monotonic() < until:
            self._turn()


def _tls(cfg: Any) -> Callable[[Any], Any]:
    """Return what makes a socket speak TLS; the handshake comes with the first reading, in its time."""
    return partial(ssl_context(cfg).wrap_socket, server_side=True, do_handshake_on_connect=False)


def _take_as_it_comes(request: Any) -> None:
    """Give a request's body as it arrives, and end the connection with an answer that left some unread.

    Where the next request begins is known only after the body, which may never end.
    """
    reader, unreader = request.body.reader, request.unreader
    length = getattr(reader, "length", None)  # chunks have none
    if length == 0:
        return
    must_close = request.must_close

    def whole() -> None:
        request.must_close = must_close

    request.body = Input(arriving(reader, unreader, whole))
    if length is None or length > unreader.buf.tell():
        request.must_close = True


def answer(problem: GlossError) -> bytes:
    """Return a whole response that closes the connection: where it stands in the bytes is lost."""
    body = msgspec.json.encode(problem.problem())
    head = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        "Content-Type: application/problem+json; charset=utf-8",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([f"Retry-After: {problem.retry_after}"] if problem.retry_after else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
