"""What was once a right record stays right and the same; what breaks a constraint is refused by schema and model.

A golden is never edited: a publisher may have sent it yesterday and may redrive it in a year.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from pipeline import topics
from pipeline.schemas import decisions, explanations, logged, triggers, views
from pipeline.schemas.contracts import DIRECTORY, documents, inbound
from pipeline.schemas.dead_letters import read_dead_letter
from pipeline.schemas.events import Inbound
from pipeline.schemas.parse import parse_batch
from tests.contracts.records import GOLDENS, INBOUND, Given, Golden, data, refusal_of

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("date", raises=ValueError)
def _is_day(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


def _file(contract: str) -> str:
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in contract)
    return f"schemas/{words.removeprefix('-')}.v1.json"


SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads((DIRECTORY / _file(name)).read_text("utf-8")) for name in {golden.contract for golden in GOLDENS}
}
VALIDATORS = {name: Draft202012Validator(schema, format_checker=FORMATS) for name, schema in SCHEMAS.items()}
OUTBOUND_MODELS = {
    "Trigger": triggers.Trigger,
    "Decision": decisions.Decision,
    "ProfileView": views.ProfileView,
    "Explanation": explanations.Explanation,
}
ALIASES = ("customer_id", "email", "phone", "handle")
ids = {"ids": lambda golden: golden.name}


def topic_of(contract: str) -> topics.Topic:
    return next(topic for topic in topics.SOURCES if topic.name == topics.SOURCE_OF_EVENT[contract])


def is_valid(contract: str, value: object) -> bool:
    return bool(VALIDATORS[contract].is_valid(value))


def test_every_contract_has_a_golden() -> None:
    assert {_file(golden.contract) for golden in GOLDENS} == {
        name for name in documents() if name.startswith("schemas/")
    }


def test_every_field_publishers_may_send_is_in_a_golden() -> None:
    for kind in inbound():
        said = {field for golden in INBOUND if golden.contract == kind.__name__ for field in golden.value}
        assert kind.model_fields.keys() - Inbound.model_fields.keys() <= said


@pytest.mark.parametrize("golden", GOLDENS, **ids)
def test_a_golden_is_valid_by_its_committed_schema(golden: Golden) -> None:
    assert [error.message for error in VALIDATORS[golden.contract].iter_errors(golden.value)] == []


@pytest.mark.parametrize("golden", INBOUND, **ids)
def test_an_inbound_golden_is_read_as_ever(golden: Golden) -> None:
    (parsed,), refused = parse_batch([Given(golden.data)], topic_of(golden.contract).name)
    assert refused == []
    read = parsed.event.model_dump(mode="json")
    assert {name: read[name] for name in golden.becomes} == golden.becomes
    # What a later version adds must be optional, and stand at its default here.
    assert parsed.event.model_fields_set <= golden.becomes.keys()


@pytest.mark.parametrize("golden", [golden for golden in GOLDENS if golden.contract in OUTBOUND_MODELS], **ids)
def test_an_outbound_golden_is_read_and_written_as_ever(golden: Golden) -> None:
    model = OUTBOUND_MODELS[golden.contract].model_validate_json(golden.data)
    assert model.model_dump(mode="json", exclude_unset=True) == golden.becomes


@pytest.mark.parametrize("golden", [golden for golden in GOLDENS if golden.contract in OUTBOUND_MODELS], **ids)
def test_outbound_contracts_have_no_field_that_is_not_named(golden: Golden) -> None:
    value = {**golden.value, "email": "m.haddad@example.com"}
    assert not is_valid(golden.contract, value)
    with pytest.raises(ValueError, match="email"):
        OUTBOUND_MODELS[golden.contract].model_validate(value)


@pytest.mark.parametrize("golden", [golden for golden in GOLDENS if golden.contract == "DeadLetterHeaders"], **ids)
def test_a_dead_letters_headers_are_read_as_ever(golden: Golden) -> None:
    headers = [(name, value.encode()) for name, value in golden.value.items()]
    assert read_dead_letter(Given(b"as it came", headers)).model_dump(mode="json") == golden.becomes


@pytest.mark.parametrize("golden", [golden for golden in GOLDENS if golden.contract == "CustomerEvent"], **ids)
def test_the_log_of_an_earlier_version_is_read_and_written_as_ever(golden: Golden) -> None:
    assert json.loads(logged.encode(logged.decode(golden.data))) == golden.becomes


# -- faults: one for each constraint the schema states, in each golden that has the field ------------------------------


def _variants(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    variants = []
    for variant in schema.get("anyOf", [schema]):
        found = root["$defs"][variant["$ref"].rpartition("/")[2]] if "$ref" in variant else variant
        if found.get("type") != "null":
            variants.append(found)
    return variants


_BROKEN: dict[str, Callable[[Any], object]] = {
    "minLength": lambda _: "",
    "maxLength": lambda limit: "7" * (limit + 1),
    "pattern": lambda _: "no good \n",
    "enum": lambda _: "NO-SUCH",
    "format": lambda _: "the day before yesterday",
    "minimum": lambda limit: limit - 1,
    "exclusiveMinimum": lambda limit: limit,
    "maximum": lambda limit: limit + 1,
    "maxItems": lambda limit: ["mastodon:maya"] * (limit + 1),
}
"""A value against each constraint a schema may state."""
_WORDS = {"$ref", "anyOf", "const", "default", "description", "items", "title", "type"}
"""What a schema says besides constraints."""


def _faulty(schema: dict[str, Any]) -> Iterator[tuple[str, object]]:
    kind = schema.get("type", "string")
    yield "type", {"a": 1} if kind == "string" else "a word"
    if kind == "integer":
        yield "type", 2.5
    for constraint in schema.keys() - _WORDS:
        yield constraint, _BROKEN[constraint](schema[constraint])


def _faults(properties: dict[str, Any], root: dict[str, Any]) -> Iterator[tuple[str, str, object]]:
    """(field, constraint, a value against it) of each property, and of each of its items' own."""
    for field in properties.keys() - {"type"}:
        for variant in _variants(properties[field], root):
            if variant["type"] == "object":
                continue
            for constraint, value in _faulty(variant):
                yield field, constraint, value
            for of_items in _variants(variant.get("items", {"type": "null"}), root):
                if "properties" in of_items:
                    for inner, constraint, value in _faults(of_items["properties"], root):
                        yield field, constraint, [{"product_id": "ROD-160", inner: value}]


FULL = {golden.contract: golden for golden in sorted(INBOUND, key=lambda golden: len(golden.value))}.values()


@pytest.mark.parametrize("golden", FULL, **ids)
def test_each_constraint_of_the_schema_is_the_models_too(golden: Golden) -> None:
    checked = 0
    root = SCHEMAS[golden.contract]
    for field, constraint, value in _faults(root["properties"], root):
        broken = {**golden.value, field: value}
        refused = refusal_of(broken, topic_of(golden.contract))
        assert any(problem.startswith((f"{field}:", f"{field}[")) for problem in refused.problems), (field, constraint)
        assert ": expected " in refused.problems[0]
        assert ", got " in refused.problems[0]
        assert not is_valid(golden.contract, broken), (field, constraint)
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("golden", FULL, **ids)
def test_what_is_required_is_missed_by_schema_and_model(golden: Golden) -> None:
    for field in SCHEMAS[golden.contract]["required"]:
        broken = {name: value for name, value in golden.value.items() if name != field}
        assert not is_valid(golden.contract, broken)
        refused = refusal_of(broken, topic_of(golden.contract))
        assert any(problem.startswith(f"{field}: expected ") for problem in refused.problems), refused
        assert all(problem.endswith("got nothing") for problem in refused.problems)


@pytest.mark.parametrize("golden", INBOUND, **ids)
def test_only_a_mention_or_a_cost_may_be_nobodys(golden: Golden) -> None:
    nobody = {name: value for name, value in golden.value.items() if name not in ALIASES}
    spent_on = {"channel", "campaign_id", "affiliate_id", "partner_id"} & nobody.keys()
    may_be = golden.contract == "MentionPosted" or (
        golden.contract == "CostRecorded" and bool(spent_on) and "order_id" not in nobody
    )
    assert is_valid(golden.contract, nobody) == may_be
    parsed, refused = parse_batch([Given(data(nobody))], topic_of(golden.contract).name)
    assert bool(parsed) == may_be
    assert [each.reason for each in refused] == ([] if may_be else ["no_alias"])


BETWEEN_FIELDS = {
    "order-refunded": ({"currency": None}, "currency: expected with amount_minor, got none"),
    "referral-made": ({"currency": None}, "currency: expected with reward_minor, got none"),
    "ticket-opened": ({"currency": None}, "currency: expected with service_cost_minor, got none"),
    "ticket-updated": ({"currency": None}, "currency: expected with service_cost_minor, got none"),
    "review-posted": ({"rating": 10.5}, "rating: expected 0 to 10, got 10.5"),
    "review-posted.stars": ({"rating": 0.5}, "rating: expected 1 to 5, got 0.5"),
    "survey-answered": ({"score": 11}, "score: expected 0 to score_max, 10, got 11"),
    "cost-recorded": (
        {"period_end_on": "2026-02-11"},
        "period_end_on: expected 2026-02-12 (period_start_on) or later, got 2026-02-11",
    ),
}
NOT_IN_THE_SCHEMA = {"review-posted", "review-posted.stars", "survey-answered", "cost-recorded"}
"""JSON Schema cannot compare two fields."""


@pytest.mark.parametrize("name", BETWEEN_FIELDS)
def test_fields_that_contradict_each_other_are_refused(name: str) -> None:
    golden = next(golden for golden in INBOUND if golden.name == name)
    change, problem = BETWEEN_FIELDS[name]
    broken = {**copy.deepcopy(golden.value), **change}
    assert refusal_of(broken, topic_of(golden.contract)).problems == (problem,)
    assert is_valid(golden.contract, broken) == (name in NOT_IN_THE_SCHEMA)


def test_a_ticket_that_costs_nothing_needs_no_currency() -> None:
    value = next(golden for golden in INBOUND if golden.name == "ticket-opened.least").value | {"service_cost_minor": 0}
    assert is_valid("TicketOpened", value)
    assert parse_batch([Given(data(value))], topics.COMPLAINTS.name)[1] == []
