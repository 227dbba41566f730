"""`wafa report` on a real Kafka: what was published is what is reported, to the minor unit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.core.policy import default_text
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at

MONTH = at(1).strftime("%Y-%m")
CUSTOMERS = 6


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """A table as its file has it."""
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def busy(shop: Shop, tmp_path: Path) -> Shop:
    """Six customers, three of them won by search: eight orders, one refund, one complaint, spend told."""
    policy = tmp_path / "policy.toml"
    text = default_text().replace("target_minor = 0 ", "target_minor = 50_000 ", 1)
    policy.write_text(text)
    assert shop.wafa("policy", "adopt", str(policy)).returncode == 0
    shop.start()
    shop.publish([each for number in range(CUSTOMERS) for each in person(number)])
    touched = [event("TouchRecorded", n, at(0, 13), customer_id=f"c{n}", channel="search") for n in range(3)]
    shop.publish(touched)
    shop.publish([order(number, number, 1, 10_000) for number in range(CUSTOMERS)])
    shop.publish([order("late", 0, 20, 5_000), order("later", 1, 21, 7_000)])
    back = {"order_id": "o3", "refund_id": "r3", "amount_minor": 4_000, "currency": "USD", "reason": "damaged"}
    shop.publish([event("OrderRefunded", 3, at(2), customer_id="c3", **back)])
    said = {"ticket_id": "t1", "kind": "complaint", "category": "delivery", "order_id": "o1"}
    shop.publish([event("TicketOpened", 1, at(3), customer_id="c1", **said)])
    shop.wait_until_done()
    spend = tmp_path / "spend.csv"
    spend.write_text(f"channel,month,spend_minor\nsearch,{MONTH},900\n")
    assert shop.wafa("spend", str(spend)).returncode == 0
    shop.tick(at(40))
    shop.wait_until_done()
    return shop


def test_what_was_published_is_reported(busy: Shop, tmp_path: Path) -> None:
    folder, page, goals = tmp_path / "csv", tmp_path / "out" / "report.html", tmp_path / "goals.prom"
    done = busy.wafa("report", "--csv", str(folder), "--html", str(page), "--metrics", str(goals))
    assert done.returncode == 0, done.stderr
    assert "From reached to promoting" in done.stdout

    sold = {row["period"]: row for row in rows(folder, "inputs_outputs")}
    first, *_ = sold.values()
    assert sum(int(row["net_revenue_minor"]) for row in sold.values()) == 6 * 10_000 + 12_000 - 4_000
    assert sum(int(row["margin_minor"]) for row in sold.values()) == 68_000 * 400 // 1000
    assert first["currency"] == "USD"
    search = next(row for row in rows(folder, "channels") if row["channel"] == "search")
    assert (search["won"], search["spend_minor"]) == ("3.0", "900")
    assert all(row["difference_minor"] == "0" for row in rows(folder, "adds_up"))
    assert [row["reason"] for row in rows(folder, "needs")] == ["delivery", "damaged"], "the dearer customer's first"

    books = json.loads(busy.wafa("books", "--json").stdout)
    by_name = {row["line"]: int(row["report_minor"]) for row in rows(folder, "adds_up")}
    assert by_name["value to date"] == books["value_to_date_minor"]

    text = page.read_text("utf-8")
    assert text.count("<section ") == 7
    assert 'wafa_goal_amount_minor{figure="target",goal="sales",owner="sales"} 50000.0' in goals.read_text()

    analyst = busy.start("analyst")
    actual = 'wafa_goal_amount_minor{figure="actual",goal="sales",owner="sales"}'
    now = [int(row["net_revenue_minor"]) for row in sold.values()][-1]
    busy.wait(lambda: analyst.metric(actual) == now, "the analyst shows the goals too")

    again, nowhere = tmp_path / "again", goals / "report.html"
    refused = busy.wafa("report", "--csv", str(again), "--html", str(nowhere))
    assert refused.returncode == 2
    assert str(nowhere) in refused.stderr
    assert "From reached to promoting" in refused.stdout, "what can be told and written is"
    assert rows(again, "adds_up") == rows(folder, "adds_up")
    refused = busy.wafa("report", "--csv", str(goals / "csv"))
    assert refused.stderr.count("Not a directory") == 1, "a folder is named once, and not with every file"

    before = busy.wafa("report", "--from", "2019-01-01", "--to", "2019-02-28")
    assert before.returncode == 0, before.stderr
    assert "from 2019-01-01 to 2019-02-28" in before.stdout, "a time with nothing in it"


def test_an_empty_shop_is_told_so(shop: Shop) -> None:
    done = shop.wafa("report")
    assert (done.returncode, "nobody is known yet" in done.stderr) == (1, True)
