"""The processes: gunicorns with one worker each over one Redis, and the signals that are sent to them.

Each is a master of its own, so that a test knows which process it talks to: a port is a process.
What a balancer would do, the clients do: they take any one that lets them in.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.service import OURS, ROOT, free_port
from tests.proxy.fixtures import Proxy
from tests.proxy.fixtures import proxied as before
from tests.redis_server import RedisServer, redis_server
from tests.rig.wire import CutError, ask
from tests.upstream.fixtures import Upstream, running

PROCESSES = 2
MARK = "rig:judged"  # stands in Redis unless it came back empty
BOOT_S = 60.0
GONE_S = 40.0
LOOK_S = 0.02  # between two looks at what tells no other way that it has come
API_KEY = "sk-planted-0f9d"  # must stand in no log

# No silence of the provider is a fault here, and heartbeats come often.
SETTINGS = {
    "GLOSS_MODEL": "ok:5",
    "GLOSS_MODELS": "*",
    "GLOSS_HEARTBEAT_S": "0.5",
    "GLOSS_FIRST_TEXT_S": "100",
    "GLOSS_BETWEEN_TEXT_S": "100",
    "GLOSS_RETENTION_S": "300",
    "GLOSS_TOKENS_PER_DAY": "1000000000000",  # a limit that nobody comes to, so that all is reserved
    "GLOSS_QUOTAS_OPEN": "1",  # and nothing is refused for want of a store
    "OPENAI_API_KEY": API_KEY,
    "WEB_CONCURRENCY": "1",
}


@dataclass
class Member:
    """One gunicorn: a master, its worker, the port that both share."""

    folder: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self._printed = self.folder / f"{self.port}.log"
        self.start()

    def start(self) -> None:
        """Start it, on the same port if it ran before; ``ready`` waits for it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with self._printed.open("ab") as printed:
            self.master = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "tests.rig.app:app"],
                cwd=ROOT,
                env={**clean, "PYTHONPATH": str(ROOT), "PORT": str(self.port), **self.env},
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """Return all that it has printed."""
        return self._printed.read_text(errors="replace")

    @property
    def worker(self) -> int:
        """Return the process id of the worker that was started last."""
        return int(re.findall(r"Booting worker with pid: (\d+)", self.log)[-1])

    def ready(self) -> None:
        """Wait until it answers."""
        if not wait_until(self._answers, BOOT_S):
            raise RuntimeError(f"a process did not start:\n{self.log[-3000:]}")

    def _answers(self) -> bool:
        if self.master.poll() is not None:
            raise RuntimeError(f"a process ended:\n{self.log[-3000:]}")
        with suppress(OSError, CutError):
            return ask(self.port, "GET", "/healthz")[0] == 200
        return False

    def kill_worker(self) -> None:
        """End the worker at once; the master starts another one. Returns when it is dead."""
        worker = self.worker
        with suppress(ProcessLookupError), watched(worker) as pid:
            os.kill(worker, signal.SIGKILL)
            select.select([pid], [], [], GONE_S)

    def kill(self) -> None:
        """End master and worker at once."""
        self.master.kill()
        with suppress(ProcessLookupError):
            os.kill(self.worker, signal.SIGKILL)
        self.master.wait(GONE_S)

    def stop(self) -> None:
        """Tell it to stop, as a deploy does."""
        self.master.terminate()

    def gone(self, within_s: float = GONE_S) -> bool:
        """Wait until it has ended; tell whether it did in time."""
        with suppress(subprocess.TimeoutExpired):
            self.master.wait(within_s)
        return self.master.poll() is not None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the worker do nothing for a while, and know nothing of it."""
        worker = self.worker
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    def open_files(self, *, but_to: set[int]) -> int:
        """Return how many descriptors the worker has open, but for connections to these ports."""
        process = Path(f"/proc/{self.worker}")
        pooled = {inode for port, inode in connected(process) if port in but_to}
        return sum(
            f"{one.readlink()}" not in pooled for one in (process / "fd").iterdir() if one.is_symlink()
        )


def connected(process: Path) -> Iterator[tuple[int, str]]:
    """Yield the port to which each TCP socket of a process's machine is connected, and its name in /proc."""
    for line in (process / "net" / "tcp").read_text().splitlines()[1:]:
        fields = line.split()
        yield int(fields[2].partition(":")[2], 16), f"socket:[{fields[9]}]"


@contextmanager
def watched(pid: int) -> Iterator[int]:
    """Open a descriptor that is readable when the process has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def wait_until(true: object, seconds: float) -> bool:
    """Look again and again for what tells no other way that it is true; tell whether it was in time."""
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:  # type: ignore[operator]
        select.select([], [], [], LOOK_S)
    return bool(found)


@dataclass
class House:
    """All processes of one test."""

    redis: RedisServer
    upstream: Upstream
    members: list[Member]
    proxy: Proxy | None = None  # before Redis
    settled: tuple[int, int] = (0, 0)  # in the ledger and in the journal, when they last could be compared

    def ports(self) -> list[int]:
        """Return the ports of those that run, or are about to."""
        return [one.port for one in self.members if one.master.poll() is None]

    def mend(self) -> None:
        """See that all of it runs, whatever was done to it."""
        for member in self.members:
            if member.master.poll() is not None:
                member.start()
        for member in self.members:
            member.ready()

    def printed(self) -> str:
        """Return all that all have printed."""
        return "".join(one.log for one in self.members)


@contextmanager
def housed(*, proxied: bool = False, **env: str) -> Iterator[House]:
    """Run two processes until the block ends; settings by their variables beat the rig's own.

    ``proxied``: the fault proxy stands between them and Redis.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gloss-rig-")))
        upstream = stack.enter_context(running())
        server = stack.enter_context(redis_server())
        proxy = stack.enter_context(before(server.port)) if proxied else None
        there = f"redis://127.0.0.1:{(proxy or server).port}"
        env = {**SETTINGS, "OPENAI_BASE_URL": upstream.base_url, "REDIS_URL": there, **env}
        env["GLOSS_DATA"] = str(folder / "data")
        server.ask("SET", MARK, "1")
        house = House(server, upstream, [], proxy)
        stack.callback(_end, house)
        for _ in range(PROCESSES):
            house.members.append(Member(folder, env))
        house.mend()
        yield house


def _end(house: House) -> None:
    for member in house.members:
        member.kill()
