"""Spend told by costs or by a file reaches who was won, also when it comes late, and the books close."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.inquiry import customer_document, customer_ids
from pipeline.spending import BadSpend, read_spend
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at

MONTH = at(1).strftime("%Y-%m")


def test_spend_and_late_spend_are_spread_over_who_was_won_and_the_books_close(shop: Shop, tmp_path: Path) -> None:
    shop.start()
    shop.publish([each for number in range(3) for each in person(number)])
    shop.publish(
        event("TouchRecorded", f"{number} {channel}", at(0, 13), customer_id=f"c{number}", channel=channel)
        for number, channel in ((0, "search"), (0, "influencer"), (1, "search"))
    )
    shop.publish([order(number, number, 1, 10_000) for number in range(3)])
    shop.wait_until_done()
    file = tmp_path / "spend.csv"
    costs = []
    for spent in (1_000, 1_600):  # the second is late spend
        file.write_text(f"channel,month,spend_minor\nsearch,{MONTH},{spent}\nbillboard,{MONTH},70\n")
        said = shop.wafa("spend", str(file))
        assert said.returncode == 0, said.stderr
        assert f"search, {MONTH}: {spent // 100}.00 USD spent, 2 customers won." in said.stdout
        shop.wait_until_done()
        books = json.loads(shop.wafa("books", "--json").stdout)
        assert books["adds_up"]
        costs.append(books["parts"]["channel_cost_minor"])
    assert costs == [1_000, 1_600]
    assert "0 revised" in shop.wafa("spend", str(file)).stdout
    assert (
        f"odd billboard, {MONTH}: 0.70 USD spent, and no customer of that month came by it (nobody_won)" in said.stdout
    )
    assert {each["channel"]: each["unacquired_minor"] for each in books["spend"]} == {"search": 0, "billboard": 70}
    shop.publish([order("again", 0, 2, 500)])
    shop.wait_until_done()
    (mine,) = customer_ids(shop.settings, "c0")
    entries = customer_document(shop.settings, mine)["value_entries"]
    told = [entry["amount_minor"] for entry in entries if entry["part"] == "channel_cost_minor"]
    assert told == [333, 533 - 333], "a third of the search's customers: a half of one, and one"
    shop.check_against_core()


def cost(number: object, amount_minor: int, **fields: Any) -> dict[str, Any]:
    """A cost of search's, of no customer."""
    return event(
        "CostRecorded", number, at(1), department="marketing", amount_minor=amount_minor,
        **{"currency": "USD", "channel": "search"} | fields,
    )  # fmt: skip


def test_costs_that_name_a_channel_are_summed_each_once_and_a_file_stands_in_their_place(
    shop: Shop, tmp_path: Path
) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text(f"date,currency,rate\n{at(0):%Y-%m-%d},EUR,1.25\n")
    shop.start(WAFA_SHOP_RATES_FILE=str(rates))
    shop.publish([*person(0), *person(1)])
    shop.publish(event("TouchRecorded", n, at(0, 13), customer_id=f"c{n}", channel="search") for n in range(2))
    shop.publish([order(number, number, 1, 10_000) for number in range(2)])
    costs = [cost("a", 1_000), cost("b", 400, currency="EUR"), cost("back", -100), cost("print", 9, channel="print")]
    theirs = cost("gift", 50) | {"customer_id": "c0"}
    shop.publish(
        [*costs, *costs, theirs, cost("fair", 5, channel=None, partner_id="p"), cost("chf", 1, currency="CHF")]
    )
    shop.publish([cost("odd", 1, period_start_on="2026-02-01", period_end_on="2026-01-01")])
    shop.wait_until_done()
    said = shop.wafa("spend").stdout
    assert f"search, {MONTH}: 14.00 USD spent, 2 customers won." in said, "1,000 + 500 - 100, each once"
    assert f"odd print, {MONTH}: 0.09 USD spent, and no customer of that month came by it (nobody_won)" in said
    assert f"odd {MONTH}: 0.05 USD spent for no channel, so spread over nobody (no_channel)" in said
    assert sorted(letter[2]["wafa_reason"] for letter in shop.dead_letters()) == ["no_rate", "schema_violation"]
    assert "0 revised" in shop.wafa("spend").stdout

    shop.publish([cost("late", 600), cost("a", 1_200)])  # late spend, and one told anew: the later word counts
    shop.wait_until_done()
    assert f"search, {MONTH}: 22.00 USD spent, 2 customers won." in shop.wafa("spend").stdout
    shop.wait_until_done()
    books = json.loads(shop.wafa("books", "--json").stdout)
    assert books["adds_up"]
    assert books["parts"]["channel_cost_minor"] == 2_200
    assert books["parts"]["marketing_cost_minor"] == 50, "a cost of a customer is theirs alone"

    file = tmp_path / "spend.csv"
    for word, spent in (("3000", "30.00"), ("events", "22.00")):
        file.write_text(f"channel,month,spend_minor\nsearch,{MONTH},{word}\n")
        said = shop.wafa("spend", str(file)).stdout
        assert f"search, {MONTH}: {spent} USD spent" in said
        assert ("told_twice" in said) is (word == "3000")
        assert "0 revised" in shop.wafa("spend").stdout, "a run without the file leaves the month as it was told"
        shop.wait_until_done()
    shop.check_against_core()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Search!,2026-01,5", "line 2: channel: expected a code such as paid_search, got 'Search!'"),
        ("search,2026-13,5", "line 2: month: expected YYYY-MM, got '2026-13'"),
        ("search,2026-01,-5", "line 2: spend_minor: expected whole minor units from 0 up, or events, got '-5'"),
        ("search,2026-01,5.5", "line 2: spend_minor: expected whole minor units from 0 up, or events, got '5.5'"),
        ("search,2026-01,5\nsearch,2026-01,6", "line 3: search, 2026-01: expected once, got it again"),
    ],
)
def test_a_spend_file_refuses_nonsense_by_line(line: str, problem: str) -> None:
    with pytest.raises(BadSpend) as refused:
        read_spend(f"channel,month,spend_minor\n{line}".splitlines())
    assert str(refused.value) == problem


def test_a_spend_file_needs_its_header() -> None:
    with pytest.raises(BadSpend, match="header: expected channel,month,spend_minor, got channel,spend"):
        read_spend(["channel,spend"])
