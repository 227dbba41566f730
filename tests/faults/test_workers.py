"""Workers that die, and workers that come back from the dead, under load: every effect once, none lost."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from pipeline import topics
from pipeline.schemas import logged
from tests.pipeline.history import weeks
from tests.pipeline.shop import Process, Shop, at

INPUT_PARTITIONS = sum(
    topic.partitions
    for topic in (
        *topics.SOURCES, topics.UNIDENTIFIED_EVENTS, topics.CONTROLS, topics.CUSTOMER_EVENTS, topics.MENTIONS,
    )
)  # fmt: skip
WEEKS = 12
"""Shorter than a refund window: untimely Ticks may then make nothing too old."""
Event = Mapping[str, Any]


def chunks(customers: int, rounds: int, *, seed: int) -> Iterator[list[Event]]:
    """A history in `rounds` pieces of similar size; a Tick goes out with each."""
    events: Sequence[Event] = list(chain.from_iterable(weeks(customers, WEEKS, seed)))
    size = len(events) // rounds + 1
    return (list(events[start : start + size]) for start in range(0, len(events), size))


def check(shop: Shop) -> None:
    """Everything came, once, and is what the core says."""
    shop.wait_until_done(seconds=120)
    shop.check_against_core()
    ids = [trigger["trigger_id"] for trigger in shop.triggers()]
    assert ids
    assert len(ids) == len(set(ids))
    assert shop.dead_letters() == []


@pytest.mark.timeout(3600)
def test_two_workers_under_load_and_kill_9_again_and_again(shop: Shop, long: bool) -> None:  # noqa: FBT001
    kills = 200 if long else 4
    draw = random.Random(kills)
    told = {"WAFA_WORKER_BATCH_RECORDS_MAX": "50", "WAFA_STORE_STANDBY": "yes"}
    stores = [str(shop.folder / name) for name in ("left", "right")]
    workers = [shop.start(WAFA_STORE_DIR=store, **told) for store in stores]
    published = 0
    for number, events in enumerate(chunks(400 if long else 60, kills, seed=2)):
        victim = draw.randrange(2)
        if draw.random() < 0.6:  # else it dies as it starts, or in a rebalance
            shop.wait(lambda: is_at_work(workers[victim]), "the next victim is at work")  # noqa: B023 - called at once
        shop.publish(events)
        published += len(events)
        tick_untimely(shop, number, kills)
        if draw.random() < 0.5:
            seen = workers[victim].metric("wafa_commits_total{")
            shop.wait(lambda: has_committed_since(workers[victim], seen), "it is in the middle of it", 30)  # noqa: B023
        workers[victim].kill()
        workers[victim] = shop.start(WAFA_STORE_DIR=stores[victim], **told)  # with what the dead one kept
    check(shop)
    assert sum(key != logged.CONTROL_KEY for key, _ in shop.entries()) == published, "each event is in the log, once"


def tick_untimely(shop: Shop, number: int, of: int) -> None:
    """Time passes though not everything before may be in the log: what came of it must still be the core's."""
    as_of = at(0) + timedelta(weeks=WEEKS) * (number + 1) / of
    shop.control(logged.encode(logged.Tick(as_of=as_of)), "Tick")


def is_at_work(worker: Process) -> bool:
    return worker.metric("wafa_assigned_partitions{") > 0 and worker.metric('wafa_worker_state{state="running"}') == 1


def has_committed_since(worker: Process, seen: float) -> bool:
    return worker.metric("wafa_commits_total{") > seen or not is_at_work(worker)


@pytest.mark.timeout(1800)
def test_a_worker_stopped_beyond_its_session_wakes_to_find_its_work_done_and_doubles_nothing(
    shop: Shop,
    long: bool,  # noqa: FBT001
) -> None:
    rounds = 10 if long else 1
    pieces = chunks(60 * rounds, 3 * rounds, seed=3)
    pair = [shop.start(WAFA_WORKER_BATCH_RECORDS_MAX="20") for _ in range(2)]
    for number in range(rounds):
        fall_behind(shop, pair[number % 2], pair[1 - number % 2], pieces)
        tick_untimely(shop, number, rounds)
    check(shop)


def fall_behind(shop: Shop, zombie: Process, other: Process, pieces: Iterator[list[Event]]) -> None:
    """Stop a worker in the middle of a transaction, let the other take over, and wake it."""
    shop.wait(lambda: is_at_work(zombie) and is_at_work(other), "both work")
    seen = zombie.metric("wafa_commits_total{")
    shop.publish(next(pieces))
    shop.wait(lambda: zombie.metric("wafa_commits_total{") > seen, "it is in the middle of it", 30)
    zombie.send(signal.SIGSTOP)
    shop.publish(next(pieces))
    shop.wait_until_done()  # the other one does the zombie's part too
    assert other.metric("wafa_assigned_partitions{") == INPUT_PARTITIONS
    zombie.send(signal.SIGCONT)
    shop.publish(next(pieces))
    shop.wait_until_done()
    shop.wait(lambda: is_at_work(zombie), "the zombie is a worker again")
