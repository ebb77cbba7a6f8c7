"""What has to be known of a stream besides its log, for whoever reads it or takes it over."""

from typing import Any

import msgspec

from services.cost.paying import State
from services.streams.known import Before
from services.streams.presence import OnDisconnect
from services.streams.stream import Opener, Stream

VERSION = 1


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stored as JSON beside the log, and as long as it.

    ``kept_s`` is how long that is from its end on. ``inbox`` is where the process listens that
    makes the stream ("" between two of them), ``sent`` the request's body, ``answer`` the key under
    which its answer may serve again. ``whole`` tells after the end whether the bare text is what was
    asked for. ``handed`` is what its process had of it when it let go of it in order, with all that
    was shown stored; None where it did not. ``torn`` tells that a process died with it, and that what
    it showed last may be missing. ``discarded``: its answer was taken back, and nobody reads what is
    left of its log. ``opener`` is by what it was opened. ``paid`` is how its reservation stood when it began.
    """

    v: int = VERSION
    id: str
    owner: str
    use_case: str
    model: str
    inbox: str
    sent: dict[str, Any] = {}
    on_disconnect: OnDisconnect = "cancel"
    own_cap: bool = False
    session: str | None = None
    answer: str | None = None
    kept_s: float = 0.0
    whole: bool = False
    torn: bool = False
    discarded: bool = False
    opener: Opener | None = None
    handed: Before | None = None
    paid: State | None = None

    @classmethod
    def of(  # noqa: PLR0913 - what is known of a stream
        cls,
        stream: Stream,
        *,
        inbox: str,
        sent: dict[str, Any],
        session: str | None,
        kept_s: float,
        paid: State | None = None,
    ) -> "Facts":
        """Note what is known when a stream begins."""
        return cls(
            id=stream.id,
            owner=stream.owner,
            use_case=stream.use_case,
            model=stream.model,
            inbox=inbox,
            sent=sent,
            on_disconnect=stream.on_disconnect,
            own_cap=stream.own_cap,
            session=session,
            answer=stream.answer,
            opener=stream.opener,
            kept_s=kept_s,
            paid=paid,
        )


_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Facts).decode
_decode_sent = msgspec.json.Decoder(tuple[dict[str, Any], State | None]).decode


def encode(facts: Facts) -> bytes:
    """Return what is stored, without what only those want who take over: the body may be large."""
    return _encode(msgspec.structs.replace(facts, sent={}, paid=None))


def encode_sent(facts: Facts) -> bytes:
    """Return the rest as it is stored: the body, and the reservation."""
    return _encode([facts.sent, facts.paid])


def with_sent(facts: Facts, sent: bytes | None) -> Facts:
    """Return the facts with what was stored beside them; an earlier release stored the body alone."""
    if not sent:
        return facts
    body, paid = _decode_sent(sent) if sent.startswith(b"[") else (msgspec.json.decode(sent), None)
    return msgspec.structs.replace(facts, sent=body, paid=paid)


def key_of(stream_id: str) -> str:
    """Return the name under which a stream's facts are stored."""
    return f"stream:{stream_id}"


def stream_of(name: str) -> str | None:
    """Return whose facts are stored under this name, None if none are."""
    return name.removeprefix("stream:") if name.startswith("stream:") else None


def sent_of(stream_id: str) -> str:
    """Return the name under which a stream's body is stored."""
    return f"sent:{stream_id}"


def log_of(stream_id: str) -> str:
    """Return the name under which a stream's log is stored."""
    return f"log:{stream_id}"


def id_of(log: str) -> str:
    """Return whose log it is."""
    return log.removeprefix("log:")
