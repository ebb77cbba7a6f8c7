"""Spans on their way to a collector, from the real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.live.conftest import asking
from tests.live.service import serving
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live
WAIT_S = 30


@contextmanager
def collector() -> Iterator[tuple[str, "Queue[ExportTraceServiceRequest]"]]:
    """Take what is sent to /v1/traces."""
    came: Queue[ExportTraceServiceRequest] = Queue()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            came.put(
                ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_spans_reach_a_collector_by_the_time_the_process_has_stopped(
    upstream: Upstream, tmp_path: Path
) -> None:
    """What was not sent yet is sent at the end; the service is called as the environment says."""
    env = {
        "OPENAI_BASE_URL": upstream.base_url,
        "GLOSS_MODEL": "ok:5",
        "OTEL_SERVICE_NAME": "gloss-of-the-tests",
    }
    with collector() as (url, came):
        with (
            serving(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, **env) as service,
            service.connect() as client,
        ):
            client.post("/v1/relay", asking("ok:5"), "application/x-ndjson").answer()
        [resource] = came.get(timeout=WAIT_S).resource_spans
    said = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert said["service.name"] == "gloss-of-the-tests"
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {
        "gloss relay",
        "chat ok:5",
    }


def test_a_collector_that_is_not_there_holds_up_nothing(upstream: Upstream, tmp_path: Path) -> None:
    """Neither a stream nor the stop of the process."""
    env = {"OPENAI_BASE_URL": upstream.base_url, "GLOSS_MODEL": "ok:5"}
    with serving(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", **env) as service:
        with service.connect() as client:
            _, body = client.post("/v1/relay", asking("ok:5"), "application/x-ndjson").answer()
        assert b'"reason":"stop"' in body
        service.process.terminate()
        assert service.process.wait(25) == 0
    assert "SIGKILL" not in service.log
