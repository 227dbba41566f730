"""The small job's truth and the table's arithmetic; and Wafa's engine does the job on a real broker."""

from __future__ import annotations

import pytest

from bench.cpu import Meter
from bench.small import running
from bench.small.job import EVERY, PARTITIONS, Order, Output, Place, Truth, orders
from bench.small.rate import measure, ratios
from bench.small.rows import ROWS
from tests.conftest import REPOSITORY

HUNDRED = Truth.of(Order(2, "c-2", number, 7) for number in range(100))
RIGHT = [Output("c-2", 50, 350), Output("c-2", 100, 700)]


def test_every_fiftieth_order_of_a_customer_makes_an_output_where_it_lies():
    assert HUNDRED.causes == {("c-2", 50): Place(2, 49), ("c-2", 100): Place(2, 99)}
    assert HUNDRED.sums["c-2"][-1] == 700


def test_orders_are_the_same_every_time_and_end_each_partition_with_an_output():
    given = list(orders(3_000))
    assert given == list(orders(3_000))
    truth = Truth.of(given)
    assert truth.records == 3_000 + PARTITIONS * EVERY
    lasts = {place for place in truth.causes.values() if place.offset == truth.ends[place.partition] - 1}
    assert {place.partition for place in lasts} == set(range(PARTITIONS))


def test_a_right_run_has_no_problems():
    assert HUNDRED.problems(RIGHT, [Output("c-2", 100, 700)], complete=True) == []
    assert HUNDRED.problems(RIGHT[:1], [Output("c-2", 77, 539)], complete=False) == []


@pytest.mark.parametrize(
    ("outputs", "state"),
    [
        (RIGHT[:1], [Output("c-2", 100, 700)]),
        ([*RIGHT, RIGHT[1]], [Output("c-2", 100, 700)]),
        (RIGHT[::-1], [Output("c-2", 100, 700)]),
        ([RIGHT[0], Output("c-2", 100, 701)], [Output("c-2", 100, 700)]),
        (RIGHT, [Output("c-2", 100, 701)]),
        (RIGHT, [Output("c-2", 99, 693)]),
        (RIGHT, []),
    ],
    ids=["lost", "doubled", "swapped", "wrong sum", "wrong state", "state behind", "no state"],
)
def test_a_wrong_run_is_found_out(outputs, state):
    assert HUNDRED.problems(outputs, state, complete=True) != []


def test_a_rate_leaves_the_first_fifth_out():
    """1,000 orders of one customer, the first fifth of them slowly; then 16 outputs more in 8 s, 50 orders each."""
    truth = Truth.of(Order(0, "c-0", number, 1) for number in range(1_000))
    slow_start = [(0.0, 50), (20.0, 100), (40.0, 150)]
    received = [*slow_start, *((50.0 + index / 2, 200 + 50 * index) for index in range(17))]
    timed = measure(truth, [(at, Output("c-0", count, count)) for at, count in received])
    assert (timed.events, timed.end - timed.start) == (800, 8.0)


def test_a_rate_adds_up_over_partitions():
    truth = Truth.of(Order(number % 2, f"c-{number % 2}", number, 1) for number in range(200))
    said = [(0.0, "c-0", 50), (1.0, "c-1", 50), (3.0, "c-0", 100), (3.0, "c-1", 100)]
    timed = measure(truth, [(at, Output(customer, count, count)) for at, customer, count in said])
    assert (timed.events, timed.end - timed.start) == (200 - 50, 3.0)


def test_ratios_are_of_medians_and_null_without_the_other_row():
    found = ratios({"wafa": [90.0, 100.0, 400.0], "faust": [4.0, 6.0], "ceiling": []})
    assert found == {
        "small_vs_faust": 20.0, "small_vs_quix_exactly_once": None,
        "small_vs_kafka_streams_exactly_once": None, "small_vs_ceiling": None,
    }  # fmt: skip


def test_what_processes_used_lies_on_the_line_between_two_looks():
    meter = Meter((1, 2), [(0.0, (0.0, 0.0, 0.0)), (10.0, (5.0, 1.0, 10.0)), (20.0, (15.0, 1.0, 30.0))])
    use = meter.between(5.0, 15.0)
    assert use is not None
    assert (use.processes, use.others, use.seconds) == ((7.5, 0.5), 7.0, 10.0)
    assert meter.between(5.0, 25.0) is None


def test_wafas_engine_does_the_job_once_each(kafka, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    given = list(orders(4_000))
    bench = running.Bench(kafka.bootstrap_servers, kafka.pid, tmp_path, Truth.of(given))
    running.create(bench.admin, running.INPUT)
    running.publish(bench.bootstrap, given)
    row = next(row for row in ROWS if row.name == "wafa")
    came = running.work_off(bench, row, list(row.prepare()), "test-", seconds_max=60)
    said = [each for _, each in came.received]
    assert bench.truth.problems(said, came.state, complete=True) == []
    assert Truth.of(orders(4_000, seed=2)).problems(said, came.state, complete=True) != []
