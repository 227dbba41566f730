"""Kafka or Valkey dies under load and comes back: everybody recovers by themselves, and nothing is lost or doubled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import topics
from pipeline.inquiry import scan
from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.local.valkey import ValkeyServer, run_valkey
from pipeline.serving.read import Views
from tests.conftest import QUICK_FAILOVER
from tests.faults.four_ways import armed, check
from tests.faults.test_workers import chunks, close_season, tick_untimely
from tests.pipeline.history import weeks
from tests.pipeline.shop import Shop, at


@pytest.mark.timeout(1800)
def test_a_broker_killed_under_load_is_waited_for_and_the_work_goes_on(
    tmp_path: Path,
    jar_cache: Path,
    valkey: ValkeyServer,
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    kills = 20 if long else 1
    with run_kafka(tmp_path / "kafka", cache=jar_cache, settings=QUICK_FAILOVER) as broker:
        shop = Shop(broker.bootstrap_servers, valkey.url, tmp_path)
        try:
            shop.create()
            worker = armed(shop, WAFA_WORKER_BATCH_RECORDS_MAX="50")
            for number, events in enumerate(chunks(60, kills + 1, seed=4)):
                shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready (again), without anybody's help")
                shop.begin(events)
                tick_untimely(shop, number, kills + 1)
                if number < kills:
                    broker.kill()
                    assert worker.get("/livez")[0] == 200, "a broker that is away is no reason to be restarted"
                    broker.start()
            close_season(shop)
            check(shop)
            assert worker.popen.poll() is None
            assert len(worker.log().splitlines()) < 1_000 * (kills + 1), "it does not repeat itself all the while"
        finally:
            shop.stop()


def latest_profiles(shop: Shop) -> dict[str, Any]:
    """Each customer's latest view, as the topic has it."""
    found = {}
    for record in scan(shop.settings, topics.PROFILES):
        found[(record.key or b"").decode()] = json.loads(record.value or b"null")
    return found


def test_a_valkey_killed_and_back_empty_holds_up_nobody_and_shows_everything_again(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with run_valkey(tmp_path / "valkey") as valkey:
        shop = Shop(kafka.bootstrap_servers, valkey.url, tmp_path)
        try:
            shop.create()
            worker, views = shop.start(), shop.start("views")
            history = list(weeks(50, 14))
            for week, events in enumerate(history[:6]):
                shop.publish(events)
                shop.tick(at(7 * week + 8))
            shop.wait_until_done()
            shop.wait(lambda: is_shown(shop), "the views are there")
            before = len(shop.triggers())

            valkey.kill()
            for week, events in enumerate(history[6:], 6):
                shop.publish(events)
                shop.tick(at(7 * week + 8))
            shop.wait_until_done()
            assert len(shop.triggers()) > before, "triggers go out all the same"
            assert worker.get("/readyz")[0] == 200
            shop.wait(lambda: views.get("/readyz")[0] == 503, "the views say that they are behind")
            assert f"127.0.0.1:{valkey.port}" in " ".join(views.reasons("/readyz"))
            assert views.get("/livez")[0] == 200
            assert views.metric("wafa_redis_errors_total{") > 0
            assert views.metric("wafa_view_staleness_seconds") > 0

            for file in valkey.folder.glob("append*"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
            valkey.start()
            shop.wait(lambda: is_shown(shop), "every view is there again")
            shop.wait(lambda: views.get("/readyz")[0] == 200, "and the views say so")
            with Views(shop.settings) as shown:
                counted = sum(sum(lifecycles.values()) for lifecycles in shown.stage_counts().values())
                assert counted == len(shop.state()) == 50
                sent = {trigger["trigger_id"] for trigger in shop.triggers()}
                shop.wait(lambda: {each["id"] for each in shown.recent_triggers(1_000)} == sent, "every trigger too")
            shop.check()

            views.kill()  # and without its feeder, whatever comes meanwhile is shown by the next one
            shop.tick(at(400))
            shop.wait_until_done()
            shop.start("views")
            shop.wait(lambda: is_shown(shop), "the next one goes on")
        finally:
            shop.stop()


def is_shown(shop: Shop) -> bool:
    """Whether Redis shows each customer as the topic has them, and the topic has each as the state has them."""
    profiles = latest_profiles(shop)
    if profiles.keys() != {key.decode() for key in shop.state()}:
        return False
    with Views(shop.settings) as shown:
        return all(shown.profile(customer) == profile for customer, profile in profiles.items())
