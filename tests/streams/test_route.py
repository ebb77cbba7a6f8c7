"""Who is asked for a call, and in which words."""

import gevent

from services.streams.models import Model
from services.streams.route import Planned, Route
from tests.providers.scripted import ScriptedProvider
from tests.streams.calling import model_of, planned

LONG = "word " * 1000  # 1,000 tokens and a few


def route_of(**windows: int | None) -> tuple[Route, list[str]]:
    """A route over models of these names and windows, and where it moved."""
    moved: list[str] = []
    models = [model_of(ScriptedProvider(), name, window=window) for name, window in windows.items()]
    return Route(models, lambda model: moved.append(model.name)), moved


def names(ways: list[tuple[Model, Planned]]) -> list[str]:
    return [model.name for model, _ in ways]


def test_all_are_asked_in_their_order() -> None:
    """The one that was chosen first; each move is told when it is made."""
    route, moved = route_of(m=None, one=None, two=None)
    ways = route.ways(planned())
    told = [(model.name, list(moved)) for model, _ in ways]
    assert told == [("m", []), ("one", ["one"]), ("two", ["one", "two"])]


def test_a_fall_back_is_asked_for_its_own_model() -> None:
    """The request is the same but for the model's name; the prompt is counted in its vocabulary."""
    call = planned("hi", most=50)
    route, _ = route_of(**{"m": None, "gpt-4": None})
    _, (_, there) = route.ways(call)
    assert there.request == call.request.to("gpt-4", 50)
    assert there.input_tokens == model_of(ScriptedProvider(), "gpt-4").counter.count_messages(
        call.request.messages
    )


def test_a_stream_that_fell_back_stays_there() -> None:
    """Its next call does not begin with the one that failed."""
    route, moved = route_of(m=None, one=None)
    list(route.ways(planned()))
    assert (names(list(route.ways(planned()))), moved) == (["one"], ["one"])


def test_calls_that_run_side_by_side_fall_back_once() -> None:
    """The second to fail finds the stream there already."""
    route, moved = route_of(m=None, one=None, two=None)
    first, second = route.ways(planned()), route.ways(planned())
    assert names([next(first), next(second)]) == ["m", "m"]
    assert names([next(first), next(second)]) == ["one", "one"]
    assert names([next(first)]) == ["two"]
    assert (names(list(second)), moved) == (["two"], ["one", "two"])


def test_a_call_that_is_counted_meanwhile_does_not_lead_the_stream_back() -> None:
    """A long prompt is counted off the hub: where another call has gone on by then, it goes on too."""
    route, moved = route_of(m=None, one=None, two=None)
    long, short = route.ways(planned(LONG * 10)), route.ways(planned())
    assert names([next(long), next(short)]) == ["m", "m"]
    following = gevent.spawn(next, long)
    gevent.sleep(0)
    assert names(list(short)) == ["one", "two"]
    assert (following.get()[0].name, moved) == ("two", ["one", "two"])


def test_a_call_is_not_sent_where_it_does_not_fit() -> None:
    """A fall-back whose window is too small is passed over."""
    route, moved = route_of(m=None, small=1000, large=2000)
    assert (names(list(route.ways(planned(LONG)))), moved) == (["m", "large"], ["large"])


def test_a_window_bounds_what_may_be_said() -> None:
    """The answer gets what the prompt leaves of it, if that is worth asking."""
    window = (
        int(model_of(ScriptedProvider(), "one").counter.count_messages(planned().request.messages) * 1.1) + 70
    )
    for least, caps in ((70, [100, 70]), (71, [100]), (200, [100])):
        route, _ = route_of(m=None, one=window)
        ways = list(route.ways(planned(most=100, least=least)))
        assert [there.request.max_output_tokens for _, there in ways] == caps


def test_a_call_that_wants_little_needs_little_room() -> None:
    """What is left of the stream's allowance may be less than what else would be worth asking."""
    window = (
        int(model_of(ScriptedProvider(), "one").counter.count_messages(planned().request.messages) * 1.1) + 70
    )
    route, _ = route_of(m=None, one=window)
    assert names(list(route.ways(planned(most=100, least=71).limited_to(10)))) == ["m", "one"]


def test_a_call_that_is_too_long_for_where_the_stream_is_goes_to_the_first() -> None:
    """It was planned for that one, so it fits there; that is told too."""
    route, moved = route_of(m=None, small=1000)
    list(route.ways(planned()))
    assert names(list(route.ways(planned(LONG)))) == ["m"]
    assert (names(list(route.ways(planned()))), moved) == (["m", "small"], ["small", "m", "small"])
