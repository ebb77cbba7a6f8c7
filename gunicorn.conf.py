"""gunicorn's settings, each with its reason.

Heroku's buildpack and GUNICORN_CMD_ARGS may add to them; what would break a promise is put right
in ``enforce``.

The application is not preloaded: the worker patches the standard library for gevent before it
imports anything of ours, and what was imported earlier would keep the blocking parts.
"""

import gc
import os
import resource
import sys
from pathlib import Path
from typing import Any

import gevent
from gunicorn.arbiter import Arbiter

from services import settings as declared
from services.launch.address import bind_host, netloc
from services.telemetry import folder
from services.web.server.connection import Limits
from services.web.server.logger import Logger

settings = declared.read()

# prometheus_client looks here when it is first imported, which is after the workers are forked.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

bind = netloc(bind_host(settings.host), settings.port)

# Without Redis the store is one process's own, so a second worker would not know of its streams.
workers = settings.web_concurrency if settings.redis_url else 1

# gevent would note for each greenlet where it was spawned: 2 KB of each stream, for nobody.
gevent.config.track_greenlet_tree = False

# A stream is a greenlet: thousands of silent ones cost memory and nothing else.
worker_class = "services.web.server.worker.Worker"
# All streams, and others who cancel, ask how it is, are refused, or only keep their connection.
worker_connections = settings.max_streams + settings.max_queued + 500

# Longer than the 90 s for which Heroku's router keeps an idle connection; if we closed it first, the
# router would write its next request into nothing (H13, H18).
keepalive = 100

# On SIGTERM Heroku kills after 30 s, so streams get 20 to come to an end, and the process the rest.
graceful_timeout = 20

# The worker signs every second from its hub: after 30 s without one, it hangs.
timeout = 30

# A worker that is replaced after so many requests would kill its streams.
max_requests = 0

# Each connection may need two: the client's and the provider's; and some are for refusing others.
# The rest is what a process has open besides: 29 when it is idle, four of them files of figures.
DESCRIPTORS_PER_CONNECTION = 2.1
OTHER_DESCRIPTORS = 68

# What Heroku's router allows at most; read tokens in URLs are far shorter.
limit_request_line = 8190
limit_request_field_size = 8190
limit_request_fields = 100

# One encoding of frames: chunked HTTP/1.1. A proxy in front may speak HTTP/2 to browsers.
http_protocols = "h1"

# Its own lines look like the service's.
Logger.form = settings.log
logger_class = Logger

# No header of a client may set the path or the prefix of a request.
forwarder_headers = ""

# On by default, and anybody who can open it can stop the service.
control_socket_disable = True

# Method and path, never the query (%(r)s, %(q)s), which may carry a token, nor the referrer (%(f)s).
# Off unless a deployment asks for it: GUNICORN_CMD_ARGS="--access-logfile -".
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(b)s %(L)ss'


def on_starting(server: Any) -> None:
    """Put right what a promise depends on, make room for the workers' figures, and say what runs."""
    enforce(server)
    os.environ[METRICS_FOLDER] = str(folder.make())  # also where an earlier master had its own (SIGUSR2)
    server.log.info(
        "Effective: bind %s, workers %d (%s), %d connections, keep-alive %d s, grace %d s.",
        ",".join(server.cfg.bind),
        server.cfg.workers,
        server.cfg.worker_class_str,
        server.cfg.worker_connections,
        server.cfg.keepalive,
        server.cfg.graceful_timeout,
    )  # fmt: skip - the values stand as in the text


def post_worker_init(worker: Any) -> None:
    """Give the worker its limits, and keep what was made until here out of garbage collections.

    The next worker is told that one was ready, so that it may wait for what this one has found.

    A full collection walks every object: 160 ms with all modules in it, in which no stream moves;
    60 ms without. Streams themselves leave no cycles behind, so collections can come less often.
    """
    worker.limits = Limits(
        head_s=settings.head_s,
        keepalive_s=worker.cfg.keepalive,
        write_timeout_s=settings.write_timeout_s,
    )
    folder.note_served(Path(os.environ[METRICS_FOLDER]))
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def child_exit(_server: Any, worker: Any) -> None:
    """Let a worker that is gone count no more as one that has streams open."""
    folder.forget(Path(os.environ[METRICS_FOLDER]), worker.pid)


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    folder.remove(Path(os.environ[METRICS_FOLDER]))


def on_reload(server: Any) -> None:
    """Put it right again: a reload reads command line and environment anew."""
    enforce(server)


def enforce(server: Any) -> None:
    """Overrule WEB_CONCURRENCY, GUNICORN_CMD_ARGS and the command line where they break a promise."""
    if server.cfg.preload_app:
        raise SystemExit("--preload cannot be used: gevent must patch before the application is imported.")
    if not settings.redis_url:
        _one_worker(server)
    if server.cfg.worker_class_str != worker_class or server.cfg.graceful_timeout > graceful_timeout:
        server.log.warning("The worker and its time to stop are those of gunicorn.conf.py.")
    server.cfg.set("worker_class", worker_class)
    server.worker_class = server.cfg.worker_class
    server.cfg.set("graceful_timeout", min(server.cfg.graceful_timeout, graceful_timeout))
    server.cfg.set("max_requests", max_requests)
    server.cfg.set("worker_connections", within_descriptors(server))
    server.cfg.set("access_log_format", access_log_format)
    server.cfg.set("control_socket_disable", True)  # noqa: FBT003 - gunicorn's signature


def _one_worker(server: Any) -> None:
    if server.cfg.workers != 1 or settings.web_concurrency != 1:
        server.log.warning(
            "One worker runs, whatever WEB_CONCURRENCY or --workers say: the store is its own. "
            "REDIS_URL lets more run."
        )
    server.cfg.set("workers", 1)
    server.num_workers = 1


def within_descriptors(server: Any) -> int:
    """Raise the limit of descriptors as far as it is needed; return how many connections fit into it.

    With 1,024, as a shell gives them, 500 streams would leave none, and a stream without one for its
    provider fails, while a connection too many is told to come back.
    """
    asked: int = server.cfg.worker_connections
    needed = int(asked * DESCRIPTORS_PER_CONNECTION) + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most >= needed:
        return asked
    fitting = max(1, int((most - OTHER_DESCRIPTORS) / DESCRIPTORS_PER_CONNECTION))
    server.log.warning("%d connections fit into %d descriptors (ulimit -Hn).", fitting, most)
    return fitting


def nworkers_changed(server: Any, new_value: int, old_value: int | None) -> None:
    """Refuse a second worker by SIGTTIN where the store is one process's own."""
    if old_value is not None and new_value > 1 and not settings.redis_url:
        server.num_workers = 1


def worker_exit(_server: Any, worker: Any) -> None:
    """Let an application that refuses to start say why in one line, and not be started again.

    gunicorn would restart a worker that ended by SystemExit for ever.
    """
    refusal = sys.exception()
    if not worker.booted and isinstance(refusal, SystemExit) and isinstance(refusal.code, str):
        sys.stderr.write(f"{refusal.code}\n")
        sys.exit(Arbiter.APP_LOAD_ERROR)
