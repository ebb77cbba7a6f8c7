"""The handshake: who gets a 101, and what the others are told."""

import pytest

from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.telemetry.folder import note_served
from services.web.keys import new_key
from tests.streams.stage import Stage, settle
from tests.web.ws.socket_of import ACCEPT, handshake, socket_of

KEY, ENTRY = new_key("web")
KEYED = {"keys": (ENTRY.line(),)}
LISTED = "https://app.example"


def slug(reply) -> str:
    return reply.json()["type"].removeprefix("/problems/")


def test_a_handshake_is_proved():
    """The example of the RFC; no extension and no subprotocol is agreed to."""
    offered = {"Sec_WebSocket_Extensions": "permessage-deflate", "Sec_WebSocket_Protocol": "chat"}
    reply = handshake(Stage(), **offered)
    assert reply.status == 101
    assert (reply.headers["Upgrade"], reply.headers["Connection"]) == ("websocket", "Upgrade")
    assert reply.headers["Sec-WebSocket-Accept"] == ACCEPT
    unwanted = {"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Content-Type", "Content-Length"}
    assert unwanted & set(reply.headers) == set()
    reply.close()


class Away(MemoryStore):
    def get(self, key):
        raise StoreDownError


def test_before_it_is_known_who_may_call_there_is_no_socket(tmp_path):
    """It would wait for a key that may not be needed; with keys in the settings one is."""
    note_served(tmp_path)
    started_again = {"metrics_folder": tmp_path, "secret": "of the tests, and long enough to be one"}
    reply = handshake(Stage(store=Away(), settings=started_again))
    assert (reply.status, slug(reply)) == (503, "overloaded")
    keyed = handshake(Stage(store=Away(), settings=started_again | KEYED))
    assert keyed.status == 101
    keyed.close()


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "upgrade", "UPGRADE ,x"])
def test_connection_is_a_list_of_words(connection):
    """Firefox says more than one; case is of no account."""
    assert handshake(Stage(), Connection=connection, Upgrade="WebSocket").status == 101


@pytest.mark.parametrize(
    "wrong",
    [
        {"Upgrade": ""},
        {"Upgrade": "h2c"},
        {"Connection": ""},
        {"Connection": "close"},
        {"Sec_WebSocket_Version": ""},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Version": "13, 8"},
        {"Sec_WebSocket_Key": ""},
        {"Sec_WebSocket_Key": "c2hvcnQ="},
        {"Sec_WebSocket_Key": "not base64, not at all.."},
        {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==é"},
    ],
)
def test_what_is_no_handshake_is_told_how_to_make_one(wrong):
    """426, with the protocol and its version."""
    reply = handshake(Stage(), **wrong)
    assert (reply.status, slug(reply)) == (426, "upgrade-required")
    assert reply.headers["Upgrade"] == "websocket"
    assert reply.headers["Connection"] == "Upgrade"
    assert reply.headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    ("method", "version", "status"), [("HEAD", "1.1", 426), ("GET", "1.0", 426), ("POST", "1.1", 405)]
)
def test_only_a_get_of_http_1_1_opens_one(method, version, status):
    """Anything else is no handshake."""
    assert handshake(Stage(), method=method, version=version).status == status


@pytest.mark.S7
def test_a_foreign_origin_is_refused_before_the_101():
    """S7: exact origins; our own and the listed ones come in, and who is no browser."""
    stage = Stage(settings={"cors_origins": (LISTED,)})
    for origin in (
        "https://evil.example",
        "null",
        f"{LISTED}.evil.example",
        "http://app.example",
        "http://localhost:1",
    ):
        reply = handshake(stage, Origin=origin)
        assert (reply.status, slug(reply)) == (403, "foreign-origin"), origin
    for origin in ("", LISTED, "http://localhost"):
        assert handshake(stage, Origin=origin).status == 101, origin


@pytest.mark.parametrize("site", ["same-origin", "same-site", "cross-site"])
def test_what_a_browser_calls_a_sockets_site_shuts_no_own_page_out(site):
    """The Origin decides: ws is not http, and browsers differ in whether that is another site."""
    stage = Stage()
    assert handshake(stage, Origin="http://localhost", Sec_Fetch_Site=site).status == 101
    if site != "same-origin":
        assert handshake(stage, Origin="http://localhost:1", Sec_Fetch_Site=site).status == 403
        assert handshake(stage, Origin="", Sec_Fetch_Site=site).status == 403


@pytest.mark.S7
def test_a_foreign_host_is_refused():
    """A rebound name opens no socket."""
    reply = handshake(Stage(), Host="evil.example")
    assert (reply.status, slug(reply)) == (400, "untrusted-host")


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_key_does_not_travel_in_clear(scheme):
    """Some proxies call a WebSocket's scheme ws, and mean http by it."""
    stage = Stage(settings=KEYED)
    reply = handshake(stage, X_Forwarded_Proto=scheme)
    assert (reply.status, slug(reply)) == (403, "forbidden")
    assert handshake(stage, X_Forwarded_Proto=f"{scheme}s").status == 101


def test_our_own_page_may_call_over_wss():
    """Behind a proxy that says wss its origin is the https one."""
    reply = handshake(Stage(settings=KEYED), X_Forwarded_Proto="wss", Origin="https://localhost")
    assert reply.status == 101


def test_a_wrong_key_in_the_head_is_refused_before_the_101():
    """401, as everywhere."""
    reply = handshake(Stage(settings=KEYED), key=KEY + "x")
    assert (reply.status, slug(reply)) == (401, "unauthorized")
    assert handshake(Stage(settings=KEYED), key=KEY).status == 101


def test_a_process_that_ends_opens_no_more():
    """The client tries elsewhere."""
    stage = Stage()
    stage.core.drain.begin()
    reply = handshake(stage)
    assert (reply.status, slug(reply)) == (503, "shutting-down")


def test_nothing_is_left_of_a_socket_that_was_opened():
    """No timer; also where the body was never asked for."""
    stage = Stage(settings=KEYED)
    handshake(stage).close()
    with socket_of(stage):
        settle()
    assert stage.clock.armed == 0


@pytest.mark.parametrize("early", [True, False])
def test_the_process_knows_no_socket_that_has_ended(early):
    """Told to stop before it ended, or after: nothing is to be done for it any more."""
    stage = Stage(shared=MemoryStore())
    settle()
    before = stage.clock.armed
    with socket_of(stage):
        if early:
            stage.core.drain.begin()
    stage.core.drain.begin()
    assert stage.clock.armed == before + 1  # the grace of all streams
