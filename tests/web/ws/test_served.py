"""One ref by itself: what happens to it before its stream is open, and when its end is told."""

from services.streams.readers import Reader
from services.streams.stream import Stream
from services.web.ws.served import Served
from tests.streams.scripted import Gate, whole
from tests.streams.stage import Stage, settle


def running() -> Stream:
    """A stream that has said one word and waits."""
    stage = Stage(whole("Hello", Gate()))
    stream = stage.core.streams.get(stage.post(options={"on_disconnect": "finish"}).stream, "anonymous")
    settle()
    return stream


def ended() -> Stream:
    stage = Stage()
    reply = stage.post()
    reply.read()
    return stage.core.streams.get(reply.stream, "anonymous")


def test_who_is_sent_away_before_it_is_open_hears_first_how_its_stream_is_called() -> None:
    """Without its id nobody could go on with it."""
    stream = running()
    served = Served("a", lambda: Reader(stream))
    served.send_away()
    reader, sent = served.open(), []
    served.tell(reader, lambda messages: sent.extend(messages) or True, 10, list)
    assert b'"type":"start"' in sent[0]
    assert reader.drained
    reader.close()


def test_the_end_is_announced_before_it_is_sent() -> None:
    """So the ref is free when its caller has the end; and nothing is looked for after it."""
    stream, asked = ended(), []
    stream.confirm = lambda: asked.append(None)
    served, told = Served("a", lambda: Reader(stream)), []
    reader = served.open()
    served.tell(reader, lambda messages: told.append(len(messages)) or True, 10, lambda: told.append("end"))
    assert told == ["end", stream.log.last_id]
    assert len(asked) == 1
    reader.close()


def test_who_cannot_be_sent_to_is_told_no_more() -> None:
    """A socket that is over ends the reading."""
    stream = running()
    served, told = Served("a", lambda: Reader(stream)), []
    reader = served.open()
    served.tell(reader, told.append, 10, list)
    assert len(told) == 1
    reader.close()


def test_what_was_told_is_settled_before_it_is_left() -> None:
    """Who goes on elsewhere finds there what it has seen here."""
    stream, waits = running(), []
    stream.settle = lambda seconds: waits.append(seconds) or True
    served = Served("a", lambda: Reader(stream))
    assert served.settle()
    reader = served.open()
    served.send_away()
    served.tell(reader, lambda messages: True, 10, list)
    assert len(waits) == 1
    reader.close()
