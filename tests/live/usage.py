"""The operator's page before a month that is made up: its route, its doors, its files are the real ones.

``GLOSS_KEYS`` and ``HOST`` are read as the service reads them.
"""

from datetime import date

from flask import Flask

from app import HERE
from services.settings import read
from services.telemetry.metrics import Metrics
from services.web.doors import Doors, install_doors
from services.web.entries import parse_keys
from services.web.keys import Keys
from services.web.pages import pages_blueprint
from services.web.problems import install_problems
from services.web.usage_history import UsageHistory
from tests.cost.lines import month

app = Flask(__name__, static_folder=None)
settings = read()
keys = Keys(parse_keys(settings.keys))
install_problems(app, Metrics())
install_doors(app, Doors.of(settings, keys.__bool__))
app.register_blueprint(
    pages_blueprint(
        HERE / "client",
        use_cases={},
        limits=lambda _use_case: {},
        ready=dict,
        openapi=lambda _keyed: {},
        keyed=keys.__bool__,
    )
)
app.register_blueprint(
    UsageHistory(
        history=month(date.today()),  # noqa: DTZ011 - the page asks for the last days
        keys=keys,
        settings=settings,
        today=date.today,
    ).blueprint()
)
