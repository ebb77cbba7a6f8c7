"""Lines to one Redis server: few, each in step with its replies, none waited for longer than told.

The connections are redis-py's, the pool is not. After a greenlet was killed in the middle of a
command, the reply that comes late must not be taken for the next one's: so a line goes back
only after a whole reply, and whatever else happens closes it. And one time limit holds for all
of a call: the wait for a line, name, connection, TLS, command, reply (``waiting.py`` tells how it counts).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from redis.connection import Connection, SSLConnection, parse_url
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from services.settings import SettingsError
from services.state.breaker import RefusedError
from services.state.scripts import Script
from services.state.store import StoreDownError
from services.state.turns import Turns
from services.state.waiting import Limit

Word: TypeAlias = bytes | str | int

# What we rely on, whatever the address says: no greeting beyond what it needs, no retries, no
# limits beside ours, bytes.
OURS = {
    "protocol": 2,
    "driver_info": None,
    "decode_responses": False,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "health_check_interval": 0,
    "retry": None,
}


class _Line(Protocol):
    """What we use of redis-py's connections, which have no types."""

    def send_command(self, *words: Word) -> None: ...
    def read_response(self) -> Any: ...
    def can_read(self, timeout: float) -> bool: ...
    def disconnect(self) -> None: ...


class Lines:
    """At most so many connections to the server at ``url``, opened when they are needed.

    Raises SettingsError for an address that is none; it repeats nothing of it.
    """

    def __init__(self, url: str, *, most: int) -> None:
        self._make = _maker(url)
        self._turns = Turns(most)
        self._idle: list[_Line] = []

    def ask(self, *command: Word, within_s: float) -> Any:
        """Return the reply to a command.

        Raises RefusedError where the server said no, StoreDownError where it said nothing in time.
        """
        with self._line(within_s) as line:
            return _reply(line, command)

    def run(self, script: Script, keys: Sequence[str], *arguments: Word, within_s: float) -> Any:
        """Return what a script returns, which the server has seen before or not; raises as ``ask``."""
        words = (len(keys), *keys, *arguments)
        with self._line(within_s) as line:
            try:
                return _reply(line, ("EVALSHA", script.sha, *words))
            except NoScriptError:
                return _reply(line, ("EVAL", script.text, *words))

    def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            self._idle.pop().disconnect()

    @contextmanager
    def _line(self, within_s: float) -> Iterator[_Line]:
        with Limit(within_s) as limit:
            try:
                with self._turns(), self._in_step() as line:
                    yield line
            except (RedisError, OSError) as error:
                self.close()  # the others lead to the same server, which may be another one by now
                if limit.is_over:
                    raise StoreDownError("no answer in time") from None
                raise StoreDownError(_told(error)) from error

    @contextmanager
    def _in_step(self) -> Iterator[_Line]:
        line, whole = self._idle_line() or self._make(), False
        try:
            yield line
            whole = True
        except ReadOnlyError:
            raise  # it became a replica: the address may lead elsewhere by now
        except ResponseError as error:
            whole = True
            raise RefusedError(_told(error)) from error
        finally:
            self._idle.append(line) if whole else line.disconnect()

    def _idle_line(self) -> _Line | None:
        """Return one that the server has not closed meanwhile; some do after five minutes."""
        while self._idle:
            line = self._idle.pop()
            try:
                if not line.can_read(0):
                    return line
            except (RedisError, OSError):
                pass
            line.disconnect()
        return None


def _reply(line: _Line, command: Sequence[Word]) -> Any:
    line.send_command(*command)
    return line.read_response()


def _told(error: Exception) -> str:
    """Return what may be logged: a reply that was not understood would quote somebody's text."""
    return str(error) if isinstance(error, LostError) else type(error).__name__


def _maker(url: str) -> Callable[[], _Line]:
    try:
        given = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py left it so
        kind = given.pop("connection_class", Connection)
        options = {**_trust(kind, given), **OURS}
        kind(**options)
    except (ValueError, TypeError, RedisError):
        raise SettingsError(
            "REDIS_URL is not an address of a Redis server, such as redis://:password@host:6379/0"
            " or rediss://… (characters like / or @ in a password are written %2F, %40)."
        ) from None
    return lambda: kind(**options)


def _trust(kind: type[Connection], given: dict[str, Any]) -> dict[str, Any]:
    """Take any certificate unless the address asks for more: Heroku's are self-signed.

    Who listens learns nothing; who can put himself in between does, so the address can say
    ``?ssl_cert_reqs=required`` (and ``&ssl_ca_certs=<file>``).
    """
    return {"ssl_cert_reqs": "none", **given} if issubclass(kind, SSLConnection) else given
