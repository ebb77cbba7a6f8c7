"""What is wrong with fields, said without repeating them."""

import math
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.errors import InvalidInput
from services.streams.use_case import Input
from services.web.validation import RULES, validated
from tests.web.house import refusal

MARKER = "MARKER-7f3a"


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    deep: Annotated[int, Field(gt=0, lt=10)]


class Sample(Input):
    """One field for each rule that a use case may want."""

    text: (
        Annotated[str, Field(min_length=1, max_length=5)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2)]
    )
    word: Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]+$")] = "abc"
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    yes: bool = True
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    many: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default_factory=lambda: ["x"])
    pair: tuple[str, ...] = ()
    terms: dict[str, str] = Field(default_factory=dict)
    inner: Inner | None = None
    nothing: None = None
    tag: str = "es"

    @field_validator("tag")
    @classmethod
    def _tag(cls, value: str) -> str:
        if value == "es":
            return value
        raise ValueError("must be a language tag like es or pt-BR")


def problems(body: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        validated(Sample, body)
    return {fault["field"]: fault["problem"] for fault in caught.value.problem()["errors"]}


FIELDS = [
    ({}, "text", "is needed"),
    ({"text": 1}, "text", "must be a string or must be an array"),
    ({"text": ""}, "text", "must have at least 1 characters"),
    ({"text": "abcdef"}, "text", "must have at most 5 characters"),
    ({"text": []}, "text", "must have at least 1 items"),
    ({"text": ["a", "b", "c"]}, "text", "must have at most 2 items"),
    ({"text": ["a", 1]}, "text[1]", "must be a string"),
    ({"text": ["a", ""]}, "text[1]", "must have at least 1 characters"),
    ({"word": None}, "word", "must be a string"),
    ({"word": "a"}, "word", "must have at least 2 characters"),
    ({"word": "A1"}, "word", "must match ^[a-z]+$"),
    ({"count": "1"}, "count", "must be a whole number"),
    ({"count": 1.5}, "count", "must be a whole number"),
    ({"count": True}, "count", "must be a whole number"),
    ({"count": 0}, "count", "must be at least 1"),
    ({"count": 10}, "count", "must be at most 9"),
    ({"share": "1"}, "share", "must be a number"),
    ({"share": 0}, "share", "must be greater than 0.0"),
    ({"share": 1}, "share", "must be less than 1.0"),
    ({"share": math.nan}, "share", "must be a finite number"),
    ({"yes": 1}, "yes", "must be true or false"),
    ({"mode": "c"}, "mode", "must be 'a' or 'b'"),
    ({"many": "x"}, "many", "must be an array"),
    ({"terms": []}, "terms", "must be an object"),
    ({"terms": {MARKER: 1}}, "terms", "must be a string"),
    ({"inner": []}, "inner", "must be an object"),
    ({"inner": {"deep": 10}}, "inner.deep", "must be less than 10"),
    ({"inner": {}}, "inner.deep", "is needed"),
    ({"nothing": 1}, "nothing", "must be null"),
    ({"tag": "xx"}, "tag", "must be a language tag like es or pt-BR"),
    ({"options": {"granularity": "x"}}, "options.granularity", "must be 'token', 'word' or 'sentence'"),
    ({"options": 1}, "options", "must be an object"),
]


@pytest.mark.parametrize(("body", "field", "problem"), FIELDS)
def test_each_fault_is_a_field_and_a_rule(body, field, problem):
    """The field is named as it stands in the body, and the rule in words."""
    assert problems({"text": "a"} | body if body else body) == {field: problem}


def test_the_body_itself_may_be_at_fault():
    """What is no object is told of the whole."""
    assert problems([]) == {"(body)": "must be an object"}


def test_several_faults_are_told_at_once():
    """Each field at fault has its entry, in the order of the model."""
    assert list(problems({"count": "0", "mode": "c"})) == ["text", "count", "mode"]


def test_an_unknown_field_is_answered_with_the_known_ones():
    """The name of an unknown field is the caller's word: the names that exist are told instead."""
    told = problems({"text": "a", MARKER: 1, "another": 2})
    assert told == {
        "(body)": f"has a field that is not known here; there are {', '.join(Sample.model_fields)}"
    }


def test_an_unknown_field_inside_is_told_of_its_place():
    """The names are those of the object that holds it, also where the name exists elsewhere."""
    told = problems({"text": "a", "inner": {"deep": 1, "text": 2}, "options": {MARKER: 1}})
    assert told["inner"] == "has a field that is not known here; there are deep"
    assert "deadline_s" in told["options"]


def test_every_rule_can_be_put_into_words():
    """No rule in the table needs a value that pydantic does not give with it."""
    contexts = {
        "min_length": 1,
        "max_length": 1,
        "pattern": "x",
        "expected": "x",
        "error": "x",
        "decimal_places": 9,
    }
    bounds = {"gt": 0, "ge": 0, "lt": 0, "le": 0}
    for rule in RULES.values():
        assert "{" not in rule.format_map(contexts | bounds)


def test_a_rule_without_words_is_still_refused():
    """An error that the table lacks names the field and says no more."""

    class Rare(BaseModel):
        when: complex

    with pytest.raises(InvalidInput) as caught:
        validated(Rare, {"when": MARKER})
    assert caught.value.problem()["errors"] == [{"field": "when", "problem": "is not allowed"}]


def test_a_good_body_is_a_value():
    """A body without fault is the model's value."""
    assert validated(Sample, {"text": ["a"]}).text == ["a"]


class Careless(BaseModel):
    """A model whose validator says what it was given."""

    number: str

    @field_validator("number")
    @classmethod
    def _number(cls, value: str) -> str:
        return str(int(value))


@pytest.mark.parametrize("sent", [MARKER, "language", "four"])
def test_a_validator_that_quotes_is_silenced(sent):
    """Words that hold what was sent give way to the bare rule."""
    error = refusal(lambda: validated(Careless, {"number": sent}))
    assert error.problem()["errors"] == [{"field": "number", "problem": "is not allowed"}]


VALUES = st.recursive(
    st.sampled_from([MARKER, 1, 0.5, True, None, "", 10**30]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([MARKER, "deep"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*Sample.model_fields, MARKER]), VALUES))
def test_no_refusal_repeats_what_was_sent(body):
    """A marker planted in any field, as value or as key, is in no problem and in no cause."""
    error = refusal(lambda: validated(Sample, body))
    if error is not None:
        assert MARKER not in str(error.problem())
        assert (error.__cause__, error.__suppress_context__) == (None, True)
