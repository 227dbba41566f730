"""What lies behind a figure, in words: every entry with its date, age and source, every line with its day."""

from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from pipeline.core.population import EVERY, alike
from pipeline.schemas import logged
from pipeline.telling_why import print_explanation
from tests.core.builders import day, opened, order, refund, resolved, said, ticket
from tests.core.test_forecast import fitted
from tests.core.test_population import SHOP, measured
from tests.core.test_why import HASTILY_LAPSED, Told, asked, tick

_CUTS: dict[str, Any] = {
    "recency": (-200, -100, -50, -10), "frequency": (1, 2, 3, 4), "monetary": (500, 900, 2_000, 9_000),
}  # fmt: skip
LIFE: Told = [
    measured(0, replace(SHOP, **_CUTS)), tick(0),
    said(logged.PreferenceStated, 1, id="p1", interests=("[bold]jazz",)),
    order(2, "A", 3_000, id="o1"), refund(3, "A", "R", 1_000),
    said(logged.OrderPromised, 3, id="pr1", order_id="A", promised_at=day(5)),
    said(logged.OrderDelivered, 6, id="d1", order_id="A"),
    said(logged.EmailDelivered, 7, id="e1", email_id="m", campaign_id="spring"), opened(8),
    ticket(9, "T", "question", id="t1"), resolved(10, "T", "question"),
    said(logged.SurveyAnswered, 11, id="s1", survey_id="s", kind="csat", score=4.0, score_max=5.0), tick(21),
]  # fmt: skip


def told(question: str, life: Told) -> list[str]:
    """What a terminal shows, line by line."""
    out = io.StringIO()
    print_explanation(asked(question, life), Console(file=out, width=220))
    return out.getvalue().splitlines()


def line(lines: list[str], *words: str) -> str:
    """The one line with all of these."""
    (found,) = [each for each in lines if all(word in each for word in words)]
    return found


def test_satisfaction_is_told_piece_by_piece() -> None:
    lines = told("satisfaction", LIFE)
    assert "80%" in line(lines, "SurveyAnswered s1 (shop)", "2026-01-12", "10 d")
    assert "TicketOpened t1 (shop); TicketResolved" in line(lines, "ticket, solved in time")
    assert "10%" in line(lines, "promise, promise broken", "OrderPromised pr1 (shop); OrderDelivered d1 (shop)")
    line(lines, "what is thought of anybody", "50%", "0.50")


def tier_of(best: dict[str, int], *, bought: Any = None) -> list[str]:
    """Of somebody who bought once, through e-mail, and was looked at a week after."""
    shop = replace(SHOP, best_ahead_minor=best, alike_customers={alike("email", 0): 60})
    touched = said(logged.TouchRecorded, -1, channel="email")
    return told("tier", [fitted(-2), measured(-2, shop), touched, bought or order(0), tick(8)])


def test_what_a_tier_rests_on_is_told_with_its_days_and_whom_they_are_compared_with() -> None:
    lines = tier_of({alike("email", 0): 70_000})
    line(lines, "theirs (2026-01-09)", "the shop's line (of 2026-02-16)")
    line(lines, "of its 1,000 customers who had bought")
    line(lines, "might be worth from now on", "700.00 USD")
    told = line(
        lines, "they might be worth 700.00 USD from now on, as is expected of the best tenth of the 60 customers"
    )
    assert told.endswith("won through email and here for 0 to 13 weeks")


def test_where_too_few_are_alike_it_is_said_who_they_would_be() -> None:
    told = line(tier_of({alike(EVERY, EVERY): 70_000}), "they might be worth")
    assert "the best tenth of the 1,000 customers who bought; when the shop was measured, too few were won" in told


def test_who_might_buy_more_broadly_is_told_so() -> None:
    bought = order(0, items=(logged.Item(product_id="p", amount_minor=3_000, category="hats"),))
    told = line(tier_of({}, bought=bought), "they might be worth")
    assert (
        "if they bought in 4 categories as the broadest tenth of the 1,000 customers who bought do, and not in 1"
        in told
    )


def test_who_is_expected_to_bring_as_much_as_the_best_is_told_both_figures() -> None:
    told = line(tier_of({alike("email", 0): 100}), "they might be worth")
    assert "as is expected of them: of the best tenth of the 60 customers won through email" in told
    assert told.endswith("1.00 USD are")


def test_who_has_no_tier_has_the_reason_and_no_empty_table() -> None:
    lines = told("tier", [said(logged.TouchRecorded, 0, channel="email")])
    line(lines, "not known yet: they have not bought; treatment: basic")
    assert not any("the shop's line" in each for each in lines)


def test_a_value_is_told_entry_by_entry_and_what_one_costs_with_its_interval() -> None:
    spent = logged.ChannelCostRevised(
        revised_at=day(2), channel="ad", cohort_month="2026-01", version=1, spend_minor=9_000, acquisitions=30,
        shares=30 * 720_720,
    )  # fmt: skip
    lines = told("value", [tick(0), said(logged.TouchRecorded, -1, channel="ad"), order(0), spent, tick(9)])
    assert len([each for each in lines if "1 entry" in each]) == 3, "net revenue, margin, channels: one each"
    line(lines, "one costs (9 in 10 lie between)")
    line(lines, "is drawn to what one costs through all channels of that month")


def test_a_value_of_nothing_is_told_in_a_sentence() -> None:
    line(told("value", [said(logged.TouchRecorded, 0, channel="email"), tick(1)]), "Nothing was bought yet")


def test_scores_say_by_which_days_they_are_and_that_a_year_may_be_empty() -> None:
    life = [measured(0, replace(SHOP, **_CUTS)), tick(0), order(2), tick(390)]
    lines = told("rfm", life)
    line(lines, "days since purchase, by the calendar", "388")
    line(lines, "No purchase and no refund within a year.")


def test_a_lifecycle_that_the_limits_of_now_would_not_lead_to_says_whence_it_is() -> None:
    lines = told("lifecycle", HASTILY_LAPSED)
    line(lines, "by their own rhythm", "silent for 54 days")
    line(lines, "they moved by the limits of that time (below)")
    line(lines, "at risk", "lapsed", "40 days since the last purchase; the limit was 40")
    assert not any(" 0 days since" in each for each in lines), "a purchase ends a silence"


def test_a_lifecycle_of_who_has_not_bought_says_so() -> None:
    line(told("lifecycle", [said(logged.TouchRecorded, 0, channel="email"), tick(1)]), "nothing bought yet")


def test_promises_are_told_one_by_one_and_in_all() -> None:
    lines = told("owed", LIFE)
    line(lines, "2026-01-06 12:00", "2026-01-07 12:00", "delivery", "A", "broken", "16 d")
    line(lines, "message without consent", "EmailDelivered e1 (shop)")
    line(lines, "sales in all: 0 kept, 1 broken, 0 open, of 1 made")


def test_needs_are_told_with_who_said_them_and_what_they_are_inferred_from() -> None:
    lines = told("needs", LIFE)
    line(lines, "interests", "[bold]jazz", "PreferenceStated p1 (shop)", "20 d", "2027-01-02")
    line(lines, "we tried", "email", "EmailDelivered e1 (shop)")
    line(lines, "2026-01-03 12:00", "A", "no")


def test_scores_are_told_beside_the_shops_cuts_and_the_money_they_are_of() -> None:
    lines = told("rfm", LIFE)
    line(lines, "days since purchase", "19", "200 100 50 10")
    line(lines, "net revenue of a year", "20.00 USD")
    line(lines, "-10.00 USD", "18 d", "OrderCompleted o1 (shop); OrderRefunded")
    line(told("rfm", [tick(0), order(1)]), "No scores: the shop has not been measured yet (wafa tiers).")


@pytest.mark.parametrize("question", ["satisfaction", "needs", "owed", "rfm"])
def test_of_somebody_of_whom_little_is_known_little_is_told(question: str) -> None:
    lines = told(question, [tick(0), said(logged.CustomerIdentified, 1), tick(9)])
    assert any("as of 2026-01-10" in each for each in lines)
    assert "Nothing is known of them in the log yet" in told(question, [tick(0)])[1]


def test_a_prediction_is_told_with_the_band_that_most_end_up_in() -> None:
    """The model's numbers, and a customer of five weeks: four in five of those like them end up within."""
    life: Told = [fitted(-1), tick(0), *(order(7 * n, f"o{n}", 1_000 * (n + 1)) for n in range(5)), tick(40)]
    band, lines = asked("prediction", life)["prediction"]["band"], told("prediction", life)
    year = band["ahead"][2]
    line(
        lines, "365 days", f"{year['orders_low']} to {year['orders_high']}, ", f"{year['margin_high_minor'] / 100:,.2f}"
    )
    line(lines, "value ahead", "80% of those like them end up with", f"{band['value_ahead_high_minor'] / 100:,.2f}")
    line(lines, "80% end up with")


def test_a_tier_that_is_kept_is_told_with_what_keeps_it() -> None:
    """The line of the most valuable rises above them the day after: by far, so that only the thirty days keep them."""
    shop = replace(SHOP, value=(1,) * 19, gap=(900_000,) * 19, **_CUTS)
    life: Told = [fitted(-2), measured(-2, shop), *(order(7 * n, f"o{n}", 10_000) for n in range(4)), tick(22)]
    life += [measured(22.5, replace(shop, value=(10_000_000,) * 19)), tick(23)]
    kept = "kept as most valuable (MVC): nobody falls within 30 days of a move, theirs was"
    line(told("tier", life), "by their figures alone the rest", kept)
