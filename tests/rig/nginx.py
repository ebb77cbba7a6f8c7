"""A real nginx as most people run it: told only where to pass requests on, so it speaks HTTP/1.0 to us."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.service import free_port
from tests.rig.house import wait_until

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{target}; }}
  }}
}}
"""


@contextmanager
def nginx(target: int) -> Iterator[int]:
    """Run it before a port of this machine until the block ends; yield its own."""
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    port = free_port()
    with TemporaryDirectory(prefix="gloss-nginx-") as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, target=target))
        process = subprocess.Popen(
            ["nginx", "-c", str(config), "-p", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if not wait_until(lambda: process.poll() is not None or listens(port), 10):
                raise RuntimeError("nginx did not start")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def listens(port: int) -> bool:
    """Tell whether somebody lets connections in."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
