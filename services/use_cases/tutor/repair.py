"""What small models write instead of the carrier, and what it is taken for.

    1. ### Step 2: ...  **Step 2**  Step 2: ...  and, after a first step, 2.: a step
    2. Question: ...  and, after a question, Answer: ...: a check and what is expected
    3. the last sentence with a question mark: the check, where one is missing
    4. A) ...  B) ...: its options

All forms are decided by the characters of their own line and the lines before it, so the law
of ``directives.py`` holds for them too.
"""

import re
from dataclasses import dataclass

from services.use_cases.tutor.directives import Item, Mark, Stage

_STEP = "step schritt paso étape etape passo stap steg krok шаг крок adim langkah bước βήμα"
_QUESTION = "question frage pregunta domanda pergunta vraag fråga вопрос"
_ANSWER = "answer antwort respuesta réponse risposta resposta antwoord svar ответ"
STEP_WORDS = frozenset(_STEP.split())
QUESTION_WORDS = frozenset(_QUESTION.split())
ANSWER_WORDS = frozenset(_ANSWER.split())
MAX_TITLE = 80  # characters; what is longer is a sentence and no title
MAX_TITLE_WORDS = 6  # of a sentence that stands as a heading
TAIL = 600  # characters: a question further from the end than this is not the turn's question

_LEAD = re.compile(r" {0,3}(?P<hashes>#{0,6})[ \t]{0,3}(?P<bold>\*\*|__)?[ \t]{0,3}")
_HEAD = re.compile(r"(?P<word>[^\W\d_]*)(?P<gap>[ \t]{0,3})(?P<number>\d{0,3})(?P<tail>.*)")
_LABEL = re.compile(
    r" {0,3}(?:[->] )?(?P<marks>(?:#{1,6} )?[*_(]{0,3})"
    r"(?P<word>[^\W\d_]*)(?P<after>(?: ?\d)?[*_ ]{0,3})(?P<colon>:?)(?P<rest>.*)"
)
_LISTED = re.compile(r" {0,3}\d{1,3}[.)] ")
_ANSWERED = re.compile(rf"[(*_ ]*\b(?:{'|'.join(sorted(ANSWER_WORDS))})\b[*_ ]*:", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?？。](?=\s)|\n")
_OPTION = re.compile(
    r"^ {0,3}(?:[-*] )?[*(]{0,3}(?P<label>[A-H])[.):][*)]{0,3} +(?P<text>\S.*?) *$", re.MULTILINE
)


@dataclass
class Headings:
    """Steps written as numbered headings.

    A bare ``2.`` is one only after the step with the number before it, and not within a list;
    a model that knows ``:::step`` writes its lists with bare numbers, so there it never is.
    """

    last: int = 0
    listing: bool = False
    knows_marks: bool = False

    def stage(self, start: str) -> Stage:
        """Hold ``### Step 2:`` until it is one."""
        lead = _LEAD.match(start)
        rest = start[lead.end() :] if lead else start
        if not lead or rest in {"", "*", "_"}:
            return Stage.MAY
        head = _HEAD.fullmatch(rest)
        marked = bool(lead["hashes"] or lead["bold"])
        if not head:
            return Stage.NO
        return self._named(head, marked=marked) if head["word"] else self._bare(head, marked=marked)

    def read(self, line: str) -> tuple[Item, ...] | None:
        """Return the step; what follows a title that is a sentence, or after it, is text."""
        lead = _LEAD.match(line)
        head = _HEAD.fullmatch(line[lead.end() :]) if lead else None
        if not head or not head["number"] or self.stage(line + " ") is not Stage.SURE:
            return None
        title, body = _title_and_body(head["tail"])
        return (Mark("step", f"{head['number']} {title}"), *((body + "\n",) if body else ()))

    def passed(self, line: str, means: tuple[Item, ...] | None) -> None:
        """Count the steps, and notice a list."""
        if means is None:
            self.listing = self.listing or bool(_LISTED.match(line))
        elif means and isinstance(means[0], Mark) and means[0].name == "step":
            number = re.match(r"\d+", means[0].args)
            self.last = int(number[0]) if number else self.last + 1
            self.listing = False
            self.knows_marks = self.knows_marks or ":::" in line

    def _named(self, head: re.Match[str], *, marked: bool) -> Stage:
        """Decide on ``Step``, ``Step 2``, ``Step 2: ...``; unmarked it needs its colon."""
        word, number, tail = head["word"].lower(), head["number"], head["tail"]
        whole = word in STEP_WORDS
        if not number:
            begun = any(known.startswith(word) for known in STEP_WORDS)
            return Stage.MAY if not tail and (whole if head["gap"] else begun) else Stage.NO
        if not whole or tail[:1].isalnum():
            return Stage.NO
        if not tail or (not marked and tail in {" ", "  "}):
            return Stage.MAY
        return Stage.SURE if marked or tail.lstrip(" ")[:1] in ":.)-–—" else Stage.NO

    def _bare(self, head: re.Match[str], *, marked: bool) -> Stage:
        """Decide on ``2.``, ``2. ...``."""
        number, tail = head["number"], head["tail"]
        if not number or head["gap"] or not (marked or self._expects(number)):
            return Stage.NO
        if not tail or tail in {".", ")", ":"}:
            return Stage.MAY
        ends = ".):" if marked else ".)"
        return Stage.SURE if tail[0] in ends and tail[1] in " \t*_" else Stage.NO

    def _expects(self, number: str) -> bool:
        """Tell whether a bare number may still become the next step's."""
        return (
            not (self.knows_marks or self.listing) and self.last > 0 and str(self.last + 1).startswith(number)
        )


@dataclass
class Labels:
    """The check written as two lines, ``Question: ...`` and ``Answer: ...``; the second is hidden."""

    asked: bool = False
    open: bool = False  # a check waits for its answer, whatever stands between
    awaits: bool = False  # the label stood alone, so the next line is the answer

    def stage(self, start: str) -> Stage:
        """Hold a label until its colon."""
        if self.awaits:
            return Stage.SURE if start.strip() else Stage.MAY
        label = _LABEL.fullmatch(start)
        if not label or (not label["colon"] and label["rest"]):
            return Stage.NO
        word = label["word"].lower()
        known = QUESTION_WORDS | ANSWER_WORDS if self.asked else QUESTION_WORDS
        if label["colon"]:
            return Stage.SURE if word in known else Stage.NO
        begun = any(name.startswith(word) for name in known)
        return Stage.MAY if (word in known if label["after"] and word else begun) else Stage.NO

    def read(self, line: str) -> tuple[Item, ...] | None:
        """Return the check with its question as text, or what is expected."""
        if self.awaits:
            return (Mark("expect", _bare_answer(line)),) if line.strip() else None
        label = _LABEL.fullmatch(line)
        word = label["word"].lower() if label else ""
        if not label or not (label["colon"] or (label["marks"] and not label["rest"])):
            return None
        if word in QUESTION_WORDS:
            return _question(label["rest"])
        answers = self.asked and word in ANSWER_WORDS
        return (Mark("expect", _bare_answer(label["rest"])),) if answers else None

    def passed(self, line: str, means: tuple[Item, ...] | None) -> None:
        """Notice a question, and an answer that is still to come."""
        if means is None:
            if line.strip():
                self.asked = self.open or line.rstrip(" *_)").endswith(("?", "？"))
            return
        names = [item.name for item in means if isinstance(item, Mark)]
        self.awaits = means == (Mark("expect"),) and ":::" not in line
        self.open = self.awaits or (("check" in names or self.open) and "expect" not in names)
        self.asked = self.open or (self.asked and not names)


def _title_and_body(tail: str) -> tuple[str, str]:
    """Split what follows a step's number: a title, and the text it runs into, or is."""
    sentence = tail.lstrip(" \t.:)-–—").rstrip("*_# \t")
    line = sentence.strip(" \t.:)-–—*_#")
    if len(line) <= MAX_TITLE and not (sentence.endswith(".") and len(line.split()) > MAX_TITLE_WORDS):
        return line, ""
    clause, colon, rest = line.partition(": ")
    if colon and len(clause) <= MAX_TITLE:
        return clause.strip("*_ "), rest.strip()
    return " ".join(line.split()[:MAX_TITLE_WORDS]).rstrip(",;:") + "…", sentence


def _question(rest: str) -> tuple[Item, ...]:
    question, answer = rest.strip(" *_"), None
    if found := _ANSWERED.search(question):
        question, answer = question[: found.start()].strip(" *_("), _bare_answer(question[found.end() :])
    text = (question + "\n",) if question else ()
    return (Mark("check"), *text, *(() if answer is None else (Mark("expect", answer),)))


def _bare_answer(written: str) -> str:
    answer = written.strip(" *_`")
    return answer if "(" in answer else answer.rstrip(")*_ ")


def last_question(text: str) -> str:
    """Return the last sentence with a question mark near the end, without its marks, or nothing."""
    tail = text[-TAIL:]
    end = max(tail.rfind("?"), tail.rfind("？"))
    if end < 0:
        return ""
    begin = max((found.end() for found in _SENTENCE_END.finditer(tail, 0, end)), default=0)
    return tail[begin : end + 1].strip(" \t*_#>-")


def options(text: str) -> list[tuple[str, str]]:
    """Return label and body of each line ``A) ...`` of a question, if there are at least two."""
    found = [(match["label"], match["text"].strip("*_ ")) for match in _OPTION.finditer(text)]
    return found if len(found) > 1 else []
