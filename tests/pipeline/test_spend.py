"""Spend told by a file reaches who was won, also when it comes late, and the books close."""

from __future__ import annotations

import json
from pathlib import Path

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
        assert f"search, {MONTH}: {spent:,} spent, 2 customers won." in said.stdout
        shop.wait_until_done()
        books = json.loads(shop.wafa("books", "--json").stdout)
        assert books["adds_up"]
        costs.append(books["parts"]["channel_cost_minor"])
    assert costs == [1_000, 1_600]
    assert "0 revised" in shop.wafa("spend", str(file)).stdout
    assert {each["channel"]: each["unacquired_minor"] for each in books["spend"]} == {"search": 0, "billboard": 70}
    shop.publish([order("again", 0, 2, 500)])
    shop.wait_until_done()
    (mine,) = customer_ids(shop.settings, "c0")
    entries = customer_document(shop.settings, mine)["value_entries"]
    told = [entry["amount_minor"] for entry in entries if entry["part"] == "channel_cost_minor"]
    assert told == [333, 533 - 333], "a third of the search's customers: a half of one, and one"
    shop.check_against_core()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Search!,2026-01,5", "line 2: channel: expected a code such as paid_search, got 'Search!'"),
        ("search,2026-13,5", "line 2: month: expected YYYY-MM, got '2026-13'"),
        ("search,2026-01,-5", "line 2: spend_minor: expected whole minor units from 0 up, got '-5'"),
        ("search,2026-01,5.5", "line 2: spend_minor: expected whole minor units from 0 up, got '5.5'"),
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
