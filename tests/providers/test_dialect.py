import pytest

from services.llm import Message, Request
from services.providers.dialect import Dialect

MESSAGES = (Message("user", "Hi"),)
PLAIN = Request(model="m", messages=MESSAGES, max_output_tokens=9)
FULL = Request(model="m", messages=MESSAGES, max_output_tokens=9, temperature=0.2, stop=("\n",))
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


def refusal(param, code="unsupported_value"):
    return {
        "message": f"Unsupported: '{param}'.",
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def after(*params, request=FULL, new_cap=True):
    """Return body and what was left out, once the model has refused these."""
    dialect = Dialect(new_cap=new_cap)
    for param in params:
        assert dialect.learn("m", dialect.body(request)[0], 400, refusal(param))
    return dialect.body(request)


def test_plain():
    """Without wishes only what is always sent is sent: model, messages, cap, stream, usage."""
    assert Dialect(new_cap=True).body(PLAIN) == (
        {"model": "m", "messages": MESSAGES, "max_completion_tokens": 9, **COUNTED},
        [],
    )


def test_wishes():
    """Temperature and stops are sent where they are wished."""
    body, _ = Dialect(new_cap=True).body(FULL)

    assert (body["temperature"], body["stop"]) == (0.2, ("\n",))


@pytest.mark.parametrize(("new_cap", "sent"), [(True, "max_completion_tokens"), (False, "max_tokens")])
def test_cap(new_cap, sent):
    """One cap is sent: the new one to OpenAI, the one that all know to others."""
    body, _ = Dialect(new_cap=new_cap).body(PLAIN)

    assert [name for name in body if name.startswith("max_")] == [sent]


@pytest.mark.parametrize(
    ("new_cap", "refused", "sent"),
    [(True, "max_completion_tokens", "max_tokens"), (False, "max_tokens", "max_completion_tokens")],
)
def test_other_cap(new_cap, refused, sent):
    """A cap that is refused is replaced by the other, and that is told."""
    body, left_out = after(refused, new_cap=new_cap)

    assert (body[sent], refused in body, left_out) == (9, False, [refused])


def test_no_cap_at_all():
    """A model that takes neither cap is asked without one."""
    body, left_out = after("max_completion_tokens", "max_tokens")

    assert not {"max_completion_tokens", "max_tokens"} & body.keys()
    assert left_out == ["max_completion_tokens", "max_tokens"]


@pytest.mark.parametrize("param", ["temperature", "stop", "stream_options"])
def test_left_out(param):
    """What was refused is not sent again, and that is told."""
    body, left_out = after(param)

    assert (param in body, left_out) == (False, [param])


def test_no_stream():
    """Without a stream the answer comes whole, and options of streams are not sent."""
    body, left_out = after("stream")

    assert not {"stream", "stream_options"} & body.keys()
    assert left_out == ["stream"]


def test_only_what_was_wished_is_missed():
    """What was refused but is not wished now is not told."""
    dialect = Dialect(new_cap=True)
    dialect.learn("m", dialect.body(FULL)[0], 400, refusal("temperature"))

    assert dialect.body(PLAIN)[1] == []


def test_each_model_for_itself():
    """What one model refuses another still gets."""
    dialect = Dialect(new_cap=True)
    dialect.learn("other", dialect.body(FULL)[0], 400, refusal("temperature"))

    assert dialect.body(FULL)[1] == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, refusal("temperature", code="unsupported_parameter")),
        (400, {"message": "Unsupported parameter: 'temperature'", "param": None}),
        (400, {"message": "temperature is not supported", "param": "temperature"}),
        (400, {"message": "Unrecognized request argument supplied: `temperature`"}),
        (
            422,
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs"}]},
        ),
        (400, "this model does not support 'temperature'"),
        (400, '{"error": "unknown field \\"temperature\\""}'),
    ],
)
def test_ways_to_refuse(status, error):
    """A refusal is understood in the words of several servers."""
    dialect = Dialect(new_cap=True)

    assert dialect.learn("m", dialect.body(FULL)[0], status, error)
    assert dialect.body(FULL)[1] == ["temperature"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (
            400,
            {
                "message": "temperature must be at most 2",
                "param": "temperature",
                "code": "decimal_above_max_value",
            },
        ),
        (400, {"message": "Unsupported value: 'messages'", "param": "messages", "code": "unsupported_value"}),
        (
            400,
            {"message": "Unsupported parameter: 'top_k'", "param": "top_k", "code": "unsupported_parameter"},
        ),
        (400, {"message": "not supported: streaming"}),
        (401, refusal("temperature")),
        (500, refusal("temperature")),
        (400, None),
        (400, ""),
    ],
)
def test_no_refusal(status, error):
    """Any other error drops nothing."""
    dialect = Dialect(new_cap=True)

    assert not dialect.learn("m", dialect.body(FULL)[0], status, error)
    assert dialect.body(FULL)[1] == []


def test_refused_though_not_sent():
    """A model that refuses what it was not sent is not asked again."""
    assert not Dialect(new_cap=True).learn("m", {"model": "m"}, 400, refusal("temperature"))


def test_learnt_meanwhile():
    """A refusal that another stream has learnt in the meantime is still worth another try."""
    dialect = Dialect(new_cap=True)
    sent, _ = dialect.body(FULL)
    dialect.learn("m", sent, 400, refusal("temperature"))

    assert dialect.learn("m", sent, 400, refusal("temperature"))
