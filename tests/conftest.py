"""The test process is as production is: patched by gevent before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
from collections.abc import Generator  # noqa: E402

import pytest  # noqa: E402

pytest_plugins = ["tests.upstream.fixtures", "tests.live.model", "tests.redis_server", "tests.client.node"]

# A function of a property test may be slow on a busy machine; that is no finding.
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("gloss", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("gloss")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped has failed: what it needs was to be installed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
