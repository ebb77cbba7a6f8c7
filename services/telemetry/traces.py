"""Traces: one span a stream, below it one for each request to a provider; never a word of anybody's.

They are made when a stream has ended, from what was noted of it, so a stream that runs pays nothing
for them. Who wants them installs ``requirements-otel.txt`` and names a collector as OpenTelemetry
does, by OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.settings import Settings, SettingsError
from services.telemetry.ends import Ended

MOST_SPANS = 200  # of one stream; a text of a thousand lines is a thousand requests


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One moment by both clocks: spans are told in wall time, streams are measured in monotonic time."""

    wall: datetime
    monotonic: float

    def wall_ns(self, monotonic: float) -> int:
        """Return nanoseconds since 1970 of another moment."""
        return int((self.wall.timestamp() - (self.monotonic - monotonic)) * 1e9)


class Traces(Protocol):
    """Whoever makes spans; ``most_spans`` are kept of the requests of one stream."""

    most_spans: int

    def ended(self, went: Ended, now: Moment) -> None:
        """Make the spans of a stream; must neither block nor raise."""
        ...


class NoTraces:
    """What there is unless a collector is named."""

    most_spans = 0

    def ended(self, went: Ended, now: Moment) -> None:
        """Make nothing."""


def traces(settings: Settings) -> Traces:
    """Return what the settings ask for; raises SettingsError where the packages for it are missing."""
    endpoint = settings.otel_traces_endpoint
    if endpoint is None and settings.otel_endpoint:
        endpoint = (
            f"{settings.otel_endpoint.rstrip('/')}/v1/traces"  # OTLP exporter specification, "Endpoint URLs"
        )
    if endpoint is None:
        return NoTraces()
    try:
        from services.telemetry import otel  # noqa: PLC0415 - its packages are an extra
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and what speaks to it is not installed: "
            "pip install -r requirements-otel.txt"
        ) from error
    return otel.exporting(endpoint, service=settings.otel_service_name)
