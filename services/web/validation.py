"""What is wrong with a use case's fields, said without repeating them.

pydantic's own errors quote the input; here each becomes a field and a rule. A field that we do
not know is the caller's word too, so it is not named: the fields that exist are.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.errors import InvalidInput

Model = TypeVar("Model", bound=BaseModel)

# Rules by pydantic's name for them; the braces hold limits of ours, never what was sent.
RULES: dict[str, str] = {
    "missing": "is needed",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a decimal",
    "decimal_max_places": "must have at most {decimal_places} decimal places",
    "bool_type": "must be true or false",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "none_required": "must be null",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "value_error": "{error}",
}
OTHER_RULE = "is not allowed"
TYPE_RULES = {rule for name, rule in RULES.items() if name.endswith("_type")}
WHOLE = "(body)"
SHORT = 3


def validated(model: type[Model], body: Mapping[str, Any]) -> Model:
    """Return the body as a model; raises ``InvalidInput`` with one entry per field at fault."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_input(error, model) from None


def invalid_input(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """Return the problem for pydantic's errors about this model.

    A validator of ours raises ValueError with words of its own; they are shown as they are,
    unless they quote what was sent.
    """
    known = set(_names(model))
    found = [_describe(item, model, known) for item in error.errors(include_url=False)]
    rules: dict[str, dict[str, None]] = {}  # a dict for a set that keeps its order
    for field, rule in found:
        if not _is_noise(field, rule, found):
            rules.setdefault(field, {})[rule] = None
    return InvalidInput(
        errors=[{"field": field, "problem": " or ".join(said)} for field, said in rules.items()]
    )


def _describe(item: ErrorDetails, model: type[BaseModel], known: set[str]) -> tuple[str, str]:
    if item["type"] == "extra_forbidden":
        place = item["loc"][:-1]
        fields = ", ".join(_names_at(model, place))
        return _field(place, known), f"has a field that is not known here; there are {fields}"
    rule = RULES.get(item["type"], OTHER_RULE).format_map(item.get("ctx", {}))
    return _field(item["loc"], known), OTHER_RULE if _quotes(rule, item["input"]) else rule


def _quotes(rule: str, sent: object) -> bool:
    """Tell whether a validator's words hold what was sent, as those of ``int("abc")`` do.

    Three letters or fewer may stand in any sentence, and give nothing away.
    """
    return isinstance(sent, str) and len(sent) > SHORT and sent in rule


def _is_noise(field: str, rule: str, found: list[tuple[str, str]]) -> bool:
    """Tell whether a branch of a union is meant that was not sent.

    Where ``text`` is a string or an array of strings, pydantic answers ``[1]`` with ``text``
    must be a string, and ``text[0]`` must be one: the fault that lies deeper is what helps.
    """
    return rule in TYPE_RULES and any(
        other.startswith((f"{field}[", f"{field}.")) or (other == field and said not in TYPE_RULES)
        for other, said in found
    )


def _field(loc: Iterable[str | int], known: set[str]) -> str:
    """Write a place like ``options.deadline_s`` or ``text[3]``; the whole is ``(body)``.

    Only names that are fields of ours are written: pydantic also puts branches of unions and
    the caller's own keys there.
    """
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part in known:
            path += f".{part}"
    return path.lstrip(".") or WHOLE


def _names_at(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    for part in loc:
        inner = model.model_fields.get(str(part))
        model = next(_models(inner.annotation), model) if inner else model
    return list(model.model_fields)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield name
        for inner in _models(info.annotation):
            yield from _names(inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
