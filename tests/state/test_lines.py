"""Lines to a Redis server, with a proxy between that spoils what passes."""

import gc
import socket
import traceback
from collections.abc import Iterator
from contextlib import ExitStack

import gevent
import pytest
from gevent.server import StreamServer

from services.settings import SettingsError
from services.state.breaker import RefusedError
from services.state.lines import Lines
from services.state.scripts import Script
from services.state.store import StoreDownError
from tests.certificate import Certificate, self_signed
from tests.live.service import free_port
from tests.proxy.fixtures import Proxy, proxied
from tests.redis_server import RedisServer, redis_server
from tests.state.busy import keep_busy
from tests.state.failures import failure_of

SHORT = 0.1
LONG = 30.0  # nobody waits so long
ECHO = Script("#!lua\nreturn ARGV[1]")


@pytest.fixture(scope="module")
def proxy(redis: RedisServer) -> Iterator[Proxy]:
    with proxied(redis.port) as started:
        yield started


@pytest.fixture
def line(redis: RedisServer, proxy: Proxy) -> Iterator[Lines]:
    """One line, through the proxy, to a server where a is 1 and b is 2."""
    proxy.heal()
    redis.ask("FLUSHALL")
    redis.ask("MSET", "a", "1", "b", "2")
    opened = Lines(f"redis://127.0.0.1:{proxy.port}", most=1)
    yield opened
    opened.close()


def get(line: Lines, key: str, within_s: float = LONG) -> bytes:
    reply: bytes = line.ask("GET", key, within_s=within_s)
    return reply


@pytest.mark.R22
def test_late_reply(proxy, line):
    """A reply that does not come in time is not waited for, and not taken for the next one's."""
    get(line, "a")
    proxy.down(latency=SHORT * 2)
    with pytest.raises(StoreDownError, match="in time"):
        get(line, "a", SHORT)

    assert get(line, "b") == b"2"


@pytest.mark.R22
def test_killed_in_the_middle(proxy, line):
    """The reply to a greenlet that was killed never comes to the next one."""
    get(line, "a")
    proxy.down(latency=SHORT)
    killed = gevent.spawn(get, line, "a")
    gevent.sleep(0)
    killed.kill()

    assert get(line, "b") == b"2"


def test_killed_in_the_queue(proxy, line):
    """Nor does one that is killed while it waits for the line disturb anybody."""
    proxy.down(latency=SHORT)
    first = gevent.spawn(get, line, "a")
    gevent.sleep(0)
    second = gevent.spawn(get, line, "a")
    gevent.sleep(0)
    second.kill()

    assert (first.get(), get(line, "b")) == (b"1", b"2")


def test_limit_of_the_caller(proxy, line):
    """A time limit that the caller set is the caller's."""
    proxy.down(timeout=0)
    with gevent.Timeout(SHORT, exception=False), pytest.raises(gevent.Timeout):
        get(line, "a")
    proxy.heal()

    assert get(line, "b") == b"2"


def test_queue_counts(proxy, line):
    """The wait for a line is part of the time limit."""
    proxy.down(timeout=0)
    waiting = [gevent.spawn(failure_of, get, line, "a", SHORT) for _ in range(2000)]
    gevent.joinall(waiting)  # one after the other would take minutes

    assert {type(one.value) for one in waiting} == {StoreDownError}


@pytest.mark.R17
def test_busy_process(line):
    """A process that was busy with something else for longer than a call may take has not waited for it."""
    waiting = [gevent.spawn(get, line, key, SHORT) for key in "ab"]
    for _ in range(3):
        gevent.sleep(0)
        keep_busy(2 * SHORT)

    assert [one.get() for one in waiting] == [b"1", b"2"]


def test_nobody_accepts():
    """A connection that does not come about in time is closed at once, and not when its memory is needed."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(server.getsockname()))  # all that it takes
        with pytest.raises(StoreDownError, match="in time"):
            Lines(f"redis://127.0.0.1:{server.getsockname()[1]}", most=1).ask("PING", within_s=SHORT)
    gc.collect()  # what was left open says so here


def test_slow_reply(redis, proxy, line):
    """The limit is for the whole reply, however steadily its bytes come."""
    redis.ask("SET", "a", "x" * 10_000)
    proxy.down(bandwidth=1000)
    with pytest.raises(StoreDownError, match="in time"):
        get(line, "a", SHORT)


def test_reply_in_pieces(proxy, line):
    """A reply that comes byte by byte is one reply."""
    proxy.down(slicer=1)

    assert (get(line, "a"), line.ask("MGET", "a", "none", "b", within_s=LONG)) == (b"1", [b"1", None, b"2"])


@pytest.mark.R22
@pytest.mark.parametrize("length", range(len(b"$1\r\n1\r\n")))
def test_reply_that_is_cut(proxy, line, length):
    """A connection that ends inside a reply fails that call, and no other."""
    get(line, "a")
    proxy.down(limit_data=length)
    with pytest.raises(StoreDownError):
        get(line, "a")
    proxy.heal()

    assert get(line, "b") == b"2"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_reset(proxy, line, direction):
    """A reset fails the call, and the next one finds a new connection."""
    get(line, "a")
    getattr(proxy, direction)(limit_data=0)
    with pytest.raises(StoreDownError):
        get(line, "a")
    proxy.up()
    proxy.down(reset_peer=0)
    with pytest.raises(StoreDownError):
        get(line, "a")
    proxy.heal()

    assert get(line, "b") == b"2"


def test_idle_line_that_the_server_closed(redis):
    """A connection that the server closed while nobody used it fails nobody."""
    idle = Lines(redis.url, most=1)
    get(idle, "a")
    redis.ask("CLIENT", "KILL", "TYPE", "normal")

    assert idle.ask("ECHO", "b", within_s=LONG) == b"b"
    idle.close()


@pytest.mark.parametrize("toxic", [{"timeout": 0}, {"limit_data": 0}], ids=["no answer", "cut"])
def test_failure_closes_all(redis, proxy, toxic):
    """After a failure no other connection is believed either."""
    several = Lines(f"redis://127.0.0.1:{proxy.port}", most=3)
    proxy.down(latency=0.01)
    gevent.joinall([gevent.spawn(get, several, "a") for _ in range(3)], raise_error=True)
    proxy.down(**toxic)
    with pytest.raises(StoreDownError):
        get(several, "a", SHORT)
    while proxy.heal():
        pass

    several.close()


def test_most(redis, line):
    """No more connections are made than there may be, and they are used again."""
    before = redis.ask("INFO", "stats")["total_connections_received"]
    several = Lines(redis.url, most=3)
    gevent.joinall([gevent.spawn(get, several, "a") for _ in range(50)], raise_error=True)
    several.close()

    # one of the two that ask how many there are is counted too
    assert redis.ask("INFO", "stats")["total_connections_received"] - before == 3 + 1


def test_script(line):
    """A script runs, whether the server knew it or not."""
    assert line.run(ECHO, [], b"\x00\xff", within_s=LONG) == b"\x00\xff"
    assert line.run(ECHO, [], "again", within_s=LONG) == b"again"
    line.ask("SCRIPT", "FLUSH", within_s=LONG)
    assert line.run(ECHO, [], "anew", within_s=LONG) == b"anew"


def test_refusal(line):
    """A server that says no is told apart, and the line goes on being used."""
    before = line.ask("CLIENT", "ID", within_s=LONG)
    with pytest.raises(RefusedError, match=r"^ResponseError$"):
        line.ask("LPUSH", "a", "secret", within_s=LONG)

    assert line.ask("CLIENT", "ID", within_s=LONG) == before


def secret_banner(client: socket.socket, address: object) -> None:
    client.sendall(b"HTTP/1.1 400 secret\r\n\r\n")


def two_replies(client: socket.socket, address: object) -> None:
    while client.recv(999):
        client.sendall(b"+first\r\n+one too many\r\n")


def test_reply_that_nobody_asked_for():
    """A line on which more came than was asked for is not used again."""
    with StreamServer(("127.0.0.1", 0), two_replies) as server:
        server.start()
        line = Lines(f"redis://127.0.0.1:{server.server_port}", most=1)

        assert [get(line, "a") for _ in range(3)] == [b"first"] * 3
        line.close()


def test_other_server():
    """What answers in another language fails the call, and nothing of what it says is repeated."""
    with StreamServer(("127.0.0.1", 0), secret_banner) as server:
        server.start()
        with pytest.raises(StoreDownError) as failed:
            get(Lines(f"redis://127.0.0.1:{server.server_port}", most=1), "a")

    assert "secret" not in str(failed.value)


def test_nobody_there():
    """Where nobody listens, the call fails with the system's reason."""
    with pytest.raises(StoreDownError, match="refused"):
        get(Lines(f"redis://127.0.0.1:{free_port()}", most=1), "a")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://secret@localhost",
        "redis://:secret/and@localhost:6379/0",
        "redis://:secret@localhost:99999999",
        "redis://:secret@localhost?unknown=1",
        "redis://:secret@localhost?socket_timeout=never",
        "rediss://:secret@localhost?ssl_cert_reqs=perhaps",
    ],
)
def test_address_that_is_none(url):
    """An address that is none is refused by the setting's name; nothing of it is repeated."""
    with pytest.raises(SettingsError, match="REDIS_URL") as refused:
        Lines(url, most=1)

    assert "secret" not in "".join(traceback.format_exception(refused.value)).split("SettingsError")[-1]
    assert refused.value.__suppress_context__


def test_address_cannot_undo_ours(redis):
    """Options in the address do not change what replies look like, or how long they may take."""
    line = Lines(f"{redis.url}?protocol=3&decode_responses=True&socket_timeout=9", most=1)

    assert line.ask("ECHO", "a", within_s=LONG) == b"a"
    line.close()


def test_database_and_password():
    """Password and database of the address are used; a wrong password fails the call."""
    with redis_server("--requirepass", "se/cret") as server:
        right, wrong = (
            Lines(f"redis://:{password}@127.0.0.1:{server.port}/3", most=1) for password in ("se%2Fcret", "x")
        )
        right.ask("SET", "a", "1", within_s=LONG)
        assert b"db=3" in right.ask("CLIENT", "INFO", within_s=LONG)
        with pytest.raises(StoreDownError):
            get(wrong, "a")
        right.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Certificate]]:
    """The address of a server whose certificate is self-signed, as Heroku's are; and that."""
    made = self_signed(tmp_path_factory.mktemp("tls"))
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(made.file), "--tls-key-file", str(made.key)]
    with redis_server(*tls, "--tls-auth-clients", "no"):
        yield f"rediss://127.0.0.1:{port}", made


def test_self_signed(secured):
    """A self-signed certificate is taken where the address does not ask for more."""
    url, _ = secured
    line = Lines(url, most=1)

    assert [line.ask("ECHO", word, within_s=LONG) for word in ("a", "b")] == [b"a", b"b"]
    line.close()


def test_self_signed_where_more_is_asked(secured):
    """Where the address asks for a certificate that can be trusted, a self-signed one is not."""
    url, _ = secured
    with pytest.raises(StoreDownError, match="CERTIFICATE_VERIFY_FAILED"):
        Lines(f"{url}?ssl_cert_reqs=required", most=1).ask("PING", within_s=LONG)


def test_trusted_authority(secured):
    """One whose authority the address names is."""
    url, made = secured
    line = Lines(f"{url}?ssl_cert_reqs=required&ssl_ca_certs={made.file}", most=1)

    assert line.ask("PING", within_s=LONG) == b"PONG"
    line.close()


# redis-py leaves it to the garbage collector to close what was not yet secured; that it does at once.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_killed_in_the_handshake(redis, secured):
    """A greenlet that is killed while a connection is secured leaves nothing behind."""
    with proxied(int(secured[0].rpartition(":")[2])) as proxy:
        line = Lines(f"rediss://127.0.0.1:{proxy.port}", most=1)
        proxy.down(latency=SHORT)
        killed = gevent.spawn(line.ask, "PING", within_s=LONG)
        while proxy.down(latency=SHORT) < 1:
            gevent.sleep(0)
        killed.kill()
        proxy.heal()

        assert line.ask("PING", within_s=LONG) == b"PONG"
        line.close()
