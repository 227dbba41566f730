"""Where the shop's customers lie, measured from their states in Kafka, reaches each of them through the log."""

from __future__ import annotations

from pipeline.core.population import SCOPE, from_parameters
from pipeline.inquiry import customer_document, customer_ids
from pipeline.schemas import logged
from tests.pipeline.history import order, person
from tests.pipeline.shop import Shop, at


def populations(shop: Shop) -> list[logged.ModelFitted]:
    """Those put into the log, each once: controls are copied to every partition."""
    found = {}
    for _, value in shop.entries():
        control = logged.decode(value)
        if isinstance(control, logged.ModelFitted) and control.scope == SCOPE:
            found[control.fitted_at] = control
    return [found[each] for each in sorted(found)]


def tier_of(shop: Shop, customer: str) -> dict[str, object]:
    (who,) = customer_ids(shop.settings, customer)
    found: dict[str, object] = customer_document(shop.settings, who)["profile"]["tier"]
    return found


def test_a_fit_measures_the_shop_and_each_customer_finds_their_tier(shop: Shop) -> None:
    """Thirty customers: three buy every week for much, the others bought once or twice."""
    shop.start()
    shop.publish([each for number in range(30) for each in person(number)])
    shop.publish([order(f"{number} {week}", number, 1 + 7 * week, 20_000) for number in range(3) for week in range(9)])
    shop.publish([order(number, number, number, 2_000 + 50 * number) for number in range(3, 30)])
    shop.publish([order(f"{number} again", number, 31 + number, 2_500) for number in range(3, 12)])
    shop.tick(at(62))
    shop.wait_until_done()
    early = shop.wafa("tiers")
    assert (early.returncode, early.stderr) == (1, "")
    told = "No tiers: expected at least 20 customers who bought and have a forecast, got 0."
    assert told in early.stdout
    assert tier_of(shop, "c0")["tier_reason"] == "no_forecast_yet"

    dry = shop.wafa("fit", "--dry-run")
    assert "30 customers who bought" in dry.stdout
    assert populations(shop) == []
    said = shop.wafa("fit")
    assert said.returncode == 0, said.stderr
    shop.wait_until_done()
    (measured,) = populations(shop)
    population = from_parameters(measured.parameters)
    assert population.customers == 30
    assert max(population.frequency) <= 9

    shop.tick(at(70))
    shop.wait_until_done()
    tiers = {number: tier_of(shop, f"c{number}") for number in (0, 1, 2, 5, 29)}
    assert [tiers[number]["tier"] for number in (0, 1, 2)] == ["mvc"] * 3
    assert tiers[29]["tier"] != "mvc"
    assert "tier" in shop.wafa("customer", "c0").stdout
    assert "most valuable (MVC)" in shop.wafa("customer", "c0").stdout
    again = shop.wafa("tiers")
    assert again.returncode == 0, again.stderr
    shop.wait_until_done()
    assert len(populations(shop)) == 2
    shop.check_against_core()
