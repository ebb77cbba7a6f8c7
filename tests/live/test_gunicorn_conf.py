"""The real gunicorn with the project's own settings: what may not be overruled, is not."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.http import Connection
from tests.live.service import OURS, ROOT, free_port, serving

pytestmark = pytest.mark.live

TINY = "tests.launch.tiny:app"


def workers(log: str) -> int:
    return len(re.findall(r"Booting worker", log))


def test_one_worker(tmp_path):
    """One worker runs, whatever WEB_CONCURRENCY and GUNICORN_CMD_ARGS say, and the log says so."""
    with serving(tmp_path, app=TINY, WEB_CONCURRENCY="3", GUNICORN_CMD_ARGS="--workers 2") as service:
        with service.connect() as client:
            assert client.send("GET", "/").answer()[1] == b"False"
        assert "One worker runs" in service.log
    assert workers(service.log) == 1


def test_no_second_worker_by_signal(tmp_path):
    """SIGTTIN starts no second worker."""
    with serving(tmp_path, app=TINY) as service:
        service.process.send_signal(signal.SIGTTIN)
        service.process.send_signal(signal.SIGHUP)
        wait_for(service, "Booting worker", times=2)
    assert workers(service.log) == 2


def wait_for(service, text: str, times: int) -> None:
    """Ask until the log has it so often; the test's time limit ends what never comes."""
    while service.log.count(text) < times:
        with service.connect() as client:
            client.send("GET", "/").answer()


@pytest.mark.S5
def test_no_query_in_the_access_log(tmp_path):
    """The access log has no query string, also with another format on the command line."""
    asked = "--access-logfile - --access-logformat '%(r)s %(q)s %(f)s'"
    with serving(tmp_path, app=TINY, GUNICORN_CMD_ARGS=asked) as service:
        with service.connect() as client:
            client.send("GET", "/v1/streams/7?token=planted", Referer="http://planted/").answer()
        wait_for(service, "GET /v1/streams/7", times=1)
    assert "planted" not in service.log


def boot(**env: str) -> subprocess.CompletedProcess[str]:
    """Run gunicorn until it ends by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [sys.executable, "-m", "gunicorn", env.pop("app", TINY)],
        cwd=ROOT, env={**clean, "PORT": str(free_port()), **env},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_refusing_application():
    """An application that refuses to start says why in one line, and gunicorn ends."""
    done = boot(app="tests.launch.tiny:refusing")
    assert done.stderr.splitlines().count("This application refuses to start.") == 1
    assert (done.returncode, workers(done.stderr), "Traceback" in done.stderr) == (4, 1, False)


def test_wrong_setting():
    """A setting that is not right is named, without its value and without a traceback."""
    done = boot(GLOSS_MAX_STREAMS="planted")
    assert "GLOSS_MAX_STREAMS: Input should be a valid integer" in done.stderr
    assert (done.returncode, "planted" in done.stderr, "Traceback" in done.stderr) == (1, False, False)


def test_preload_refused():
    """--preload is refused: gevent could not patch before the application is imported."""
    done = boot(GUNICORN_CMD_ARGS="--preload")
    assert "--preload cannot be used" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_everywhere(tmp_path, host):
    """HOST=:: is reached by IPv4 and by IPv6."""
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with serving(tmp_path, app=TINY, HOST="::") as service, Connection(service.port, host) as client:
        assert client.send("GET", "/").answer()[0].status == 200


@pytest.mark.S20
def test_what_a_promise_depends_on(tmp_path):
    """No other worker, no longer grace and no worker's end after some requests, whatever was asked for."""
    asked = "--worker-class sync --graceful-timeout 60 --max-requests 1"
    with serving(tmp_path, app=TINY, GUNICORN_CMD_ARGS=asked) as service:
        with service.connect() as client:
            for _ in range(3):
                assert client.send("GET", "/").answer()[0].status == 200
        assert "(services.web.server.worker.Worker)" in service.log
        assert "grace 20 s" in service.log
    assert workers(service.log) == 1


def test_a_shorter_grace_is_kept(tmp_path):
    """A deployment may want to stop sooner."""
    with serving(tmp_path, app=TINY, GUNICORN_CMD_ARGS="--graceful-timeout 3") as service:
        assert "grace 3 s" in service.log


def test_descriptors_are_raised_as_far_as_they_are_needed(tmp_path):
    """What a shell gives is not enough; where it cannot be raised fewer connections are served."""
    room = 'ulimit -Sn 128; exec "$0" "$@"'
    with serving(tmp_path, app=TINY, before=["sh", "-c", room], GLOSS_MAX_STREAMS="100") as service:
        limits = Path(f"/proc/{service.process.pid}/limits").read_text(encoding="ascii")
        (connections,) = re.findall(r"(\d+) connections, ", service.log)
    (may_have,) = re.findall(r"^Max open files +(\d+) ", limits, re.MULTILINE)
    assert int(may_have) > 2 * int(connections) > 128
    assert "descriptors" not in service.log
