"""Odd input, case by case: the reason it is given, and that no figure is wrong for it. The table in docs/value.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from pipeline.core.acquisition import shares
from pipeline.core.door import AHEAD_MAX, Refusal, Shop, admit
from pipeline.core.policy import Policy
from pipeline.core.rates import read_rates
from pipeline.core.revisions import CHANNELS_MAX, Odd
from pipeline.core.value import Value, value
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason
from tests.conftest import REPOSITORY
from tests.core.builders import cancelled, day, order, policy, refund, said
from tests.core.inbound import inbound
from tests.core.test_referrals import RULES, lived, refers, worth
from tests.core.test_revisions import JANUARY, counted
from tests.core.test_value import line
from tests.driver import Driver

PLAIN = policy(value__margin_permille=1_000, value__return_cost_minor=0)
"""All revenue is margin, so that figures can be read off."""
SHOP = Shop("USD", read_rates("date,currency,rate\n2026-01-01,EUR,1.25\n"))
NEW_SHOP = replace(SHOP, opened_at=datetime(2024, 5, 1, tzinfo=UTC))


class Found(NamedTuple):
    """Why it is odd, and what the figures are all the same."""

    reasons: list[str]
    figures: Any


def of_customer(*told: Any, ticks: tuple[float, ...] = (), rules: Policy = PLAIN) -> tuple[list[str], Value]:
    """What is noted while a customer lives through this, and their value afterwards."""
    driver = Driver(rules)
    driver.tick(day(0))
    for each in (*told, *map(passing, ticks)):
        if isinstance(each, logged.Tick):
            driver.control(each)
        else:
            driver.feed(each)
    refused = [str(each) for each in driver.outcomes if each == "too_old"]
    return [str(note.reason) for note in driver.notes] + refused, value(driver.profiles["c"], driver.controls)


def passing(on: float) -> logged.Tick:
    """Time passes to that day."""
    return logged.Tick(as_of=day(on))


def margin(*told: Any, ticks: tuple[float, ...] = ()) -> Found:
    """The same, of the margin."""
    reasons, worth_now = of_customer(*told, ticks=ticks)
    return Found(reasons, worth_now.margin_minor)


def margin_by_category(*told: Any) -> Found:
    """The same where shoes leave half their price and a card three tenths."""
    rates = {"shoes": 500, "card": 300}
    reasons, worth_now = of_customer(*told, rules=policy(value__margin_permille_by_category=rates))
    return Found(reasons, worth_now.margin_minor)


def at_the_door(kind: str, shop: Shop = SHOP, **fields: Any) -> Found:
    """Why the door refuses it; there is no figure then."""
    refused = admit(inbound(kind, **fields), received_at=day(0), shop=shop)
    assert isinstance(refused, Refusal)
    assert len(refused.problems) == 1
    assert ": expected " in refused.problems[0]
    return Found([str(refused.reason)], None)


def of_channels(events: dict[tuple[str, str], int], **given: Any) -> Found:
    """What is odd about channels' spend, and what becomes a revision."""
    found = counted(events=events, **given)
    return Found(sorted({str(each.odd) for each in found.remarks}), sum(each.spend_minor for each in found.revisions))


def of_referrals(*told: tuple[str, Any]) -> Found:
    """What is noted about referrals, and what they are worth to a."""
    driver = lived(*told)
    return Found(sorted({str(note.reason) for note in driver.notes}), worth(driver, "a"))


def spent(amount_minor: int, **fields: Any) -> Any:
    """A cost of sales."""
    return said(logged.CostRecorded, 1, department="sales", amount_minor=amount_minor, currency="USD", **fields)


def sales(*told: Any) -> Found:
    """What sales cost."""
    reasons, worth_now = of_customer(*told)
    return Found(reasons, worth_now.sales_cost_minor)


YEN = {"paid_currency": "JPY", "paid_minor": 4_000}
TOO_MANY = {(f"c{number:03}", "2026-01"): 1 for number in range(CHANNELS_MAX + 1)}
CHANNEL = {"customer_id": None, "channel": "search", "currency": "USD"}

CASES: dict[str, tuple[Callable[[], Found], Found]] = {
    "a refund above its order": (
        lambda: margin(order(0), refund(1, amount_minor=3_500)), Found(["refund_above_order"], 0)
    ),
    "refunds that together are above their order": (
        lambda: margin(order(0), refund(1, "A", "R", 2_000), refund(2, "A", "S", 2_000)),
        Found(["refund_above_order"], 0),
    ),
    "a refund after all of the order has been given back": (
        lambda: margin(order(0), refund(1), refund(2, "A", "S", 500)), Found(["refund_above_order"], 0)
    ),
    "a refund of lines that its order never had": (
        lambda: margin_by_category(
            order(0, items=(line("card", 3_000),)), refund(1, amount_minor=1_000, items=(line("shoes", 1_000),))
        ),
        Found(["refund_of_other_lines"], 600),
    ),
    "a refund of more of a line than its order had": (
        lambda: margin_by_category(
            order(0, items=(line("shoes", 500), line("card", 2_500))),
            refund(1, amount_minor=1_000, items=(line("shoes", 1_000),)),
        ),
        Found(["refund_of_other_lines"], 600),
    ),
    "a refund of an order not known": (
        lambda: margin(order(0, "B"), refund(1, "Z", "R", 700), ticks=(60, 130)), Found(["refund_without_order"], 3_000)
    ),
    "a cancellation of an order not known": (
        lambda: margin(order(0, "B"), cancelled(1, "Z"), ticks=(60, 130)), Found(["cancellation_without_order"], 3_000)
    ),
    "a cancellation of an order whose delivery was told long before": (
        lambda: margin(
            order(0, "B"), said(logged.OrderDelivered, 0, order_id="Z"), cancelled(80, "Z"), passing(91),
            order(92, "Z", 500),
        ),
        Found([], 3_000),
    ),
    "an order cancelled after it has folded": (
        lambda: margin(order(0), passing(140), cancelled(141)), Found(["too_old"], 3_000)
    ),
    "an order told anew after it has folded": (
        lambda: margin(order(0), passing(140), order(141)), Found(["too_old"], 3_000)
    ),
    "an order given back after it has folded": (
        lambda: margin(order(0), passing(140), refund(141, amount_minor=1_000), ticks=(300,)),
        Found(["too_old"], 3_000),
    ),
    "an order folded early, then cancelled": (
        lambda: margin(*(order(on / 2, f"O{on}", 10) for on in range(70)), cancelled(36, "O0")),
        Found(["too_old"], 700),
    ),
    "an order in two currencies": (
        lambda: margin(order(0), order(1, **YEN)), Found(["order_in_two_currencies"], 3_000)
    ),
    "a refund in another currency than its order": (
        lambda: margin(order(0, **YEN), refund(1, amount_minor=100)), Found(["order_in_two_currencies"], 2_900)
    ),
    "a refund in another currency told before its order": (
        lambda: margin(refund(1, amount_minor=100, **YEN), order(0)), Found(["order_in_two_currencies"], 2_900)
    ),
    "a refund above its order, both in another currency": (
        lambda: margin(order(0, **YEN), refund(1, amount_minor=2_000, paid_currency="JPY", paid_minor=8_000)),
        Found(["refund_above_order"], 0),
    ),
    "more cost taken back than there was": (lambda: sales(spent(100), spent(-150)), Found(["cost_below_zero"], -50)),
    "more cost of an order taken back than there was": (
        lambda: sales(spent(100), order(0), spent(-60, order_id="A")), Found(["cost_below_zero"], 40)
    ),
    "a cost taken back": (lambda: sales(spent(100), spent(-60)), Found([], 40)),
    "spend for a channel that nobody came by": (lambda: of_channels({JANUARY: 70}), Found(["nobody_won"], 70)),
    "a channel's month below zero": (
        lambda: of_channels({JANUARY: -70}, won={JANUARY: 1}), Found(["below_zero"], -70)
    ),
    "costs for a month that a file tells": (
        lambda: of_channels({JANUARY: 70}, file={JANUARY: 90}, won={JANUARY: 1}), Found(["told_twice"], 90)
    ),
    "a cost for no channel": (lambda: of_channels({("", "2026-01"): 70}), Found(["no_channel"], 0)),
    "more channels than are kept": (
        lambda: of_channels(TOO_MANY, won=dict.fromkeys(TOO_MANY, 1)), Found(["too_many"], CHANNELS_MAX)
    ),
    "a cost for a period that ends before it begins": (
        lambda: at_the_door("CostRecorded", **CHANNEL, period_start_on="2026-01-02", period_end_on="2026-01-01"),
        Found(["schema_violation"], None),
    ),
    "a cost for a period over a year ahead": (
        lambda: at_the_door("CostRecorded", **CHANNEL, period_start_on="2028-01-01"), Found(["too_far_ahead"], None)
    ),
    "a referral of oneself": (
        lambda: of_referrals(("a", refers(0, "a")), ("a", order(1, "A", 10_000))), Found(["self_referral"], 0)
    ),
    "referrals in a circle": (
        lambda: of_referrals(("a", refers(0, "b")), ("b", refers(1, "a")), ("b", order(2, "B", 10_000))),
        Found(["circular_referral"], 10_000 * RULES.value.margin_permille // 1_000 // 10),
    ),
    "a date before the shop opened": (
        lambda: at_the_door("OrderCompleted", NEW_SHOP, currency="USD", occurred_at="2000-01-01T00:00:00Z"),
        Found(["before_the_shop"], None),
    ),
    "money without a rate": (
        lambda: at_the_door("OrderCompleted", currency="CHF"), Found(["no_rate"], None)
    ),
    "a date ahead": (
        lambda: at_the_door("OrderCompleted", currency="USD", occurred_at=(day(0) + 2 * AHEAD_MAX).isoformat()),
        Found(["too_far_ahead"], None),
    ),
    "a date before what is folded": (
        lambda: margin(order(1), order(150, "B"), said(logged.EmailOpened, 300, email_id="m"), order(2, "C")),
        Found(["too_old"], 6_000),
    ),
}  # fmt: skip


def channels(*told: Any) -> Found:
    """The channels that won a customer."""
    driver = Driver(PLAIN)
    for each in told:
        driver.feed(each)
    return Found([str(note.reason) for note in driver.notes], sorted(shares(driver.profiles["c"], PLAIN.value)))


def rewards(*told: Any) -> Found:
    """What was given for those a customer sent."""
    reasons, worth_now = of_customer(*told)
    return Found(reasons, worth_now.marketing_cost_minor)


def paths(friends: int) -> Found:
    """What two referrers of b are credited with in all, the earlier one known last; b sent so many, who brought 40.00.

    The first of them gives all of it back.
    """
    sent = [("b", refers(6 + each / 100, f"f{each}", f"f{each}")) for each in range(friends)]
    bought = [(f"f{each}", order(10 + each / 100, f"O{each}", 10_000)) for each in range(friends)]
    driver = lived(("late", refers(5, "b")), *sent, *bought, ("f0", refund(20, "O0", "R")), ("early", refers(1, "b")))
    return Found(
        [str(note.reason) for note in driver.notes],
        tuple(sum(driver.profiles[who].credited_minor) for who in ("late", "early")),
    )


OPENED = [said(logged.EmailOpened, 2 + on / 100, email_id="m") for on in range(32)]
REWARDED = [refers(1 + on / 100, None, f"r{on}", reward_minor=1) for on in range(32)]
TOUCHES = [said(logged.TouchRecorded, on, channel=f"c{on:02}") for on in range(17)]
FOLDING = [*(order(on / 100, f"O{on}", 10) for on in range(18)), passing(140)]

FORGOTTEN: dict[str, tuple[Callable[[], Found], Found]] = {
    "a cost told again after 31 events": (lambda: sales(spent(100), *OPENED[:31], spent(100)), Found([], 100)),
    "a cost told again after 32 events": (lambda: sales(spent(100), *OPENED, spent(100)), Found([], 200)),
    "a referral told again after 31 with a reward": (
        lambda: rewards(refers(0, None, reward_minor=500), *REWARDED[:31], refers(0, None, reward_minor=500)),
        Found([], 500 + 31),
    ),
    "a referral told again after 32 with a reward": (
        lambda: rewards(refers(0, None, reward_minor=500), *REWARDED, refers(0, None, reward_minor=500)),
        Found([], 2 * 500 + 32),
    ),
    "an order told anew after 15 others have folded since": (
        lambda: margin(*FOLDING, order(141, "O2", 10)), Found(["too_old"], 18 * 10)
    ),
    "an order told anew after 16 others have folded since": (
        lambda: margin(*FOLDING, order(141, "O1", 10)), Found([], 19 * 10)
    ),
    "an earlier purchase after sixteen touches": (
        lambda: channels(*TOUCHES[:16], order(20), order(0.5, "B")), Found([], ["c00"])
    ),
    "an earlier purchase after seventeen touches": (
        lambda: channels(*TOUCHES, order(20), order(0.5, "B")), Found([], [])
    ),
    "another referrer of who has sixteen paths": (lambda: paths(16), Found([], (0, 15 * 4_000))),
    # The latest sixteen: fifteen friends, and what the first gave back. Their 40.00 and another's stay behind.
    "another referrer of who has seventeen, the first given back after it was let go": (
        lambda: paths(17), Found([], (2 * 4_000, (15 - 1) * 4_000))
    ),
}  # fmt: skip
"""What no reason is given for: the last that is remembered, and the first that is not."""


@pytest.mark.parametrize("case", FORGOTTEN)
def test_what_is_forgotten_counts_as_the_page_says_and_has_no_reason(case: str) -> None:
    came, expected = FORGOTTEN[case]
    assert came() == expected


@pytest.mark.parametrize("case", CASES)
def test_odd_input_gets_its_reason_and_leaves_no_figure_wrong(case: str) -> None:
    came, expected = CASES[case]
    assert came() == expected


def test_the_pages_table_has_the_reasons_that_are_tested_here() -> None:
    page = (REPOSITORY / "docs" / "value.md").read_text("utf-8")
    rows = page.partition("| What came | What is done | Reason |")[2].partition("\n\n")[0].splitlines()[2:]
    told = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row.rstrip("| ").rpartition("|")[2])}
    tested = {reason for _, expected in CASES.values() for reason in expected.reasons}
    assert told == tested
    assert told <= {*map(str, Reason), *map(str, Odd)}
