"""Workers that die, and workers that come back from the dead, under load: every effect once, none lost."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from pipeline import topics
from pipeline.schemas import logged
from tests.faults.four_ways import armed, check, stored
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


@pytest.mark.timeout(3600)
def test_three_workers_under_load_and_kill_9_again_and_again(shop: Shop, long: bool) -> None:  # noqa: FBT001 - a fixture
    kills = 200 if long else 4
    draw = random.Random(kills)
    told = [
        {"WAFA_WORKER_BATCH_RECORDS_MAX": "50", "WAFA_STORE_STANDBY": "yes", "WAFA_STORE_DIR": str(shop.folder / kind)}
        | stored(kind)
        for kind in ("disk", "snapshot", "memory")  # the short form kills the first two
    ]
    workers = [armed(shop, **each) for each in told]
    for number, events in enumerate(chunks(400 if long else 60, kills, seed=2)):
        victim = draw.randrange(3)
        if draw.random() < 0.6:  # else it dies as it starts, or in a rebalance
            shop.wait(lambda: is_at_work(workers[victim]), "the next victim is at work")  # noqa: B023 - called at once
        shop.publish(events)
        tick_untimely(shop, number, kills)
        if draw.random() < 0.5:
            seen = workers[victim].metric("wafa_commits_total{")
            shop.wait(lambda: has_committed_since(workers[victim], seen), "it is in the middle of it", 30)  # noqa: B023 - called before the loop goes on
        workers[victim].kill()
        workers[victim] = armed(shop, **told[victim])  # with what the dead one kept
    close_season(shop)
    check(shop)


def tick_untimely(shop: Shop, number: int, of: int) -> None:
    """Time passes though not everything before may be in the log: what came of it must still be the core's."""
    as_of = at(0) + timedelta(weeks=WEEKS) * (number + 1) / of
    shop.control(logged.encode(logged.Tick(as_of=as_of)), "Tick")


def open_shop(shop: Shop) -> None:
    """The first Tick is in the log: from here on events are decided upon."""
    tick_untimely(shop, -1, 1)
    shop.wait_until_done()


def close_season(shop: Shop) -> None:
    """Ticks when everything is in the log: whatever came too late before, those silent since have their offers."""
    for week in range(WEEKS, WEEKS + 10):
        shop.tick(at(7 * week + 1))


def is_at_work(worker: Process) -> bool:
    return worker.metric("wafa_assigned_partitions{") > 0 and worker.metric('wafa_worker_state{state="running"}') == 1


def has_committed_since(worker: Process, seen: float) -> bool:
    return worker.metric("wafa_commits_total{") > seen or not is_at_work(worker)


@pytest.mark.timeout(1800)
def test_a_worker_stopped_beyond_its_session_wakes_to_find_its_work_done_and_doubles_nothing(
    shop: Shop,
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    rounds = 10 if long else 1
    pieces = chunks(60 * rounds, 3 * rounds, seed=3)
    pair = [armed(shop, WAFA_WORKER_BATCH_RECORDS_MAX="20", **stored(kind)) for kind in ("disk", "memory")]
    for number in range(rounds):
        fall_behind(shop, pair[number % 2], pair[1 - number % 2], pieces)
        tick_untimely(shop, number, rounds)
    close_season(shop)
    check(shop)


def fall_behind(shop: Shop, zombie: Process, other: Process, pieces: Iterator[list[Event]]) -> None:
    """Stop a worker in the middle of its work, let the other take over, and wake it."""
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


def test_the_partitions_of_a_killed_worker_go_on_elsewhere_within_seconds(
    shop: Shop, record_property: pytest.RecordProperty, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the session and the heartbeat as they are by default. From `kill -9` until every source goes on."""
    default = {"WAFA_KAFKA_SESSION_TIMEOUT_SECONDS": "6", "WAFA_KAFKA_HEARTBEAT_SECONDS": "1.5"}
    victim, other = armed(shop, **default), armed(shop, **default)
    shop.wait(lambda: is_at_work(victim) and is_at_work(other), "both work")
    open_shop(shop)
    pieces = chunks(20, 2, seed=5)
    shop.publish(next(pieces))
    shop.wait_until_done()
    victim.kill()
    killed_at = time.monotonic()
    shop.publish(next(pieces))
    shop.wait_until_drained(topics.SOURCES)  # of either worker's partitions a batch or two
    seconds = time.monotonic() - killed_at
    shop.wait_until_done()
    done = time.monotonic() - killed_at
    record_property("failover_seconds", round(seconds, 1))
    with capsys.disabled():
        sys.stdout.write(
            f"\nfailover: every source goes on {seconds:.1f} s after kill -9, all is done after {done:.1f} s\n"
        )
    assert seconds < 10
    close_season(shop)
    check(shop)


def test_a_worker_with_a_name_of_its_own_restarts_and_nobody_else_notices(shop: Shop) -> None:
    """Static membership. The others' partitions do not move, and the one that restarts finds its own again."""
    session = {"WAFA_KAFKA_SESSION_TIMEOUT_SECONDS": "30"}
    first, second = (armed(shop, WAFA_WORKER_INSTANCE_ID=f"w{n}", **session) for n in (1, 2))
    shop.wait(
        lambda: is_at_work(first) and is_at_work(second) and second.get("/readyz")[0] == 200, "both work and are ready"
    )
    open_shop(shop)
    pieces = chunks(30, 3, seed=6)
    shop.publish(next(pieces))
    shop.wait_until_done()
    before = (first.metric("wafa_assigned_partitions{"), second.metric("wafa_assigned_partitions{"))
    rebalances = second.metric("wafa_rebalances_total")
    assert first.end() == 0
    shop.publish(next(pieces))
    first = armed(shop, WAFA_WORKER_INSTANCE_ID="w1", **session)
    shop.wait_until_done()
    first.kill()
    shop.publish(next(pieces))
    first = armed(shop, WAFA_WORKER_INSTANCE_ID="w1", **session)
    shop.wait_until_done()
    assert second.metric("wafa_rebalances_total") == rebalances
    shop.wait(lambda: first.metric("wafa_assigned_partitions{") == before[0], "it has its own again")
    assert second.metric("wafa_assigned_partitions{") == before[1]
    close_season(shop)
    check(shop)
