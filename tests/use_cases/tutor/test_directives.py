"""The carrier is read the same however it is cut, and nothing hidden is ever text."""

import pytest
from hypothesis import given, settings

from services.use_cases.tutor.directives import MAX_LINE, NAMES, Mark, Reader
from services.use_cases.tutor.opening import Opening, OuterEnd
from services.use_cases.tutor.repair import Headings, Labels
from tests.use_cases.tutor.cuts import cuts, joined

NASTY = """<think>what ::: step
shall I</think>

```markdown
:::plan One | Two
:::step 1 First *one*
Text :::step not, ::: neither
- an item
2. not a step
```python
:::expect 9
~~~
```
**:::step 2 Bold**
::) and :: and :
:::warning unknown
:::stepping stones
   - :::calc 2+2 = 4
### Step 3: Third
1. a
2. b
### 4. Four
__Step 5__
Step 6: six
Step 7 is not one
Question: What is x? (Answer: 4)
**Question:** What now?
**Answer:**

12
::::{CHECK} concept=a type=number\r
::::::Expect 24\r
A line\r
:::choice A 2

   :::
:::step a very long title """ + "x" * 400 + """ the end
after it
:::
```
### 9. Nine: a sentence that goes on for much longer than any title has ever gone on before it
:::recap done"""  # fmt: skip


def read(deltas):
    opening = Opening()
    reader = Reader(OuterEnd(opening), Headings(), Labels())
    items = [item for delta in deltas for item in reader.feed(opening.feed(delta))]
    return joined([*items, *reader.feed(opening.end()), *reader.end()])


def plain(text):
    reader = Reader()
    return joined([*reader.feed(text), *reader.end()])


WHOLE = read([NASTY])


@settings(max_examples=3000, deadline=None)
@given(cuts(NASTY))
def test_law(deltas):
    """The items are the same however the deltas are cut."""
    assert read(deltas) == WHOLE


def test_law_by_characters():
    """Single characters give what the whole gives."""
    assert read(NASTY) == WHOLE


def test_law_at_every_place():
    """Each single cut gives what the whole gives."""
    assert all(read([NASTY[:at], NASTY[at:]]) == WHOLE for at in range(1, len(NASTY)))


def test_nasty_sample():
    """The sample is read as its author means it."""
    marks = [item for item in WHOLE if isinstance(item, Mark)]
    assert [mark.name for mark in marks] == [
        "plan", "step", "step", "calc", "step", "step", "step", "step",
        "check", "expect", "check", "expect", "expect", "check", "expect", "choice",
        "end", "step", "end", "step", "recap",
    ]  # fmt: skip


def test_nothing_hidden_is_text():
    """What a hidden line says is in no text, what stands in a code fence is."""
    text = "".join(item for item in WHOLE if isinstance(item, str))
    assert ":::expect 9" in text
    assert not [word for word in ("24", "2+2", "Two", "done", "12", "Answer") if word in text]


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        (":::step 1 Title", Mark("step", "1 Title")),
        ("   :::step Title", Mark("step", "Title")),
        ("**:::step Title**", Mark("step", "Title")),
        ("> :::step Title", Mark("step", "Title")),
        ("- :::step Title", Mark("step", "Title")),
        ("`:::expect 24`", Mark("expect", "24")),
        ("### :::step Title ###", Mark("step", "Title")),
        (":::STEP Title", Mark("step", "Title")),
        ("::::: step Title", Mark("step", "Title")),
        (":::{step} Title", Mark("step", "Title")),
        (":::expect: 24", Mark("expect", "24")),
        (":::expect", Mark("expect")),
        (":::step About C#", Mark("step", "About C#")),
        (":::step\tTitle", Mark("step", "Title")),
        (":::", Mark("end")),
        ("**:::**", Mark("end")),
        ("::::::", Mark("end")),
        (":::end", Mark("end")),
    ],
)
def test_directives(line, mark):
    """A directive is read with its deco, case, colons and braces forgiven."""
    assert [mark, "next"] == plain(f"{line}\nnext")


@pytest.mark.parametrize(
    "line",
    [
        "::step Title",
        ":::warning Title",
        ":::steps Title",
        ":::stepTitle",
        "a :::step Title",
        "          :::step Title",
        "********:::step Title",
        ":::: 5",
        ": ::step",
        "\\:::step Title",
        "- item",
        "#######",
        "***bold*** text",
    ],
)
def test_no_directives(line):
    """A line that is not a directive is text to its last character."""
    assert [f"{line}\nnext"] == plain(f"{line}\nnext")


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    """Every name is known, in single characters too."""
    reader = Reader()
    items = [item for char in f":::{name} x\n" for item in reader.feed(char)]
    assert [Mark(name, "x")] == items


def test_held():
    """Of a text line nothing is held after the character that excludes a directive."""
    reader = Reader()
    assert [reader.feed(":::"), reader.feed("w")] == [[], [":::w"]]
    assert reader.feed("arning") == ["arning"]


def test_released_at_once():
    """A line that begins like no directive is never held."""
    assert Reader().feed("T") == ["T"]


def test_cap():
    """A directive is read to 300 characters and the rest of its line is dropped."""
    long = ":::step " + "x" * 1000
    assert [Mark("step", "x" * (MAX_LINE - len(":::step "))), "after"] == plain(f"{long}\nafter")


def test_hidden_at_the_end():
    """A hidden line that the stream ends in is a mark, not text."""
    assert ["Q\n", Mark("expect", "24")] == plain("Q\n:::expect 24")


@pytest.mark.parametrize(
    "cut", [":::expect 2", ":::expect ", "**:::EXPECT 2", ":::calc 2+2 =", "   :::plan A"]
)
def test_cut(cut):
    """A hidden line that was cut off is a mark that says so, whatever came of it."""
    reader = Reader()
    items = [*reader.feed(f"Text\n{cut}"), *reader.cut()]
    assert [item for item in items if isinstance(item, str)] == ["Text\n"]
    assert [item.cut for item in items if isinstance(item, Mark)] == [True]


def test_drop():
    """A begun line that is dropped is neither text nor mark, and the next one is read anew."""
    reader = Reader()
    reader.feed("Text\n:::exp")
    reader.drop()
    assert [Mark("expect", "4")] == [*reader.feed(":::expect 4\n"), *reader.end()]


def test_drop_in_a_line_of_text():
    """Dropping changes nothing in the middle of a line of text."""
    reader = Reader()
    reader.feed("Some")
    reader.drop()
    assert reader.feed(":::step 1\n") == [":::step 1\n"]


@pytest.mark.parametrize(
    ("opens", "closes"),
    [("```", "```"), ("```py", "````"), ("~~~", "~~~"), ("````", "````"), ("   ```", "```  ")],
)
def test_fences(opens, closes):
    """Code fences hide directives until they close."""
    text = f"{opens}\n:::step 1\n{closes}\n"
    assert [text, Mark("step", "2")] == plain(f"{text}:::step 2\n")


@pytest.mark.parametrize(("opens", "other"), [("```", "~~~"), ("````", "```"), ("```", "``` x")])
def test_fences_that_stay_open(opens, other):
    """A fence is closed only by its own character, in at least its length, with nothing after it."""
    text = f"{opens}\n{other}\n:::step 1\n"
    assert [text] == plain(text)


def test_inline_code_is_no_fence():
    """A line with a backtick in what would be its info opens no fence."""
    assert ["```a`b\n", Mark("step", "1")] == plain("```a`b\n:::step 1")


def test_carriage_returns():
    """CRLF ends lines as LF does."""
    assert [Mark("step", "1 A"), "b\r\n", Mark("end")] == plain(":::step 1 A\r\nb\r\n:::\r\n")
