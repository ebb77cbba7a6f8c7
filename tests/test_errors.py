"""The exception tree, and the one way in which it becomes an error body."""

import re

import pytest

from services import errors
from services.errors import Busy, GlossError, InputTooLong, ProviderError, ProviderFailure, ShuttingDown

TREE = GlossError.tree()
DRAWN = re.findall(r"(\w+) +(\d{3})  ([a-z-]+)$", errors.__doc__ or "", re.MULTILINE)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each class that a caller can meet stands there with its status and slug, in order of status."""
    real = [
        (kind.__name__, str(kind.status), kind.slug)
        for kind in TREE
        if kind not in {GlossError, ProviderFailure}
    ]
    assert sorted(DRAWN) == sorted(real)
    ours = [int(status) for name, status, _ in DRAWN if not name.startswith("Provider")]
    assert ours == sorted(ours)


@pytest.mark.parametrize("kind", TREE)
def test_every_kind_explains_itself(kind: type[GlossError]) -> None:
    """Slug, title and meaning, in words for people."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")
    assert kind.meaning.endswith(".")
    assert 400 <= kind.status < 600


def test_a_slug_means_one_thing() -> None:
    """Kinds that share a slug share status and title."""
    meanings: dict[str, set[tuple[int, str]]] = {}
    for kind in TREE:
        meanings.setdefault(kind.slug, set()).add((kind.status, kind.title))
    assert [slug for slug, said in meanings.items() if len(said) > 1] == []


def test_a_problem_is_an_rfc_9457_object() -> None:
    """Type, title, status, detail, the stream as instance, and members of its own."""
    assert InputTooLong("Too long.", tokens=5, limit=3).problem("/v1/streams/x") == {
        "type": "/problems/input-too-long",
        "title": "The input has too many tokens",
        "status": 413,
        "detail": "Too long.",
        "instance": "/v1/streams/x",
        "tokens": 5,
        "limit": 3,
    }


def test_what_is_not_known_is_left_out() -> None:
    """No detail, no instance, no member that is None."""
    assert Busy(stream=None).problem() == {"type": "/problems/busy", "title": Busy.title, "status": 409}


def test_who_raises_it_may_know_when_to_come_back() -> None:
    """A kind has its own seconds, which the raiser's beat; None is not knowing."""
    assert ShuttingDown().members == ShuttingDown(retry_after_s=None).members == {"retry_after_s": 2}
    assert ShuttingDown(retry_after_s=7).members == {"retry_after_s": 7}


def test_a_provider_may_say_when_to_come_back() -> None:
    """The seconds are what a retry goes by; the problem says them whole, as ``Retry-After`` does."""
    failure = ProviderError("later", retryable=True, retry_after_s=2.5)
    assert (failure.retryable, failure.retry_after_s) == (True, 2.5)
    assert repr(failure.problem()["retry_after_s"]) == "3"
    assert "retry_after_s" not in ProviderError("now").problem()


def test_a_failure_is_not_retried_unless_it_says_so() -> None:
    """The default is the safe side."""
    assert ProviderError().retryable is False
