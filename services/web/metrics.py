"""``GET /metrics``: the figures for Prometheus, behind a key of their own.

They tell how busy the service is, with what, and what it costs: nobody else's business (S20).
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Request, Response, request

from services.errors import Forbidden, Unauthorized
from services.settings import Settings
from services.telemetry.metrics import CONTENT_TYPE, Metrics

PATH = "/metrics"
BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class MetricsRoute:
    """Who may see the figures is the settings' to say; ``refresh`` asks for those that nobody else does.

    ``keyed`` tells whether callers need a key: then figures are not for everybody either.
    """

    metrics: Metrics
    settings: Settings
    keyed: Callable[[], bool]
    refresh: Callable[[], None]

    def blueprint(self) -> Blueprint:
        """Give the route its path."""
        routes = Blueprint("metrics", __name__)
        routes.add_url_rule(PATH, "metrics", self.show)
        return routes

    def show(self) -> Response:
        """Show what all processes have counted."""
        check_metrics_key(request, self.settings, keyed=self.keyed())
        self.refresh()
        return Response(self.metrics.exposed(), content_type=CONTENT_TYPE)


def check_metrics_key(request: Request, settings: Settings, *, keyed: bool) -> None:
    """Raise Unauthorized without the right key, Forbidden where there is none and others could come in."""
    key = settings.metrics_key
    if key is None:
        if settings.on_loopback and not keyed:
            return
        raise Forbidden("Set GLOSS_METRICS_KEY, and send it as `Authorization: Bearer …`.")
    sent = BEARER.fullmatch(request.headers.get("Authorization", ""))
    right = hmac.compare_digest((sent[1] if sent else "").encode(), key.get_secret_value().encode())
    if not right:
        raise Unauthorized("Send the key of GLOSS_METRICS_KEY in the header `Authorization: Bearer …`.")
