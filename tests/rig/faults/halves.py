"""Half an answer, read by curl: as it is, in HTTP/1.0, and through an nginx that speaks HTTP/1.0 to us.

Bare text has no word for a bad end, so curl must fail: it is the last one who could be fooled.
"""

import json
import subprocess
from collections.abc import Callable

from tests.rig.clients import NDJSON
from tests.rig.faults import Size, fault
from tests.rig.house import Member
from tests.rig.nginx import nginx
from tests.rig.rig import PROMPT, Rig, promise
from tests.rig.wire import Wire

LONGEST_S = "30"


class Curl:
    """One curl that reads bare text; ``code`` is how it ended, 0 for well."""

    def __init__(self, port: int, model: str, *more: str, **options: object) -> None:
        body = json.dumps({"prompt": PROMPT, "options": {"model": model, **options}})
        command = [
            "curl",
            "-sSNi",
            "--max-time",
            LONGEST_S,
            *more,
            f"http://127.0.0.1:{port}/v1/relay",
            "-d",
            body,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.read = b""

    def hears(self, part: bytes) -> bytes:
        """Read until this has come, or nothing more comes; return all that was read."""
        while part not in self.read and (piece := self._process.stdout.read1()):
            self.read += piece
        return self.read

    @property
    def stream(self) -> str:
        """Return the id in the head."""
        [line] = [
            one for one in self.hears(b"\r\n\r\n").split(b"\r\n") if one.lower().startswith(b"gloss-stream:")
        ]
        return line.split()[1].decode()

    def code(self) -> int:
        """Read to the end, and return how it was."""
        self.hears(b"\0")
        return self._process.wait(40)


def killed(_rig: Rig, member: Member, _curl: Curl) -> None:
    member.kill_worker()


def cancelled(_rig: Rig, member: Member, curl: Curl) -> None:
    with Wire(member.port) as wire:
        wire.send("DELETE", f"/v1/streams/{curl.stream}", Accept=NDJSON).answer()


def nothing(_rig: Rig, _member: Member, _curl: Curl) -> None:
    """The provider does it."""


def past_grace(rig: Rig, member: Member, _curl: Curl) -> None:
    member.stop()


# What breaks an answer off: the model that is asked for, its options, and what is done to it.
HALVES: dict[str, tuple[str, dict[str, object], Callable[[Rig, Member, Curl], None]]] = {
    "the provider ends without a word": ("fault/no-finish:3", {}, nothing),
    "the provider resets": ("fault/rst:3", {}, nothing),
    "the deadline": ("paced:400:20", {"deadline_s": 1}, nothing),
    "a cancel": ("paced:400:20", {}, cancelled),
    "kill -9": ("paced:400:20", {}, killed),
    "a stop": ("paced:400:40", {}, past_grace),
}


@fault("half an answer, for curl: straight, in HTTP/1.0, behind nginx", "R1")
def halves(rig: Rig, size: Size) -> int:
    member = rig.house.members[0]
    with nginx(member.port) as before:
        ways = {"straight": (member.port,), "HTTP/1.0": (member.port, "-0"), "nginx": (before,)}
        for port, *more in ways.values():
            promise(Curl(port, rig.model("ok:5"), *more).code() == 0, "a whole answer ended badly")
        for broken, (kind, options, done) in HALVES.items():
            curls = {
                way: Curl(port, rig.model(kind), *more, **options) for way, (port, *more) in ways.items()
            }
            for curl in curls.values():
                curl.hears(b"w2 ")
            for curl in list(curls.values())[: None if done is cancelled else 1]:
                done(rig, member, curl)
            codes = {way: curl.code() for way, curl in curls.items()}
            promise(all(codes.values()), f"half an answer ended well ({broken}): {codes}")
            if done is past_grace:
                member.gone()
            rig.house.mend()
    return len(ways) * (len(HALVES) + 1)
