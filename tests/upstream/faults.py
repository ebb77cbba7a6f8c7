"""What each model's name makes the upstream do.

    ok:20               20 tokens, as fast as they go
    paced:200:20        200 tokens, one per 20 ms
    say:SG9sYSwgdMO6    this text (base64url without padding: a name has few signs), a word at a time
    echo                the last message, a word at a time
    fault/stall:3:g     3 tokens, then silence until the test opens gate g, then the rest
    fault/first:2:503   the first 2 requests of this very name get 503, the others an answer
    fault/rst:3+ok:5    the first request of this very name is reset after 3 tokens, the others get 5
    fault/…             see FAULTS

What follows a # or an @ is only there to tell one test's entries in the journal from another's.
``reply(asked, attempt)`` gives the steps; ``attempt`` counts the requests for this very name.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from tests.upstream.steps import Bytes, End, Fin, Gate, Head, Pause, Pings, Raw, Rst, Step

Asked: TypeAlias = dict[str, Any]
Steps: TypeAlias = list[Step]

DONE = Bytes(b"data: [DONE]\n\n")
ORDINARY = 5  # tokens of an answer whose length does not matter
SURROGATES = ["a\ud83d", "\ude00b", "\ud83d", "c\ude00", "d"]  # 😀 cut in two, then two lone halves
TREACHEROUS = ["one\ntwo\n\n", "event: finish\ndata: {}\n\n", ": x\r\nid: 9\u2028\u0085", "end"]
MANY_BYTES = ["é", "漢", "😀", "ß"]


def event(**members: Any) -> bytes:
    """Return one event of a stream."""
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **members}).encode() + b"\n\n"


def delta(text: str, **more: Any) -> Bytes:
    """Return an event that carries one token."""
    return Bytes(
        event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more), tokens=1
    )


def finish(reason: str = "stop") -> Bytes:
    """Return the event that says why the answer ends."""
    return Bytes(event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}]))


def usage(asked: Asked, tokens: int) -> Steps:
    """Return the event that counts, if it was asked for."""
    if not (asked.get("stream_options") or {}).get("include_usage"):
        return []
    return [Bytes(event(choices=[], usage=counted(asked, tokens)))]


def counted(asked: Asked, tokens: int) -> dict[str, Any]:
    """Return the usage: words of the prompt, tokens of the answer."""
    prompt = sum(len(message["content"].split()) for message in asked["messages"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def words(count: int, first: int = 0) -> list[str]:
    """Return the tokens of an ordinary answer."""
    return [f"w{number} " for number in range(first, first + count)]


def ends(asked: Asked, tokens: int, reason: str = "stop") -> Steps:
    """Return a proper end."""
    return [finish(reason), *usage(asked, tokens), DONE, End()]


def role() -> Bytes:
    """Return the event with which OpenAI begins: a role and no text."""
    return Bytes(event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]))


def capped(asked: Asked, texts: list[str]) -> tuple[list[str], str]:
    """Keep to the caller's cap, as an honest provider does."""
    cap = asked.get("max_completion_tokens") or asked.get("max_tokens") or len(texts)
    return (texts[:cap], "length") if len(texts) > cap else (texts, "stop")


def answer(asked: Asked, texts: Iterable[str]) -> Steps:
    """Return an honest answer: streamed, or in one piece where no stream was asked for."""
    kept, reason = capped(asked, list(texts))
    if asked.get("stream"):
        return [Head(), role(), *map(delta, kept), *ends(asked, len(kept), reason)]
    message = {"role": "assistant", "content": "".join(kept)}
    whole = {"choices": [{"message": message, "finish_reason": reason}], "usage": counted(asked, len(kept))}
    return [Head(kind="application/json"), Bytes(json.dumps(whole).encode(), tokens=len(kept)), End()]


def paced(asked: Asked, count: int, ms: float) -> Steps:
    """Return an honest answer at so many milliseconds per token."""
    kept, reason = capped(asked, words(count))
    steps: Steps = [Head(), role()]
    for text in kept:
        steps += [Pause(ms / 1000), delta(text)]
    return [*steps, *ends(asked, len(kept), reason)]


def refused(status: int, code: str | None, *, param: str | None = None, **headers: str) -> Steps:
    """Return an error as OpenAI words it."""
    error = {
        "message": f"Unsupported or refused: {code} {param}",
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [
        Head(status, "application/json", named),
        Bytes(json.dumps({"error": error}).encode()),
        End(),
    ]


def streamed(*steps: Step) -> Steps:
    """Return a stream of these steps."""
    return [Head(), role(), *steps]


def some(count: int | str) -> Steps:
    """Return so many tokens."""
    return [delta(text) for text in words(int(count))]


def stall(asked: Asked, count: str, gate: str) -> Steps:
    """Fall silent after so many tokens, until the gate opens."""
    late = [delta(text) for text in words(2, first=int(count))]
    return streamed(*some(count), Gate(gate), *late, *ends(asked, int(count) + 2))


def first(asked: Asked, attempt: int, times: str, status: str) -> Steps:
    """Refuse the first attempts, then answer."""
    return refused(int(status), "passing") if attempt <= int(times) else answer(asked, words(ORDINARY))


def refuses(asked: Asked, param: str) -> Steps:
    """Refuse a parameter as long as it is sent."""
    if param in asked:
        return refused(400, "unsupported_value", param=param)
    return answer(asked, words(ORDINARY))


def cut(asked: Asked, texts: list[str]) -> Steps:
    """Send a whole stream one byte per chunk."""
    whole = b"".join(step.data for step in answer(asked, texts) if isinstance(step, Bytes))
    return [Head(), *(Bytes(whole[at : at + 1]) for at in range(len(whole))), End()]


def crlf(asked: Asked) -> Steps:
    """End lines with CR LF."""
    return [
        Bytes(step.data.replace(b"\n", b"\r\n"), step.tokens) if isinstance(step, Bytes) else step
        for step in answer(asked, words(ORDINARY))
    ]


def said_raw(asked: Asked, texts: list[str]) -> Steps:
    """Send texts as they are, whatever they hold."""
    return streamed(*map(delta, texts), *ends(asked, len(texts)))


def odd(asked: Asked, data: bytes) -> Steps:
    """Send one token and then an event of these bytes."""
    return streamed(*some(1), Bytes(b"data: " + data + b"\n\n"), *ends(asked, 1))


def huge(mib: str) -> Steps:
    """Send so many MiB without a line end."""
    return streamed(*some(1), Bytes(b"data: "), *[Bytes(b"x" * 2**20)] * int(mib), End())


def decoded(name: str) -> str:
    """Return the text that a model's name carries."""
    return urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()


def in_words(text: str) -> list[str]:
    """Cut a text into words, each with the space after it."""
    return re.findall(r"\s*\S+\s*", text)


FAULTS: dict[str, Callable[..., Steps]] = {
    # nothing is wrong
    "ok": lambda asked, n: answer(asked, words(int(n))),
    "paced": lambda asked, n, ms: paced(asked, int(n), float(ms)),
    "say": lambda asked, text: answer(asked, in_words(decoded(text))),
    "echo": lambda asked: answer(asked, in_words(asked["messages"][-1]["content"])),
    # the end
    "no-finish": lambda _, n: streamed(*some(n), End()),
    "no-done": lambda _, n: streamed(*some(n), finish(), End()),
    "done-only": lambda _, n: streamed(*some(n), DONE, End()),
    "no-usage": lambda _, n: streamed(*some(n), finish(), DONE, End()),
    "hangs-after-finish": lambda _, n, gate: streamed(*some(n), finish(), Gate(gate), DONE, End()),
    "reset-after-finish": lambda _, n: streamed(*some(n), finish(), Rst()),
    "content-filter": lambda asked, n: streamed(*some(n), *ends(asked, int(n), "content_filter")),
    "odd-reason": lambda asked, n: streamed(*some(n), *ends(asked, int(n), "tired")),
    "ignores-cap": lambda asked, n: streamed(*some(n), *ends(asked, int(n))),
    "two-finishes": lambda asked: streamed(
        *some(2), finish("length"), finish("stop"), delta("late"), *ends(asked, 2)
    ),
    # the connection
    "rst": lambda _, n: streamed(*some(n), Raw(b"ff\r\ndata: {"), Rst()),
    "fin": lambda _, n: streamed(*some(n), Raw(b"ff\r\ndata: {"), Fin()),
    "breaks": lambda _, n, text: streamed(
        *map(delta, in_words(decoded(text))[: int(n)]), Raw(b"ff\r\ndata: {"), Rst()
    ),
    "rst-before-head": lambda _: [Rst()],
    "fin-before-head": lambda _: [Fin()],
    # silence
    "silent": lambda asked, gate: [Gate(gate), *answer(asked, words(ORDINARY))],
    "stall": stall,
    "pings": lambda asked, n, gate: streamed(*some(n), Pings(0.02, gate), *ends(asked, int(n))),
    # instead of a stream
    "html": lambda _: [Head(kind="text/html"), Bytes(b"<html>Sign in</html>"), End()],
    "status": lambda _, status, code="none": refused(int(status), code),
    "quota": lambda _: refused(429, "insufficient_quota"),
    "retry-after": lambda _, seconds: refused(429, "rate_limit_exceeded", retry_after=seconds),
    "should-retry": lambda _, status, told: refused(int(status), "odd", x_should_retry=told),
    "big-refusal": lambda _, mib: [Head(500, "application/json"), *[Bytes(b"x" * 2**20)] * int(mib), End()],
    "packed-refusal": lambda _: [
        Head(500, "application/json", {"Content-Encoding": "gzip"}),
        Bytes(b"not packed at all"),
        End(),
    ],
    "gzip": lambda _: [Head(headers={"Content-Encoding": "gzip"}), Bytes(b"\x1f\x8b\x08\x00"), End()],
    "redirect": lambda _: [Head(307, headers={"Location": "/v1/elsewhere"}), End()],
    "refuses": refuses,
    # inside the stream
    "error": lambda _, n, code="server_error": streamed(
        *some(n), Bytes(event(error={"message": "told\nin confidence", "code": code})), DONE, End()
    ),
    "huge": lambda _, mib: huge(mib),
    "not-json": lambda asked: odd(asked, b"{nope"),
    "not-utf8": lambda asked: odd(asked, b'{"choices":[{"delta":{"content":"\xff"}}]}'),
    "not-a-chunk": lambda asked: odd(asked, b'{"choices":"none"}'),
    "deep": lambda asked: odd(asked, b'{"error":' + b"[" * 100_000),
    "null-delta": lambda asked: odd(asked, b'{"choices":[{"delta":null}],"usage":null}'),
    "no-choices": lambda asked: odd(asked, b"{}"),
    "surrogates": lambda asked: said_raw(asked, SURROGATES),
    "treacherous": lambda asked: said_raw(asked, TREACHEROUS),
    "cut": lambda asked: cut(asked, MANY_BYTES),
    "crlf": crlf,
    "thinks": lambda asked, n: streamed(
        *[Bytes(event(choices=[{"delta": {"reasoning_content": "hm"}}]))] * int(n), *some(2), *ends(asked, 2)
    ),
}


def reply(asked: Asked, attempt: int) -> Steps:
    """Return what is done with this request."""
    named = re.split("[#@]", str(asked["model"]))[0].removeprefix("fault/").split("+")
    name, *arguments = named[min(attempt, len(named)) - 1].split(":")
    if name == "first":
        return first(asked, attempt, *arguments)
    if name in FAULTS:
        return FAULTS[name](asked, *arguments)
    return refused(404, "model_not_found", param="model")
