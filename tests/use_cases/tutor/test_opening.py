"""What stands around an answer is dropped, and only that."""

import pytest
from hypothesis import given, settings

from services.use_cases.tutor.directives import Mark, Reader
from services.use_cases.tutor.opening import Opening, OuterEnd
from tests.use_cases.tutor.cuts import cuts, joined

SAMPLE = "\n <think>a </thin\n```markdown\n</think>\n\n```md\nText\n```py\ncode\n```\nmore\n```\n"


def read(deltas):
    opening = Opening()
    reader = Reader(OuterEnd(opening))
    items = [item for delta in deltas for item in reader.feed(opening.feed(delta))]
    return joined([*items, *reader.feed(opening.end()), *reader.end()])


def test_both():
    """Thoughts and an outer fence are dropped, an inner fence stays."""
    assert read([SAMPLE]) == ["Text\n```py\ncode\n```\nmore\n"]


@settings(max_examples=300, deadline=None)
@given(cuts(SAMPLE))
def test_law(deltas):
    """The same is dropped however the deltas are cut."""
    assert read([SAMPLE]) == read(deltas)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("plain", "plain"),
        ("<thinking>x", "<thinking>x"),
        ("<b>x</b>", "<b>x</b>"),
        ("<thi", "<thi"),
        ("a <think>b</think>", "a <think>b</think>"),
        ("```py\nx\n```\n", "```py\nx\n```\n"),
        ("```\nx\n```\n", "```\nx\n```\n"),
        ("``", "``"),
        ("`code` is it", "`code` is it"),
        ("~~~ markdown\nx\n~~~\n", "x\n"),
        ("<think>never closed", ""),
        ("<think>a</think>", ""),
        ("```markdown", ""),
        ("text\n```markdown\nx\n```\n", "text\n```markdown\nx\n```\n"),
    ],
)
def test_what_is_dropped(said, kept):
    """Only a leading thought and a markdown fence in the first line are dropped."""
    assert kept == "".join(read([said]))


def test_directives_in_an_outer_fence():
    """The outer fence hides no directives."""
    assert [Mark("step", "1 A"), "b\n"] == read(["```markdown\n:::step 1 A\nb\n```"])
