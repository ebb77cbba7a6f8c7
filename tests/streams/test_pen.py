"""What the writer of a log reports at the end."""

import hashlib

from services.errors import ProviderTimeout
from services.events import Error, Finish, Limits, Start, Text, Usage
from services.streams.pen import Pen
from services.streams.stream import Stream
from tests.streams.fake_clock import FakeClock

START = Start(
    stream="s", use_case="u", model="m", prompt="u@1", input_tokens=1,
    limits=Limits(max_output_tokens=1, deadline_s=1), created="now",
)  # fmt: skip


def opened(granularity: str = "token") -> tuple[Pen, Stream, FakeClock]:
    clock = FakeClock()
    stream = Stream(id="x", owner="o", use_case="u", model="m", clock=clock)
    pen = Pen(stream, granularity)  # type: ignore[arg-type]
    pen.write(START)
    return pen, stream, clock


def finished(pen: Pen, stream: Stream) -> Finish:
    pen.finish("stop", Usage())
    assert isinstance(stream.log.end, Finish)
    return stream.log.end


def test_an_empty_text_is_no_event() -> None:
    """Nothing is written for a text without characters."""
    pen, stream, _ = opened()
    pen.write(Text(text=""))
    assert stream.log.last_id == 1


def test_the_end_tells_the_length_and_the_hash_of_the_text() -> None:
    """``chars`` counts characters, ``sha256`` is of the UTF-8 of the joined text."""
    pen, stream, _ = opened()
    for text in ("Grü", "ße 🙂"):
        pen.write(Text(text=text))
    end = finished(pen, stream)
    assert (end.chars, end.sha256) == (7, hashlib.sha256("Grüße 🙂".encode()).hexdigest())


def test_the_end_tells_when_the_first_text_came() -> None:
    """Times are whole milliseconds from the pen's making, monotonic."""
    pen, stream, clock = opened()
    clock.advance(0.25)
    pen.write(Text(text="a"))
    clock.advance(1)
    pen.write(Text(text="b"))
    timing = finished(pen, stream).timing
    assert (timing.first_text_ms, timing.total_ms) == (250, 1250)


def test_without_text_there_is_no_first_text() -> None:
    """``first_text_ms`` is null where no text was written."""
    pen, stream, _ = opened()
    assert finished(pen, stream).timing.first_text_ms is None


def test_what_was_held_back_comes_before_the_end() -> None:
    """A word that was never followed by a space is not lost, and is part of the hash."""
    pen, stream, _ = opened("sentence")
    pen.write(Text(text="Not a whole"))
    end = finished(pen, stream)
    assert stream.log.after(1) == [Text(text="Not a whole"), end]
    assert end.chars == 11


def test_a_failure_lets_go_of_what_was_held_back() -> None:
    """An error is partial if text was held back when it came: it is shown first."""
    pen, stream, _ = opened("word")
    pen.write(Text(text="half"))
    pen.fail(ProviderTimeout(), Usage())
    text, error = stream.log.after(1)
    assert text == Text(text="half")
    assert isinstance(error, Error)
    assert error.partial


def test_a_failure_tells_its_problem_and_the_stream() -> None:
    """An error bears the problem with the stream's path as its instance, and whether text came."""
    pen, stream, _ = opened()
    pen.fail(ProviderTimeout("Silence."), Usage(input_tokens=3))
    assert stream.log.end == Error(
        problem=ProviderTimeout("Silence.").problem("/v1/streams/x"),
        usage=Usage(input_tokens=3),
        partial=False,
    )
