"""A worker that can do nothing more ends itself. That one which only waits for Kafka does not: `test_network.py`."""

from __future__ import annotations

import json

from tests.faults.four_ways import armed, check
from tests.faults.test_workers import chunks, close_season, open_shop
from tests.pipeline.shop import Shop


def stalled(shop: Shop, strike: str, *, seed: int) -> list[str]:
    """What a worker struck so says it stands still with, as it ends itself; another has then done all its work."""
    first = armed(shop)
    open_shop(shop)
    assert first.end() == 0
    struck = armed(shop, FAULTS_STRIKE=strike, WAFA_WORKER_STALL_SECONDS="5")
    events, more = chunks(30, 2, seed=seed)
    shop.publish(events)
    assert struck.popen.wait(60) == 70
    (said,) = [json.loads(line) for line in struck.log().splitlines() if '"stalled"' in line]
    armed(shop)
    shop.publish(more)
    close_season(shop)
    check(shop)
    tasks: list[str] = said["tasks"]
    return tasks


def test_a_worker_whose_processor_blocks_ends_itself_and_another_does_its_work(shop: Shop) -> None:
    assert "event loop" in " ".join(stalled(shop, "fetched:3:BLOCK", seed=9))


def test_a_worker_that_fails_and_recovers_again_and_again_ends_itself_says_why_and_another_does_its_work(
    shop: Shop,
) -> None:
    tasks = stalled(shop, "stepped:3:RAISE", seed=10)
    assert tasks
    assert all("RuntimeError: struck at stepped" in said for said in tasks)
