"""From Kafka to Redis: what is shown, and what it takes to be wrong (nothing here does)."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer

from pipeline import metrics, topics
from pipeline.admin import Admin
from pipeline.engine.changelog import POSITION_KEY, frame
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.kafka import KafkaServer, run_kafka
from pipeline.local.valkey import ValkeyServer, run_valkey
from pipeline.serving.keys import CUSTOMER_TRIGGERS_MAX, Keys
from pipeline.serving.read import RedisUnreachable, Views
from pipeline.settings import Settings, load
from tests.admin.test_admin import AnotherClient
from tests.serving.conftest import Publisher, following, settings_of, until, view_document


def shown(settings: Settings, customer_id: str) -> int | None:
    """The offset of the customer's view in Redis."""
    with Views(settings) as views:
        document = views.profile(customer_id)
    return None if document is None else document["offset"]


def test_a_view_is_shown_as_it_was_published_and_counted_in_its_stage(settings: Settings, publisher: Publisher) -> None:
    document = publisher.view("ada", 7, stage="bonded", lifecycle="active")
    publisher.view("bob", 3, stage="basic", lifecycle="prospect")
    publisher.view("cyd", 4, stage="basic", lifecycle="prospect")
    publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: views.stage_counts() == {"bonded": {"active": 1}, "basic": {"prospect": 2}})
        assert views.profile("ada") == json.loads(document)
        assert views.profile("nobody") is None


def test_a_customer_who_moves_is_counted_once_where_they_are(settings: Settings, publisher: Publisher) -> None:
    for offset, stage in enumerate(("exploratory", "basic", "collaborative", "collaborative")):
        publisher.view("ada", offset, stage=stage)
    publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: shown(settings, "ada") == 3)
        assert views.stage_counts() == {"collaborative": {"active": 1}}


def test_an_older_view_that_comes_late_changes_nothing(settings: Settings, publisher: Publisher) -> None:
    publisher.view("ada", 9, stage="bonded")
    publisher.view("ada", 4, stage="basic")
    publisher.view("zoe", 1)
    publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: views.state().level_at_ms is not None)
        assert shown(settings, "ada") == 9
        assert views.stage_counts() == {"bonded": {"active": 1}, "basic": {"active": 1}}


def test_a_tombstone_takes_view_triggers_and_count_away(settings: Settings, publisher: Publisher) -> None:
    publisher.view("ada", 1)
    publisher.trigger("ada", "t1")
    publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: shown(settings, "ada") == 1 and bool(views.triggers_of("ada")))
        publisher.send(topics.PROFILES, "ada", None)
        publisher.flush()
        until(lambda: views.profile("ada") is None)
        assert views.triggers_of("ada") == views.recent_triggers() == []
        assert views.stage_counts() == {}


def test_triggers_come_newest_first_bounded_for_each_customer(settings: Settings, publisher: Publisher) -> None:
    ids = [f"t{n:02d}" for n in range(CUSTOMER_TRIGGERS_MAX + 5)]
    for trigger_id in ids:
        publisher.trigger("ada", trigger_id)
        publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: len(views.recent_triggers(100)) == len(ids))
        assert [event["id"] for event in views.triggers_of("ada")] == ids[:-21:-1]
        latest = views.recent_triggers(1)[0]
        assert (latest["type"], latest["subject"], latest["data"]["rule"]) == ("crm.win-back.v1", "ada", "win_back")


def test_reputation_comes_by_day_and_platform_without_the_engines_own_entries(
    settings: Settings, publisher: Publisher
) -> None:
    for day, platform, mentions in (("2026-01-01", "x", 1), ("2026-01-02", "x", 2), ("2026-01-02", "mastodon", 3)):
        document = json.dumps({"day": day, "platform": platform, "mentions": mentions}).encode()
        publisher.send(topics.REPUTATION, f"{day}/{platform}", frame(document, 1))
    publisher.send(topics.REPUTATION, POSITION_KEY.decode(), b'{"version": 1}')
    publisher.flush()
    with following(settings), Views(settings) as views:
        until(lambda: len(views.reputation()) == 3)
        assert [(day["platform"], day["mentions"]) for day in views.reputation(1)] == [("mastodon", 3), ("x", 2)]


def test_what_a_transaction_took_back_is_never_shown(settings: Settings) -> None:
    producer = Producer({**librdkafka_config(settings), "transactional.id": f"{settings.worker_app_id}-t"})
    producer.init_transactions(20)
    for offset, ends in enumerate((producer.commit_transaction, producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(settings.topic("profiles.v1"), key=b"ada", value=view_document("ada", offset), partition=0)
        ends(20)
    with following(settings) as feed, Views(settings) as views:
        until(lambda: views.state().level_at_ms is not None)
        assert shown(settings, "ada") == 0
        assert feed.staleness_seconds() == 0


def test_a_record_that_is_no_view_is_passed_over_and_counted(settings: Settings, publisher: Publisher) -> None:
    unreadable = metrics.VIEWS_WRITTEN.labels(view="profile", outcome="unreadable")
    before = unreadable._value.get()
    publisher.send(topics.PROFILES, "ada", b"not JSON")
    publisher.send(topics.PROFILES, "ada", b'{"partition": "3"}')
    publisher.view("ada", 5)
    publisher.flush()
    with following(settings):
        until(lambda: shown(settings, "ada") == 5)
    assert unreadable._value.get() - before == 2


def everything(settings: Settings) -> dict[str, object]:
    """All that Redis shows, for comparison."""
    client = redis.Redis.from_url(settings.redis_url)
    keys = sorted(
        key for key in client.scan_iter(f"{settings.redis_key_prefix}*") if not key.endswith((b"meta", b"gone"))
    )
    found: dict[str, object] = {}
    for key in keys:
        kind = client.type(key)
        found[key.decode()] = (
            client.get(key) if kind == b"string"
            else client.hgetall(key) if kind == b"hash"
            else client.zrange(key, 0, -1, withscores=True)
        )  # fmt: skip
    client.close()
    return found


def some_of_everything(publisher: Publisher) -> None:
    for n in range(300):
        publisher.view(f"c{n % 40}", n, stage=("basic", "bonded")[n % 3 == 0], lifecycle=("new", "active")[n % 2])
    for n in range(30):
        publisher.trigger(f"c{n % 7}", f"t{n}")
    publisher.send(topics.PROFILES, "c3", None)
    publisher.flush()


def until_level(settings: Settings, *, after_ms: int = 0) -> None:
    with Views(settings) as views:
        until(lambda: (views.state().level_at_ms or 0) > after_ms)


def test_reading_everything_again_changes_nothing(settings: Settings, publisher: Publisher) -> None:
    some_of_everything(publisher)
    with following(settings), Views(settings) as views:
        until_level(settings)
        once = everything(settings)
        assert sum(sum(stage.values()) for stage in views.stage_counts().values()) == 39
        at_ms = views.state().level_at_ms or 0
        client = redis.Redis.from_url(settings.redis_url)
        client.delete(Keys(settings.redis_key_prefix).positions)
        client.close()
        until_level(settings, after_ms=at_ms + 2500)
        assert everything(settings) == once


def test_a_redis_restored_from_an_older_snapshot_catches_up(settings: Settings, publisher: Publisher) -> None:
    some_of_everything(publisher)
    client = redis.Redis.from_url(settings.redis_url)
    keys = Keys(settings.redis_key_prefix)
    with following(settings):
        until_level(settings)
        snapshot = {key: client.dump(key) for key in client.scan_iter(f"{settings.redis_key_prefix}*")}
        for n in range(40):
            publisher.view(f"c{n}", 1000 + n, stage="collaborative")
        publisher.flush()
        until(lambda: client.hgetall(keys.population) == {b"collaborative/active": b"40"})  # all, on every partition
        expected = everything(settings)

        pipe = client.pipeline(transaction=True)
        pipe.delete(*client.scan_iter(f"{settings.redis_key_prefix}*"))
        for key, dump in snapshot.items():
            assert isinstance(dump, bytes)
            pipe.restore(key, 0, dump, replace=True)
        pipe.execute()

        until(lambda: client.hget(keys.population, "collaborative/active") == b"40")
        assert everything(settings) == expected
    client.close()


def test_two_feeds_at_once_do_no_harm(settings: Settings, publisher: Publisher) -> None:
    with following(settings), following(settings), Views(settings) as views:
        some_of_everything(publisher)
        until(lambda: shown(settings, "c19") == 299)
        until(lambda: sum(sum(stage.values()) for stage in views.stage_counts().values()) == 39)
        assert views.profile("c3") is None


def test_topics_made_anew_are_shown_from_their_start(settings: Settings, publisher: Publisher) -> None:
    publisher.view("ada", 900)
    publisher.view("old", 901)
    publisher.flush()
    with following(settings):
        until(lambda: shown(settings, "old") == 901)
        AnotherClient(settings).delete(settings.topic("profiles.v1"))
        with Admin(settings) as admin:
            until(lambda: admin.create_topics((topics.PROFILES,))[0].outcome in ("created", "right"))
        another = Publisher(settings)
        another.view("ada", 1)
        another.flush()
        until(lambda: shown(settings, "ada") == 1 and shown(settings, "old") is None)


def reasons(feed: object) -> str:
    """Why the feed says it is not ready; empty when it is."""
    is_ready, why = feed.probes.ready()
    assert is_ready is (not why)
    return "; ".join(why)


def test_a_valkey_killed_and_back_empty_is_filled_again(kafka: KafkaServer, tmp_path: Path) -> None:
    with run_valkey(tmp_path) as valkey:
        settings = settings_of("killed-empty", kafka, valkey)
        publisher = Publisher(settings)
        some_of_everything(publisher)
        with following(settings) as feed:
            until_level(settings)
            expected = everything(settings)
            valkey.kill()
            for aof in valkey.folder.glob("append*"):
                shutil.rmtree(aof) if aof.is_dir() else aof.unlink()
            valkey.start()
            until(lambda: bool(everything(settings)))
            until_level(settings)
            assert everything(settings) == expected
            until(lambda: reasons(feed) == "")


def test_a_valkey_that_is_away_is_waited_for_with_nothing_buffered_and_then_caught_up(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    with run_valkey(tmp_path) as valkey:
        settings = settings_of("away", kafka, valkey)
        publisher = Publisher(settings)
        publisher.view("ada", 1)
        publisher.flush()
        with following(settings) as feed:
            until(lambda: shown(settings, "ada") == 1)
            errors = sum(metrics.REDIS_ERRORS.labels(op=op)._value.get() for op in ("write", "positions"))
            valkey.kill()
            with pytest.raises(RedisUnreachable, match=f"127.0.0.1:{valkey.port}"):
                shown(settings, "ada")
            for n in range(2000):
                publisher.view(f"c{n % 100}", n)
            publisher.flush()
            until(lambda: f"127.0.0.1:{valkey.port}" in reasons(feed))
            until(lambda: feed._consumer.assignment() == [])
            assert feed.staleness_seconds() > 0
            assert feed.probes.live() == (True, [])
            assert sum(metrics.REDIS_ERRORS.labels(op=op)._value.get() for op in ("write", "positions")) > errors
            valkey.start()
            until(lambda: shown(settings, "c99") == 1999)
            until(lambda: reasons(feed) == "")


def test_a_kafka_that_is_away_is_waited_for(valkey: ValkeyServer, tmp_path: Path, jar_cache: Path) -> None:
    with run_kafka(tmp_path, cache=jar_cache) as kafka:
        settings = settings_of("kafka-away", kafka, valkey)
        publisher = Publisher(settings)
        publisher.view("ada", 1)
        publisher.flush()
        with following(settings) as feed:
            until(lambda: shown(settings, "ada") == 1)
            kafka.kill()
            until(lambda: kafka.bootstrap_servers in reasons(feed))
            kafka.start()
            publisher.view("ada", 2)
            publisher.flush()
            until(lambda: shown(settings, "ada") == 2)
            until(lambda: reasons(feed) == "")


def test_a_password_is_never_in_what_the_reader_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        Views(load(redis_url=f"redis://me:secret@127.0.0.1:{port}/3")) as views,
        pytest.raises(RedisUnreachable, match=f"Redis at redis://127.0.0.1:{port}/3: ") as raised,
    ):
        views.stage_counts()
    assert "secret" not in str(raised.value)
