"""The system of record: every inbound event has a place there, nothing in it names a person, and bytes go round.

What goes out is held here too: what the core writes is what the contracts of decisions, triggers and views say.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from pipeline.core import decisions as core_decisions
from pipeline.core.door import Admitted, Shop, admit
from pipeline.core.rates import Rates
from pipeline.core.view import view
from pipeline.schemas import decisions, logged, triggers, views
from pipeline.schemas.contracts import DIRECTORY, inbound
from pipeline.schemas.parse import read_event
from tests.contracts.records import GOLDENS, INBOUND, Golden, golden
from tests.driver import Driver

RECEIVED_AT = datetime(2026, 4, 8, tzinfo=UTC)
LOG = json.loads((DIRECTORY / "schemas/customer-event.v1.json").read_text("utf-8"))
VALID = Draft202012Validator(LOG)

FIELDS = {
    # who says what happened when, and to which thing of the shop's
    "type", "id", "source", "occurred_at", "received_at", "simulated", "order_id", "refund_id", "product_id",
    "email_id", "campaign_id", "trigger_id", "list_id", "mention_id", "review_id", "referral_id", "survey_id",
    "ticket_id", "affiliate_id", "partner_id", "referred_customer_id", "coupon", "items", "promised_at",
    # numbers, days and codes
    "quantity", "amount_minor", "revenue_minor", "currency", "discount_minor", "paid_minor", "paid_currency", "rate_on",
    "rating_fraction", "score", "score_max", "severity", "service_minutes", "service_cost_minor", "activity",
    "reward_minor", "activity_count", "contacts_per_month_max", "valid_until", "reach", "sentiment", "kind", "channel",
    "department", "is_inbound", "followed", "is_machine", "bounce_type", "purpose", "state", "reason", "category",
    "status", "csat", "marketing_channel", "service_channel", "interests", "reason_for_buying", "need", "platform",
    "referrer_host",
    # what is known of the person without telling who it is
    "reachable_by", "language", "time_zone", "country",
    # controls
    "as_of", "adopted_at", "policy_hash", "policy", "fitted_at", "scope", "parameters", "diagnostics", "revised_at",
    "cohort_month", "version", "spend_minor", "acquisitions", "shares", "told_by", "commission_minor",
    # what customers' logs tell each other: pseudonymous ids, and marks of them
    "referrer_id", "path",
}  # fmt: skip
"""Every name there may be in the log. A new one is added here by who has asked: can it name somebody, or quote them?"""

PERSONAL = (
    "customer_id", "email", "phone", "handle", "handles", "name", "postal_address", "area", "job", "company", "text",
    "comment", "evidence", "search_term", "referrer", "url", "author_handle", "referred_email", "referred_customer_id",
    "code", "link_id",
)  # fmt: skip
"""Fields of publishers' events whose values may not be found in the log."""


def admitted(value: dict[str, Any]) -> Admitted:
    shop = Shop(value.get("currency", "EUR"), Rates())
    let_in = admit(read_event(json.dumps(value).encode()), received_at=RECEIVED_AT, shop=shop)
    assert isinstance(let_in, Admitted)
    return let_in


def test_every_inbound_event_has_a_place_in_the_log() -> None:
    kept = set(get_args(logged.CustomerEvent)) - set(logged.BETWEEN_CUSTOMERS)
    assert {kind.__name__ for kind in inbound()} == {kind.__name__ for kind in kept}


@pytest.mark.parametrize("each", INBOUND, ids=lambda each: each.name)
def test_what_is_let_in_goes_into_the_log_and_back_unchanged(each: Golden) -> None:
    entry = admitted(each.value).logged
    assert type(entry).__name__ == each.contract
    encoded = logged.encode(entry)
    assert logged.decode(encoded) == entry
    assert logged.encode(logged.decode(encoded)) == encoded
    assert [error.message for error in VALID.iter_errors(json.loads(encoded))] == []


CONTROLS = (
    logged.Tick(as_of=RECEIVED_AT),
    logged.PolicyAdopted(adopted_at=RECEIVED_AT, policy_hash="5f1d7a84f1d2c3b4", policy={"shop": {"time_zone": "UTC"}}),
    logged.ModelFitted(fitted_at=RECEIVED_AT, parameters={"r": 0.243}, diagnostics={"customers": 2357.0}),
    logged.ChannelCostRevised(
        revised_at=RECEIVED_AT, channel="paid_search", cohort_month="2026-02", version=3, spend_minor=1_250_000,
        acquisitions=412,
    ),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: type(control).__name__)
def test_a_control_goes_round_too(control: logged.Control) -> None:
    assert logged.decode(logged.encode(control)) == control
    assert VALID.is_valid(json.loads(logged.encode(control)))


def test_every_control_is_tested() -> None:
    assert {type(control) for control in CONTROLS} == set(get_args(logged.Control))


def test_an_unknown_field_of_a_later_version_is_passed_over_and_an_unknown_event_is_told() -> None:
    tick = b'{"type":"Tick","as_of":"2026-04-07T00:00:00Z","said_by":"a later version"}'
    assert logged.decode(tick) == logged.Tick(as_of=datetime(2026, 4, 7, tzinfo=UTC))
    with pytest.raises(msgspec.ValidationError, match="OrderLost"):
        logged.decode(b'{"type":"OrderLost"}')


def test_the_log_has_no_field_for_an_identifier_or_free_text() -> None:
    named = {field for kind in LOG["$defs"].values() for field in kind["properties"]}
    assert named == FIELDS
    assert FIELDS.isdisjoint(set(PERSONAL) - {"referred_customer_id"})  # which is a pseudonym there


@pytest.mark.parametrize("each", INBOUND, ids=lambda each: each.name)
def test_nothing_a_person_could_be_known_by_is_found_in_the_log(each: Golden) -> None:
    encoded = logged.encode(admitted(each.value).logged).decode()
    for field in PERSONAL:
        values = each.value.get(field, ())
        for value in [values] if isinstance(values, str) else values:
            assert value not in encoded
            assert json.dumps(value)[1:-1] not in encoded


# -- what goes out ----------------------------------------------------------------------------------------------------


def of(contract: str) -> list[Any]:
    return [pytest.param(each, id=each.name) for each in GOLDENS if each.contract == contract]


@pytest.mark.parametrize(
    ("written", "told"),
    [(core_decisions.Decision, decisions.Decision), (core_decisions.Trigger, triggers.Trigger)],
)
def test_the_core_writes_the_fields_the_contract_names_in_its_order(written: Any, told: Any) -> None:
    assert written.__struct_fields__ == tuple(told.model_fields)


def test_the_core_knows_the_outcomes_and_reasons_the_contract_names() -> None:
    assert {outcome.value for outcome in core_decisions.Outcome} == set(get_args(decisions.Outcome))
    assert {reason.value for reason in core_decisions.Reason} == set(get_args(decisions.Reason))


@pytest.mark.parametrize("each", of("Decision"))
def test_a_decision_is_written_as_its_golden(each: Golden) -> None:
    assert json.loads(msgspec.json.encode(msgspec.json.decode(each.data, type=core_decisions.Decision))) == each.value


@pytest.mark.parametrize("each", of("Trigger"))
def test_a_trigger_is_written_as_its_golden(each: Golden) -> None:
    assert json.loads(msgspec.json.encode(msgspec.json.decode(each.data, type=core_decisions.Trigger))) == each.value


def lived() -> Driver:
    """Everything of the goldens happened to one customer, in its order; then silence."""
    driver = Driver()
    driver.tick(datetime(2026, 2, 1, tzinfo=UTC))
    entries = [admitted(each.value).logged for each in INBOUND if each.value.get("currency") != "KWD"]
    for entry in sorted(entries, key=lambda entry: (entry.occurred_at, entry.id)):
        driver.feed(entry)
    driver.tick(datetime(2026, 6, 1, tzinfo=UTC))
    return driver


def test_a_view_after_a_full_life_and_after_one_click_is_what_the_contract_says() -> None:
    schema = Draft202012Validator(json.loads((DIRECTORY / "schemas/profile-view.v1.json").read_text("utf-8")))
    driver = lived()
    driver.feed(admitted(golden("touch-recorded.least").value).logged, "newcomer")
    for customer_id, profile in driver.profiles.items():
        shown = msgspec.json.encode(view(customer_id, profile, driver.controls, partition=3, offset=18_233))
        assert [error.message for error in schema.iter_errors(json.loads(shown))] == []
        read = views.ProfileView.model_validate_json(shown)
        assert json.loads(read.model_dump_json()) == json.loads(shown)


def test_the_decisions_of_a_full_life_are_what_the_contract_says() -> None:
    made = lived().decisions
    assert made
    for decision in made:
        encoded = msgspec.json.encode(decision)
        assert json.loads(decisions.Decision.model_validate_json(encoded).model_dump_json()) == json.loads(encoded)
