"""The refs of one socket, where its connection does what none should."""

import pytest
from gevent.event import Event

from services.errors import InvalidInput
from services.streams.readers import Reader
from services.web.ws.refs import Refs
from tests.streams.stage import Stage, settle


class Failing:
    """A connection whose first end cannot be sent; by then its caller has used the ref anew."""

    def __init__(self, meanwhile) -> None:
        self.meanwhile = meanwhile
        self.told: list[bytes] = []

    def send(self, messages) -> bool:
        self.told += messages
        if b'"type":"finish"' in messages[-1]:
            self.meanwhile()
            raise ValueError
        return True

    def bother(self) -> None:
        """Nobody minds."""


def test_what_goes_wrong_with_one_stream_frees_no_ref_of_another() -> None:
    """The ref is the next one's as soon as the end is told, also if telling it fails."""
    stage = Stage()
    stream = stage.core.streams.get(stage.post().events()[0]["stream"], "anonymous")
    never = Event()
    refs: Refs

    def waits() -> Reader:
        never.wait()
        return Reader(stream)

    connection = Failing(lambda: refs.serve("a", waits))
    refs = Refs(stage.core, connection)
    refs.serve("a", lambda: Reader(stream))
    settle()
    assert b'"type":"problem"' in connection.told[-1]
    with pytest.raises(InvalidInput):
        refs.serve("a", waits)
