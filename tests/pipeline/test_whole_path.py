"""From the sources to triggers, on a real broker with real workers: what the core says, and nothing else, comes out."""

from __future__ import annotations

import signal
from collections import Counter

from pipeline import topics
from pipeline.admin import WORKER_INPUTS, Admin
from pipeline.inquiry import customer_ids, scan
from tests.pipeline.history import event, order, person, weeks
from tests.pipeline.shop import Shop, at


def live_through(shop: Shop, customers: int, count: int) -> None:
    """Publish the history week by week, each followed by its Tick."""
    for week, events in enumerate(weeks(customers, count)):
        shop.publish(events)
        shop.tick(at(7 * week + 8))


def test_customers_move_through_stages_and_triggers_go_out_as_the_core_says(shop: Shop) -> None:
    shop.start()
    live_through(shop, customers=60, count=20)
    shop.wait_until_done()
    shop.check()
    sent = Counter(trigger["rule"] for trigger in shop.triggers())
    assert sent["retention_offer"] > 5, "silent customers are offered a reason to come back"
    assert sent["feedback_request"] > 5, "buyers are asked how it was"
    ids = [trigger["trigger_id"] for trigger in shop.triggers()]
    assert len(ids) == len(set(ids))
    considered = {decision["trigger_id"] for decision in shop.decisions()}
    last = {decision["trigger_id"]: decision["outcome"] for decision in shop.decisions()}
    assert Counter(last.values()).total() == len(considered)
    assert sum(outcome == "sent" for outcome in last.values()) == len(ids)


def test_what_publishers_say_twice_changes_nothing(shop: Shop) -> None:
    shop.start()
    first, second, *_ = weeks(20, 3)
    for _ in range(2):
        shop.publish([*first, *second])
    shop.tick(at(15))
    shop.tick(at(40))
    shop.wait_until_done()
    shop.check()
    triggers = [trigger["trigger_id"] for trigger in shop.triggers()]
    orders = sum(each["type"] == "OrderCompleted" for each in second)
    assert len(triggers) == len(set(triggers))
    asked = {each["business_key"] for each in shop.decisions() if each["rule"] == "feedback_request"}
    assert len(asked) == orders


def test_one_person_under_all_their_aliases_and_an_event_of_nobody_known_waits_for_them(shop: Shop) -> None:
    shop.start()
    shop.publish([event("EmailClicked", 1, at(1), email="Ann@Example.org ".strip(), email_id="m1")])
    shop.publish([event("MentionPosted", 1, at(1), mention_id="p1", platform="forum", author_handle="nobody", reach=7,
                        text="I love this shop, it is wonderful")])  # fmt: skip
    shop.wait_until_done()
    assert shop.log() == {}, "nobody is known yet, so nobody's log has anything"
    shop.publish(
        [event("CustomerIdentified", 1, at(2), customer_id="ann", email="ann@example.org", phone="+49 30 1234567")]
    )
    shop.wait_until_done()
    shop.publish([order(1, 0, 3) | {"customer_id": None, "phone": "+49301234567"}])
    shop.wait_until_done()
    keys = {key for records in shop.log().values() for key, _ in records}
    kinds = [value for records in shop.log().values() for _, value in records]
    assert len(keys) == 1
    assert sorted(kind.split(b'"type":"')[1].split(b'"')[0] for kind in kinds) == [
        b"CustomerIdentified", b"EmailClicked", b"OrderCompleted",
    ]  # fmt: skip
    assert {
        customer_ids(shop.settings, alias)[0].encode() for alias in ("ann", "ann@example.org", "+49301234567")
    } == keys
    days = [record.value for record in scan(shop.settings, topics.REPUTATION) if record.key and b"forum" in record.key]
    assert len(days) == 1
    assert b'"mentions":1' in days[0]
    assert b'"reach":7' in days[0]
    assert b'"positive":1' in days[0]
    secrets = (b"ann@example.org", b"1234567", b"wonderful", b"nobody")
    for topic in (topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE, topics.PROFILES, topics.MENTIONS, topics.REPUTATION):
        for record in scan(shop.settings, topic):
            assert not any(secret in (record.value or b"") + (record.key or b"") for secret in secrets), topic.name


def test_a_worker_killed_between_two_batches_and_started_again_leaves_every_effect_once(shop: Shop) -> None:
    worker = shop.start(WAFA_WORKER_BATCH_RECORDS_MAX="10")
    history = list(weeks(40, 12))
    for week, events in enumerate(history[:4]):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.begin(history[4])
    worker.send(signal.SIGSTOP)
    shop.publish(history[5])  # so that something is left, however fast it was
    worker.kill()
    assert not shop.is_done(topics.SOURCES), "something it had not done"
    shop.start()
    for week, events in enumerate(history[6:], 6):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    shop.check()
    assert shop.triggers()


def test_two_workers_share_the_partitions_and_hand_them_over(shop: Shop) -> None:
    first = shop.start()
    history = list(weeks(40, 9))
    for week, events in enumerate(history[:3]):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    second = shop.start()
    shop.wait(lambda: second.metric("wafa_assigned_partitions{") >= 10, "the second worker has its share")
    for week, events in enumerate(history[3:6], 3):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    first.popen.send_signal(signal.SIGTERM)
    first.popen.wait(20)
    for week, events in enumerate(history[6:], 6):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    shop.check()
    assert shop.triggers()


def test_doors_and_customers_work_in_processes_of_their_own_and_one_takes_over_from_both(shop: Shop) -> None:
    doors, customers = shop.start(WAFA_WORKER_ROLE="doors"), shop.start(WAFA_WORKER_ROLE="customers")
    history = list(weeks(40, 9))
    for week, events in enumerate(history[:3]):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    customers.popen.send_signal(signal.SIGKILL)
    customers.popen.wait(10)
    customers = shop.start(WAFA_WORKER_ROLE="customers")
    for week, events in enumerate(history[3:6], 3):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    partitions = {topic: topic.partitions for topic in WORKER_INPUTS}
    shop.wait(
        lambda: doors.metric("wafa_assigned_partitions{") == sum(partitions.values()) - 8, "the doors have theirs"
    )
    shop.wait(lambda: customers.metric("wafa_assigned_partitions{") == 8, "the customers have theirs")
    with Admin(shop.settings) as admin:
        shop.wait(lambda: all(each.records == 0 for each in admin.lag()), "lag is told of both halves")
    refused = shop.start()  # in the role of both
    assert refused.popen.wait(40) == 1
    assert "WAFA_WORKER_ROLE=all: expected no worker in another role with the same inputs, got " in refused.log()
    for each in (doors, customers):
        each.popen.send_signal(signal.SIGTERM)
        each.popen.wait(20)
    shop.start()
    for week, events in enumerate(history[6:], 6):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    shop.check()
    assert shop.triggers()


def test_probes_and_metrics_tell_how_it_goes(shop: Shop) -> None:
    worker = shop.start()
    shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready")
    assert worker.get("/startupz")[0] == 200
    assert worker.get("/livez")[0] == 200
    assert worker.get("/anything")[0] == 404
    shop.publish([*person(1), order(1, 1, 1), order(1, 1, 1)])
    shop.publish_raw("purchases.v1", b"not json")
    shop.wait_until_done()
    shop.wait(lambda: worker.metric("wafa_customers{") == 1, "one customer in the gauge")
    assert worker.metric('wafa_events_total{outcome="accepted"') == 4
    assert worker.metric('wafa_events_total{outcome="duplicate"') == 1
    assert worker.metric('wafa_events_total{outcome="refused"') == 1
    assert worker.metric('wafa_dead_letters_total{reason="not_json"') == 1
    assert worker.metric('wafa_commits_total{outcome="committed"') > 0
    assert "c1@example.org" not in worker.get("/metrics")[1] + worker.log()
