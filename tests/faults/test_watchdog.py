"""A worker that can do nothing more ends itself. That one which only waits for Kafka does not: `test_network.py`."""

from __future__ import annotations

import json

from tests.faults.four_ways import armed, check
from tests.faults.test_workers import chunks, close_season, open_shop
from tests.pipeline.shop import Shop


def test_a_worker_whose_processor_blocks_ends_itself_and_another_does_its_work(shop: Shop) -> None:
    first = armed(shop)
    open_shop(shop)
    assert first.end() == 0
    blocked = armed(shop, FAULTS_STRIKE="fetched:3:BLOCK", WAFA_WORKER_STALL_SECONDS="5")
    events, more = chunks(30, 2, seed=9)
    shop.publish(events)
    assert blocked.popen.wait(60) == 70
    said = [json.loads(line) for line in blocked.log().splitlines() if '"stalled"' in line]
    assert ["event loop" in " ".join(line["tasks"]) for line in said] == [True]
    armed(shop)
    shop.publish(more)
    close_season(shop)
    check(shop)


def test_a_worker_that_fails_and_recovers_again_and_again_ends_itself_says_why_and_another_does_its_work(
    shop: Shop,
) -> None:
    first = armed(shop)
    open_shop(shop)
    assert first.end() == 0
    failing = armed(shop, FAULTS_STRIKE="stepped:3:RAISE", WAFA_WORKER_STALL_SECONDS="5")
    events, more = chunks(30, 2, seed=10)
    shop.publish(events)
    assert failing.popen.wait(60) == 70
    (stalled,) = [json.loads(line) for line in failing.log().splitlines() if '"stalled"' in line]
    assert all("RuntimeError: struck at stepped" in said for said in stalled["tasks"])
    armed(shop)
    shop.publish(more)
    close_season(shop)
    check(shop)
