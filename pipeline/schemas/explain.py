"""Why a record was refused, in words its publisher can act on: field, expected, got.

Says types and lengths, never values: a name or an address may stand in any field by mistake. Numbers are quoted where
a number was expected (it was out of range), and names of events, which are what one has to see to mend a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, ParamSpec, TypeVar

from pydantic import ValidationError

from pipeline.schemas.dead_letters import Reason

PROBLEMS_MAX: Final = 20

_EVENT_NAME: Final = re.compile(r"[A-Za-z$][A-Za-z _.:$-]{0,59}", re.ASCII)
_RANGES: Final = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})
_NUMBER_CHARS_MAX: Final = 24
_SEGMENT_CALLS: Final = ("track", "identify")
_CURRENCY: Final = "currency"


_P = ParamSpec("_P")
_T = TypeVar("_T")


class Unreadable(Exception):
    """A record nobody can use. Never leaves `schemas`: `parse_batch` returns it as a refusal."""

    def __init__(self, reason: Reason, *problems: str) -> None:
        super().__init__(reason, *problems)
        self.reason = reason
        self.problems = problems


def together(whys: Sequence[Unreadable]) -> Unreadable:
    """Several of one record as one: with the reason of the first, and each problem once."""
    return Unreadable(whys[0].reason, *dict.fromkeys(problem for why in whys for problem in why.problems))


def noted(whys: list[Unreadable], read: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
    """What `read` gives; None if it cannot, and why is added to `whys`: what comes after may be wrong as well."""
    try:
        return read(*args, **kwargs)
    except Unreadable as why:
        whys.append(why)
        return None


def explain(error: ValidationError, value: bytes) -> Unreadable:
    """The reason for the label, and a problem for every field that is wrong (the first 20)."""
    details = error.errors(include_url=False)
    kind = details[0]["type"]
    if kind == "json_invalid":
        return not_json(value, details[0]["msg"].removeprefix("Invalid JSON: "))
    if kind == "union_tag_invalid":
        return _unknown_type(details[0]["input"].get("type"))
    if kind == "union_tag_not_found":
        return Unreadable(Reason.SCHEMA_VIOLATION, "type: expected the name of an event, got nothing")
    if kind == "dict_type":
        return Unreadable(Reason.SCHEMA_VIOLATION, f"value: expected an object, got {describe(details[0]['input'])}")
    problems = [_problem(detail) for detail in details[:PROBLEMS_MAX]]
    if len(details) > PROBLEMS_MAX:
        problems.append(f"and {len(details) - PROBLEMS_MAX} more")
    reasons = {_reason(detail) for detail in details}
    return Unreadable(reasons.pop() if len(reasons) == 1 else Reason.SCHEMA_VIOLATION, *problems)


def _unknown_type(tag: object) -> Unreadable:
    if not isinstance(tag, str):
        return Unreadable(Reason.SCHEMA_VIOLATION, f"type: expected the name of an event, got {describe(tag)}")
    if tag in _SEGMENT_CALLS:
        return Unreadable(Reason.SCHEMA_VIOLATION, "messageId: expected a string of 1 to 100, got nothing")
    return Unreadable(Reason.UNKNOWN_TYPE, f"type: expected the name of an event, got {event_name(tag)}")


def not_json(value: bytes, why: str) -> Unreadable:
    """`value` does not decode: because it is no UTF-8, or because it is no JSON."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Unreadable(Reason.INVALID_UTF8, f"value: expected UTF-8, got another byte at {error.start}")
    return Unreadable(Reason.NOT_JSON, f"value: expected JSON, got: {why}")


def event_name(name: str) -> str:
    """An unknown event's name, quoted if it looks like one; anything else might be somebody's."""
    return repr(name) if _EVENT_NAME.fullmatch(name) else describe(name)


def describe(value: object) -> str:
    """A value's type and size."""
    match value:
        case None:
            what = "null"
        case bool():
            what = "true" if value else "false"
        case str():
            what = f"a string of {len(value)}"
        case int():
            what = "an integer"
        case float() | Decimal():
            what = "a number"
        case list() | tuple():
            what = f"a list of {len(value)}"
        case _:
            what = "an object"
    return what


def _reason(detail: Any) -> Reason:
    field = detail["loc"][-1]
    if field == _CURRENCY and detail["type"] == "literal_error" and isinstance(detail["input"], str):
        return Reason.UNKNOWN_CURRENCY
    if field == "occurred_at" and detail["type"] == "less_than_equal":
        return Reason.TOO_FAR_AHEAD
    return Reason.SCHEMA_VIOLATION


def _problem(detail: Any) -> str:
    return f"{_path(detail['loc'][1:])}: expected {_expected(detail)}, got {_got(detail)}"


def _path(loc: tuple[int | str, ...]) -> str:
    """`items[2].quantity`. The location is made of the contract's own field names."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _expected(detail: Any) -> str:
    if detail["loc"][-1] == _CURRENCY and detail["type"] in ("literal_error", "missing"):
        return "an ISO 4217 currency such as EUR"
    if detail["type"] in _KINDS:
        return _KINDS[detail["type"]]
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"]).removeprefix("expected ")
    text: str = detail["msg"]
    for start, ours in _PHRASES.items():
        if text.startswith(start):
            return ours + text.removeprefix(start)
    return text


_KINDS: Final = {"missing": "a value", "tuple_type": "a list", "model_type": "an object"}
_PHRASES: Final = {
    "Input should have ": "",
    "Input should be ": "",
    "String should ": "a string that should ",
    "Tuple should ": "a list that should ",
}


def _got(detail: Any) -> str:
    if detail["type"] == "missing":
        return "nothing"
    value = detail["input"]
    if detail["type"] in _RANGES and isinstance(value, int | float) and abs(value) < 10**_NUMBER_CHARS_MAX:
        return repr(value)
    return describe(value)
