"""What a customer buys by category, what goes with it, and whether they buy only with offers."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.core import affinity
from pipeline.core.affinity import Affinity, from_parameters, next_best
from pipeline.core.categories import Bought, Buys, breadth, code, shift
from pipeline.core.controls import INITIAL, adopt, from_entries, to_entries
from pipeline.core.days import date_of, day_of
from pipeline.core.profile import CATEGORIES_MAX
from pipeline.schemas import logged
from tests.core.builders import cancelled, day, order, policy, refund, seconds
from tests.core.lives import live
from tests.core.test_needs import lines, shown, wish
from tests.driver import Driver

QUARTER = 91
RULES = policy().needs


def shares(driver: Driver) -> dict[str, float]:
    return {each["category"]: each["share_fraction"] for each in shown(driver)["affinity"]}


def orders(driver: Driver) -> dict[str, int]:
    return {each["category"]: each["orders"] for each in shown(driver)["affinity"]}


def after_reviews(told: list[Any], on: float, **changes: Any) -> Driver:
    """Told as it came, with a review every day up to the last."""
    driver = Driver(policy(**changes))
    waiting = sorted(told, key=lambda event: event.occurred_at)
    for today in range(int(on) + 1):
        driver.tick(day(today))
        while waiting and waiting[0].occurred_at <= day(today):
            driver.feed(waiting.pop(0))
    return driver


# -- counting ---------------------------------------------------------------------------------------------------------


def test_what_is_lately_bought_weighs_more() -> None:
    start = -(seconds(0) // 86_400) % QUARTER  # the first day of a quarter
    told = [order(start + QUARTER * number, f"o{number}", **lines(name)) for number, name in enumerate(("a", "b", "c"))]
    weights = {"c": 1.0, "b": 0.5**0.25, "a": 0.5**0.5}
    expected = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    assert shares(live(told)) == pytest.approx(expected, abs=1e-9)


def test_an_order_counts_once_for_each_category_however_many_lines_it_has() -> None:
    assert orders(live([order(0, **lines("shoes", "shoes", "socks"))])) == {"shoes": 1, "socks": 1}


def test_of_an_order_told_again_the_latest_version_counts_in_any_order() -> None:
    versions = [order(1, **lines("shoes")), order(2, **lines("socks", "hats")), order(3, **lines("hats"))]
    for told in permutations(versions):
        driver = live(told)
        assert orders(driver) == {"hats": 1}
        assert [each.name for each in driver.profiles["c"].needs.categories] == ["hats"]


def test_cancelled_and_given_back_orders_leave_no_trace_whichever_comes_first() -> None:
    events = [order(1, "A", **lines("shoes")), cancelled(2, "A"), order(1, "B", **lines("socks")), refund(3, "B", "R")]
    for told in permutations([*events, order(4, "C", **lines("hats"))]):
        assert orders(live(told)) == {"hats": 1}


def test_a_partial_refund_leaves_the_purchase_a_purchase() -> None:
    assert orders(live([order(1, "A", **lines("shoes")), refund(2, "A", "R", 100)])) == {"shoes": 1}


def test_folded_orders_are_counted_as_unfolded_ones_were() -> None:
    told = [order(30 * number, f"o{number}", **lines(("a", "b", "c")[number % 3])) for number in range(12)]
    driver = after_reviews(told, 340)
    assert len(driver.profiles["c"].ledger.orders) < 6
    assert orders(driver) == {"a": 4, "b": 4, "c": 4}


def test_what_was_cancelled_is_folded_without_being_counted() -> None:
    told = [order(0, "A", **lines("shoes"), discount_minor=5), cancelled(1, "A"), order(2, "B", **lines("hats"))]
    driver = after_reviews(told, 200)
    assert driver.profiles["c"].ledger.orders == ()
    needs = driver.profiles["c"].needs
    assert [each.name for each in needs.categories] == ["hats"]
    assert (sum(needs.settled), needs.settled_discounted) == (1, 0)


def test_sixteen_categories_are_kept_and_of_more_the_lightest_goes() -> None:
    names = [f"category {number:02}" for number in range(CATEGORIES_MAX)]
    told = [order(number, f"o{number}", **lines(name)) for number, name in enumerate(names)]
    told += [order(20 + number, f"again {number}", **lines(name)) for number, name in enumerate(names) if number != 5]
    driver = live(told)
    driver.feed(order(50, "new", **lines("a new one")))
    kept = {each.name for each in driver.profiles["c"].needs.categories}
    assert kept == {*names, "a new one"} - {"category 05"}
    places = [order.categories for order in driver.profiles["c"].ledger.orders]
    assert max(places).bit_length() <= CATEGORIES_MAX
    assert orders(driver)["category 06"] == 2, "making room confuses no other category"


def test_up_to_sixteen_categories_any_order_of_arrival_gives_one_state() -> None:
    chance = random.Random(5)
    names = [f"n{number}" for number in range(CATEGORIES_MAX)]
    told = [order(number * 9, f"o{number}", **lines(*chance.sample(names, 3))) for number in range(30)]
    expected = None
    for _ in range(10):
        chance.shuffle(told)
        driver = live(told)
        for on in (400, 410, 420, 500):
            driver.tick(day(on))
        expected = expected or driver.profiles["c"].needs
        assert driver.profiles["c"].needs == expected


def test_a_name_is_kept_short_and_apart_from_its_like() -> None:
    assert code("Shoes") == "Shoes"
    assert code(" Apparel  >  Shoes ") == "Apparel / Shoes"
    one, other = (code(f"Apparel & Accessories > Clothing > {name}") for name in ("Shirts", "Skirts"))
    assert len(one) == len(other) == 32
    assert one != other
    assert code(one) == one
    assert one.endswith("/ Clothing / Shirts")
    assert code("Things for the garden and for the balcony").startswith("Things for the garden")


# -- a shift ----------------------------------------------------------------------------------------------------------


def test_a_shift_in_what_they_buy_is_signalled_once_with_its_day_and_ends_when_the_new_is_the_usual() -> None:
    """Shoes for a year and a half, then hats, an order every 20 days."""
    told = [order(20 * number, f"o{number}", **lines("shoes" if number < 27 else "hats")) for number in range(70)]
    driver, seen = Driver(), []
    driver.tick(day(0))
    for event in told:
        driver.tick(event.occurred_at)
        driver.feed(event)
        seen.append(shown(driver)["shift"])
    began = next(number for number, each in enumerate(seen) if each)
    assert all(each is None for each in seen[:27])
    assert 27 < began <= 35
    during = [each for each in seen if each]
    assert {each["since_on"] for each in during} == {during[0]["since_on"]}
    assert (during[0]["toward"], during[0]["away_from"]) == ("hats", "shoes")
    assert during[0]["distance"] >= 0.5
    assert seen[-1] is None


def test_who_buys_the_same_mixture_is_said_to_shift_in_at_most_one_review_of_a_hundred() -> None:
    chance = random.Random(3)
    reviews = shifted = 0
    for number in range(40):
        names = [f"n{each}" for each in range(chance.choice((2, 4, 8, 16)))]
        told = [order(14 * each, f"o{each}", **lines(chance.choice(names))) for each in range(52)]
        driver = Driver()
        driver.tick(day(0))
        for event in told:
            driver.tick(event.occurred_at)
            driver.feed(event, f"c{number}")
            reviews += 1
            shifted += driver.profiles[f"c{number}"].needs.shifted_on > 0
    assert shifted / reviews <= 0.01


def test_of_sixteen_categories_chance_alone_makes_a_distance_and_no_shift() -> None:
    """Five purchases before and five since, of one mixture: the plain distance is .6 for nine of ten customers."""
    chance = random.Random(9)
    plain = shifted = 0
    for _ in range(2_000):
        since, before = (chance.choices(range(16), k=5) for _ in range(2))
        counts = {f"n{each}": (since.count(each), before.count(each)) for each in range(16)}
        plain += sum(abs(one - other) for one, other in counts.values()) / 10 >= 0.6
        kinds = {
            name: Buys((one, 0, other, 0), 0, 0, one + other, one + other) for name, (one, other) in counts.items()
        }
        found = shift(Bought(kinds["n0"], kinds, 0), 5)
        assert found is not None
        shifted += found.distance >= 0.5
    assert plain / 2_000 > 0.9
    assert shifted / 2_000 < 0.005


def test_six_purchases_before_and_six_since_are_the_least_that_shows_a_shift() -> None:
    before = [order(20 * number, f"a{number}", **lines("shoes")) for number in range(6)]
    for hats, is_shifted in ((5, False), (6, True)):
        since = [order(300 + number, f"b{number}", **lines("hats")) for number in range(hats)]
        assert (after_reviews([*before, *since], 330).profiles["c"].needs.shifted_on > 0) is is_shifted


# -- next best --------------------------------------------------------------------------------------------------------


def table(**shares: float) -> Affinity:
    """The shop's table: `shoes__socks` is `shoes>socks`, `_socks` is `>socks`."""
    return from_parameters({name.replace("__", ">").replace("_", ">"): share for name, share in shares.items()})


def bought(today: int = 20_000, **by_category: tuple[int, int]) -> Bought:
    """Orders of this quarter and the days since the last one, by category, all in orders of their own."""
    kinds = {name: Buys((count, 0, 0, 0), 0, today - ago, count, count) for name, (count, ago) in by_category.items()}
    in_all = sum(count for count, _ in by_category.values())
    return Bought(Buys((in_all, 0, 0, 0), 0, today, in_all, in_all), kinds, today)


def test_own_purchases_speak_first_and_the_table_fills_in_by_five_orders_worth() -> None:
    usual = table(_shoes=0.2, _socks=0.1, _hats=0.3, shoes__socks=0.5)
    found = next_best(bought(shoes=(4, 60)), (), usual, RULES)
    scores = {each.category: (each.score, each.basis, each.because) for each in found}
    assert scores == {
        "shoes": (round((4 + 5 * 0.2) / 9, 9), "own purchases", ""),
        "socks": (round(5 * 0.5 / 9, 9), "bought with", "shoes"),
        "hats": (round(5 * 0.3 / 9, 9), "popular", ""),
    }
    assert [each.category for each in found] == ["shoes", "socks", "hats"]


def test_what_was_just_bought_is_not_offered_again_unless_the_policy_says_at_once() -> None:
    usual = table(_shoes=0.2, _socks=0.1)
    names = [each.category for each in next_best(bought(shoes=(4, 13)), (), usual, RULES)]
    assert names == ["socks"]
    names = [each.category for each in next_best(bought(shoes=(4, 14)), (), usual, RULES)]
    assert names == ["shoes", "socks"]
    at_once = policy(needs__just_bought_days=0).needs
    assert next_best(bought(shoes=(4, 0)), (), usual, at_once)[0].category == "shoes"


def test_what_they_said_they_care_for_comes_first_while_it_holds() -> None:
    usual = {">shoes": 0.5, ">Hats": 0.1}
    driver = Driver()
    driver.control(logged.ModelFitted(fitted_at=day(0), scope=affinity.SCOPE, parameters=usual))
    driver.feed(wish(0, interests=("hats",)))
    first = shown(driver)["next_best"][0]
    assert (first["category"], first["basis"]) == ("Hats", "stated")
    driver.tick(day(0))
    for on in range(0, 400, 7):
        driver.tick(day(on))
    assert [each["basis"] for each in shown(driver)["next_best"]] == ["popular", "popular"]


def test_a_category_not_bought_for_a_year_is_shown_as_stale_and_not_used() -> None:
    driver = live([order(0, **lines("shoes"))])
    driver.control(
        logged.ModelFitted(fitted_at=day(0), scope=affinity.SCOPE, parameters={">hats": 0.1, "shoes>hats": 0.9})
    )
    for on in (380, 390, 470):
        driver.tick(day(on))
    (shoes,) = shown(driver)["affinity"]
    assert (shoes["category"], shoes["stale"], shoes["last_on"]) == ("shoes", True, None)
    (hats,) = shown(driver)["next_best"]
    assert (hats["basis"], hats["score"]) == ("popular", round(5 * 0.1 / (5 + 0.25), 9))


def test_before_the_shop_is_measured_nothing_is_suggested() -> None:
    assert shown(live([order(0, **lines("shoes"))]))["next_best"] == []


def test_a_table_is_adopted_when_it_is_newer_and_survives_a_restart() -> None:
    new = logged.ModelFitted(
        fitted_at=day(2), scope=affinity.SCOPE, parameters={">shoes": 0.2, "discounted_fraction": 0.3}
    )
    old = replace(new, fitted_at=day(1), parameters={">shoes": 0.9})
    other = replace(new, scope="shop", parameters={">shoes": 0.8})
    controls = adopt(adopt(adopt(INITIAL, new), old), other)
    assert controls.affinity == Affinity({"shoes": 0.2}, {}, 0.3, None)
    assert from_entries(to_entries(controls)).affinity == controls.affinity


def test_what_is_no_share_is_left_out_of_a_table() -> None:
    assert from_parameters({">shoes": 1.5, ">socks": float("nan"), "shoes>hats": -0.1, ">hats": 0.2}) == Affinity(
        {"hats": 0.2}
    )


# -- price ------------------------------------------------------------------------------------------------------------


def sensitivity(driver: Driver) -> dict[str, Any]:
    seen: dict[str, Any] = shown(driver)["price"]
    return seen


def offers(count: int, of: int) -> Driver:
    return live([order(number, f"o{number}", 900, discount_minor=100 * (number < count)) for number in range(of)])


@pytest.mark.parametrize(
    ("count", "of", "expected"),
    [
        (2, 2, "unknown"),
        (3, 3, "offers_only"),
        (0, 3, "full_price"),
        (3, 6, "mixed"),
        (7, 8, "offers_only"),
        (6, 8, "mixed"),
    ],
)
def test_whether_they_buy_only_with_offers(count: int, of: int, expected: str) -> None:
    found = sensitivity(offers(count, of))
    assert (found["sensitivity"], found["orders"], found["discounted"]) == (expected, of, count)
    assert found["fraction"] == round((count + 2 * 0.5) / (of + 2), 9)
    assert found["discount_fraction"] == round(100 * count / (900 * of + 100 * count), 9)


def test_an_offer_that_took_nothing_off_the_price_is_one_whichever_version_names_it() -> None:
    plain = [order(number, f"o{number}", 900) for number in range(8)]
    named = [order(number, f"o{number}", 900, coupon="FREE-SHIPPING") for number in range(8)]
    for told in (named, [*named, *plain], [*plain, *named]):
        found = sensitivity(live(told))
        assert (found["sensitivity"], found["discounted"], found["discount_fraction"]) == ("offers_only", 8, 0.0)
    assert sensitivity(live(plain))["sensitivity"] == "full_price"


def test_what_they_bought_lately_weighs_more_than_what_they_bought_years_ago() -> None:
    """Eight orders with a discount four years ago weigh a quarter each; three at the full price, this quarter, one."""
    old = [order(number, f"o{number}", 900, discount_minor=100) for number in range(8)]
    new = [order(1_460 + number, f"n{number}", 900) for number in range(3)]
    driver = after_reviews([*old, *new], 1_463)
    found = sensitivity(driver)
    assert (found["orders"], found["discounted"]) == (11, 8)
    assert found["fraction"] == pytest.approx((8 * 0.25 + 2 * 0.5) / (8 * 0.25 + 3 + 2), abs=0.02)
    assert found["sensitivity"] == "mixed"


def test_few_orders_are_judged_by_the_shops_share_of_discounts() -> None:
    driver = offers(3, 3)
    driver.control(logged.ModelFitted(fitted_at=day(9), scope=affinity.SCOPE, parameters={"discounted_fraction": 0.1}))
    found = sensitivity(driver)
    assert (found["fraction"], found["sensitivity"]) == (round((3 + 2 * 0.1) / 5, 9), "mixed")


def test_how_deep_discounts_were_is_told_of_what_was_kept_whether_or_not_it_has_folded() -> None:
    """Of the second all went back, of the third half."""
    told = [
        order(0, "o0", 90, discount_minor=10),
        order(7, "o1", 100, discount_minor=100),
        refund(9, "o1", "R1"),
        order(14, "o2", 80, discount_minor=20),
        refund(16, "o2", "R2", 40),
    ]
    early, late = live(told), after_reviews(told, 300)
    assert early.profiles["c"].ledger.orders
    assert not late.profiles["c"].ledger.orders
    fractions = [sensitivity(driver)["discount_fraction"] for driver in (early, late)]
    assert fractions == [round((10 + 10) / (90 + 40 + 10 + 10), 9)] * 2


def test_discounts_of_folded_orders_are_remembered_and_those_of_void_orders_are_not() -> None:
    told = [order(7 * number, f"o{number}", 900, discount_minor=50) for number in range(6)]
    driver = after_reviews([*told, cancelled(36, "o5"), refund(30, "o4", "R")], 300)
    assert driver.profiles["c"].ledger.orders == ()
    assert (sensitivity(driver)["orders"], sensitivity(driver)["discounted"]) == (4, 4)


@pytest.mark.parametrize("void", [cancelled(9, "B"), refund(9, "B", "all of it")], ids=["cancelled", "given back"])
def test_an_order_that_was_none_makes_nobody_buy_in_more_categories(void: Any) -> None:
    """One category in one order; three more in another that came to nothing: also after both have folded."""
    driver = Driver(policy(ledger__refund_window_days=30))
    driver.tick(day(0))
    driver.feed(order(1, "A", **lines("shoes")))
    driver.feed(order(2, "B", **lines("socks", "hats", "tents")))
    counted = [breadth(driver.profiles["c"].needs, driver.profiles["c"].ledger)]
    driver.feed(void)
    for on in (9, 80):
        driver.tick(day(on))
        driver.feed_tick("c", logged.Tick(as_of=day(on)))
        counted.append(breadth(driver.profiles["c"].needs, driver.profiles["c"].ledger))
    assert counted == [4, 1, 1]
    assert not driver.profiles["c"].ledger.orders, "folded"


def test_who_buys_so_often_that_orders_fold_early_is_offered_what_they_have_not_just_bought() -> None:
    """Shoes once, 55 days ago, then socks twice a day, the last 17 days ago: neither is just bought, by the 14 days."""
    driver = Driver()
    driver.tick(day(0))
    driver.control(
        logged.ModelFitted(fitted_at=day(0), scope=affinity.SCOPE, parameters={">shoes": 0.5, ">socks": 0.1})
    )
    driver.feed(order(25, "first", **lines("shoes")))
    for number in range(75):
        on = 25.5 + number / 2
        driver.tick(day(on))
        driver.feed(order(on, f"order {number}", **lines("socks")))
    driver.tick(day(80))
    ledger = driver.profiles["c"].ledger
    assert ledger.folded_orders > 0
    found = shown(driver)
    assert [each["category"] for each in found["next_best"]] == ["socks", "shoes"]
    (last_on,) = {each["last_on"] for each in found["affinity"] if each["category"] == "shoes"}
    assert last_on == date_of(day_of(ledger.folded_last_at, "UTC"))
