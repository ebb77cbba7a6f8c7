"""One request's answer, written as gunicorn writes it, as far as there is something to write."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from gunicorn.http import wsgi

from services.web.server.direct import WAITING, direct

# What the access log says of a request.
LOGGED = ("REMOTE_ADDR", "REQUEST_METHOD", "RAW_URI", "PATH_INFO", "SERVER_PROTOCOL")


class Answer:
    """One request and its answer, as far as it is."""

    def __init__(self, worker: Any, request: Any, sock: Any, addr: Any, name: Any) -> None:
        self._worker = worker
        self._request = request
        self._began = datetime.now()  # noqa: DTZ005 - gunicorn's access log takes a difference
        worker.cfg.pre_request(worker, request)
        self._response, self._environ = wsgi.create(request, sock, addr, name, worker.cfg)
        self._environ["wsgi.multithread"] = True
        self._body: Any = None
        self._pieces: Iterator[bytes] = iter(())

    def begin(self, wake: Callable[[], None]) -> None:
        """Have the application answer; ``wake`` is called when a body that waited has something to say."""
        worker, response = self._worker, self._response
        if not worker.alive or not worker.cfg.keepalive:
            response.force_close()
        self._environ["gloss.direct"] = partial(direct, response, wake)
        self._body = worker.wsgi(self._environ, response.start_response)
        self._pieces = iter(self._body)

    def go_on(self) -> bool:
        """Write what there is; false if there will be more later."""
        write = self._response.write
        for piece in self._pieces:
            if piece is WAITING:
                self._forget()
                return False
            write(piece)
        self._response.close()
        return True

    def _forget(self) -> None:
        """Let go of what only an answer's beginning needs, a tenth of what an open stream holds."""
        request, response, environ = self._request, self._response, self._environ
        if response.should_close():
            response.force_close()
        kept = {name: environ[name] for name in LOGGED if name in environ}
        environ.clear()
        environ.update(kept)
        request.headers, response.headers = [], []

    @property
    def begun(self) -> bool:
        """Tell whether the client has heard of it: another answer would corrupt it."""
        return bool(self._response.headers_sent)

    @property
    def closes(self) -> bool:
        """Tell whether the connection ends with it."""
        return bool(self._response.should_close())

    def close(self) -> None:
        """Let go of what it holds, whether or not it came to its end."""
        worker, request, response, environ = self._worker, self._request, self._response, self._environ
        environ.pop("gloss.direct", None)  # it knows the connection, which knows this
        if self._body is not None:
            worker.log.access(response, request, environ, datetime.now() - self._began)  # noqa: DTZ005
            getattr(self._body, "close", bool)()
        worker.cfg.post_request(worker, request, environ, response)
