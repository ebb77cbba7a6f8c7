"""Every setting of the service, declared once: name, unit, reason, precedent.

This is the only reader of the environment. The environment beats ``.env`` beats the prompt
file's caps; ``Settings.named`` tells the two apart. README's table is made from this file.
"""

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.settings.declare import Secrets, SettingsError, Words, by_comma, by_space, setting
from services.settings.names import unknown

__all__ = ["DEFAULT_MODEL", "LOOPBACK_NAMES", "MIB", "Settings", "SettingsError", "read"]

MIB = 1024 * 1024
DEFAULT_MODEL = "gpt-4.1-mini"  # fast, cheap, streams, does not reason first
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Settings(BaseSettings):
    """Frozen values, read once at start and handed down."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    # Where it listens
    host: str = setting(
        "127.0.0.1", "HOST", "Loopback until there are keys: nobody else can spend your money."
    )
    port: int = setting(8000, "PORT", "gunicorn's own default; Heroku sets it.", ge=0, le=65535)
    web_concurrency: int = setting(
        1, "WEB_CONCURRENCY", "Workers with Redis; without, one runs: the store is its own.", ge=1
    )
    trusted_hosts: Words = setting(
        (),
        "TRUSTED_HOSTS",
        "Comma-separated Host names served. Unset: on loopback its names, elsewhere any, where keys exist.",
    )

    # Which model answers
    openai_api_key: SecretStr | None = setting(None, "OPENAI_API_KEY", "The provider's key, as for its SDK.")
    openai_base_url: str | None = setting(
        None,
        "OPENAI_BASE_URL",
        "Any OpenAI-compatible endpoint, as the openai SDK names it.",
        pattern=r"^https?://[^/?#\s]+",
    )
    model: str | None = setting(
        None,
        "GLOSS_MODEL",
        f"Unset: `{DEFAULT_MODEL}`, or with a base URL the first of its `/v1/models`.",
    )
    models: Words = setting(
        (),
        "GLOSS_MODELS",
        "Comma-separated models that `options.model` may name, `*` for any letters. Unset: the default.",
    )
    providers: Secrets = setting(
        (),
        "GLOSS_PROVIDERS",
        "Fall-backs in order, by commas or white space: `https://:KEY@host/v1#model`, the key where needed.",
    )
    model_file: str | None = setting(
        None, "GLOSS_MODEL_FILE", "A GGUF file of your own for the embedded model of `make run`."
    )
    cache_home: Path | None = setting(
        None, "XDG_CACHE_HOME", "`make run` keeps the embedded model in its folder `gloss`; unset: ~/.cache."
    )
    context_window: int | None = setting(
        None,
        "GLOSS_CONTEXT_WINDOW",
        "Unset: what the price table knows of the model. A call that does not fit is never made.",
        unit="tokens",
        ge=256,
    )

    # Where state lives
    redis_url: SecretStr | None = setting(
        None,
        "REDIS_URL",
        "Redis for any number of processes and machines, also `rediss://`. Unset: one process, GLOSS_DATA.",
    )
    data: Path = setting(
        Path(".gloss"),
        "GLOSS_DATA",
        "Folder of the embedded store; where it cannot be written, state is in memory.",
    )
    store_call_s: float = setting(
        0.25,
        "GLOSS_STORE_CALL_S",
        "One call to Redis; a local one takes 1 ms, and no request waits longer than two calls.",
        unit="s",
        gt=0,
    )

    # What is paid for once
    cache_bytes: int = setting(
        16 * MIB,
        "GLOSS_CACHE_BYTES",
        "All answers kept for the next who asks the same; the smallest Redis for hire has 25 MB. 0: none.",
        unit="bytes",
        ge=0,
    )
    cache_bucket_bytes: int = setting(
        64 * 1024,
        "GLOSS_CACHE_BUCKET_BYTES",
        "The largest answer that is kept, packed: some 10,000 tokens. One is looked up by reading so much.",
        unit="bytes",
        ge=4096,
    )
    cache_s: float = setting(
        86_400, "GLOSS_CACHE_S", "An answer serves again for so long; a day.", unit="s", gt=0
    )
    cache_shared: bool = setting(
        default=False,
        env="GLOSS_CACHE_SHARED",
        why="All callers share answers, on purpose: one that is free tells that somebody asked the same.",
    )

    # Who may call
    keys: Words = setting(
        (),
        "GLOSS_KEYS",
        "Entries as `make key` prints them, by commas or white space. Hashes only, so they need no disk.",
    )
    secret: SecretStr | None = setting(
        None,
        "GLOSS_SECRET",
        "Signs tokens: 32 characters that nobody guesses. Unset, one is made and stored.",
        min_length=32,
    )
    token_s: float = setting(
        86_400,
        "GLOSS_TOKEN_S",
        "The longest life of a client token: a browser that was stolen has it no longer.",
        unit="s",
        gt=0,
    )
    key_rpm: int | None = setting(
        None,
        "GLOSS_KEY_RPM",
        "Streams that a key may start in a minute, where it names no RPM of its own. Unset: any number.",
        ge=1,
    )
    key_streams: int | None = setting(
        None,
        "GLOSS_KEY_STREAMS",
        "Streams that a key may have open, where it names no STREAMS of its own. Unset: any number.",
        ge=1,
    )
    subject_rpm: int | None = setting(
        60,
        "GLOSS_SUBJECT_RPM",
        "The same for each end user of a client token: one a second is more than a person asks.",
        ge=1,
    )
    subject_streams: int | None = setting(
        10,
        "GLOSS_SUBJECT_STREAMS",
        "The same for each end user: a few tabs. One of them cannot take all that the key has.",
        ge=1,
    )
    open: bool = setting(
        default=False, env="GLOSS_OPEN", why="Serve everybody without a key beyond loopback, on purpose."
    )
    cors_origins: Words = setting(
        (), "GLOSS_CORS_ORIGINS", "Comma-separated origins whose pages may call, exact."
    )

    # What it may cost
    usd_per_day: Decimal | None = setting(
        None, "GLOSS_USD_PER_DAY", unit="USD", gt=0,
        why="All callers together, by UTC: reserved before a provider is asked. Unset: no limit.",
    )  # fmt: skip
    tokens_per_day: int | None = setting(
        None, "GLOSS_TOKENS_PER_DAY", unit="tokens", gt=0,
        why="The same in tokens, input and output together: for models without a price.",
    )  # fmt: skip
    prices: Path | None = setting(
        None, "GLOSS_PRICES",
        "TOML file of your own prices: a table per model, `input` and `output` in USD per million tokens.",
    )  # fmt: skip
    quotas_open: bool = setting(
        default=False, env="GLOSS_QUOTAS_OPEN",
        why="While Redis is away: begin what has a limit, each process counting alone; off: refuse it (503).",
    )  # fmt: skip
    usage_days: float = setting(
        400, "GLOSS_USAGE_DAYS", "What was used is kept so long, by day: a year, and the same month before.",
        unit="days", gt=0,
    )  # fmt: skip

    # What the operator sees
    metrics_key: SecretStr | None = setting(
        None, "GLOSS_METRICS_KEY",
        "Opens /metrics, as a Bearer token. Unset: open on loopback where there are no keys, else shut.",
    )  # fmt: skip
    metrics_folder: Path | None = setting(
        None, "PROMETHEUS_MULTIPROC_DIR",
        "Where workers keep their figures together; gunicorn.conf.py makes one, in memory where it can.",
    )  # fmt: skip
    otel_endpoint: str | None = setting(
        None, "OTEL_EXPORTER_OTLP_ENDPOINT",
        "A collector for traces (`pip install -r requirements-otel.txt`); other OTEL_* hold too.",
    )  # fmt: skip
    otel_traces_endpoint: str | None = setting(
        None, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same for traces alone, with its whole path."
    )
    otel_service_name: str = setting("gloss", "OTEL_SERVICE_NAME", "What traces call the service.")
    log: Literal["auto", "json", "words"] = setting(
        "auto", "GLOSS_LOG", "A JSON object a line, or words for people: these only on a terminal."
    )

    # What one request may weigh
    head_s: float = setting(
        10,
        "GLOSS_HEAD_S",
        "A head is whole so long after its first byte, and a new connection says something by then.",
        unit="s",
        gt=0,
    )
    max_body_bytes: int = setting(
        4 * MIB,
        "GLOSS_MAX_BODY_BYTES",
        "64,000 tokens of any script, escaped as JSON, fit into it.",
        unit="bytes",
        ge=1024,
    )
    body_s: float = setting(
        10, "GLOSS_BODY_S", "A body that trickles in longer holds a connection for nothing.", unit="s", gt=0
    )
    max_input_tokens: int = setting(
        16_000,
        "GLOSS_MAX_INPUT_TOKENS",
        "Unset: the prompt file's cap, else this; some 25 pages.",
        unit="tokens",
        ge=1,
    )
    max_output_tokens: int = setting(
        2_000,
        "GLOSS_MAX_OUTPUT_TOKENS",
        "Unset: the prompt file's cap, else this; some three pages.",
        unit="tokens",
        ge=1,
    )
    deadline_s: float = setting(
        120,
        "GLOSS_DEADLINE_S",
        "Unset: the prompt file's, else this; the whole stream by wall clock.",
        unit="s",
        gt=0,
    )

    # How long a provider may be silent
    first_text_s: float = setting(
        25,
        "GLOSS_FIRST_TEXT_S",
        "Content, not bytes. Below Heroku's 30 s to the first byte; the embedded model gets 120.",
        unit="s",
        gt=0,
    )
    between_text_s: float = setting(
        20,
        "GLOSS_BETWEEN_TEXT_S",
        "Content, not bytes. Below the 55 s after which Heroku's router cuts.",
        unit="s",
        gt=0,
    )
    connect_s: float = setting(5, "GLOSS_CONNECT_S", "To the provider; the openai SDK's own.", unit="s", gt=0)
    attempts: int = setting(
        3,
        "GLOSS_ATTEMPTS",
        "At the provider for one call, all before its first text; the openai SDK's own.",
        ge=1,
        le=10,
    )
    attempts_within_s: float = setting(
        10, "GLOSS_ATTEMPTS_WITHIN_S", "No attempt begins later: a person is waiting.", unit="s", gt=0
    )
    retry_share: float = setting(
        0.1,
        "GLOSS_RETRY_SHARE",
        "Retries per request within a minute: a provider in trouble is not given more (Google SRE, ch. 21).",
        ge=0,
        le=1,
    )
    retries_per_minute: int = setting(
        20,
        "GLOSS_RETRIES_PER_MINUTE",
        "Allowed however few requests there were: one in 3 s harms nobody.",
        ge=0,
    )
    parallel_calls: int = setting(
        4,
        "GLOSS_PARALLEL_CALLS",
        "Calls of one stream at a time; more gains little and eats rate limits.",
        ge=1,
        le=64,
    )
    max_calls: int = setting(
        4_000,
        "GLOSS_MAX_CALLS",
        "Of one stream: a line of a text is one, and carries the prompt again. 50 texts × 10 are 500.",
        ge=1,
    )
    max_event_bytes: int = setting(
        MIB,
        "GLOSS_MAX_EVENT_BYTES",
        "One event of the provider's stream; a larger one is a fault or an attack.",
        unit="bytes",
        ge=1024,
    )

    # What readers get
    heartbeat_s: float = setting(
        10, "GLOSS_HEARTBEAT_S", "Sent after this much silence; proxies give up from 30 s on.", unit="s", gt=0
    )
    pad_bytes: int = setting(
        0, "GLOSS_PAD_BYTES",
        "Events are filled up to multiples of it: sizes tell less. 128 is enough; no plain text then. 0: no.",
        unit="bytes", ge=0, le=4096,
    )  # fmt: skip
    write_timeout_s: float = setting(
        20, "GLOSS_WRITE_TIMEOUT_S",
        "A client that takes no byte for so long is cut; one that is slow but takes some is not.",
        unit="s", gt=0,
    )  # fmt: skip
    json_s: float = setting(
        25, "GLOSS_JSON_S", "An answer in one piece ends by then: Heroku's router gives up at 30.",
        unit="s", gt=0,
    )  # fmt: skip
    retention_s: float = setting(
        600, "GLOSS_RETENTION_S", "A stream can be read again for so long after its end.", unit="s", ge=0
    )
    grace_s: float = setting(
        18, "GLOSS_GRACE_S",
        "For running streams after SIGTERM; with what follows below gunicorn's 20 s and Heroku's 30.",
        unit="s", ge=0,
    )  # fmt: skip
    max_streams: int = setting(
        2_000, "GLOSS_MAX_STREAMS", "At work at once in one process; at 40 KB each this is 80 MB.", ge=1
    )
    max_queued: int = setting(
        100, "GLOSS_MAX_QUEUED", "Wait for a slot, callers in turn; all others are refused at once.", ge=0
    )
    queue_s: float = setting(
        20,
        "GLOSS_QUEUE_S",
        "The longest wait for a slot: with the silence after it, below the 55 s of Heroku's router.",
        unit="s",
        gt=0,
    )
    max_memory_mb: int | None = setting(
        None,
        "GLOSS_MAX_MEMORY_MB",
        "New streams are refused from 90 % of it on. Unset: what the container or the machine has.",
        unit="MB",
        ge=1,
    )
    session_days: float = setting(
        30, "GLOSS_SESSION_DAYS", "A session not used for so long is forgotten.", unit="days", gt=0
    )

    _by_comma = field_validator("trusted_hosts", "models", "cors_origins", mode="before")(by_comma)
    _by_space = field_validator("keys", "providers", mode="before")(by_space)

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    def named(self, name: str) -> bool:
        """Tell whether the deployment set this itself, and so beats a prompt file."""
        return name in self.model_fields_set


def read() -> Settings:
    """Read the environment and ``.env``; raises SystemExit naming what is wrong, never its value."""
    wrong, settings = unknown(Settings), None
    try:
        settings = Settings()
    except ValidationError as error:
        wrong += [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    if settings is None or wrong:
        raise SystemExit("Settings that are not right:\n  " + "\n  ".join(wrong))
    return settings
