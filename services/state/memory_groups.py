"""Groups in memory: the reference for the other stores."""

from collections.abc import Callable, Collection

from services.state.store import Joined


class MemoryGroups:
    """Members by their groups; nothing in it waits, so every verb is atomic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._groups: dict[str, dict[str, float]] = {}

    def join(self, group: str, member: str, ttl_s: float, most: int | None = None) -> Joined:
        """Make somebody a member, if there is room."""
        there, now = self._there(group), self._now()
        full = most is not None and member not in there and len(there) >= most
        if not full:
            there[member] = now + ttl_s
            self._groups[group] = there
        first = min(there.values(), default=now)
        return Joined(not full, len(there), max(0.0, first - now))

    def quit(self, group: str, members: Collection[str]) -> None:
        """Let members go."""
        for member in members:
            self._groups.get(group, {}).pop(member, None)

    def members(self, group: str, skip: int, most: int) -> list[str]:
        """Return members, those that stay longest first."""
        there = self._there(group)
        return sorted(there, key=lambda member: (there[member], member), reverse=True)[skip : skip + most]

    def sweep(self) -> None:
        """Free the memory of those that are gone."""
        self._groups = {group: there for group in self._groups if (there := self._there(group))}

    def _there(self, group: str) -> dict[str, float]:
        now = self._now()
        return {member: until for member, until in self._groups.get(group, {}).items() if now < until}
