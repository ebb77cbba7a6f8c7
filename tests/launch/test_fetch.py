"""A model file: fetched once, resumed, and only the right bytes stand."""

import fcntl
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.launch.fetch import ROOM_BESIDE, announcement, fetch
from services.launch.models import QWEN, SMOLLM2, Model, Part
from services.launch.refusal import Refusal
from services.launch.sources import Seen, SourceFailed
from tests.launch.terminal import Terminal

SIZE = 10
CONTENT = b"first part" + b"other part" + b"tail"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model_of(content: bytes, **changes) -> Model:
    parts = tuple(
        Part(f"wheel{start // SIZE}==1", "data.bin", start, len(piece), sha256(piece))
        for start in range(0, len(content), SIZE)
        for piece in [content[start : start + SIZE]]
    )
    named = {"name": "small", "title": "Small", "licence": "none", "size": len(content)}
    return Model(**{**named, "sha256": sha256(content), "parts": parts, **changes})


MODEL = model_of(CONTENT)


@dataclass
class Shelf:
    """A source that gives slices of what it holds and remembers which were asked for."""

    content: bytes
    name: str = "the shelf"
    asked: list[int] = field(default_factory=list)
    fails_at: int | None = None

    def read(self, part: Part, seen: Seen) -> Iterator[bytes]:
        self.asked.append(part.start)
        if part.start == self.fails_at:
            yield self.content[part.start : part.start + 1]
            raise SourceFailed(f"{self.name} broke off")
        seen(part.size)
        yield self.content[part.start : part.start + part.size]


def bring(folder: Path, *shelves: Shelf, model: Model = MODEL, free: int = 10**12) -> str:
    """Fetch into the folder; returns what was said."""
    terminal = Terminal()
    fetch(model, folder, sources=lambda: list(shelves), terminal=terminal, free=lambda _: free)
    return terminal.shown


def partial(folder: Path) -> Path:
    return folder / "small.gguf.partial"


def test_whole(tmp_path):
    """The parts are joined under the model's name, and nothing else of the fetch stays."""
    bring(tmp_path, Shelf(CONTENT))
    assert (tmp_path / "small.gguf").read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetch.lock", "small.gguf"]


def test_once(tmp_path):
    """A file that is there is not fetched again, and nothing is said."""
    bring(tmp_path, Shelf(CONTENT))
    again = Shelf(CONTENT)
    assert bring(tmp_path, again) == ""
    assert again.asked == []


def test_said_first(tmp_path):
    """The size, the folder and the two ways without a fetch are said before the first byte."""
    said = announcement(QWEN, tmp_path)
    for part in ("1.12 GB", "Apache-2.0", str(tmp_path), "OPENAI_API_KEY=", "OPENAI_BASE_URL=", "make run"):
        assert part in said
    assert bring(tmp_path, Shelf(CONTENT)).startswith(announcement(MODEL, tmp_path))


def test_resumes(tmp_path):
    """What was fetched and is right is kept; what was begun is fetched anew."""
    partial(tmp_path).write_bytes(CONTENT[: SIZE + 3])
    shelf = Shelf(CONTENT)
    assert "are here already" in bring(tmp_path, shelf)
    assert shelf.asked == [SIZE, 2 * SIZE]


@given(st.binary(max_size=40) | st.integers(0, len(CONTENT)).map(lambda cut: CONTENT[:cut]))
def test_any_beginning(tmp_path_factory, left):
    """Whatever an earlier run has left, the file is right in the end."""
    folder = tmp_path_factory.mktemp("left")
    partial(folder).write_bytes(left)
    bring(folder, Shelf(CONTENT))
    assert (folder / "small.gguf").read_bytes() == CONTENT


def test_next_source(tmp_path):
    """A source that breaks off is left, and the next one goes on where it stood."""
    hub, wheels = Shelf(CONTENT, fails_at=SIZE), Shelf(CONTENT)
    assert "the shelf broke off" in bring(tmp_path, hub, wheels)
    assert (hub.asked, wheels.asked) == ([0, SIZE], [SIZE, 2 * SIZE])


def test_wrong_byte(tmp_path):
    """A part with a byte off is refused, said, removed, and taken from the next source."""
    wrong = CONTENT.replace(b"other", b"0ther")
    said = bring(tmp_path, Shelf(wrong), Shelf(CONTENT))
    assert "Wrong bytes from the shelf (wheel1==1)" in said
    assert (tmp_path / "small.gguf").read_bytes() == CONTENT


def test_wrong_byte_everywhere(tmp_path):
    """When no source has the right bytes, the start is refused and the right parts are kept."""
    with pytest.raises(Refusal, match="OPENAI_API_KEY"):
        bring(tmp_path, Shelf(CONTENT.replace(b"other", b"0ther")))
    assert partial(tmp_path).read_bytes() == CONTENT[:SIZE]


def test_wrong_whole(tmp_path):
    """A joined file whose sum is not the model's is refused and removed."""
    with pytest.raises(Refusal, match="Refused and removed"):
        bring(tmp_path, Shelf(CONTENT), model=model_of(CONTENT, sha256=sha256(b"another")))
    assert [path.name for path in tmp_path.iterdir()] == ["fetch.lock"]


def test_no_room(tmp_path):
    """Too little room is said with what is needed and what is free, before anything is fetched."""
    shelf = Shelf(CONTENT)
    with pytest.raises(Refusal, match=r"0\.11 GB are needed, 0\.05 GB are free"):
        bring(tmp_path, shelf, free=50_000_000)
    assert shelf.asked == []


def test_room_for_the_rest(tmp_path):
    """Only what is missing needs room."""
    partial(tmp_path).write_bytes(CONTENT[:SIZE])
    bring(tmp_path, Shelf(CONTENT), free=ROOM_BESIDE + len(CONTENT) - SIZE)
    assert (tmp_path / "small.gguf").exists()


class OtherStart(Terminal):
    """Another start that ends, its work done, when somebody says that they wait for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._lock = folder, (folder / "fetch.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def write(self, text: str) -> int:
        if "waiting for it" in text:
            (self._folder / "small.gguf").write_bytes(CONTENT)
            self._lock.close()
        return super().write(text)


def test_two_starts(tmp_path):
    """A second start waits for the one that fetches, and then fetches nothing itself."""
    shelf, terminal = Shelf(CONTENT), OtherStart(tmp_path)
    fetch(MODEL, tmp_path, sources=lambda: [shelf], terminal=terminal)
    assert (shelf.asked, "waiting for it" in terminal.shown) == ([], True)


def test_not_writable(tmp_path):
    """A folder that cannot be written to is refused with the system's reason."""
    partial(tmp_path).mkdir()
    with pytest.raises(Refusal, match="cannot be written: Is a directory"):
        bring(tmp_path, Shelf(CONTENT))


@pytest.mark.parametrize("model", [QWEN, SMOLLM2], ids=lambda model: model.name)
def test_parts_cover(model):
    """A model's parts follow each other without a gap, from its first byte to its last."""
    ends = [part.start + part.size for part in model.parts]
    assert [part.start for part in model.parts] == [0, *ends[:-1]]
    assert ends[-1] == model.size
