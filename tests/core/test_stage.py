"""Stages: what each condition takes, whose cycle it goes by, and that nobody flickers between them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from pipeline.core import stage as stages
from pipeline.core.days import DAY_SECONDS
from pipeline.core.policy import DEFAULT, Policy
from pipeline.core.profile import Profile, Stage
from pipeline.core.view import view
from pipeline.schemas import logged
from tests.core.builders import cancelled, day, opened, order, policy, refund, resolved, said, seconds, ticket
from tests.core.lives import MOVES, lived
from tests.driver import Driver

KNOWN = (said(logged.CustomerIdentified, 0), said(logged.PreferenceStated, 0, interests=("shoes",)), opened(0))


def bought(*days: float, rules: Policy = DEFAULT) -> Driver:
    """Somebody known who bought on these days."""
    driver = Driver(rules)
    driver.tick(day(0))
    for event in KNOWN:
        driver.feed(event)
    for on in days:
        driver.tick(day(on))
        driver.feed(order(on, f"o{on}"))
    return driver


def evidence(driver: Driver) -> dict[str, Any]:
    """What the view says of the stage."""
    shown = view("c", driver.profiles["c"], driver.controls, partition=0, offset=0)
    found: dict[str, Any] = shown["stage_evidence"]
    return found


# -- whose cycle ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "gap", "cycle"),
    [
        ((1,), 0, 90),
        ((1, 181), 0, 90),  # one gap is no rhythm
        ((1, 181, 361), 180, 270),
        ((1, 8, 15, 22), 7, 90),  # who buys every week is asked for no less than the policy's
        ((1, 11, 21, 31, 731), 10, 90),  # the middle gap: one long silence is no rhythm either
        ((1, 701, 1401), 700, 730),  # and nobody's cycle is longer than two years
    ],
)
def test_a_cycle_is_the_policys_or_one_and_a_half_typical_gaps(days: tuple[float, ...], gap: int, cycle: int) -> None:
    profile = bought(*days).profiles["c"]
    assert (profile.dealings.gap_days, stages.cycle_days(profile, DEFAULT)) == (gap, cycle)


def test_an_order_cancelled_is_no_purchase_day_and_one_told_late_is() -> None:
    driver, late = bought(1, 181, 200), bought(1, 361)
    driver.feed(cancelled(201, "o200"))
    driver.feed(order(361, "o361"))
    late.feed(order(181, "o181"))
    assert driver.profiles["c"].dealings.gap_days == late.profiles["c"].dealings.gap_days == 180


def test_the_typical_gap_is_the_same_in_any_order_of_arrival() -> None:
    days = [0, 3, 10, 40, 41, 99, 180, 200, 320, 333, 390]
    chance = random.Random(5)
    found = set()
    for _ in range(30):
        chance.shuffle(days)
        driver = Driver()
        for on in days:
            driver.feed(order(on, f"o{on}"))
        found.add(driver.profiles["c"].dealings.gap_days)
    gaps = sorted(later - earlier for earlier, later in pairwise(sorted(days)[-9:]))
    assert found == {gaps[3]}


# -- conditions -------------------------------------------------------------------------------------------------------


def test_the_evidence_names_what_is_missing_until_nothing_is() -> None:
    driver = Driver(policy(rules__feedback_request__enabled=False))
    driver.tick(day(0))
    steps: list[tuple[Any, list[str]]] = [
        (said(logged.TouchRecorded, 0, channel="ad"), ["identity", "need", "answer"]),
        (said(logged.CustomerIdentified, 1), ["need", "answer"]),
        (said(logged.PreferenceStated, 2, interests=("shoes",)), ["answer"]),
        (opened(3), ["purchase", "departments"]),
        (order(4), ["departments"]),
        (said(logged.OrderDelivered, 6, order_id="A"), ["cycles"]),
        (ticket(7, severity=1), ["cycles", "complaint_solved"]),
        (resolved(8), ["cycles"]),
    ]
    for event, missing in steps:
        driver.feed(event)
        assert evidence(driver)["missing"] == missing, event
    told = evidence(driver)
    assert (told["need_known_at"], told["need_answered_at"], told["first_purchase_at"]) == (day(2), day(3), day(4))
    assert told["dealt_well"] == [
        {"department": "marketing", "at": day(3), "is_recent": True},
        {"department": "sales", "at": day(6), "is_recent": True},
        {"department": "service", "at": None, "is_recent": False},
    ]
    assert (told["next_stage"], told["bought_in_cycles"]) == ("bonded", [True, False, False])


def test_a_serious_complaint_or_one_of_unknown_severity_freezes_and_a_slight_one_does_not() -> None:
    for severity, is_frozen in ((None, True), (1, False), (2, False), (3, True), (5, True)):
        driver = bought(1)
        driver.feed(ticket(1, severity=severity))
        driver.feed(said(logged.OrderDelivered, 2, order_id="o1"))
        assert evidence(driver)["is_frozen"] is is_frozen
        assert (driver.profiles["c"].stage == Stage.COLLABORATIVE) is not is_frozen


def test_a_complaint_freezes_from_its_opening_for_ninety_days_and_not_a_second_longer() -> None:
    driver = bought(1)
    driver.feed(ticket(2, "T", severity=4))
    driver.feed(ticket(3, "slight", severity=1))
    profile, hasty = driver.profiles["c"], policy(stage__frozen_days_max=0)
    assert stages.frozen_until(profile, DEFAULT) == seconds(2 + 90)
    assert stages.is_frozen(profile, seconds(2 + 90) - 1, DEFAULT)
    assert not stages.is_frozen(profile, seconds(2 + 90), DEFAULT)
    assert not stages.is_frozen(profile, seconds(2), hasty), "0 freezes nobody"
    driver.feed(ticket(10, "U"))
    assert stages.frozen_until(driver.profiles["c"], DEFAULT) == seconds(10 + 90), "the latest counts"
    driver.feed(resolved(11, "U"))
    driver.feed(resolved(11, "T"))
    assert stages.frozen_until(driver.profiles["c"], DEFAULT) == 0


def test_a_referral_is_shown_and_changes_no_stage() -> None:
    one, other = bought(1), bought(1)
    other.feed(said(logged.ReferralMade, 1, referral_id="f"))
    assert (evidence(one)["referrals"], evidence(other)["referrals"]) == (0, 1)
    assert one.profiles["c"].stage == other.profiles["c"].stage


def test_an_order_given_back_later_no_longer_shows_that_sales_dealt_well() -> None:
    driver = bought(1)
    driver.tick(day(16))
    driver.feed_tick("c", logged.Tick(as_of=day(16)))
    assert "sales" in evidence(driver)["departments"]
    driver.feed(refund(17, "o1"))
    assert "sales" not in evidence(driver)["departments"]


@pytest.mark.parametrize("every", [7, 14, 30, 90])
@pytest.mark.parametrize(("cycle_days", "cycles"), [(365, 3), (90, 6), (90, 12)])
def test_who_buys_in_every_cycle_is_loyal_however_long_the_cycles_and_however_often(
    every: int, cycle_days: int, cycles: int
) -> None:
    """Of who buys every week no more than the latest 32 days and a year by weeks are kept one by one."""
    rules = policy(stage__cycle_days=cycle_days, stage__cycles_for_bonded=cycles, stage__own_cycle_permille=0)
    through = cycle_days * cycles + 30
    loyal, pausing = bought(*range(0, through, every), rules=rules), bought(rules=rules)
    pause = range(through // 2 - cycle_days, through // 2 + cycle_days)
    for on in (on for on in range(0, through, every) if on not in pause):
        pausing.tick(day(on))
        pausing.feed(order(on, f"o{on}"))
    for driver, is_loyal in ((loyal, True), (pausing, False)):
        profile = driver.profiles["c"]
        assert stages.is_still_loyal(profile, profile.as_of, rules) is is_loyal


# -- nobody flickers --------------------------------------------------------------------------------------------------


def test_one_late_answer_does_not_undo_the_good_one_before_it() -> None:
    """A question solved on day 3, in time; another on day 9, promised for day 8."""
    driver = bought(0)
    asked = [ticket(2, "A", "question", promised_at=day(4)), resolved(3, "A", "question")]
    late = [ticket(6, "B", "question", promised_at=day(8)), resolved(9, "B", "question")]
    for event in (*asked, *late):
        driver.feed(event)
    profile = driver.profiles["c"]
    assert stages.dealt_at(profile, seconds(10), DEFAULT)["service"] == seconds(3)


def test_one_late_delivery_does_not_undo_the_one_before_it() -> None:
    """A came on day 3, and no day was promised; B on day 14, promised for day 10. A contact counts just so."""
    driver = bought(0)
    for event in (
        order(1, "A"), said(logged.OrderDelivered, 3, order_id="A"), order(5, "B"),
        said(logged.OrderPromised, 5, order_id="B", promised_at=day(10)), said(logged.OrderDelivered, 14, order_id="B"),
    ):  # fmt: skip
        driver.feed(event)
    assert stages.dealt_at(driver.profiles["c"], seconds(14), DEFAULT)["sales"] == seconds(3)
    driver.feed(said(logged.ContactMade, 9, department="sales"))
    assert stages.dealt_at(driver.profiles["c"], seconds(14), DEFAULT)["sales"] == seconds(9)


def test_a_service_contact_is_not_undone_by_a_question_answered_late() -> None:
    driver = bought(0)
    for event in (
        said(logged.ContactMade, 3, department="service"),
        ticket(6, "B", "question", promised_at=day(8)), resolved(9, "B", "question"),
    ):  # fmt: skip
        driver.feed(event)
    assert stages.dealt_at(driver.profiles["c"], seconds(10), DEFAULT)["service"] == seconds(3)


def test_a_delivery_counts_after_its_order_has_folded_and_not_if_all_of_it_came_back() -> None:
    driver = bought(0)
    told = [order(1, "A"), said(logged.OrderDelivered, 80, order_id="A")]
    for event in told:
        driver.feed(event)
    driver.tick(day(130))
    assert not driver.profiles["c"].ledger.orders
    assert stages.dealt_at(driver.profiles["c"], seconds(130), DEFAULT)["sales"] == seconds(80)
    driver = bought(0)
    for event in (*told, refund(85, "A")):
        driver.feed(event)
    assert stages.dealt_at(driver.profiles["c"], seconds(90), DEFAULT)["sales"] < seconds(80)


@pytest.mark.parametrize("count", [8, 9, 12])
def test_late_deliveries_are_none_to_sales_credit_when_their_promise_is_let_go(count: int) -> None:
    """Each a day and a half late; the latest eight promises are kept one by one."""
    driver = bought()
    for number in range(count):
        for event in (
            order(1 + number, f"o{number}"),
            said(logged.OrderPromised, 1.1 + number, order_id=f"o{number}", promised_at=day(2 + number)),
            said(logged.OrderDelivered, 3.5 + number, order_id=f"o{number}"),
        ):
            driver.feed(event)
    driver.tick(day(30))
    assert stages.dealt_at(driver.profiles["c"], seconds(30), DEFAULT)["sales"] == 0


def test_a_delivery_in_time_that_was_all_sent_back_is_no_credit_after_its_order_has_folded_either() -> None:
    driver = bought(0)
    told = [
        order(1, "A"), said(logged.OrderPromised, 1, order_id="A", promised_at=day(5)),
        said(logged.OrderDelivered, 4, order_id="A"), refund(6, "A"),
    ]  # fmt: skip
    for event in told:
        driver.feed(event)
    for on in (40, 130):
        driver.tick(day(on))
        assert stages.dealt_at(driver.profiles["c"], seconds(on), DEFAULT)["sales"] != seconds(4)
    assert not driver.profiles["c"].ledger.orders


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ((), 1),  # nothing but the order: it stands
        ((said(logged.OrderDelivered, 3, order_id="A"),), 3),
        ((said(logged.OrderPromised, 1, order_id="A", promised_at=day(4)),), 0),  # never came
        (
            (
                said(logged.OrderPromised, 1, order_id="A", promised_at=day(4)),
                said(logged.OrderDelivered, 9, order_id="A"),
            ),
            0,
        ),
        ((refund(8, "A", amount_minor=500),), 0),
        ((said(logged.OrderDelivered, 3, order_id="A"), refund(8, "A")), 0),
    ],
    ids=["stands", "came", "promised in vain", "came late", "given back in part", "came and all given back"],
)
def test_an_order_shows_of_sales_what_it_showed_before_it_folded(what: tuple[Any, ...], shown: float) -> None:
    driver = bought()
    for event in (order(1, "A"), *what):
        driver.feed(event)
    for on in (60, 130, 400):
        driver.tick(day(on))
        at = stages.dealt_at(driver.profiles["c"], seconds(on), DEFAULT)["sales"]
        assert at == (seconds(shown) if shown else 0)
    assert not driver.profiles["c"].ledger.orders


def test_a_need_too_old_to_be_used_lifts_nobody_and_takes_nothing_from_who_was_lifted() -> None:
    """An interest holds for 365 days: who first answers on day 1,000 must say again what they need."""
    wants = said(logged.PreferenceStated, 0, interests=("jazz",))
    driver = Driver()
    driver.tick(day(0))
    for event in (said(logged.CustomerIdentified, 0), wants, opened(1_000)):
        driver.feed(event)
    assert driver.profiles["c"].stage == Stage.EXPLORATORY
    assert evidence(driver)["missing"] == ["need"]
    driver.feed(said(logged.PreferenceStated, 1_001, interests=("blues",)))
    assert driver.profiles["c"].stage == Stage.EXPLORATORY, "what they say after it makes no older answer one to it"
    assert evidence(driver)["missing"] == ["answer"]
    driver.feed(opened(1_002))
    assert driver.profiles["c"].stage == Stage.BASIC
    driver = Driver()
    driver.tick(day(0))
    for event in (said(logged.CustomerIdentified, 0), wants, opened(10)):
        driver.feed(event)
    for number in range(11, 1_000, 30):
        driver.tick(day(number))
    driver.feed(opened(1_000))
    assert driver.profiles["c"].stage == Stage.BASIC


def test_who_answered_before_a_need_was_known_lacks_an_answer_and_no_need() -> None:
    driver = Driver()
    for event in (said(logged.CustomerIdentified, 0), opened(1), said(logged.PreferenceStated, 9, interests=("jazz",))):
        driver.feed(event)
    assert evidence(driver)["missing"] == ["answer"]


def test_the_order_that_shows_a_need_is_no_answer_to_a_message_made_from_it() -> None:
    """The offer they used on it was made before anybody knew; one used on the next order counts."""
    lines = (logged.Item(product_id="p", category="jazz"),)
    driver = Driver()
    driver.tick(day(0))
    for event in (said(logged.CustomerIdentified, 0), order(1, "A", items=lines, coupon="WELCOME")):
        driver.feed(event)
    assert driver.profiles["c"].stage == Stage.EXPLORATORY
    driver.feed(order(5, "B", items=lines, coupon="JAZZ"))
    assert driver.profiles["c"].stage == Stage.BASIC


def moves_of(driver: Driver, life: list[Any]) -> list[tuple[int, int, int]]:
    """(when, from, to) of each move of the stage in a life."""
    moves, before = [], 0
    for event in life:
        if isinstance(event, logged.Tick):
            driver.control(event)
        else:
            driver.feed(event)
        profile: Profile | None = driver.profiles.get("c")
        if profile is not None and profile.stage != before:
            moves.append((profile.as_of, before, profile.stage))
            before = profile.stage
    return moves


@pytest.mark.parametrize("seed", range(60))
def test_no_fall_within_sixty_days_of_a_move_and_nothing_lost_comes_back_within_thirty(seed: int) -> None:
    """So there are at most eight moves a year, beside the three that lead up for the first time."""
    chance = random.Random(seed)
    picks = [(chance.choice(MOVES), chance.choice((0, 1, 3, 11, 25, 60)), chance.randrange(4), 0) for _ in range(150)]
    hasty = policy(stage__cycle_days=30, stage__departments_for_collaborative=1, stage__cycles_for_bonded=2)
    moves = moves_of(Driver(hasty), [*KNOWN, *lived(picks)])
    peak = 0
    for place, (at, before, after) in enumerate(moves):
        assert abs(after - before) == 1
        since = at - moves[place - 1][0] if place else None
        if after < before:
            assert since is not None
            assert since >= 60 * DAY_SECONDS
        elif after <= peak:
            assert since is not None
            assert since >= 30 * DAY_SECONDS
        peak = max(peak, after)
    for at, _, _ in moves:
        in_a_year = [each for each, _, _ in moves if at <= each < at + 365 * DAY_SECONDS]
        assert len(in_a_year) <= 8 + 3


def test_the_lives_drawn_here_do_rise_and_fall_and_rise_again() -> None:
    """Else the property above would say little."""
    ups = downs = again = 0
    hasty = policy(stage__cycle_days=30, stage__departments_for_collaborative=1, stage__cycles_for_bonded=2)
    for seed in range(60):
        chance = random.Random(seed)
        picks = [
            (chance.choice(MOVES), chance.choice((0, 1, 3, 11, 25, 60)), chance.randrange(4), 0) for _ in range(150)
        ]
        peak = 0
        for _, before, after in moves_of(Driver(hasty), [*KNOWN, *lived(picks)]):
            ups, downs = ups + (after > peak), downs + (after < before)
            again += before < after <= peak
            peak = max(peak, after)
    assert min(ups, downs, again) > 20, (ups, downs, again)


def test_a_move_tells_when_it_may_be_taken_back() -> None:
    driver = bought(1, rules=policy(rules__feedback_request__enabled=False, rules__retention_offer__enabled=False))
    driver.feed(said(logged.OrderDelivered, 2, order_id="o1"))
    for on in range(3, 200, 7):
        driver.tick(day(on))
    fallen = driver.profiles["c"]
    assert (fallen.stage, stages.reason(fallen)) == (Stage.BASIC, "evidence_gone")
    assert stages.may_rise_at(fallen, DEFAULT) == fallen.stage_since_at + 30 * DAY_SECONDS
    assert fallen.stage_since_at > seconds(91)


LINES = (logged.Item(product_id="p", category="shoes"),)


@pytest.mark.parametrize("more", [(), (700,)], ids=["no later purchase", "a later purchase"])
def test_what_was_bought_before_an_answer_bears_it_whatever_is_bought_after_it(more: tuple[int, ...]) -> None:
    """The need was bought on day 300 and answered on day 500, within a year; who they are is known since day 710."""
    driver = Driver()
    told = [*(order(on, f"order of day {on}", items=LINES) for on in (0, 300, *more)), opened(500)]
    for event in sorted([*told, said(logged.CustomerIdentified, 710)], key=lambda each: each.occurred_at):
        driver.tick(event.occurred_at)
        driver.feed(event)
    assert driver.profiles["c"].ledger.folded_orders == 2
    assert driver.profiles["c"].stage == Stage.BASIC
