"""A real Prometheus that scrapes a service with the example's rules, as often as a test can wait for."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.live.service import Service, free_port

EXAMPLE = Path(__file__).parents[2] / "deploy" / "prometheus"
PROMETHEUS = shutil.which("prometheus")
WAIT_S = 60


class Prometheus:
    """Where it listens."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        """Ask its API; raises OSError where it does not answer."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)["data"]

    def value(self, query: str) -> list[dict[str, Any]]:
        """What a query finds now."""
        found: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return found

    def wait_for(self, query: str) -> list[dict[str, Any]]:
        """Ask until something is found."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            try:
                if found := self.value(query):
                    return found
            except (URLError, OSError):
                pass  # it is not up yet
            select([], [], [], 0.2)
        raise AssertionError(f"nothing was found in time: {query}")


@contextmanager
def watching(service: Service, folder: Path, *, key: str, every_s: int = 1) -> Iterator[Prometheus]:
    """Run it with the example's configuration, but for where and how often it scrapes."""
    config = yaml.safe_load((EXAMPLE / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{service.port}"]}]
    (folder / job["authorization"]["credentials_file"]).write_text(key)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(EXAMPLE / "alerts.yml", folder)
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(30)
