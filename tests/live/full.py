"""A service with few slots, and guests each of whom the test lets go when it likes."""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.live.conftest import HEARTBEAT_S, asking
from tests.live.http import Connection
from tests.live.service import Service, serving
from tests.upstream.fixtures import Upstream

NDJSON = "application/x-ndjson"


def running(upstream: Upstream, folder: Path, **env: str) -> AbstractContextManager[Service]:
    return serving(
        folder,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        GLOSS_HEARTBEAT_S=HEARTBEAT_S,
        **env,
    )


class House:
    """A service and its guests; each guest has its gate at the provider."""

    def __init__(self, service: Service, upstream: Upstream, name: str, stack: ExitStack) -> None:
        self.service, self.upstream = service, upstream
        self._name, self._stack = name, stack

    def model(self, guest: str) -> str:
        return f"fault/silent:{self._name}-{guest}"

    def enter(self, guest: str, accept: str = NDJSON) -> Connection:
        client = self._stack.enter_context(self.service.connect())
        return client.post("/v1/relay", asking(self.model(guest)), accept)

    def works(self, guest: str) -> None:
        """Wait until the provider is asked for this guest."""
        assert self.upstream.journal(self.model(guest), begun=1)

    def was_asked_for(self, guest: str) -> bool:
        return bool(self.upstream.journal(self.model(guest)))

    def serve(self, *guests: str) -> None:
        for guest in guests:
            self.upstream.gate(f"{self._name}-{guest}")

    def fill(self) -> dict[str, Connection]:
        """Let two work and two wait, and know that they do."""
        guests = {}
        for guest in "ab":
            guests[guest] = self.enter(guest)
            self.works(guest)
        for place, guest in enumerate("cd", start=1):
            guests[guest] = self.enter(guest)
            assert guests[guest].head().status == 200
            guests[guest].until(
                b'"code":"queued","detail":"Place %d in the queue.","place":%d' % (place, place)
            )
        return guests
