"""``make run``: find or bring a model, start gunicorn, say how to ask, end everything in order."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException

from services import settings as declared
from services.launch import embedded
from services.launch.address import bind_host, claim, netloc, reachable
from services.launch.children import Child, by_sigterm, watch
from services.launch.refusal import Refusal
from services.launch.welcome import welcome, who_answers
from services.settings import Settings, SettingsError
from services.state.choice import beside
from services.web import stored_keys

GUNICORN_S = 25.0  # its own grace time is 20 s
LOOK_S = 0.1


def main() -> int:
    """Run until somebody ends it or a part of it dies; returns the exit status."""
    end_on(signal.SIGTERM, signal.SIGHUP)
    try:
        with ExitStack() as running:
            how = run(declared.read(), running)
    except KeyboardInterrupt:
        return 0
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(f"{how}; so all of it ends.", file=sys.stderr)
    return 1


def end_on(*signals: signal.Signals) -> None:
    """Take these as a Ctrl-C, unless they were ignored on purpose (nohup)."""
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def run(settings: Settings, running: ExitStack) -> str:
    """Start what is needed, in order; returns what ended, and how."""
    host = bind_host(settings.host)
    port = claim(host, settings.port)
    children, env, model = [], {"HOST": host, "PORT": str(port)}, who_answers(settings)
    if settings.openai_api_key is None and settings.openai_base_url is None:
        child, told = start_model(settings, running)
        children.append(child)
        env |= told
        model = f"{told.get('GLOSS_MODEL', settings.model)} (embedded, on this processor)"
    gunicorn = start_gunicorn(env, running)
    wait_until_up(gunicorn, reachable(host), port)
    at = f"http://{netloc(reachable(host), port)}"
    print(welcome(keyed=is_keyed(settings), at=at, model=model), flush=True)
    return watch([*children, gunicorn])


def start_model(settings: Settings, running: ExitStack) -> tuple[Child, dict[str, str]]:
    """Start the embedded model; returns its process and what the service must know of it."""
    embedded.need_limit(settings)
    embedded.need_runtime()
    name, path = embedded.model_file(settings)
    log, key = embedded.models_folder(settings).with_name("model-server.log"), embedded.new_key()
    child = embedded.start(name, path, key, log)
    running.callback(child.end)
    address = embedded.address_of(child, log)
    return child, embedded.service_env(settings, address=address, key=key, name=name)


def start_gunicorn(env: Mapping[str, str], running: ExitStack) -> Child:
    """Start gunicorn, which reads gunicorn.conf.py; only its warnings are for this terminal."""
    child = Child(
        "gunicorn",
        ["services.launch.serve", str(os.getpid()), "--log-level", "warning", "app:app"],
        ask=by_sigterm,
        patience_s=GUNICORN_S,
        env=env,
    )
    running.callback(child.end)
    return child


def wait_until_up(gunicorn: Child, host: str, port: int) -> None:
    """Return once the service answers; raises ``Refusal`` when it ends instead."""
    while not answers(host, port):
        if how := gunicorn.ended():
            raise Refusal(f"{how}; the lines above say why.")
        time.sleep(LOOK_S)


def is_keyed(settings: Settings) -> bool:
    """Tell whether the service asks for a key: one of the settings, or of the store that it has opened."""
    if settings.keys:
        return True
    try:
        store = beside(settings)
    except SettingsError:
        return False  # the service has no disk either
    with closing(store):
        return bool(stored_keys.load(store))


def answers(host: str, port: int) -> bool:
    """Tell whether something speaks HTTP there; what it says of our Host is its own business."""
    connection = HTTPConnection(host, port, timeout=5)
    with suppress(OSError, HTTPException):
        connection.request("GET", "/healthz")
        return bool(connection.getresponse().status)
    return False


if __name__ == "__main__":
    sys.exit(main())
