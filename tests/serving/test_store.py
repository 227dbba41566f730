"""One batch into Redis, against a model of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from confluent_kafka import Message
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline import topics
from pipeline.local.valkey import ValkeyServer
from pipeline.serving.changes import Changes
from pipeline.serving.keys import CUSTOMER_TRIGGERS_DAYS, RECENT_TRIGGERS_MAX, REPUTATION_DAYS_MAX, Keys
from pipeline.serving.read import Views
from pipeline.serving.store import BeginAgain, Store
from pipeline.settings import Settings, load
from tests.serving.conftest import view_document

PLACE = ("profiles", 0)
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


@pytest.fixture
def here(valkey: ValkeyServer, request: pytest.FixtureRequest) -> Settings:
    return load(redis_url=valkey.url, redis_key_prefix=f"{request.node.name}:")


def record(topic: topics.Topic, key: str, value: bytes | None, *, at_ms: int = NOW_MS, **headers: str) -> Message:
    return Message(
        topic=topic.name, partition=0, offset=0, key=key.encode(), value=value, timestamp=(1, at_ms),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )  # fmt: skip


def trigger(customer_id: str, trigger_id: str, *, at_ms: int) -> Message:
    return record(
        topics.TRIGGERS, customer_id, b"{}", at_ms=at_ms, ce_id=trigger_id, ce_type="t", ce_source="wafa", ce_time="-"
    )


def batch(here: Settings, records: Sequence[tuple[topics.Topic, Message]]) -> Changes:
    changes = Changes(Keys(here.redis_key_prefix))
    for topic, message in records:
        changes.take(topic, message)
    return changes


def write(here: Settings, *records: tuple[topics.Topic, Message], generation: str = "g") -> None:
    store = Store(here)
    store.begin(generation, [PLACE])
    store.write(batch(here, records), now_ms=NOW_MS, is_level=True)
    store.close()


customers = st.sampled_from(["a", "b"])
views = st.tuples(customers, st.integers(0, 5), st.sampled_from(["basic", "bonded"]))
tombstones = st.tuples(customers, st.none(), st.none())


@given(batches=st.lists(st.lists(st.one_of(views, views, tombstones), max_size=6), max_size=6))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_whatever_comes_the_newest_view_stands_and_everybody_is_counted_once(
    here: Settings, batches: list[list[tuple[str, int | None, str | None]]]
) -> None:
    model: dict[str, tuple[int, str]] = {}
    store = Store(here)
    store._drop_views()
    store.begin("g", [PLACE])
    for number, changes in enumerate(batches):
        records = []
        for customer_id, offset, stage in changes:
            if offset is None or stage is None:
                model.pop(customer_id, None)
                records.append((topics.PROFILES, record(topics.PROFILES, customer_id, None)))
                continue
            if customer_id not in model or offset >= model[customer_id][0]:
                model[customer_id] = (offset, stage)
            document = view_document(customer_id, offset, stage=stage)
            records.append((topics.PROFILES, record(topics.PROFILES, customer_id, document)))
        built = batch(here, records)
        built.next_offsets[PLACE] = number + 1
        store.write(built, now_ms=NOW_MS, is_level=False)
    store.close()
    with Views(here) as reader:
        got = {customer: reader.profile(customer) for customer in ("a", "b")}
        counts = reader.stage_counts()
    assert {c: (d["offset"], d["stage"]) for c, d in got.items() if d is not None} == model
    assert {stage: cells["active"] for stage, cells in counts.items()} == dict(Counter(s for _, s in model.values()))


def test_a_batch_for_another_generation_or_from_other_positions_writes_nothing(here: Settings) -> None:
    mine, other = Store(here), Store(here)
    mine.begin("g", [PLACE])
    other.begin("g", [PLACE])
    step = batch(here, [(topics.PROFILES, record(topics.PROFILES, "ada", view_document("ada", 1)))])
    step.next_offsets[PLACE] = 10
    mine.write(step, now_ms=NOW_MS, is_level=True)
    late = batch(here, [(topics.PROFILES, record(topics.PROFILES, "ada", view_document("ada", 2)))])
    late.next_offsets[PLACE] = 5
    with pytest.raises(BeginAgain, match="other positions"):
        other.write(late, now_ms=NOW_MS, is_level=True)
    assert other.begin("g", [PLACE]) == {PLACE: 10}
    assert other.begin("h", [PLACE]) == {PLACE: None}
    with pytest.raises(BeginAgain, match="another generation"):
        mine.write(late, now_ms=NOW_MS, is_level=True)
    with Views(here) as views:
        assert views.profile("ada") is None
    mine.close()
    other.close()


def test_a_trigger_read_after_its_customers_end_or_older_than_kept_is_not_kept(here: Settings) -> None:
    old_ms = NOW_MS - CUSTOMER_TRIGGERS_DAYS * DAY_MS
    write(
        here,
        (topics.PROFILES, record(topics.PROFILES, "gone/1", None)),
        (topics.TRIGGERS, trigger("gone/1", "t1", at_ms=NOW_MS)),
        (topics.TRIGGERS, trigger("ada", "t2", at_ms=old_ms)),
        (topics.TRIGGERS, trigger("ada", "t3", at_ms=old_ms + 60_000)),
        (topics.TRIGGERS, trigger("leaves/1", "t4", at_ms=NOW_MS)),
        (topics.PROFILES, record(topics.PROFILES, "leaves/1", None)),
    )
    with Views(here) as views:
        assert [event["id"] for event in views.recent_triggers(10)] == ["t3"]
        assert views.triggers_of("gone/1") == views.triggers_of("leaves/1") == []


def test_lists_stay_within_their_bounds(here: Settings) -> None:
    write(
        here,
        *((topics.TRIGGERS, trigger(f"c{n}", f"t{n}", at_ms=NOW_MS + n)) for n in range(RECENT_TRIGGERS_MAX + 50)),
        *(
            (topics.REPUTATION, record(topics.REPUTATION, f"{2000 + n // 12}-{n % 12 + 1:02d}-01/x", b"_" * 9 + b"{}"))
            for n in range(REPUTATION_DAYS_MAX + 9)
        ),
    )
    with Views(here) as views:
        recent = views.recent_triggers(10_000)
        assert (len(recent), recent[0]["id"]) == (RECENT_TRIGGERS_MAX, f"t{RECENT_TRIGGERS_MAX + 49}")
        assert len(views.reputation(10_000)) == REPUTATION_DAYS_MAX


def test_a_reputation_tombstone_takes_the_platform_and_then_the_day(here: Settings) -> None:
    day = "2026-01-01"
    document = b"_" * 9 + json.dumps({"day": day}).encode()
    write(
        here,
        (topics.REPUTATION, record(topics.REPUTATION, f"{day}/x", document)),
        (topics.REPUTATION, record(topics.REPUTATION, f"{day}/y", document)),
        (topics.REPUTATION, record(topics.REPUTATION, f"{day}/x", None)),
    )
    with Views(here) as views:
        assert views.reputation() == [{"day": day}]
        write(here, (topics.REPUTATION, record(topics.REPUTATION, f"{day}/y", None)))
        assert views.reputation() == []


def test_dropping_views_leaves_what_others_keep_under_the_same_prefix(here: Settings) -> None:
    store = Store(here)
    other = f"{here.redis_key_prefix}somebody-elses"
    store._redis.set(other, "kept")
    write(here, (topics.PROFILES, record(topics.PROFILES, "ada", view_document("ada", 1))))
    store.begin("another", [PLACE])
    assert store._redis.get(other) == b"kept"
    assert store._redis.get(Keys(here.redis_key_prefix).profile("ada")) is None
    store.close()
