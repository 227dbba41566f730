"""A shop's whole model: fitted, judged, kept or replaced; spend and rhythm; scores for many."""

from __future__ import annotations

import io
from collections import defaultdict

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console
from scipy.optimize import approx_fprime
from scipy.stats import betaprime

from bench.buyers import simulate
from bench.histories import day
from pipeline.analysis.counts import counted, counts_of
from pipeline.analysis.fit import DEFAULT_LEVEL, Fitted, Terms, fit_model
from pipeline.analysis.judge import gain_of_margins, judge
from pipeline.analysis.overdue import Limits
from pipeline.analysis.purchases import Purchases, purchases_of, states_on
from pipeline.analysis.rhythm import RhythmFit, fit_rhythm, log_likelihood
from pipeline.analysis.score import score
from pipeline.analysis.spend import SpendFit, fit_spend
from pipeline.core import predict
from pipeline.core.history import History, of_days
from pipeline.core.rhythm import Rhythm
from pipeline.core.spend import Spend
from pipeline.core.timing import Timing, is_summed, orders_if_alive
from pipeline.fitting import Report, print_report

SEPTEMBER, MARCH = day(1997, 9, 30), day(1998, 3, 31)


@pytest.fixture(scope="module")
def fitted(sample: Purchases) -> Fitted:
    terms = Terms(limits=Limits(3, 3_650))  # all came a year ago: so many fall silent for one that no budget holds
    found = fit_model(sample, MARCH, alarms_a_week=10.0, terms=terms)
    assert isinstance(found, Fitted)
    return found


def test_a_shop_with_a_year_behind_it_gets_every_part(fitted: Fitted) -> None:
    assert fitted.remarks == ()
    assert fitted.model.calibration is not None
    assert fitted.diagnostics["log_loss_calibrated"] < fitted.diagnostics["log_loss_raw"]
    assert fitted.diagnostics["repeat_customers"] > 1_000
    assert fitted.model.fitted_on == MARCH


def test_what_was_learned_is_told_with_its_units(fitted: Fitted) -> None:
    """A level that no budget can hold rounds to nothing; how many a week it calls at risk says what it does."""
    out = io.StringIO()
    print_report(Report(MARCH, 2_357, fitted), Console(file=out, width=120), "EUR")
    table = dict(line.strip("│ ").split(" │ ") for line in out.getvalue().splitlines() if line.startswith("│"))
    told = {words.strip(): figure.strip() for words, figure in table.items()}
    mean = fitted.model.spend.mean_minor / 100
    assert told["margin of a purchase day, on average"] == f"{mean:.2f} EUR"
    alarms = fitted.diagnostics["alarms_a_week"]
    assert told["so called at risk a week, of who bought twice or more"] == f"{alarms:.1f}"


def test_a_young_shop_is_told_what_it_has_not_shown() -> None:
    customers = [[(0, 900.0)]] * 18 + [[(0, 900.0), (20, 1_200.0)], [(3, 700.0), (11, 0.0), (30, 0.0)]]
    found = fit_model(purchases_of(customers), 42, alarms_a_week=1.0)
    assert isinstance(found, Fitted)
    assert found.remarks == (
        "overdue after one order: too few second orders, so after 26 weeks", "calibration: too few outcomes",
    )  # fmt: skip
    assert found.model.calibration is None
    assert found.model.spend.paying_minor == pytest.approx(1_200.0, rel=0.15)  # one margin seen, and a prior
    assert found.model.spend.paying_fraction == 0.5, "one of three repeat days paid, and one is believed to"


def test_a_small_shop_is_told_how_little_it_has_shown() -> None:
    """Twenty customers, two repeats: from hardly any orders to several times as many; a hundredfold shop is surer."""
    young = [[(0, 900.0)]] * 18 + [[(0, 900.0), (20, 1_200.0)], [(3, 700.0), (11, 0.0), (30, 0.0)]]
    widths = []
    for customers in (young, young * 100):
        found = fit_model(purchases_of(customers), 42, alarms_a_week=1.0)
        assert isinstance(found, Fitted)
        low, high = (found.diagnostics[f"orders_90_days_{end}"] for end in ("low", "high"))
        widths.append(high / max(low, 1.0))
    assert widths[0] > 3.0
    assert widths[1] < 1.5


def test_a_budget_of_hardly_an_alarm_sets_no_level() -> None:
    customers = [[(0, 900.0)]] * 18 + [[(0, 900.0), (20, 1_200.0)], [(3, 700.0), (11, 0.0), (30, 0.0)]]
    found = fit_model(purchases_of(customers), 42, alarms_a_week=0.02)
    assert isinstance(found, Fitted)
    assert "overdue: a budget of fewer than 5 alarms in 6 weeks sets no level" in found.remarks
    assert found.model.level == DEFAULT_LEVEL


def test_the_terms_of_a_policy_are_in_the_model() -> None:
    customers = [[(0, 900.0)]] * 18 + [[(0, 900.0), (20, 1_200.0)]]
    terms = Terms(value_weeks=52.0, discount=0.001, return_days=28, revenue_rate=4.0)
    found = fit_model(purchases_of(customers), 42, alarms_a_week=1.0, terms=terms)
    assert isinstance(found, Fitted)
    model = found.model
    assert (model.value_weeks, model.discount, model.return_weeks, model.revenue_rate) == (52.0, 0.001, 4.0, 4.0)
    assert predict.from_parameters(predict.to_parameters(model)) == model


def test_a_shop_without_repeats_gets_a_reason_and_no_model() -> None:
    assert fit_model(purchases_of([[(0, 900.0)]] * 30), 42, alarms_a_week=1.0) == "nobody has bought twice"


def test_a_shop_without_customers_gets_a_reason_and_no_model() -> None:
    assert fit_model(purchases_of([]), 42, alarms_a_week=1.0) == "no customers"


def test_a_model_better_on_the_weeks_it_had_not_seen_takes_over(sample: Purchases, fitted: Fitted) -> None:
    """The model in force believes that everybody buys once a week. What is put in force has not seen them either."""
    weekly = Timing(50.0, 50.0, 0.9, 1.6)
    poor = replace(fitted.model, timing=weekly, rhythm=Rhythm(weekly, (1.0, 0.0, 0.0)), fitted_on=0)
    found, earlier = (
        fit_model(sample, MARCH, poor, alarms_a_week=10.0),
        fit_model(sample, MARCH - 28, alarms_a_week=10.0),
    )
    assert isinstance(found, Fitted)
    assert isinstance(earlier, Fitted)
    assert found.diagnostics["held_out_gain"] > 50.0
    assert (found.model.timing, found.model.rhythm) == (earlier.model.timing, earlier.model.rhythm)
    assert found.model.fitted_on == MARCH - 28


def test_a_model_worse_on_the_weeks_it_had_not_seen_is_refused(sample: Purchases, fitted: Fitted) -> None:
    """Nobody buys any more in the last four weeks, and the model in force had said so: it stays, the level follows."""
    kept = sample.day <= MARCH - 28
    silent = Purchases(sample.customer[kept], sample.day[kept], sample.margin_minor[kept])
    warned = replace(fitted.model, timing=replace(fitted.model.timing, a=30.0, b=1.0), fitted_on=0)
    found = fit_model(silent, MARCH, warned, alarms_a_week=10.0)
    assert isinstance(found, Fitted)
    assert found.remarks[0] == "buying: as the model in force has it (the new one is worse on the held-out weeks)"
    assert found.diagnostics["held_out_gain"] < -50.0
    assert (found.model.timing, found.model.fitted_on) == (warned.timing, 0)
    assert found.model.season != fitted.model.season


@pytest.mark.parametrize("weeks", [1, 4, 7])
def test_a_model_stays_until_there_are_four_weeks_to_learn_from_and_four_to_be_judged_by(
    sample: Purchases, fitted: Fitted, weeks: int
) -> None:
    found = fit_model(sample, MARCH + 7 * weeks, fitted.model, alarms_a_week=10.0)
    assert isinstance(found, Fitted)
    assert found.model.timing == fitted.model.timing
    assert found.model.season != fitted.model.season
    assert "held_out_gain" not in found.diagnostics, "a model fitted on the same weeks is no judge"


def seen_for(days: int, *, surge: tuple[int, int] | None = None) -> Purchases:
    """800 customers, newcomers every day. In a surge half of who is known buys on every second of its days."""
    chance, customers = np.random.default_rng(1), []
    for _ in range(800):
        at = first = float(chance.integers(0, days))
        rate, leaves, bought = chance.gamma(0.5) / 43.4, chance.beta(0.9, 1.6), []
        while at < days:
            bought.append((int(at), float(chance.gamma(6.0, 500.0))))
            at = days if chance.random() < leaves else at + chance.exponential(1.0 / rate)
        if surge is not None and first < surge[0] and chance.random() < 0.5:
            bought += [(day, 3_000.0) for day in range(*surge, 2)]
        customers.append(bought)
    return purchases_of(customers)


def fitted_nightly(purchases: Purchases, first: int, last: int) -> dict[int, Fitted]:
    """What is put in force each night, each beside the model of the night before; by day."""
    nights: dict[int, Fitted] = {}
    for night in range(first, last):
        found = fit_model(purchases, night, nights[night - 1].model if nights else None, alarms_a_week=5.0)
        assert isinstance(found, Fitted)
        nights[night] = found
    return nights


def test_fitted_every_night_a_shop_gets_a_new_model_every_four_weeks_each_judged_by_weeks_it_had_not_seen() -> None:
    nights = fitted_nightly(seen_for(360), 200, 320)
    moves = {
        night: found.model.fitted_on
        for night, found in nights.items()
        if night > 200 and found.model.fitted_on != nights[night - 1].model.fitted_on
    }
    assert len(moves) >= 2
    for night, learned_until in moves.items():
        assert learned_until == night - 28
        assert learned_until >= nights[night - 1].model.fitted_on + 28
        assert nights[night].diagnostics["held_out_gain"] != 0.0
        assert nights[night].diagnostics["held_out_gain_rhythm"] != 0.0
        assert nights[night].diagnostics["held_out_gain_margin"] != 0.0
        if night + 1 in nights:
            assert "held_out_gain" not in nights[night + 1].diagnostics


@pytest.mark.parametrize("first", [180, 187, 194])
def test_a_model_that_a_surge_of_four_weeks_spoiled_is_not_put_in_force(first: int) -> None:
    """Wherever the surge falls between two judgements: the four weeks after it are foretold no worse than before it."""
    shop, (begins, ends) = seen_for(360, surge=(201, 229)), (200, 228)
    nights = fitted_nightly(shop, first, ends + 30)
    before, after = (counted(states_on(shop, day).counts) for day in (ends, ends + 28))
    unspoiled, refit = nights[first].model, fit_model(shop, ends, alarms_a_week=5.0)
    assert isinstance(refit, Fitted)
    assert judge(refit.model.timing, unspoiled.timing, before, after).gain < -50.0, (
        "as a fit of all that is known would"
    )
    for night in range(begins, ends + 30):
        assert judge(nights[night].model.timing, unspoiled.timing, before, after).gain > -5.0


def test_margins_are_judged_by_those_that_came_since() -> None:
    """By simulation: customers' scales drawn, two days before and two since; the truth, and a shop of half as much."""
    chance, count = np.random.default_rng(5), 3_000
    truth = Spend(6.25, 3.74, 1_544.0)
    scale = chance.gamma(3.74, 1.0 / 1_544.0, count)
    customers = [
        [(day, float(chance.gamma(6.25) / each)) for day in (0, 10, 20, 30, 40)] for each in scale
    ]  # fmt: skip
    shop = purchases_of(customers)
    before, after = states_on(shop, 20), states_on(shop, 40)
    half = replace(truth, gamma=772.0)
    assert gain_of_margins(truth, half, before, after) > 50.0
    assert gain_of_margins(half, truth, before, after) == pytest.approx(-gain_of_margins(truth, half, before, after))
    given = [
        (sum(margin for _, margin in days[1:3]), sum(margin for _, margin in days[3:])) for days in customers
    ]  # fmt: skip
    elsewhere = sum(
        betaprime(12.5, 3.74 + 12.5, scale=1_544.0 + known).logpdf(left)
        - betaprime(12.5, 3.74 + 12.5, scale=772.0 + known).logpdf(left)
        for known, left in given
    )
    assert gain_of_margins(truth, half, before, after) == pytest.approx(elsewhere, rel=1e-9)


def test_a_judgement_is_the_likelihood_of_the_weeks_between() -> None:
    """By simulation: the truth foretells better than a model off by half, on customers followed for 10 weeks more."""
    truth, wrong = Timing(0.525, 6.183, 0.891, 1.614), Timing(0.525, 12.0, 0.891, 1.614)
    long = simulate(truth, 5_000, 40.0, 1.0, seed=4)
    seen = long.recency <= 30.0  # of these, nothing is known that happened after week 30
    before = counts_of(long.frequency[seen], long.recency[seen], np.full(seen.sum(), 30.0))
    after = counts_of(long.frequency[seen], long.recency[seen], long.tenure[seen])
    assert judge(truth, wrong, before, after).gain == -judge(wrong, truth, before, after).gain
    assert judge(truth, truth, before, after).gain == 0.0
    assert judge(truth, truth, before, after).accepted


def test_how_regular_simulated_customers_are_is_found() -> None:
    """Half of the gaps are of k = 1, half of k = 4, of one shop."""
    truth = Timing(1.4, 1.4, 0.5, 12.0)
    shops = [simulate(truth, 1_500, 40.0, 1.0, seed=seed, k=k) for seed, k in ((1, 1), (2, 4))]
    columns = [np.concatenate([getattr(each, name) for each in shops]) for name in ("frequency", "recency", "tenure")]
    found = fit_rhythm(counts_of(*columns), np.concatenate([each.sum_log_gap for each in shops]))
    assert isinstance(found, RhythmFit)
    assert found.rhythm.shares == pytest.approx((0.5, 0.0, 0.5), abs=0.06)
    assert found.rhythm.timing.r / found.rhythm.timing.alpha == pytest.approx(1.0, rel=0.1)


def test_the_slope_of_the_rhythm_is_the_slope() -> None:
    """By small differences, where all k count."""
    counts = counts_of([0, 1, 4, 9, 9], [0.0, 3.0, 11.0, 30.0, 27.0], [20.0, 21.0, 30.0, 31.0, 90.0])
    gaps, z = np.array([0.0, 1.1, 3.4, 9.7, 6.0]), np.array([0.5, -1.0, -0.8, 1.2, 0.4, -0.3])
    slope = approx_fprime(z, lambda at: log_likelihood(at, counts, gaps)[0], 1e-7)
    assert log_likelihood(z, counts, gaps)[1] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_spend_of_simulated_customers_is_found() -> None:
    """Each customer's scale is drawn, then their purchases around it."""
    chance = np.random.default_rng(3)
    days = chance.integers(1, 9, 20_000)
    scale = chance.gamma(3.74, 1.0 / 1_544.0, 20_000)
    mean = chance.gamma(6.25 * days, 1.0) / scale / days
    found = fit_spend(days.astype(float), mean)
    assert isinstance(found, SpendFit)
    assert (found.spend.p, found.spend.q, found.spend.gamma) == pytest.approx((6.25, 3.74, 1_544.0), rel=0.08)
    assert abs(found.dependence) < 0.03


def test_where_a_third_of_all_orders_is_sent_back_so_much_less_margin_is_expected() -> None:
    """Simulated: margin scatters about 30.00, a third of the days leave nothing. What the 90 days after bring."""
    chance = np.random.default_rng(0)
    customers = []
    for _ in range(4_000):
        at, until = float(chance.integers(0, 500)), 730.0
        rate, leaves, days = chance.gamma(0.8) / 42.0, chance.beta(0.9, 3.0), []
        while at < until:
            days.append((int(at), float(chance.gamma(6.0, 500.0)) if chance.random() < 2 / 3 else 0.0))
            at = until if chance.random() < leaves else at + chance.exponential(1.0 / rate)
        customers.append(days)
    shop, today = purchases_of(customers), 640
    found = fit_model(shop, today, alarms_a_week=20.0)
    assert isinstance(found, Fitted)
    assert found.model.spend.paying_fraction == pytest.approx(2 / 3, abs=0.02)
    assert found.model.spend.mean_minor == pytest.approx(2_000.0, rel=0.05)
    states = states_on(shop, today)
    came = (shop.day > today) & (shop.day <= today + 90) & np.isin(shop.customer, states.customer)
    scores = score(found.model, states, today)
    assert scores.orders[1].sum() == pytest.approx(came.sum(), rel=0.06)
    assert scores.margin_minor[1].sum() == pytest.approx(shop.margin_minor[came].sum(), rel=0.08)


@pytest.mark.parametrize(
    ("days", "mean", "reason"),
    [
        ([0, 0], [0.0, 0.0], "nobody has spent twice"),
        ([3], [0.0], "nobody has spent twice"),
        ([1, 2], [5.0, float("nan")], "margins out of order"),
    ],
)
def test_margins_that_allow_no_fit_are_refused_by_name(days: list[int], mean: list[float], reason: str) -> None:
    assert fit_spend(np.array(days, float), np.array(mean)) == reason


def test_one_repeat_customer_gives_a_finite_spend() -> None:
    found = fit_spend(np.array([2.0]), np.array([1_000.0]))
    assert isinstance(found, SpendFit)
    assert 500.0 < found.spend.mean_minor < 2_000.0


def histories(purchases: Purchases, on: int) -> list[History]:
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for who, at, margin in zip(purchases.customer, purchases.day, purchases.margin_minor, strict=True):
        if at <= on:
            found[int(who)][int(at)] = int(margin)
    return [of_days(found[who]) for who in sorted(found)]


def test_scores_for_many_are_predictions_for_each(sample: Purchases, fitted: Fitted) -> None:
    """Array formulas and scalar formulas, each by its own hypergeometric function, on 2,357 customers."""
    plain = replace(fitted.model, calibration=None)
    many = score(plain, states_on(sample, MARCH), MARCH)
    for row, history in enumerate(histories(sample, MARCH)):
        one = predict.predict(plain, history, MARCH)
        assert many.p_alive[row] == pytest.approx(one.p_alive)
        assert many.p_return[row] == pytest.approx(one.p_return)
        assert many.orders[:, row] == pytest.approx(one.orders, rel=1e-6)
        assert many.margin_minor[:, row] == pytest.approx(one.margin_minor, rel=1e-6)
        assert many.value_minor[row] == pytest.approx(one.value_minor, rel=1e-6)
        assert many.next_order_weeks[row] == pytest.approx(one.next_order_weeks[1])


def test_the_shops_cells_are_the_tables(sample: Purchases) -> None:
    counts = states_on(sample, SEPTEMBER).counts
    assert counted(counts).total == len(histories(sample, SEPTEMBER))


def subscribers(
    customers: int, until: int, seed: int = 1, *, every_days: int = 30, leaves: tuple[float, ...] = (0.05,)
) -> Purchases:
    """Who buys every so many days, a day more or less, and leaves after one purchase in twenty.

    Or each with one of some chances, drawn with equal luck.
    """
    chance = np.random.default_rng(seed)
    shop = []
    for _ in range(customers):
        day, days = until - int(chance.integers(0, 700)), []
        leaving = leaves[int(chance.integers(len(leaves)))] if len(leaves) > 1 else leaves[0]
        while day <= until:
            days.append((day, 1_000.0))
            if chance.random() < leaving:
                break
            day += max(1, round(chance.normal(every_days, 1)))
        shop.append(days)
    return purchases_of(shop)


def test_a_shop_of_subscribers_has_a_model_and_goes_on_having_one() -> None:
    """Their rates differ so little that r is in the hundreds. One order a month is expected of who just bought."""
    until = 20_000
    shop = subscribers(1_000, until)
    found = fit_model(shop, until - 120, alarms_a_week=20.0)
    for night in range(until - 90, until + 1, 30):
        assert isinstance(found, Fitted), found
        found = fit_model(shop, night, found.model, alarms_a_week=20.0)
    assert isinstance(found, Fitted), found
    assert found.model.timing.r > 100.0
    assert found.model.fitted_on >= until - 60, "it has moved on"
    loyal = of_days({until - 30 * back: 1_000 for back in range(13)})
    assert predict.predict(found.model, loyal, until).orders[0] == pytest.approx(1.0, rel=0.15)


def test_of_a_weekly_box_that_many_only_try_no_more_is_expected_than_there_are_weeks() -> None:
    """After each box six in ten of those who try leave, one in a hundred of the others.

    Of 100 who came first half are triers, 20 of them and 49.5 of the others stay: for 1 / .6 more boxes, and within
    three years for (1 - .99^156) / .01 = 79. So of who stayed 57 are expected; nobody can come more than 156 times.
    """
    until = 20_000
    found = fit_model(subscribers(1_000, until, every_days=7, leaves=(0.6, 0.01)), until, alarms_a_week=20.0)
    assert isinstance(found, Fitted), found
    timing = found.model.timing
    assert is_summed(timing, 0)
    true = (20 / 0.6 + 49.5 * (1 - 0.99**156) / 0.01) / 69.5
    assert orders_if_alive(timing, 0, 0.0, 156.0) == pytest.approx(true, rel=0.25)
    newcomer = predict.predict(found.model, of_days({until: 1_000}), until)
    assert 0 < newcomer.orders[2] < 52
    assert 0 < newcomer.value_minor < 156 * 1_100
    loyal = predict.predict(found.model, of_days({until - 7 * back: 1_000 for back in range(60)}), until)
    assert loyal.orders[2] == pytest.approx((1 - 0.99**52) / 0.01, rel=0.2)


def test_where_all_margins_are_alike_their_mean_follows_the_price() -> None:
    """Ten a day, until the price doubles; half a year later the mean is the new one."""
    doubled, until = 19_000, 19_400
    chance = np.random.default_rng(2)
    shop = purchases_of([
        [(day, 1_000.0 if day < doubled else 2_000.0) for day in range(start, until, 45)]
        for start in chance.integers(doubled - 400, doubled, 200).tolist()
    ])  # fmt: skip
    before = fit_model(shop, doubled - 1, alarms_a_week=20.0)
    assert isinstance(before, Fitted)
    assert before.model.spend.mean_minor == pytest.approx(1_000.0, rel=0.01)
    found = before
    for night in range(doubled + 30, doubled + 211, 30):
        told = fit_model(shop, night, found.model, alarms_a_week=20.0)
        assert isinstance(told, Fitted)
        found = told
    assert found.model.spend.mean_minor > 1_400.0
