"""What the kernel tells about processes: CPU time, memory, children; and where they may run."""

import os
import platform
import resource
from contextlib import suppress
from importlib import metadata
from pathlib import Path

PROC = Path("/proc")
PACKAGES = ("flask", "gunicorn", "gevent", "openai", "httpx2", "msgspec")
RELAY_CORE = 0
FEEDER_CORE = 1  # the client runs there too: a relay shares its core with neither
PRECEDENCE = -10  # niceness; of everything that is measured and measures alike
OPEN_FILES = 16_384  # 1,000 streams take two sockets each in a relay; the rest is room


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        children = (PROC / f"{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_seconds(pids: list[int]) -> float:
    """Return the seconds of CPU, user and system, that these processes have used.

    Read in nanoseconds from the scheduler, per thread; ``utime`` and ``stime`` count in
    hundredths of a second, too coarse for nginx.
    """
    return sum(_thread_ns(path) for pid in pids for path in PROC.glob(f"{pid}/task/*/schedstat")) / 1e9


def _thread_ns(path: Path) -> int:
    return int(path.read_text().split()[0])


def memory_bytes(pids: list[int]) -> int:
    """Return the proportional set size: pages shared by several processes are divided among them."""
    return sum(_pss_kb(pid) for pid in pids) * 1024


def _pss_kb(pid: int) -> int:
    for line in (PROC / f"{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def pin(core: int) -> None:
    """Keep the calling process on one core, where the machine has that many; children inherit it."""
    with suppress(OSError):
        os.sched_setaffinity(0, {core})


def allow_many_files() -> None:
    """Raise the limit of open files as far as it is needed and allowed; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def take_precedence() -> None:
    """Go before other work on this machine, where that is allowed; children inherit it."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRECEDENCE)


def description() -> dict[str, str]:
    """Return what a figure depends on: processor, kernel, Python, packages."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
