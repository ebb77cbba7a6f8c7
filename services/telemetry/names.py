"""The names under which figures leave the service, all of them here, since they still change.

Where OpenTelemetry's semantic conventions for generative AI (1.37, in development) have a name, it is
that one; as a metric's or a label's name with underscores for dots and the unit at its end, as
OpenTelemetry's rules for Prometheus have it. What is ours alone begins with ``gloss``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
# How the processes of a deployment come to one figure; a dead one's gauges count no more.
Together: TypeAlias = Literal["livesum", "livemax", "livemostrecent"]

# Attributes of spans, and members of log lines
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
ERROR_TYPE = "error.type"
STREAM = "gloss.stream"
USE_CASE = "gloss.use_case"
KEY = "gloss.key"
REASON = "gloss.finish_reason"
COST = "gloss.cost_usd"
RETRIES = "gloss.retries"


@dataclass(frozen=True, kw_only=True, eq=False)  # each is itself: they are looked up by it
class Metric:
    """One figure; ``together`` is for gauges, ``buckets`` are upper bounds of a histogram."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = ()
    together: Together = "livesum"


def label(attribute: str) -> str:
    """Return an attribute's name as a label."""
    return attribute.replace(".", "_")


BY_USE = (label(USE_CASE), label(REQUEST_MODEL))
# Below a second people feel each tenth; above ten nobody waits.
FIRST_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40)
BETWEEN_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
PAUSE_S = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20)
WHOLE_S = (0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
STALL_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)  # the conventions' own

FIRST_TEXT = Metric(
    name="gen_ai_server_time_to_first_token_seconds", kind="histogram", labels=BY_USE, buckets=FIRST_S,
    about="From the opening of a stream to its first text",
)  # fmt: skip
BETWEEN_TEXTS = Metric(
    name="gen_ai_server_time_per_output_token_seconds", kind="histogram", labels=BY_USE, buckets=BETWEEN_S,
    about="Between two texts of a stream, its mean",
)  # fmt: skip
LONGEST_PAUSE = Metric(
    name="gloss_stream_longest_pause_seconds", kind="histogram", labels=BY_USE, buckets=PAUSE_S,
    about="Between two texts of a stream, its longest",
)  # fmt: skip
DURATION = Metric(
    name="gen_ai_server_request_duration_seconds", kind="histogram", labels=BY_USE, buckets=WHOLE_S,
    about="From the opening of a stream to its end",
)  # fmt: skip
TOKEN_USAGE = Metric(
    name="gen_ai_client_token_usage", kind="histogram", buckets=TOKENS,
    labels=(*BY_USE, "gen_ai_token_type"),
    about="Tokens that a stream took from providers, input and output",
)  # fmt: skip
CACHED_INPUT = Metric(
    name="gloss_cached_input_tokens_total", kind="counter", labels=BY_USE,
    about="Input tokens that providers had in their caches",
)  # fmt: skip
REASONING = Metric(
    name="gloss_reasoning_tokens_total", kind="counter", labels=BY_USE,
    about="Output tokens that nobody sees: the model reasoned",
)  # fmt: skip
COST_USD = Metric(
    name="gloss_cost_usd_total", kind="counter", labels=BY_USE,
    about="Dollars by the price table; streams of models without a price are not in it",
)  # fmt: skip
ENDED = Metric(
    name="gloss_streams_ended_total", kind="counter", labels=(*BY_USE, "reason", label(ERROR_TYPE)),
    about="Streams that ended, by finish reason or by problem",
)  # fmt: skip
UNPRICED = Metric(
    name="gloss_streams_unpriced_total", kind="counter", labels=BY_USE,
    about="Streams whose cost is not known",
)  # fmt: skip
ESTIMATED = Metric(
    name="gloss_streams_estimated_total", kind="counter", labels=BY_USE,
    about="Streams whose tokens were counted here in part, not by the provider",
)  # fmt: skip
FROM_CACHE = Metric(
    name="gloss_streams_from_cache_total", kind="counter", labels=BY_USE,
    about="Streams that were answered from the response cache",
)  # fmt: skip
OPEN = Metric(name="gloss_streams_open", kind="gauge", about="Streams that have begun and not ended")
WORKING = Metric(name="gloss_streams_working", kind="gauge", about="Streams that have a slot")
QUEUED = Metric(name="gloss_streams_queued", kind="gauge", about="Streams that wait for a slot")
READERS = Metric(name="gloss_readers", kind="gauge", about="Readers of open streams")
PROBLEMS = Metric(
    name="gloss_requests_refused_total", kind="counter", labels=(label(ERROR_TYPE),),
    about="Requests that were answered with a problem, before any stream",
)  # fmt: skip
ATTEMPTS = Metric(
    name="gloss_provider_attempts_total", kind="counter", labels=(label(REQUEST_MODEL), "outcome"),
    about="Requests to providers: whole, stopped by us, or the problem",
)  # fmt: skip
RETRIED = Metric(
    name="gloss_provider_retries_total", kind="counter", labels=BY_USE,
    about="Requests to providers that were made again",
)  # fmt: skip
FALL_BACKS = Metric(
    name="gloss_provider_fallbacks_total", kind="counter", labels=BY_USE,
    about="Times that the next model took over from one that failed",
)  # fmt: skip
STORE_ERRORS = Metric(
    name="gloss_store_errors_total", kind="counter", about="Calls that the store did not answer, or refused"
)
STORE_DOWN = Metric(
    name="gloss_store_down", kind="gauge", about="Processes that leave the store alone since it failed"
)
STORE_WAITING = Metric(
    name="gloss_store_waiting", kind="gauge", about="Logs that wait in memory to be stored"
)
LEDGER_WAITING = Metric(
    name="gloss_ledger_waiting", kind="gauge", about="Streams whose cost waits in memory to be stored"
)
RESERVED_TOKENS = Metric(
    name="gloss_reserved_tokens", kind="gauge", together="livemostrecent",
    about="Reserved of the deployment's budget, for streams that run; by all machines",
)  # fmt: skip
RESERVED_USD = Metric(
    name="gloss_reserved_usd", kind="gauge", together="livemostrecent",
    about="The same in dollars",
)  # fmt: skip
STALLS = Metric(
    name="gloss_hub_stall_seconds", kind="histogram", buckets=STALL_S,
    about="Times of more than 10 ms in which a process did nothing for its other streams",
)  # fmt: skip
LONGEST_STALL = Metric(
    name="gloss_hub_longest_stall_seconds", kind="gauge", together="livemax",
    about="The longest of them within the last minute, of any process",
)  # fmt: skip
MEMORY = Metric(
    name="gloss_memory_bytes", kind="gauge",
    about="Resident memory of all processes; what they share counts twice",
)  # fmt: skip
PROCESSES = Metric(name="gloss_processes", kind="gauge", about="Processes that serve")
VERSION = Metric(
    name="gloss_build_info", kind="gauge", labels=("version",), together="livemax",
    about="1 for the version that runs",
)  # fmt: skip

DECLARED = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
