"""What goes with what, measured from every customer's state and told through the log, reaches a customer's view."""

from __future__ import annotations

from pipeline.inquiry import customer_document, customer_ids
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at


def test_a_table_measured_from_the_states_suggests_the_next_category(shop: Shop) -> None:
    shop.start()
    shop.publish([each for number in range(12) for each in person(number)])
    for number in range(12):
        categories = ("Shoes", "Socks") if number < 6 else ("Hats",)
        items = [{"product_id": name, "category": name, "amount_minor": 500} for name in categories[: 1 + number % 2]]
        shop.publish([{**order(number, number, 1, 1_000), "items": items}])
    shop.wait_until_done()
    shown = shop.wafa("affinity", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "12 customers who bought of 3 categories." in shown.stdout
    said = shop.wafa("affinity")
    assert said.returncode == 0, said.stderr
    assert "Who buys Shoes buys Socks in" in said.stdout
    shop.wait_until_done()
    shop.publish([event("PreferenceStated", "wish", at(2), customer_id="c0", marketing_channel="sms")])
    shop.wait_until_done()
    (mine,) = customer_ids(shop.settings, "c0")
    needs = customer_document(shop.settings, mine)["profile"]["needs"]
    assert [each["category"] for each in needs["affinity"]] == ["Shoes"]
    best = {each["category"]: (each["basis"], each["because"]) for each in needs["next_best"]}
    assert best["Socks"] == ("bought with", "Shoes")
    told = shop.wafa("customer", "c0").stdout
    assert "Socks (goes with Shoes)" in told
    assert "marketing channel sms (said" in told
    shop.check_against_core()
