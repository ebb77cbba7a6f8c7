"""What small models write instead is taken for what it means, and nothing else is."""

import pytest

from services.use_cases.tutor.directives import Mark, Reader
from services.use_cases.tutor.repair import Headings, Labels, last_question, options
from tests.use_cases.tutor.cuts import joined


def read(text):
    reader = Reader(Headings(), Labels())
    return joined([*(item for char in text for item in reader.feed(char)), *reader.end()])


@pytest.mark.parametrize(
    ("line", "args"),
    [
        ("### Step 2: Divide", "2 Divide"),
        ("# Step 2 Divide", "2 Divide"),
        ("## 2. Divide", "2 Divide"),
        ("### 2) Divide", "2 Divide"),
        ("### **2. Divide**", "2 Divide"),
        ("### **Step 2:** Divide", "2 Divide"),
        ("**Step 2**", "2 "),
        ("**Step 2: Divide**", "2 Divide"),
        ("**2. Divide**", "2 Divide"),
        ("__Step 2__", "2 "),
        ("Step 2: Divide", "2 Divide"),
        ("Step 2 - Divide", "2 Divide"),
        ("### Schritt 2: Teilen", "2 Teilen"),
        ("### Étape 2 : Diviser", "2 Diviser"),
        ("Paso 2. Divide", "2 Divide"),
    ],
)
def test_headings(line, args):
    """A numbered heading is a step."""
    assert [Mark("step", args), "text\n"] == read(f"{line}\ntext\n")


@pytest.mark.parametrize(
    "line",
    [
        "### Overview",
        "### 2x + 3 = 11",
        "### 1/2 is a half",
        "### 3.5 is more",
        "**2.5** is more",
        "**bold** text",
        "2. a list",
        "Step 2 is to divide",
        "Steps 2: no",
        "Stop 2: no",
        "### World War 2: no",
        "### Step two",
        "**Note 2**",
        "2.5 is a number",
    ],
)
def test_no_headings(line):
    """A line that names no step is text."""
    assert [f"{line}\ntext\n"] == read(f"{line}\ntext\n")


def test_bare_numbers_after_a_step():
    """After a step, the next number at a line start is the next step."""
    assert [Mark("step", "1 A"), "x\n", Mark("step", "2 B"), Mark("step", "3 C")] == read(
        "### 1. A\nx\n2. B\n3. C"
    )


def test_bare_numbers_in_a_list():
    """In a list within a step, numbers are its items."""
    assert [Mark("step", "1 A"), "1. x\n2. y\n"] == read("### 1. A\n1. x\n2. y\n")


def test_bare_numbers_beside_marks():
    """A model that knows the carrier means a list by bare numbers."""
    assert [Mark("step", "1 A"), "2. y\n"] == read(":::step 1 A\n2. y\n")


def test_a_sentence_as_heading():
    """A heading too long for a title is its beginning, and the whole as text."""
    sentence = "Plants take in light and water and carbon dioxide, and they make sugar and oxygen of it all."
    mark, text = read(f"### 1. {sentence}\n")
    assert mark.args == "1 Plants take in light and water…"
    assert f"{sentence}\n" == text


def test_a_short_sentence_as_heading():
    """A sentence is no title, however short."""
    mark, text = read("### 2. Plants use a green pigment to take in light.\n")
    assert mark.args == "2 Plants use a green pigment to…"
    assert text == "Plants use a green pigment to take in light.\n"


def test_a_title_with_its_text():
    """A long heading with a colon is a title and its text."""
    text = "this undoes the addition, and leaves the part with the letter alone on its side"
    assert [Mark("step", "1 Subtract 3"), f"{text}\n"] == read(f"### 1. Subtract 3: {text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "Question: What is x?\nAnswer: 4",
        "**Question:** What is x?\n**Answer:** 4",
        "**Question**: What is x?\n**Answer**: 4",
        "### Question: What is x?\n\n\nAnswer: 4",
        "### Question\nWhat is x?\nAnswer: 4",
        "Question: What is x?\n(Answer: 4)",
        "Question: What is x? Answer: 4",
        "Question: What is x? (Answer: 4)",
        "Question: What is x? **Answer:** 4",
        "Question:\nWhat is x?\n*Answer:* 4",
        "Question 1: What is x?\nAnswer:\n\n4",
        "> Question: What is x?\n> Answer: 4",
        "Frage: What is x?\nAntwort: 4",
        "Question: What is x?\nA) 3\nB) 4\n\nAnswer: 4",
    ],
)
def test_labels(text):
    """A question and an answer with labels are a check and its key."""
    items = read(text)
    assert Mark("check") == items[0]
    assert [Mark("expect", "4")] == [i for i in items if isinstance(i, Mark) and i.args]
    shown = "".join(item for item in items if isinstance(item, str))
    assert "What is x?" in shown
    assert "Answer" not in shown


@pytest.mark.parametrize(
    "text", ["Answer: 4\n", "So it is.\nAnswer: 4\n", "Questions: many\n", "Answering it: no\n"]
)
def test_no_labels(text):
    """An answer to no question is text."""
    assert [text] == read(text)


def test_answer_after_an_unlabelled_question():
    """The line after a question is hidden if it is labelled as its answer."""
    assert ["What is x?\n", Mark("expect", "4")] == read("What is x?\nAnswer: 4\n")


def test_answer_that_is_cut():
    """An answer that was cut off is hidden and void."""
    reader = Reader(Headings(), Labels())
    items = [*reader.feed("What is x?\nAnswer: 2"), *reader.cut()]
    assert ["What is x?\n", Mark("expect", "2", cut=True)] == items


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("It is so. What is 2.5 + 1?", "What is 2.5 + 1?"),
        ("What? Why is that?", "Why is that?"),
        ("- **What is x?**", "What is x?"),
        ("One.\nWhat is x?\nThink about it.", "What is x?"),
        ("这是什么？", "这是什么？"),
        ("No question.", ""),
        ("What is x?" + "." * 700, ""),
    ],
)
def test_last_question(text, question):
    """The last sentence with a question mark near the end is the question."""
    assert question == last_question(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Q?\nA) 3\nB) 4", [("A", "3"), ("B", "4")]),
        ("Q?\n- **A.** three\n- **B.** four", [("A", "three"), ("B", "four")]),
        ("Q?\n(A) 3\n(B) 4", [("A", "3"), ("B", "4")]),
        ("Q?\nA) 3", []),
        ("A. Smith is here", []),
    ],
)
def test_options(text, found):
    """Lines with letters are options, if there are at least two."""
    assert found == options(text)
