"""Every way in which a stream or a request fails, each with its problem (RFC 9457).

An end that we chose is a *finish*; an end that we did not is one of these.

    GlossError                     status  slug
    ├── MalformedBody                 400  malformed-body
    ├── UntrustedHost                 400  untrusted-host
    ├── Unauthorized                  401  unauthorized
    ├── Forbidden                     403  forbidden
    ├── ForeignOrigin                 403  foreign-origin
    ├── NotFound                      404  not-found
    ├── MethodNotAllowed              405  method-not-allowed
    ├── NotAcceptable                 406  not-acceptable
    ├── RequestTimeout                408  request-timeout
    ├── Busy                          409  busy
    ├── Discarded                     409  discarded
    ├── BodyTooLarge                  413  body-too-large
    ├── InputTooLong                  413  input-too-long
    ├── TargetTooLong                 414  target-too-long
    ├── UnsupportedMediaType          415  unsupported-media-type
    ├── InvalidInput                  422  invalid-input
    ├── IdempotencyMismatch           422  idempotency-mismatch
    ├── UpgradeRequired               426  upgrade-required
    ├── RateLimited                   429  rate-limited
    ├── BudgetExhausted               429  budget-exhausted
    ├── HeadTooLarge                  431  head-too-large
    ├── Internal                      500  internal
    ├── Overloaded                    503  overloaded
    ├── ShuttingDown                  503  shutting-down
    └── ProviderFailure
        ├── ProviderError             502  provider-error
        ├── ProviderIncomplete        502  provider-incomplete
        ├── ProviderRejected          502  provider-rejected
        └── ProviderTimeout           504  provider-timeout

A ``detail`` is written by us and never repeats what a caller or a provider sent.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

STANDARD = frozenset({"type", "title", "status", "detail", "instance"})  # RFC 9457, section 3.1


class GlossError(Exception):
    """Carry what the caller may know: a detail and members of the problem's own."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong here"
    meaning: ClassVar[str] = "An error of ours; our log tells where. Nothing in the request is at fault."
    come_back_s: ClassVar[float | None] = None

    def __init__(self, detail: str = "", **members: object) -> None:
        """Keep the detail; members whose value is None are left out of the problem.

        ``retry_after_s`` is ``come_back_s`` unless the one who raises it knows better, and in whole
        seconds, as ``Retry-After`` says it.
        """
        super().__init__(detail or self.title)
        self.detail = detail
        self.members = {name: value for name, value in members.items() if value is not None}
        later = self.members.get("retry_after_s", self.come_back_s)
        if later is not None:
            self.members["retry_after_s"] = _whole_seconds(later)

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """Return the RFC 9457 object: the only way an error body is made."""
        problem: dict[str, Any] = {"type": f"/problems/{self.slug}", "title": self.title}
        problem["status"] = self.status
        if self.detail:
            problem["detail"] = self.detail
        if instance is not None:
            problem["instance"] = instance
        return problem | self.members

    @property
    def retry_after(self) -> str | None:
        """Return the ``Retry-After`` that goes with it."""
        return retry_after(self.members)

    @classmethod
    def tree(cls) -> list[type[Self]]:
        """Return this class and all below it, each once."""
        return [cls, *(leaf for child in cls.__subclasses__() for leaf in child.tree())]


def of_problem(problem: Mapping[str, Any]) -> GlossError:
    """Return the error that has this problem; one of a slug that is not known here is ``Internal``."""
    slug = str(problem["type"]).removeprefix("/problems/")
    found = next(
        (kind for kind in GlossError.tree() if kind.slug == slug and kind is not GlossError), Internal
    )
    error = found.__new__(found)
    members = {name: value for name, value in problem.items() if name not in STANDARD}
    GlossError.__init__(error, problem.get("detail", ""), **members)  # what it knew besides was for its end
    return error


def retry_after(problem: Mapping[str, object]) -> str | None:
    """Return the ``Retry-After`` that goes with a problem: whole seconds, and never at once."""
    seconds = _whole_seconds(problem.get("retry_after_s"))
    return str(seconds) if isinstance(seconds, int) else None


def _whole_seconds(seconds: object) -> object:
    """Return what ``Retry-After`` can say: RFC 9110, 10.2.3, knows no parts of a second."""
    return max(1, math.ceil(seconds)) if isinstance(seconds, int | float) else seconds


class MalformedBody(GlossError):
    """The body is not what HTTP or JSON allows."""

    status = 400
    slug = "malformed-body"
    title = "The request cannot be read"
    meaning = "The body must be one JSON object in UTF-8, framed as HTTP/1.1 asks."


class UntrustedHost(GlossError):
    """The Host header names somebody else."""

    status = 400
    slug = "untrusted-host"
    title = "This host name is not served here"
    meaning = "The Host header is not in TRUSTED_HOSTS. On loopback only loopback names are served."


class Unauthorized(GlossError):
    """No key, or one that opens nothing."""

    status = 401
    slug = "unauthorized"
    title = "A key is needed"
    meaning = "Send `Authorization: Bearer gloss_<id>_<secret>` with a key that is live here."


class Forbidden(GlossError):
    """The key is live but may not do this."""

    status = 403
    slug = "forbidden"
    title = "This key may not do that"
    meaning = "The key's scopes do not include what was asked for."


class ForeignOrigin(GlossError):
    """A page of another origin asks."""

    status = 403
    slug = "foreign-origin"
    title = "Pages of this origin may not call here"
    meaning = "The browser's Origin is not listed. The operator lists it in GLOSS_CORS_ORIGINS."


class NotFound(GlossError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    slug = "not-found"
    title = "There is no such thing here"
    meaning = "The use case, stream or session does not exist, has expired, or is another caller's."


class MethodNotAllowed(GlossError):
    """The path exists, the method does not."""

    status = 405
    slug = "method-not-allowed"
    title = "This method is not allowed here"
    meaning = "The Allow header of the answer lists the methods of this path."


class NotAcceptable(GlossError):
    """No encoding that the caller accepts is spoken."""

    status = 406
    slug = "not-acceptable"
    title = "No encoding that you accept is spoken here"
    meaning = "Accept one of text/plain, application/x-ndjson, text/event-stream, application/json."


class RequestTimeout(GlossError):
    """The request's head or its body did not come in time."""

    status = 408
    slug = "request-timeout"
    title = "The request took too long to arrive"
    meaning = "The head must arrive within GLOSS_HEAD_S seconds, the whole body within GLOSS_BODY_S."


class Busy(GlossError):
    """A turn of this session is running."""

    status = 409
    slug = "busy"
    title = "A turn of this session is still running"
    meaning = "One turn at a time: read the running stream (member `stream`) or cancel it first."


class Discarded(GlossError):
    """The key stands for an answer that was taken back."""

    status = 409
    slug = "discarded"
    title = "The answer to this key was discarded"
    meaning = "An answer was taken back; its `Idempotency-Key` stands for it still. Take another to ask anew."


class BodyTooLarge(GlossError):
    """The body has too many bytes."""

    status = 413
    slug = "body-too-large"
    title = "The body has too many bytes"
    meaning = "The body is larger than GLOSS_MAX_BODY_BYTES (member `limit`)."


class InputTooLong(GlossError):
    """The input has too many tokens for this use case, or for the model's window."""

    status = 413
    slug = "input-too-long"
    title = "The input has too many tokens"
    meaning = "Members `tokens` and `limit` say what was counted and what is allowed."


class TargetTooLong(GlossError):
    """The request line has too many bytes."""

    status = 414
    slug = "target-too-long"
    title = "The request line is too long"
    meaning = "Path and query fit into one line of so many bytes (member `limit`); text goes into the body."


class UnsupportedMediaType(GlossError):
    """The body is compressed, or a browser did not call it JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "Send plain JSON"
    meaning = "Compressed bodies are refused; with an Origin the type must be application/json."


class InvalidInput(GlossError):
    """Fields are missing, unknown, or out of their limits."""

    status = 422
    slug = "invalid-input"
    title = "Some fields are not right"
    meaning = "Member `errors` names each field and the rule it breaks."


class IdempotencyMismatch(GlossError):
    """The key stands for another request."""

    status = 422
    slug = "idempotency-mismatch"
    title = "This key was used for another request"
    meaning = (
        "An `Idempotency-Key` stands for one path and body for 24 hours; take another for another request."
    )


class UpgradeRequired(GlossError):
    """A WebSocket is to be opened, and this request does not open one."""

    status = 426
    slug = "upgrade-required"
    title = "Only a WebSocket is spoken here"
    meaning = (
        "Open it as RFC 6455 says: HTTP/1.1, `Upgrade: websocket`, `Sec-WebSocket-Version: 13` and a key."
    )


class RateLimited(GlossError):
    """One key, or one end user of it, asks for too much at a time."""

    status = 429
    slug = "rate-limited"
    title = "Too many at a time"
    meaning = (
        "The key has started as many streams in a minute, or has as many open, as it may (member `limit`). "
        "Member `retry_after_s` says when to try again; `RateLimit` in answers tells what is left."
    )
    come_back_s = 1  # where nobody knows better

    def __init__(self, detail: str = "", *, told: Mapping[str, str] | None = None, **members: object) -> None:
        """Keep the fields in which an answer tells the limits."""
        super().__init__(detail, **members)
        self.told = dict(told or {})


class BudgetExhausted(GlossError):
    """An account has nothing left, or not enough for one more answer."""

    status = 429
    slug = "budget-exhausted"
    title = "The budget is used up"
    meaning = (
        "What the answer could cost at most does not fit into what is left for this minute, day or month. "
        "Ask for less (`options.max_output_tokens`), or come back after `retry_after_s`; without that member "
        "waiting does not help."
    )


class HeadTooLarge(GlossError):
    """A header field is too long, or there are too many."""

    status = 431
    slug = "head-too-large"
    title = "The request has too many header fields, or too long ones"
    meaning = "The detail says how many there may be and how long one: send fewer, or shorter ones."


class Internal(GlossError):
    """An error of ours."""


class Overloaded(GlossError):
    """One more stream does not fit, or waited too long for its slot."""

    status = 503
    slug = "overloaded"
    title = "The service cannot take more now"
    meaning = (
        "GLOSS_MAX_STREAMS are at work and GLOSS_MAX_QUEUED wait, or the wait took GLOSS_QUEUE_S, or "
        "little memory is left, or the store is away. Member `retry_after_s` says when to try again."
    )
    come_back_s = 1  # streams end all the time


class ShuttingDown(GlossError):
    """The process was told to stop."""

    status = 503
    slug = "shutting-down"
    title = "This process is shutting down"
    meaning = (
        "The process was told to stop and begins nothing new, or ended before the answer did; ask again."
    )
    come_back_s = 2  # another process takes it at once; where there is none, a new one has to boot


class ProviderFailure(GlossError):
    """The provider's fault.

    ``retryable`` says whether the same may be asked of it again, ``elsewhere`` whether another
    provider may do better: none does where the request itself is what was refused.
    """

    status = 502
    slug = "provider-error"
    title = "The model's provider failed"
    meaning = "The provider did not answer properly. What it said is in the operator's log."

    def __init__(
        self,
        detail: str = "",
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        elsewhere: bool = True,
    ) -> None:
        """Keep how long the provider asked to wait, in seconds, where it did."""
        super().__init__(detail, retry_after_s=retry_after_s)
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.elsewhere = elsewhere


class ProviderError(ProviderFailure):
    """It broke, or spoke something that is not the protocol."""


class ProviderIncomplete(ProviderFailure):
    """It stopped in the middle, without saying why."""

    slug = "provider-incomplete"
    title = "The answer broke off"
    meaning = "The provider ended without saying that it was done. What came is not the whole."


class ProviderRejected(ProviderFailure):
    """It refused: a wrong key there, no money there, an unknown model."""

    slug = "provider-rejected"
    title = "The model's provider refused the request"
    meaning = "The operator's account, key or model is at fault; the log says what it was."


class ProviderTimeout(ProviderFailure):
    """It sent no content in time."""

    status = 504
    slug = "provider-timeout"
    title = "The model's provider took too long"
    meaning = "No content came in time: see GLOSS_FIRST_TEXT_S and GLOSS_BETWEEN_TEXT_S."
