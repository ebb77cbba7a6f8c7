"""What a caller may say over a WebSocket."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

REF_CHARS = 64

Ref: TypeAlias = Annotated[str, Field(min_length=1, max_length=REF_CHARS)]


class Op(BaseModel):
    """One message; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    op: str


class Auth(Op):
    """Says who is calling, from now on; a socket without a key in its head begins with it."""

    op: Literal["auth"]
    token: str


class Start(Op):
    """Starts a stream; what it brings besides is the body, as a POST would carry it."""

    model_config = ConfigDict(extra="allow")

    op: Literal["start"]
    ref: Ref
    use_case: str
    idempotency_key: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """Return the use case's own fields."""
        return self.model_extra or {}


class Cancel(Op):
    """Ends the stream of this ref, for everybody who reads it; ``discard`` forgets what it said too."""

    op: Literal["cancel"]
    ref: Ref
    discard: bool = False


class Resume(Op):
    """Reads a stream from the event after this one."""

    op: Literal["resume"]
    ref: Ref
    stream: Annotated[str, Field(max_length=REF_CHARS)]
    after: Annotated[int, Field(ge=0, lt=1_000_000_000)] = 0


def ref_of(asked: dict[str, Any]) -> str | None:
    """Return the ref of a message that may be wrong in every other way."""
    ref = asked.get("ref")
    return ref if isinstance(ref, str) and 0 < len(ref) <= REF_CHARS else None
