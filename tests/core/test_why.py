"""Every figure can be asked why, and the answer is what happened: entries, evidence, inputs, decisions."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from pipeline.core.marks import short_mark
from pipeline.core.policy import Policy
from pipeline.core.population import EVERY, alike
from pipeline.core.why import QUESTIONS, why
from pipeline.schemas import logged
from pipeline.schemas.explanations import Explanation
from tests.core.builders import (
    adopted,
    cancelled,
    consent,
    day,
    opened,
    order,
    policy,
    refund,
    resolved,
    said,
    ticket,
)  # fmt: skip
from tests.core.lives import HASTY, STEADY, live, lives
from tests.core.test_forecast import fitted
from tests.core.test_population import SHOP, measured
from tests.driver import Driver

Told = list[Any]
EXACT_DAYS = 85
"""What is no older than this is summed by the day, not by the week."""


def tick(on: float) -> logged.Tick:
    """It is day `on`."""
    return logged.Tick(as_of=day(on))


def asked(question: str, told: Iterable[Any], rules: Policy | None = None) -> dict[str, Any]:
    """The answer about a customer who lived through this, as it goes out."""
    adoption = [adopted(rules, -10)] if rules else []
    records = [
        (logged.CONTROL_KEY if isinstance(each, logged.Control) else b"c", logged.encode(each))
        for each in (*adoption, *told)
    ]
    answer = Explanation.model_validate(why(question, "c", records))
    document: dict[str, Any] = answer.model_dump(mode="json")
    return document


# -- value ------------------------------------------------------------------------------------------------------------


def test_the_entries_of_each_part_add_up_to_it() -> None:
    answer = asked("value", [order(0, "A", 10_000), order(3, "B", 5_000), refund(5, "A", "R", 10_000), tick(9)])
    value = answer["value"]
    assert value["parts"]["margin_minor"] == 2_000, "two fifths of what was kept"
    told = [(each["part"], each["type"], each["order_id"], each["amount_minor"]) for each in value["entries"]]
    margins = [each[1:] for each in told if each[0] == "margin_minor"]
    assert margins == [("OrderCompleted", "A", 4_000), ("OrderCompleted", "B", 2_000), ("OrderRefunded", "A", -4_000)]
    assert value["value_to_date_minor"] == 2_000
    paid = [each[1:] for each in told if each[0] == "net_revenue_minor"]
    assert paid == [("OrderCompleted", "A", 10_000), ("OrderCompleted", "B", 5_000), ("OrderRefunded", "A", -10_000)]
    assert value["net_revenue_minor"] == 5_000


def test_what_channels_cost_is_told_with_the_touches_and_the_spend_that_is_shared() -> None:
    """Two touches within the 90 days before the first order share it; a third is too old. The month's 30 customers, won
    by shares of 15 in all, cost 450.00: half of one is 15.00."""
    touches = [
        said(logged.TouchRecorded, on, channel=channel) for on, channel in ((-99, "tv"), (-9, "ad"), (-1, "seo"))
    ]
    spent = logged.ChannelCostRevised(
        revised_at=day(8), channel="ad", cohort_month="2026-01", version=1, spend_minor=45_000, acquisitions=30,
        shares=15 * 720_720,
    )  # fmt: skip
    value = asked("value", [*touches, order(0, "A", 10_000), spent, tick(9)])["value"]
    ad, seo = value["channels"]
    assert (ad["channel"], ad["share_fraction"], ad["cohort_month"], ad["cost_minor"]) == ("ad", 0.5, "2026-01", 1_500)
    assert ad["touches_at"] == [f"{day(-9):%Y-%m-%dT%H:%M:%SZ}"]
    assert (ad["spend_minor"], ad["customers_won"]) == (45_000, 15.0)
    assert ad["cpa_low_minor"] < ad["cpa_minor"] == 3_000 < ad["cpa_high_minor"]
    assert (seo["channel"], seo["spend_minor"], seo["cost_minor"], seo["cpa_minor"]) == ("seo", None, 0, None)
    assert value["parts"]["channel_cost_minor"] == sum(each["cost_minor"] for each in value["channels"])


def test_what_came_through_a_referral_names_the_friend() -> None:
    friend = "0c5d7f0e-3c0b-5a0e-9a51-6d2f3a1f0b6e"
    told = [
        said(logged.ReferralMade, 1, referral_id="R", referred_customer_id=friend),
        said(logged.ReferralCredited, 3, path=(short_mark(friend),), amount_minor=1_000),
        said(logged.ReferralCredited, 4, path=(7, short_mark(friend)), amount_minor=500),
        said(logged.ReferralCredited, 5, path=(8,), amount_minor=250), tick(9),
    ]  # fmt: skip
    entries = asked("value", told)["value"]["entries"]
    assert [each["friend_id"] for each in entries if each["part"] == "referral_value_minor"] == [friend, friend, None]


@STEADY
@given(lives)
def test_whatever_happens_every_question_has_an_answer_by_its_contract_that_is_as_the_customer_is(life: Told) -> None:
    driver = live(life, Driver(HASTY))
    profile = driver.profiles.get("c")
    answers = {question: asked(question, life, HASTY) for question in QUESTIONS}
    if profile is None:
        parts = ("value", "stage", "lifecycle", "tier", "rule", "satisfaction", "needs", "owed", "rfm")
        assert all(answers[question][part] is None for question in QUESTIONS for part in parts)
        return
    value = answers["value"]["value"]
    for part, amount in value["parts"].items():
        assert sum(each["amount_minor"] for each in value["entries"] if each["part"] == part) == amount
    for question, now in (("stage", profile.stage), ("lifecycle", profile.lifecycle)):
        moves = answers[question][question]["moves"]
        assert moves[0]["left"] is None
        assert all(before["reached"] == after["left"] for before, after in pairwise(moves))
        assert answers[question][question][question] == moves[-1]["reached"] == _label(question, now)
    the_entries_are_the_figures(answers)
    for question in ("retention_offer", "feedback_request"):
        considered = answers[question]["rule"]["considerations"]
        moves = [(each["trigger_id"], move["outcome"]) for each in considered for move in each["moves"]]
        decided = [(each.trigger_id, str(each.outcome)) for each in driver.decisions if each.rule == question]
        assert sorted(moves) == sorted(decided)
        assert sum(each["is_open"] for each in considered) == sum(
            each.rule == question for each in profile.considerations
        )


def the_entries_are_the_figures(answers: dict[str, Any]) -> None:
    """Satisfaction is the weighed mean of its entries, promises add up, facts have an event, money adds up to spend."""
    satisfaction = answers["satisfaction"]["satisfaction"]
    assert mean_of(satisfaction) == pytest.approx(satisfaction["satisfaction"]["fraction"] or mean_of(satisfaction))
    owed = answers["owed"]["owed"]
    for each in owed["departments"]:
        entries = [entry for entry in owed["entries"] if entry["department"] == each["department"]]
        counted = [count for count in owed["counted"] if count["department"] == each["department"]]
        for outcome in ("kept", "broken", "open"):
            of_entries = sum(entry["outcome"] == outcome for entry in entries)
            assert of_entries + sum(count.get(outcome, 0) for count in counted) == each[outcome]
    assert all(entry["events"] for entry in (*satisfaction["entries"], *owed["entries"]))
    assert all(fact["event"] is not None for fact in answers["needs"]["needs"]["facts"])
    needs = answers["needs"]["needs"]
    for channel in needs["needs"]["channels"]:
        if channel["channel"] != "email":
            heard = [each["what"] for each in needs["heard"] if each["channel"] == channel["channel"]]
            assert heard.count("answered") == channel["answered"]
    rfm = answers["rfm"]["rfm"]
    if rfm["habits"] is not None and all(each["age_days"] < EXACT_DAYS for each in rfm["entries"]):
        assert sum(each["amount_minor"] for each in rfm["entries"]) == rfm["habits"]["spent_minor"]


def mean_of(satisfaction: dict[str, Any]) -> float:
    """The weighed mean of entries and prior, as docs/relationship.md has it."""
    prior = satisfaction["prior_weight"]
    good = prior * satisfaction["prior_fraction"]
    good += sum(each["weight"] * each["score"] for each in satisfaction["entries"])
    return float(good / (prior + sum(each["weight"] for each in satisfaction["entries"])))


def _label(question: str, number: int) -> str:
    from pipeline.core.profile import Lifecycle, Stage  # noqa: PLC0415 - only to name what the numbers mean

    return (Stage(number) if question == "stage" else Lifecycle(number)).label


# -- stage ------------------------------------------------------------------------------------------------------------


def test_a_stage_is_told_with_the_event_that_moved_it_the_evidence_then_and_what_the_next_one_misses() -> None:
    told = [
        tick(0), said(logged.PreferenceStated, 1, interests=("jazz",)), opened(1.5),
        said(logged.CustomerIdentified, 2), order(10, "A"),
        said(logged.ContactMade, 12, department="service"), tick(20),
    ]  # fmt: skip
    stage = asked("stage", told)["stage"]
    assert [(each["left"], each["reached"]) for each in stage["moves"]][:2] == [
        (None, "exploratory"),
        ("exploratory", "basic"),
    ]
    basic, collaborative = stage["moves"][1:]
    assert (basic["cause"]["type"], basic["at"]) == ("CustomerIdentified", f"{day(2):%Y-%m-%dT%H:%M:%SZ}")
    (known,) = basic["conditions"]
    assert known["holds"]
    assert known["facts"]["need_answered_at"] == f"{day(1.5):%Y-%m-%dT%H:%M:%SZ}"
    assert collaborative["reached"] == stage["stage"] == "collaborative"
    together = next(each for each in stage["holds"] if each["name"] == "still_worked_on")
    assert {"marketing", "service"} <= set(together["facts"]["departments"])
    assert together["facts"]["departments_asked"] == 1, "one is enough to keep what it took two to reach"
    assert [each["facts"]["departments_asked"] for each in collaborative["conditions"][1:]] == [2]
    loyal = next(each for each in stage["next_asks"] if each["name"] == "loyal")
    assert (stage["next_stage"], loyal["holds"]) == ("bonded", False)
    assert loyal["facts"]["bought_in_cycles"] == [True, False, False], "the cycles before are what is missing"


def test_an_open_complaint_is_told_to_freeze_the_stage_and_until_when() -> None:
    frozen = asked("stage", [tick(0), order(1), ticket(2)])["stage"]
    assert (frozen["frozen_by_complaint"], frozen["frozen_until_at"]) == (True, f"{day(92):%Y-%m-%dT%H:%M:%SZ}")
    assert not asked("stage", [tick(0), order(1), ticket(2), tick(92)])["stage"]["frozen_by_complaint"]
    solved = asked("stage", [tick(0), order(1), ticket(2), resolved(3)])["stage"]
    assert (solved["frozen_by_complaint"], solved["frozen_until_at"]) == (False, None)


def test_a_fall_is_told_with_what_was_missing_to_keep_the_stage() -> None:
    """One department would have been enough, so the reason is not that two were missing."""
    known = [said(logged.PreferenceStated, 0, interests=("jazz",)), said(logged.CustomerIdentified, 0), opened(0)]
    quiet = [tick(number) for number in range(3, 240, 10)]
    told = [tick(0), *known, order(0), said(logged.OrderDelivered, 1, order_id="A"), *quiet]
    fall = asked("stage", told)["stage"]["moves"][-1]
    assert (fall["left"], fall["reached"]) == ("collaborative", "basic")
    missing = [(each["name"], each["facts"]["departments_asked"]) for each in fall["conditions"] if not each["holds"]]
    assert missing == [("still_worked_on", 1)]


# -- lifecycle --------------------------------------------------------------------------------------------------------

HASTILY_LAPSED: Told = [
    adopted(policy(lifecycle__at_risk_after_days=20, lifecycle__lapsed_after_days=40), -1), tick(0), order(1),
    tick(25), tick(45), fitted(46), tick(55),
]  # fmt: skip


def test_a_lifecycle_is_told_with_its_limits_and_when_silence_moves_it_on() -> None:
    told = [tick(0), order(1, "A"), order(11, "B"), *map(tick, range(12, 80, 6))]
    answer = asked("lifecycle", told)["lifecycle"]
    assert [each["reached"] for each in answer["moves"]] == ["new", "active", "at_risk"]
    at_risk = answer["moves"][-1]
    assert at_risk["cause"]["type"] == "Tick"
    assert 60 <= at_risk["silent_days"] <= 67, "sixty days by the policy, seen at the next Tick"
    assert [each["limit_days"] for each in answer["moves"]] == [None, None, 60], "a purchase asks for no silence"
    assert (answer["limits_are"], answer["at_risk_after_days"], answer["lapsed_after_days"]) == ("policy", 60, 180)
    assert (answer["next_lifecycle"], answer["next_at"]) == ("lapsed", f"{day(11 + 180):%Y-%m-%dT%H:%M:%SZ}")
    assert answer["silent_days"] == 78 - 11


def test_with_a_model_the_limits_are_their_own() -> None:
    told = [fitted(-1), tick(0), *(order(7 * n, f"o{n}") for n in range(8)), tick(50)]
    answer = asked("lifecycle", told)["lifecycle"]
    assert answer["limits_are"] == "own_rhythm"
    assert answer["at_risk_after_days"] < 60, "who buys every week is missed sooner"
    assert answer["next_lifecycle"] == "at_risk"


def test_a_move_keeps_the_limit_it_was_made_by_whatever_counts_now() -> None:
    """Lapsed by the policy's 40 days; then a model is more patient with who bought once."""
    answer = asked("lifecycle", HASTILY_LAPSED)["lifecycle"]
    assert [(each["reached"], each["limit_days"]) for each in answer["moves"][1:]] == [("at_risk", 20), ("lapsed", 40)]
    assert (answer["lifecycle"], answer["limits_are"]) == ("lapsed", "own_rhythm")
    assert answer["silent_days"] < answer["lapsed_after_days"]


def test_before_the_first_tick_silence_is_not_proven() -> None:
    answer = asked("lifecycle", [order(1)])["lifecycle"]
    assert (answer["lifecycle"], answer["is_proven"]) == ("new", False)


# -- prediction -------------------------------------------------------------------------------------------------------


def test_a_prediction_is_the_product_of_what_it_is_said_to_be_made_of() -> None:
    told = [fitted(-1), tick(0), *(order(7 * n, f"o{n}", 1_000 * (n + 1)) for n in range(5)), tick(40)]
    answer = asked("prediction", told)["prediction"]
    assert answer["absent"] is None
    seen, made, found = answer["purchases"], answer["made_of"], answer["prediction"]
    assert (seen["purchase_days"], seen["mean_gap_days"], seen["first_on"]) == (5, 7.0, "2026-01-01")
    assert seen["mean_margin_minor"] == 1_400, "two fifths of the mean of 20.00 to 50.00: the first is left out"
    for factors, ahead in zip(made["ahead"], found["ahead"], strict=True):
        orders = made["p_alive"] * factors["orders_if_they_stay"] * factors["season_factor"]
        assert ahead["orders"] == pytest.approx(orders, abs=1e-6)
        assert ahead["margin_minor"] == pytest.approx(orders * made["margin_an_order_minor"], abs=1)
    assert answer["model"]["scope"] == "shop"
    assert answer["model"]["parameters"]["timing.r"] > 0


def test_a_prediction_says_within_what_most_of_those_like_them_end_up() -> None:
    told = [fitted(-1), tick(0), *(order(7 * n, f"o{n}", 1_000 * (n + 1)) for n in range(5)), tick(40)]
    answer = asked("prediction", told)["prediction"]
    band, found = answer["band"], answer["prediction"]
    assert band["share"] == 0.8
    for of, ahead in zip(band["ahead"], found["ahead"], strict=True):
        assert of["days"] == ahead["days"]
        assert of["orders_low"] <= ahead["orders"] <= of["orders_high"]
        assert of["margin_low_minor"] <= ahead["margin_minor"] <= of["margin_high_minor"]
    assert band["value_ahead_low_minor"] <= found["value_ahead_minor"] <= band["value_ahead_high_minor"]


@pytest.mark.parametrize(("told", "absent"), [([order(0)], "no_model"), ([fitted(-1), opened(0)], "no_purchase")])
def test_where_there_is_no_prediction_the_reason_is_told(told: Told, absent: str) -> None:
    answer = asked("prediction", [*told, tick(1)])["prediction"]
    assert (answer["absent"], answer["prediction"], answer["band"]) == (absent, None, None)


# -- tier -------------------------------------------------------------------------------------------------------------


def test_a_tier_is_told_with_what_moved_it_and_the_shops_lines_beside_their_figures() -> None:
    shop = replace(SHOP, value=(5_000,) * 19, gap=(90_000,) * 19)
    told = [fitted(0), measured(0, shop), *(order(7 * n, f"o{n}", 10_000) for n in range(4)), tick(25), tick(250)]
    answer = asked("tier", told)["tier"]
    moves = [(each["left"], each["reached"]["tier"], each["cause"]["id"] is None) for each in answer["moves"]]
    assert moves[-2:] == [("rest", "mvc", False), ("mvc", "rest", True)], "by an order; by time"
    assert answer["lines"]["mvc_from_minor"] == 5_000
    risen = answer["moves"][-2]["reached"]
    assert risen["actual_minor"] + risen["expected_minor"] >= 5_000
    assert risen["p_return"] > answer["lines"]["mvc_returns_above"] > answer["tier"]["p_return"]


def test_a_tier_that_is_kept_though_its_line_is_missed_says_so() -> None:
    """The line of the most valuable rises by a measuring: by little, the tier is kept; to twice what they are worth, it
    is kept until the thirtieth day."""
    shop = replace(SHOP, value=(1,) * 19, gap=(900_000,) * 19)
    life: Told = [fitted(-2), measured(-2, shop), *(order(7 * n, f"o{n}", 10_000) for n in range(4)), tick(22)]
    known = asked("tier", life)["tier"]["tier"]
    in_all = known["actual_minor"] + known["expected_minor"]
    near, high = (replace(shop, value=(line,) * 19) for line in (in_all + in_all // 20, in_all * 2))
    assert (asked("tier", life)["tier"]["tier"]["tier"], asked("tier", life)["tier"]["kept"]) == ("mvc", None)
    by_slack = asked("tier", [*life, measured(22.5, near), tick(23)])["tier"]
    assert (by_slack["tier"]["tier"], by_slack["kept"]["by"], by_slack["kept"]["else_tier"]) == ("mvc", "slack", "rest")
    by_hold = asked("tier", [*life, measured(22.5, high), tick(23)])["tier"]
    assert (by_hold["tier"]["tier"], by_hold["kept"]["by"], by_hold["kept"]["hold_days"]) == ("mvc", "hold", 30)
    fallen = asked("tier", [*life, measured(22.5, high), tick(60)])["tier"]
    assert (fallen["tier"]["tier"], fallen["kept"]) == ("rest", None)


def test_what_they_might_be_worth_names_the_customers_it_is_told_from() -> None:
    """Won through e-mail, here for three weeks and then for seventeen: of e-mail alone those here for 13 to 26
    weeks were many enough, so before that they are compared with all."""
    best = {alike(EVERY, EVERY): 900_000, alike("email", 1): 800_000}
    shop = replace(SHOP, best_ahead_minor=best, alike_customers={alike("email", 1): 60}, best_categories={})
    orders = [order(7 * n, f"o{n}", 10_000) for n in range(4)]
    touched = said(logged.TouchRecorded, -1, channel="email")
    life = [fitted(-2), measured(-2, shop), touched, *orders, tick(22)]
    early, late = (asked("tier", told)["tier"] for told in (life, [*life, tick(120)]))
    whole = {"channel": None, "weeks_from": None, "weeks_below": None, "customers": 1_000}
    theirs = {"channel": "email", "weeks_from": 13, "weeks_below": 26, "customers": 60}
    assert early["potential"]["compared_with"] == whole
    assert early["potential"]["they_are"] == {**theirs, "weeks_from": 0, "weeks_below": 13, "customers": None}
    assert (early["tier"]["potential_minor"], early["potential"]["told_by"]) == (900_000, "best_tenth")
    assert late["potential"]["compared_with"] == late["potential"]["they_are"] == theirs
    for each in (early, late):
        potential, now = each["potential"], each["tier"]
        assert potential["potential_minor"] == now["potential_minor"] == potential["best_tenth_minor"]
        assert potential["expected_minor"] == now["expected_minor"]


def test_who_is_expected_to_bring_more_than_the_best_tenth_might_be_worth_just_that() -> None:
    shop = replace(SHOP, best_ahead_minor={alike(EVERY, EVERY): 1}, best_categories={})
    answer = asked("tier", [fitted(-2), measured(-2, shop), order(0), tick(8)])["tier"]["potential"]
    assert (answer["told_by"], answer["best_tenth_minor"]) == ("expected", 1)
    assert answer["potential_minor"] == answer["expected_minor"] > 1


def test_who_might_buy_more_broadly_is_told_how_broadly_the_broadest_tenth_do() -> None:
    """One category of at most four: worth twice what is expected, no more."""
    shop = replace(SHOP, best_ahead_minor={}, best_categories={alike(EVERY, EVERY): 4})
    bought = order(0, items=(logged.Item(product_id="p", amount_minor=3_000, category="hats"),))
    answer = asked("tier", [fitted(-2), measured(-2, shop), bought, tick(8)])["tier"]["potential"]
    assert (answer["told_by"], answer["categories"], answer["categories_of_broadest"]) == ("categories", 1, 4)
    assert answer["potential_minor"] == 2 * answer["expected_minor"]
    assert (answer["compared_with"], answer["broadest_of"]["customers"]) == (None, 1_000)


def test_before_the_shop_is_measured_a_tier_has_its_reason_and_no_lines() -> None:
    answer = asked("tier", [order(1)])["tier"]
    assert (answer["tier"]["tier_reason"], answer["lines"], answer["moves"]) == ("no_forecast_yet", None, [])
    assert answer["potential"] is None


# -- satisfaction -----------------------------------------------------------------------------------------------------


def test_satisfaction_is_told_with_every_piece_its_age_its_weight_and_the_events_it_is_from() -> None:
    """The example of docs/relationship.md: 9 of 10 half a year ago, a question solved in time today."""
    survey = said(logged.SurveyAnswered, 0, survey_id="s", kind="nps", score=9.0, score_max=10.0)
    told = [tick(0), survey, ticket(179, "T", "question"), resolved(180, "T", "question"), tick(180)]
    answer = asked("satisfaction", told)["satisfaction"]
    entries = [
        (each["kind"], each["what"], each["about"], each["age_days"], each["score"]) for each in answer["entries"]
    ]
    assert entries == [("ticket", "solved_in_time", "T", 0, 0.8), ("survey", None, None, 180, 0.9)]
    assert [each["weight"] for each in answer["entries"]] == [0.8, 0.5]
    events = [[each["type"] for each in entry["events"]] for entry in answer["entries"]]
    assert events == [["TicketOpened", "TicketResolved"], ["SurveyAnswered"]]
    assert answer["entries"][1]["events"][0]["source"] == "shop"
    fraction = (0.5 * 0.5 + 0.5 * 0.9 + 0.8 * 0.8) / (0.5 + 0.5 + 0.8)
    assert answer["satisfaction"]["fraction"] == pytest.approx(fraction) == pytest.approx(mean_of(answer))


def test_two_surveys_alike_on_one_day_have_an_event_each_and_one_sent_twice_has_one() -> None:
    told = [
        said(logged.SurveyAnswered, 1, id=name, survey_id=name, kind="csat", score=4.0, score_max=5.0) for name in "aba"
    ]
    entries = asked("satisfaction", told)["satisfaction"]["entries"]
    assert [[each["id"] for each in entry["events"]] for entry in entries] == [["a"], ["b"]]


# -- what we owe ------------------------------------------------------------------------------------------------------


def test_each_promise_is_told_with_its_day_what_became_of_it_and_what_told_so() -> None:
    told = [tick(0), *(order(1, name) for name in "AB")]
    told += [said(logged.OrderPromised, 1, order_id=name, promised_at=day(due)) for name, due in (("A", 4), ("B", 5))]
    told += [said(logged.OrderDelivered, on, order_id=name) for on, name in ((3, "A"), (6, "B"))]
    told += [
        said(logged.EmailDelivered, 7, email_id="m", campaign_id="spring"),
        ticket(8, promised_at=day(20)),
        tick(9),
    ]
    owed = asked("owed", told)["owed"]
    entries = [(each["what"], each["about"], each["outcome"], each["age_days"]) for each in owed["entries"]]
    assert entries == [
        ("answer", "T", "open", 0), ("message", None, "broken", 2), ("delivery", "B", "broken", 4),
        ("delivery", "A", "kept", 5),
    ]  # fmt: skip
    assert [[each["type"] for each in entry["events"]] for entry in owed["entries"]] == [
        ["TicketOpened"], ["EmailDelivered"], *[["OrderPromised", "OrderDelivered"]] * 2,
    ]  # fmt: skip
    assert owed["counted"] == []
    assert {each["department"]: each["broken"] for each in owed["departments"]} == {
        "marketing": 1, "sales": 1, "service": 0,
    }  # fmt: skip


def test_promises_too_old_to_be_remembered_one_by_one_are_told_in_numbers() -> None:
    """Eight are remembered; ten were made and kept."""
    told: Told = [tick(0)]
    for number in range(10):
        name = f"o{number}"
        told += [order(number, name), said(logged.OrderPromised, number, order_id=name, promised_at=day(number + 2))]
        told.append(said(logged.OrderDelivered, number + 1, order_id=name))
    owed = asked("owed", told)["owed"]
    assert (len(owed["entries"]), owed["counted"]) == (8, [{"department": "sales", "kept": 2, "broken": 0}])


# -- needs ------------------------------------------------------------------------------------------------------------


def test_each_fact_is_told_with_who_said_it_when_and_until_when_it_holds() -> None:
    told = [
        tick(0), said(logged.CustomerIdentified, 1, id="known", language="fr"),
        said(logged.PreferenceStated, 2, id="wish", interests=("jazz",)),
        ticket(3, "T", "question", channel="phone"), ticket(9, "U", "question", channel="phone", id="second"), tick(20),
    ]  # fmt: skip
    facts = {each["fact"]: each for each in asked("needs", told)["needs"]["facts"]}
    assert {name: (each["source"], each["event"]["id"], each["age_days"]) for name, each in facts.items()} == {
        "language": ("stated", "known", 19), "kind": ("stated", "known", 19), "interests": ("stated", "wish", 18),
        "service_channel": ("inferred", "second", 11),
    }  # fmt: skip
    assert facts["interests"]["holds_until_at"] == f"{day(2 + 365):%Y-%m-%dT%H:%M:%SZ}"


def test_what_is_inferred_of_channels_and_orders_is_told_with_what_it_is_from() -> None:
    line = (logged.Item(product_id="p", category="shoes"),)
    told = [
        tick(0), said(logged.ContactMade, 1, department="sales", channel="phone"), opened(2),
        said(logged.ContactMade, 3, department="service", channel="phone", is_inbound=True),
        order(4, "A", items=line), order(5, "B", items=line, discount_minor=100), order(6, "C", items=line),
        cancelled(7, "C"), refund(8, "A", "R"), tick(20),
    ]  # fmt: skip
    answer = asked("needs", told)["needs"]
    assert [(each["channel"], each["what"], each["age_days"]) for each in answer["heard"]] == [
        ("phone", "tried", 19), ("email", "answered", 18), ("phone", "asked", 17),
    ]  # fmt: skip
    standing = [(each["order_id"], each["categories"], each["has_discount"]) for each in answer["orders"]]
    assert standing == [("B", ["shoes"], True)], "C was cancelled, and all of A given back"
    assert [each["orders"] for each in answer["needs"]["affinity"]] == [1]


# -- recency, frequency, monetary -------------------------------------------------------------------------------------


def test_scores_are_told_with_the_purchases_of_a_year_and_the_shops_cuts() -> None:
    cuts = {"recency": (-200, -100, -50, -10), "frequency": (1, 2, 3, 4), "monetary": (500, 900, 2_000, 50_000)}
    shop = replace(SHOP, **cuts)
    told = [measured(0, shop), tick(0), order(0, "old", 90_000), order(380, "A", 1_000), order(390, "B", 500)]
    told += [refund(395, "A", "R", 300), tick(400)]
    rfm = asked("rfm", told)["rfm"]
    money = [(each["order_id"], each["amount_minor"], each["age_days"]) for each in rfm["entries"]]
    assert money == [("A", 1_000, 20), ("B", 500, 10), ("A", -300, 5)]
    assert rfm["habits"] == {"days_since_purchase": 10, "purchase_days": 2, "spent_minor": 1_200}
    scores = {name: rfm["scores"][name] for name in ("recency", "frequency", "monetary")}
    assert scores == {"recency": 5, "frequency": 3, "monetary": 3}
    assert rfm["cuts"]["days_since_purchase"] == [200, 100, 50, 10]
    assert rfm["purchase_days"] == [f"{day(380):%Y-%m-%d}", f"{day(390):%Y-%m-%d}"]


def test_without_scores_the_reason_is_told_and_so_are_the_purchases() -> None:
    rfm = asked("rfm", [tick(0), order(1, "A", 1_000), tick(9)])["rfm"]
    assert (rfm["absent"], rfm["scores"], rfm["habits"]["spent_minor"]) == ("no_population", None, 1_000)
    assert len(rfm["entries"]) == 1
    nobody = asked("rfm", [tick(0), opened(1)])["rfm"]
    assert (nobody["absent"], nobody["habits"], nobody["entries"]) == ("no_purchase", None, [])


# -- rules ------------------------------------------------------------------------------------------------------------

SILENCE = [tick(number) for number in range(2, 75, 6)]


def test_an_offer_withheld_is_told_with_its_reason_and_what_is_in_the_way() -> None:
    rule = asked("retention_offer", [tick(0), order(1), *SILENCE])["rule"]
    ((move,),) = [each["moves"] for each in rule["considerations"]]
    assert (move["outcome"], move["reasons"]) == ("withheld", ["no_consent"])
    assert rule["in_the_way"] == {"reason": "no_consent", "until_at": None}
    assert rule["cause"]["reason"] == "considered_for_this_silence"


def test_the_cause_of_an_offer_keeps_its_day_when_they_have_lapsed_since() -> None:
    """At risk from day 61 on, lapsed from day 181."""
    rule = asked("retention_offer", [tick(0), order(1), *map(tick, range(2, 190))])["rule"]
    at_risk = f"{day(61):%Y-%m-%dT%H:%M:%SZ}"
    assert rule["cause"] == {"state": "has_come", "reason": "considered_for_this_silence", "at": at_risk}
    assert [each["caused_at"] for each in rule["considerations"]] == [at_risk]


def test_an_offer_sent_is_told_and_so_is_what_holds_the_next_one() -> None:
    rule = asked("retention_offer", [tick(0), consent(0), order(1), *SILENCE])["rule"]
    assert [[move["outcome"] for move in each["moves"]] for each in rule["considerations"]] == [["sent"]]
    assert rule["in_the_way"]["reason"] == "cool_down"
    assert not rule["considerations"][0]["is_open"]


def test_a_wish_for_no_messages_is_told_as_what_is_in_the_way_for_as_long_as_it_holds() -> None:
    nothing = said(logged.PreferenceStated, 0, contacts_per_month_max=0)
    rule = asked("retention_offer", [tick(0), consent(0), nothing, order(1), *SILENCE])["rule"]
    ((move,),) = [each["moves"] for each in rule["considerations"]]
    assert (move["outcome"], move["reasons"]) == ("withheld", ["wish"])
    assert rule["in_the_way"] == {"reason": "wish", "until_at": f"{day(730):%Y-%m-%dT%H:%M:%SZ}"}


def test_what_merely_is_not_so_is_told_with_when_it_would_be() -> None:
    """No decision says this: nobody considered anything."""
    rule = asked("retention_offer", [tick(0), consent(0), order(1), tick(30)])["rule"]
    assert (rule["considerations"], rule["passed_over"]) == ([], [])
    assert rule["cause"] == {
        "state": "to_come", "reason": "not_silent_for_long", "at": f"{day(61):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip
    assert asked("retention_offer", [tick(0), opened(1)])["rule"]["cause"]["reason"] == "no_purchase_yet"


@pytest.mark.parametrize(
    ("told", "rules", "reason"),
    [
        ([order(1), tick(2)], None, "before_first_tick"),
        ([tick(9), order(1)], None, "late"),
        ([tick(0), order(1)], policy(rules__feedback_request__enabled=False), "rule_off"),
        ([tick(0), order(1, "A", 500), order(2, "A", 700)], None, "known_before"),
    ],
)
def test_a_cause_that_opened_nothing_is_told_with_the_reason(told: Told, rules: Policy | None, reason: str) -> None:
    passed_over = asked("feedback_request", told, rules)["rule"]["passed_over"]
    assert [(each["reason"], each["cause"]["type"]) for each in passed_over] == [(reason, "OrderCompleted")]


def test_an_order_told_twice_is_one_cause() -> None:
    rule = asked("feedback_request", [tick(0), order(1), order(1), tick(2)])["rule"]
    assert rule["passed_over"] == []
    assert [each["business_key"] for each in rule["considerations"]] == ["A"]
    assert rule["considerations"][0]["is_open"]


def test_a_request_whose_order_was_cancelled_is_told_as_such() -> None:
    rule = asked("feedback_request", [tick(0), consent(0, "feedback"), order(1), cancelled(2), tick(20)])["rule"]
    ((*_, last),) = [each["moves"] for each in rule["considerations"]]
    assert (last["outcome"], last["reasons"]) == ("cancelled", ["order_void"])


def test_another_question_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="expected one of value, stage, lifecycle, tier, prediction, satisfaction, needs"
    ):
        why("height", "c", [])


def test_the_policy_of_the_time_is_the_one_that_decided() -> None:
    rules = policy(rules__retention_offer__cool_down_days=1)
    rule = asked("retention_offer", [tick(0), consent(0), order(1), *SILENCE], rules)["rule"]
    (considered,) = rule["considerations"]
    assert considered["moves"][0]["policy_hash"] == adopted(rules, -10).policy_hash
