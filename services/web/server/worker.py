"""gunicorn's gevent worker, with what it lacks for streams that last.

Time limits per connection, an input that withholds nothing, an end that neither hangs nor cuts what
can still be finished, and answers of ours for requests that never reach the application. Nothing of
gunicorn's is patched: what is overridden here are the methods that it calls.
"""

from collections.abc import Callable
from functools import partial
from socket import SO_SNDBUF, SOL_SOCKET
from time import monotonic
from typing import Any

import gevent
from gevent.pool import Group
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from services.errors import Overloaded, ShuttingDown
from services.streams.drain import Drain
from services.web.server.connection import SEND_BUFFER_BYTES, Limits
from services.web.server.connections import Connections
from services.web.server.conversation import Conversation
from services.web.server.listener import Listener
from services.web.server.moderation import moderate
from services.web.server.refusal import refusal

# So often the worker looks whether it was told to stop, and signs that it lives.
TURN_S = 0.05
# gunicorn's master kills when the grace is over; a little before, the worker ends by itself.
BEFORE_THE_MASTER_S = 1.0
# What came in when nothing was left to wait for is answered, or not.
LAST_ANSWERS_S = 2.0
KILL_S = 0.5


class Worker(GeventWorker):
    """Serves the application; ``limits`` must be given in ``post_worker_init``."""

    limits: Limits

    def run(self) -> None:
        """Serve until told to stop, then let end what can end."""
        parts = getattr(self.wsgi, "extensions", {})
        core, entrance = parts.get("gloss"), parts.get("gloss.entrance")
        if entrance:
            entrance.watch.start()
        self.connections = Connections(self.limits, most=self.worker_connections)
        self.greenlets = Group()
        self._tls = _tls(self.cfg) if self.cfg.is_ssl else None
        listeners = [self._listen(sock) for sock in self.sockets]
        pulse = getattr(self.wsgi, "extensions", {}).get("gloss.pulse")
        if pulse is not None:
            gevent.spawn(pulse.run)
        moderation = moderate(lambda: len(core.streams.running) if core else 0, self.greenlets.__len__)
        while self.alive:
            self._turn()
        moderation.stop()
        self._stop(listeners, core.drain if core else Drain(), (lambda: core.unfinished) if core else bool)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        if self._tls:
            client.secure(self._tls)
        Conversation(self, listener.getsockname(), client, addr).run()

    def _listen(self, sock: Any) -> Listener:
        sock.settimeout(None)
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)  # its connections inherit it
        listener = Listener(
            sock,
            connections=self.connections,
            full=refusal(Overloaded()),
            late=refusal(ShuttingDown()),
            handle=partial(self.handle, sock),
            spawn=self.greenlets.spawn,
        )
        if self.cfg.workers > 1:
            listener.max_accept = 1  # the others accept too
        listener.start()
        return listener

    def _turn(self) -> None:
        self.notify()
        gevent.sleep(TURN_S)
        self.connections.look()

    def _stop(self, listeners: list[Listener], drain: Drain, busy: Callable[[], bool]) -> None:
        """Go on until what had begun has ended, and tell whoever comes meanwhile.

        Listening goes on so long: a running stream can be read and cancelled from new connections,
        and a balancer that asks hears that nothing more is taken. Unless the master goes on too
        (a reload, one worker of several): then others accept, and can do more for whoever comes.
        """
        began = monotonic()
        until = began + self.cfg.graceful_timeout - BEFORE_THE_MASTER_S
        drain.begin()
        self.connections.drain()

        def held() -> bool:
            for listener in listeners:
                listener.leave_to(self.ppid)
            return self.connections.answering(began) or busy()

        self._wait(held, until)
        for listener in listeners:
            listener.close()
        self._wait(self.connections.asking, min(until, monotonic() + LAST_ANSWERS_S))
        if monotonic() >= until:
            self.log.warning("Whoever is still connected is cut: the grace time is over.")
        self.connections.end()
        gevent.sleep()  # what waits for a stream has no greenlet that could be killed: it gets one now
        self.greenlets.join(timeout=KILL_S)
        self.greenlets.kill(timeout=KILL_S)

    def _wait(self, busy: Callable[[], bool], until: float) -> None:
        while busy() and monotonic() < until:
            self._turn()


def _tls(cfg: Any) -> Callable[[Any], Any]:
    """Return what makes a socket speak TLS; the handshake comes with the first reading, in its time."""
    return partial(ssl_context(cfg).wrap_socket, server_side=True, do_handshake_on_connect=False)
