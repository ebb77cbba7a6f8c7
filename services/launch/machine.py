"""What the embedded model needs of the machine."""

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED = frozenset({"avx2", "fma", "bmi2"})  # the x86-64 wheel is compiled for them
CPUINFO = Path("/proc/cpuinfo")


def missing_features(machine: str, cpuinfo: str) -> list[str]:
    """Return which processor features the runtime lacks; unknown processors lack none."""
    if machine not in {"x86_64", "AMD64"} or "flags" not in cpuinfo:
        return []
    flags = next(line for line in cpuinfo.splitlines() if line.startswith("flags"))
    return sorted(NEEDED - set(flags.split()))


def lacks() -> str | None:
    """Return why the embedded model cannot run here, None if nothing is known against it."""
    cpuinfo = CPUINFO.read_text(encoding="ascii", errors="replace") if CPUINFO.exists() else ""
    if missing := missing_features(platform.machine(), cpuinfo):
        return f"this processor lacks {', '.join(missing)}"
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return "its runtime needs glibc, and this system has another C library (Alpine's musl?)"
    return None


def runtime_installed() -> bool:
    """Tell whether the model's runtime can be imported by this interpreter."""
    return find_spec("xllamacpp") is not None


def threads() -> int:
    """Return half the cores that this process may use, at least one.

    With as many threads as cores one busy core makes it collapse: each step waits for the slowest.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // 2)
