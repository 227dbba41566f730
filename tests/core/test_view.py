"""What we show of a customer, a decision and a trigger is what their contracts say, field by field."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from hypothesis import given

from pipeline.core.decisions import Decision, Outcome, Reason, Trigger, trigger
from pipeline.core.profile import Lifecycle, Stage
from pipeline.core.view import view
from pipeline.schemas import decisions as contract
from pipeline.schemas import logged, triggers, views
from pipeline.telling_forecast import forecast_lines
from tests.core.builders import cancelled, consent, day, order, refund, resolved, said, ticket
from tests.core.lives import STEADY, live, lives
from tests.core.test_forecast import fitted
from tests.core.test_invariants import EXAMPLES
from tests.driver import Driver

encode = msgspec.json.Encoder().encode


def seen(driver: Driver) -> views.ProfileView:
    """The customer's view, read back by its contract."""
    shown = view("c", driver.profiles["c"], driver.controls, partition=3, offset=7)
    return views.ProfileView.model_validate_json(encode(shown))


@STEADY
@given(lives)
def test_a_view_agrees_with_its_contract_whatever_happened(life: list[Any]) -> None:
    driver = live(life)
    for customer_id in driver.profiles:
        shown = view(customer_id, driver.profiles[customer_id], driver.controls, partition=0, offset=0)
        read = views.ProfileView.model_validate_json(encode(shown))
        assert set(shown) == set(views.ProfileView.model_fields)
        assert encode(msgspec.to_builtins(shown)) == encode(shown)
        assert read.value.net_revenue_minor == read.value.revenue_minor - read.value.refunded_minor


@STEADY
@given(lives)
def test_a_forecast_agrees_with_its_contract_whatever_happened(life: list[Any]) -> None:
    driver = Driver()
    driver.control(fitted(0))
    live(life, driver)
    for customer_id in driver.profiles:
        found = views.ProfileView.model_validate_json(
            encode(view(customer_id, driver.profiles[customer_id], driver.controls, partition=0, offset=0))
        ).prediction
        has_bought = driver.profiles[customer_id].ledger.last_at > 0
        assert (found is not None) == has_bought
        if found is not None:
            assert [each.days for each in found.ahead] == [30, 90, 365]
            orders = [each.orders for each in found.ahead]
            assert orders == sorted(orders)


def test_a_forecast_is_shown_with_its_horizons_its_model_and_what_it_rests_on() -> None:
    driver = Driver()
    driver.control(fitted(0))
    driver.feed(order(0))
    driver.feed(order(14, "B", 5_000))
    found = seen(driver).prediction
    assert found is not None
    assert (found.basis, found.model_scope, found.model_fitted_at) == ("own purchases", "shop", day(0))
    assert (found.return_days, found.value_ahead_days) == (90, 1092)
    assert found.overdue_at is not None
    assert day(14) < found.overdue_at < day(14 + 365)
    assert found.next_order_days.early is not None
    assert found.next_order_days.median is not None
    assert found.next_order_days.early < found.next_order_days.median
    told = dict(
        forecast_lines(msgspec.to_builtins(view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)))
    )
    assert told["forecast"].endswith("to buy within 90 days (by own purchases; model of shop, fitted 2026-01-01)")
    assert f"overdue from {found.overdue_at:%Y-%m-%d}" in told["next order"]


@STEADY
@given(lives)
def test_decisions_and_triggers_agree_with_their_contracts(life: list[Any]) -> None:
    for decision in live(life).decisions:
        contract.Decision.model_validate_json(encode(decision))
        if decision.outcome is Outcome.SENT:
            sent = triggers.Trigger.model_validate_json(encode(trigger(decision)))
            assert sent.trigger_id == decision.trigger_id


def test_the_contracts_name_the_same_fields_reasons_and_states() -> None:
    assert set(Decision.__struct_fields__) == set(contract.Decision.model_fields)
    assert set(Trigger.__struct_fields__) == set(triggers.Trigger.model_fields)
    assert {str(each) for each in Reason} == set(get_args(contract.Reason))
    assert {str(each) for each in Outcome} == set(get_args(contract.Outcome))
    assert {each.label for each in Stage} == set(get_args(contract.Stage))
    assert {each.label for each in Lifecycle} == set(get_args(contract.Lifecycle))


def test_a_customer_is_shown_with_their_value_and_what_it_cost() -> None:
    driver = Driver()
    for event in (
        order(0, "A", 10_000, discount_minor=500), order(1, "B", 5_000), refund(2, "A", "R", 2_500), cancelled(2, "B"),
        said(logged.CostRecorded, 3, department="sales", amount_minor=700, currency="USD"),
        said(logged.CostRecorded, 3, department="marketing", amount_minor=300, currency="USD"),
        said(logged.CostRecorded, 3, department="service", amount_minor=200, currency="USD"),
        ticket(4, service_cost_minor=100), consent(4, "marketing", "denied", None),
    ):  # fmt: skip
        driver.feed(event)
    shown = seen(driver)
    kept_of_discount, margin = 500 * 3 // 4, (7_500 + 500 * 3 // 4) * 4 // 10
    retention = 300 + kept_of_discount
    told = {
        "currency": "USD", "orders": 1, "revenue_minor": 10_000, "refunded_minor": 2_500, "net_revenue_minor": 7_500,
        "discount_minor": 500, "margin_minor": margin, "acquisition_cost_minor": 700,
        "retention_cost_minor": retention, "service_cost_minor": 300,
        "value_to_date_minor": margin - 700 - retention - 300,
        "sales_cost_minor": 700, "discount_cost_minor": kept_of_discount, "marketing_cost_minor": 300,
        "service_recorded_cost_minor": 300, "commission_cost_minor": 0, "send_cost_minor": 0,
        "service_time_cost_minor": 0, "return_cost_minor": 0,
    }  # fmt: skip
    assert shown.value.model_dump(include=set(told)) == told
    (once,) = shown.value.latest_orders
    assert (once.margin_minor, once.cost_minor, once.left_minor) == (
        margin,
        kept_of_discount,
        margin - kept_of_discount,
    )
    assert (shown.partition, shown.offset) == (3, 7)
    assert (shown.first_purchase_at, shown.last_purchase_at, shown.days_since_purchase) == (day(0), day(0), 4)
    assert [str(each) for each in shown.purchase_days] == ["2026-01-01"]
    assert (shown.complaint_open, shown.open_tickets, shown.complaints) == (True, 1, 1)
    assert [(each.purpose, each.channel, each.granted) for each in shown.consents] == [("marketing", "*", False)]
    driver.feed(resolved(5))
    assert (seen(driver).complaint_open, seen(driver).complaint_closed_at) == (False, day(5))


def test_the_mean_sentiment_is_over_what_could_be_judged() -> None:
    driver = Driver()
    for number, sentiment in enumerate((1.0, -0.5, None)):
        driver.feed(said(logged.MentionPosted, number, mention_id=f"{number}", platform="forum", sentiment=sentiment))
    windows = seen(driver).windows
    assert (windows.days_7.mentions, windows.days_7.sentiment_mean) == (3, 0.25)
    assert windows.days_7 == windows.days_365


def test_an_advertisement_that_reached_them_is_no_contact_with_a_person() -> None:
    driver = Driver()
    for event in (
        said(logged.TouchRecorded, 0, channel="ad"), said(logged.ContactMade, 0, department="sales"),
        said(logged.TouchRecorded, 0, channel="search", followed=True),
    ):  # fmt: skip
        driver.feed(event)
    assert seen(driver).windows.days_7.contacts == 1


def test_of_nothing_there_is_nothing_to_show() -> None:
    driver = Driver()
    driver.feed(said(logged.TouchRecorded, 0, channel="email"))
    shown = seen(driver)
    assert (shown.first_purchase_at, shown.days_since_purchase, shown.last_decision) == (None, None, None)
    assert (shown.value.currency, shown.windows.days_7.sentiment_mean, shown.next_review_at) == (None, None, None)


def test_every_kind_of_event_leaves_a_view_that_agrees_with_the_contract() -> None:
    driver = Driver()
    driver.tick(day(0))
    for event in EXAMPLES.values():
        driver.feed(event)
    assert seen(driver).windows.days_7.emails_opened == 1
