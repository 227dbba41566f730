"""A slow network, a silent one, one that cuts: the worker waits, says so, goes on by itself, and doubles nothing."""

from __future__ import annotations

from pathlib import Path

from pipeline.local.valkey import ValkeyServer
from tests.engine.job import Job
from tests.faults.four_ways import armed, check
from tests.faults.proxy import Proxy, broker_behind
from tests.faults.test_workers import chunks, close_season, open_shop
from tests.pipeline.shop import Shop

ROUNDS = 4


def test_slow_cut_and_silent_connections_lose_and_double_nothing(
    valkey: ValkeyServer, tmp_path: Path, jar_cache: Path
) -> None:
    """The worker knows the broker's far door alone; the test publishes and reads at the near one."""
    with broker_behind(tmp_path / "kafka", jar_cache) as (broker, proxy):
        shop = Shop(broker.bootstrap_servers, valkey.url, tmp_path)
        try:
            shop.create()
            told = {"WAFA_WORKER_BATCH_RECORDS_MAX": "20", "WAFA_WORKER_STALL_SECONDS": "10"}
            worker = armed(shop, WAFA_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{proxy.port}", **told)
            shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready")
            open_shop(shop)
            pieces = list(chunks(40, ROUNDS, seed=7))

            proxy.delay_seconds = 0.05  # there and back
            shop.publish(pieces[0])
            shop.wait_until_done()
            proxy.delay_seconds = 0.0

            in_the_middle(shop, proxy, pieces[1])
            proxy.cut()
            shop.wait_until_done()

            proxy.fall_silent()
            shop.wait(
                lambda: any("Kafka has not answered" in why for why in worker.reasons("/readyz")),
                "idle as it is, it says that Kafka is away",
                25,
            )
            shop.publish(pieces[2])
            assert worker.get("/livez")[0] == 200, "for longer than a stall may last, and yet no reason to end"
            shop.wait(lambda: worker.metric("wafa_kafka_silent_seconds") > 12, "longer than a stall", 25)
            assert worker.get("/livez")[0] == 200, "and still none"
            proxy.cut()  # as a firewall that forgot its connections does, once somebody sends
            proxy.flow()
            shop.publish(pieces[3])
            shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready again, without anybody's help")
            close_season(shop)
            check(shop)
            assert worker.popen.poll() is None
        finally:
            shop.stop()


def in_the_middle(shop: Shop, proxy: Proxy, events: list[dict[str, object]]) -> None:
    """Publish, and return once the worker, the only one, is at it."""
    passed = proxy.passed_bytes
    shop.begin(events)
    assert proxy.passed_bytes > passed, "it works through the proxy"


def test_a_worker_cut_off_alone_is_replaced_and_fenced_when_it_comes_back(tmp_path: Path, jar_cache: Path) -> None:
    """A network's zombie: it runs all the while, hears nothing, and another has its partitions meanwhile."""
    with broker_behind(tmp_path / "kafka", jar_cache) as (broker, proxy):
        job = Job(broker.bootstrap_servers, tmp_path / "job")
        job.create()
        try:
            job.publish(10_000)
            job.start(batch=100, bootstrap=f"127.0.0.1:{proxy.port}")
            job.wait(lambda: job.reached() > 0, "the first worker works")
            proxy.fall_silent()
            reader = job.watch()
            job.start()
            job.publish(5_000)
            job.wait_until_done()
            job.wait(lambda: reader.count > 0, "a reader reads on")
            proxy.flow()  # whatever it sent, and did not know the fate of, arrives now
            job.publish(5_000)
            job.wait_until_done()
            job.check()
        finally:
            job.stop()


def test_told_to_end_with_the_broker_away_it_ends_within_its_grace(
    valkey: ValkeyServer,
    tmp_path: Path,
    jar_cache: Path,
    long: bool,  # noqa: FBT001 - a fixture
) -> None:
    grace = 4.0
    with broker_behind(tmp_path / "kafka", jar_cache) as (broker, proxy):
        shop = Shop(broker.bootstrap_servers, valkey.url, tmp_path)
        try:
            shop.create()
            told = {"WAFA_WORKER_GRACE_SECONDS": str(grace), "WAFA_WORKER_BATCH_RECORDS_MAX": "20"}
            worker = armed(shop, WAFA_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{proxy.port}", **told)
            open_shop(shop)
            pieces = list(chunks(40, 2, seed=8))
            in_the_middle(shop, proxy, pieces[0])
            proxy.fall_silent()
            assert worker.end(seconds=grace + 3) == 3, worker.log()
            assert "ended_in_the_middle" in worker.log()
            proxy.cut()
            proxy.flow()

            worker = armed(shop, **told)
            shop.begin(pieces[1])
            if long:
                broker.kill()
                assert worker.end(seconds=grace + 3) in (0, 3), worker.log()
                broker.start()
                armed(shop)
            close_season(shop)
            check(shop)
        finally:
            shop.stop()
