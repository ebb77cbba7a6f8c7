"""How things stand in a process."""

from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.state.trouble import Trouble
from services.streams.levels import Levels
from tests.streams.stage import Stage, settle
from tests.telemetry.reading import total


def test_levels_are_those_of_the_moment() -> None:
    """Streams, those at work, those in the queue, and who reads them."""
    stage = Stage(settings={"max_streams": 1})
    levels = Levels(stage.core, None, version="0")
    replies = [stage.post(), stage.post()]
    levels()
    said = stage.core.metrics.exposed()
    told = {
        name: total(said, f"gloss_{name}") for name in ("streams_open", "streams_working", "streams_queued")
    }
    assert told == {"streams_open": 2, "streams_working": 1, "streams_queued": 1}
    assert total(said, "gloss_readers") == 2
    assert total(said, "gloss_processes") == 1
    assert total(said, "gloss_build_info", version="0") == 1
    for reply in replies:
        reply.read()
    settle()
    levels()
    said = stage.core.metrics.exposed()
    assert total(said, "gloss_streams_open") + total(said, "gloss_streams_working") == 0


def test_what_the_store_failed_in_is_counted_once() -> None:
    """However often the levels are read; whether it is down is of the moment."""
    stage, trouble = Stage(), Trouble(failures=2, down=True)
    levels = Levels(stage.core, trouble, version="0")
    levels()
    levels()
    said = stage.core.metrics.exposed()
    assert (total(said, "gloss_store_errors_total"), total(said, "gloss_store_down")) == (2, 1)
    trouble.failures, trouble.down = 3, False
    levels()
    said = stage.core.metrics.exposed()
    assert (total(said, "gloss_store_errors_total"), total(said, "gloss_store_down")) == (3, 0)


class Away(MemoryStore):
    """A store that cannot be asked for sums."""

    def sums(self, rows):
        raise StoreDownError


def test_what_is_reserved_is_asked_for_by_whoever_wants_to_know() -> None:
    """Of the deployment's budget, while a stream runs; afterwards nothing stays reserved."""
    stage = Stage(settings={"tokens_per_day": 100_000})
    levels = Levels(stage.core, None, version="0")
    reply = stage.post()
    levels.reserved()
    assert total(stage.core.metrics.exposed(), "gloss_reserved_tokens") > 0
    reply.read()
    levels.reserved()
    assert total(stage.core.metrics.exposed(), "gloss_reserved_tokens") == 0


def test_without_its_store_nothing_new_is_said_of_reservations() -> None:
    """A scrape is answered all the same."""
    stage = Stage(settings={"tokens_per_day": 100_000}, store=Away())
    assert stage.call("GET", "/metrics").status == 200
