"""The live tests' service with a window: how much is open inside, since afterwards all must be as before."""

import gc
import json

from flask import Flask, Response
from greenlet import greenlet

from services.cost import tokens
from tests.live.relay import make


def windowed() -> Flask:
    """Return the service with one more route, warm as it is in production."""
    app = make()
    tokens.warm()
    core = app.extensions["gloss"]

    @app.get("/_inside")
    def inside() -> Response:
        gc.collect()
        told = {
            "greenlets": sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects()),
            "streams": len(core.streams.running),
            "copies": len(core.exchange.remote.read_here),
            "unsent": int(core.exchange.unsent or core.ledger.waiting > 0),
        }
        return Response(json.dumps(told), content_type="application/json")

    return app


def __getattr__(name: str) -> Flask:
    if name != "app":
        raise AttributeError(name)
    return windowed()
