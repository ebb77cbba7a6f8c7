"""The requests of one connection, one after the other, and answers that outlive their greenlet.

A greenlet that waits for a stream's next event holds a third of what the stream holds, for nothing:
what comes is written from the hub (``direct.py``). So an answer whose body has nothing to say
yields ``WAITING``, its greenlet ends, and another goes on where it was as soon as there is something
to wait for again, or to end. This stands in the place of the loop of gunicorn's asynchronous
workers, which knows one greenlet from a connection's first byte to its last.
"""

import errno
import ssl
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Any

import gevent
from gunicorn.http import get_parser
from gunicorn.http.errors import (  # type: ignore[attr-defined]  # the stubs are older than two of them
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)

from services.errors import (
    GlossError,
    HeadTooLarge,
    Internal,
    MalformedBody,
    Overloaded,
    TargetTooLong,
    UntrustedHost,
)
from services.telemetry import bare_traceback
from services.web.server.answer import Answer
from services.web.server.connection import Connection, Phase
from services.web.server.input import Input, arriving
from services.web.server.refusal import refusal

GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})
HTTP_1_1 = (1, 1)


class Conversation:
    """All that is said on one connection."""

    def __init__(self, worker: Any, name: Any, sock: Connection, addr: Any) -> None:
        self._worker = worker
        self._name = name
        self._sock = sock
        self._addr = addr
        self._requests: Any = get_parser(worker.cfg, sock, addr)
        self._answer: Answer | None = None
        self._proxied: Any = {}  # the PROXY protocol tells at a connection's beginning who is behind it

    def run(self) -> None:
        """Serve until the connection has ended, or an answer waits: then this is run again."""
        waits = False
        try:
            waits = self._serve()
        except (StopIteration, NoMoreData):
            pass  # the client had enough, or the connection ends with an answer
        except OSError as failure:
            self._broken(failure)
        except BaseException as failure:  # noqa: BLE001 - the boundary: whatever a greenlet dies of
            self._failed(failure)
        finally:
            if not waits:
                self._end()

    def _serve(self) -> bool:
        """Go on until an answer waits; raises StopIteration at the connection's end."""
        while (answer := self._answer or self._begin(next(self._requests))).go_on():
            self._finish(answer)
        return True

    def _begin(self, request: Any) -> Answer:
        self._sock.enter(Phase.REQUEST)
        if self._sock.refused:
            raise Overloaded
        if request.version >= HTTP_1_1 and all(name != "HOST" for name, _ in request.headers):
            raise UntrustedHost("The request names no host.")  # RFC 9112, 3.2
        request.proxy_protocol_info = self._proxied = request.proxy_protocol_info or self._proxied
        _take_as_it_comes(request)
        self._answer = answer = Answer(self._worker, request, self._sock, self._addr, self._name)
        answer.begin(self._wake)
        return answer

    def _wake(self) -> None:
        self._worker.greenlets.spawn(self.run)

    def _finish(self, answer: Answer) -> None:
        self._close_answer()
        if answer.closes:
            raise StopIteration
        more = self._requests.unreader.buf.tell() > 0
        self._worker.connections.answered(self._sock, more=more)

    def _end(self) -> None:
        try:
            with suppress(OSError):
                self._close_answer()
        finally:  # whatever an answer's end fails of
            with suppress(OSError):
                self._sock.close()
            self._worker.connections.discard(self._sock)

    def _close_answer(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _broken(self, failure: OSError) -> None:
        """Pass over a client that left."""
        if isinstance(failure, ssl.SSLError):
            gone = failure.args[0] == ssl.SSL_ERROR_EOF
        else:
            gone = failure.errno in GONE
        if not gone:
            self._failed(failure)

    def _failed(self, failure: BaseException) -> None:
        """Answer a request that could not be read, or could not be served, and log its kind."""
        if isinstance(failure, gevent.GreenletExit):
            return
        problem = self._problem(failure)
        with suppress(OSError):  # nobody is left to tell
            if self._answer is not None and self._answer.begun:
                self._sock.shutdown(SHUT_RDWR)
            else:
                self._sock.sendall(refusal(problem))

    def _problem(self, failure: BaseException) -> GlossError:
        log = self._worker.log
        if isinstance(failure, GlossError):
            return failure
        ours = isinstance(failure, InvalidResponseHeader | InvalidResponseHeaderName)
        if isinstance(failure, ParseException) and not ours:
            log.warning(
                "Unreadable request from %s: %s", self._addr and self._addr[0], type(failure).__name__
            )
            return self._unreadable(failure)
        log.error("Error while serving a request\n%s", bare_traceback(failure))
        return Internal()

    def _unreadable(self, failure: ParseException) -> GlossError:
        cfg = self._worker.cfg
        if isinstance(failure, LimitRequestLine):
            return TargetTooLong(limit=cfg.limit_request_line)
        if isinstance(failure, LimitRequestHeaders):
            fields, size = cfg.limit_request_fields, cfg.limit_request_field_size
            return HeadTooLarge(f"There may be {fields} fields of {size} bytes each.")
        return MalformedBody("This is not HTTP/1.1 as it is spoken here.")


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
