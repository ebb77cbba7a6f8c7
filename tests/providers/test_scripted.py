import gevent
import pytest
from gevent.event import Event

from services.errors import ProviderError
from services.llm import Done, Message, Request, Thinking
from tests.providers.scripted import ScriptedProvider

REQUEST = Request(model="scripted", messages=(Message("user", "Hi"),), max_output_tokens=9)


def test_text():
    """A plain text is said whole and ends with stop."""
    assert list(ScriptedProvider("Hola").stream(REQUEST)) == ["Hola", Done("stop")]


def test_lines():
    """Lines are said as they are, an exception among them is raised."""
    stream = ScriptedProvider([Thinking(), "a", ProviderError("broken")]).stream(REQUEST)

    assert [next(stream), next(stream)] == [Thinking(), "a"]
    with pytest.raises(ProviderError, match="broken"):
        next(stream)


def test_function():
    """A function of the request decides what is said."""
    provider = ScriptedProvider(lambda request: request.messages[-1].content)

    assert next(provider.stream(REQUEST)) == "Hi"


def test_asked():
    """Each request is kept, with whether its stream was closed before its end."""
    provider = ScriptedProvider("Hola")
    whole, left = provider.stream(REQUEST), provider.stream(REQUEST)
    list(whole)
    next(left)
    left.close()

    assert [(asked.request, asked.closed_early) for asked in provider.asked] == [
        (REQUEST, False),
        (REQUEST, True),
    ]


def test_silence():
    """An Event among the lines is a silence; a reader killed in it counts as closed early."""
    provider = ScriptedProvider(["a", Event(), "b"])
    reader = gevent.spawn(list, provider.stream(REQUEST))
    gevent.idle()
    reader.kill()

    assert provider.asked[0].closed_early


def test_models():
    """The models are those that the test names."""
    assert ScriptedProvider(models=("a", "b")).models() == ("a", "b")
