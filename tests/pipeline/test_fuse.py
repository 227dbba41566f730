"""A publisher's bad deploy: its source stops before all it says is refused, the rest goes on, and it is said how.

The default window is 200 records, more than half of which must be refused.
"""

from __future__ import annotations

import time

from pipeline import topics
from pipeline.inquiry import customer_ids
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Process, Shop, at


def total(worker: Process, name: str, label: str) -> float:
    """A gauge's sum over the series that have this label."""
    _, text = worker.get("/metrics")
    lines = [line for line in text.splitlines() if line.startswith(name + "{") and label in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_a_source_mostly_refused_stops_alone_says_how_to_go_on_and_goes_on_when_told_so(shop: Shop) -> None:
    began_at = time.time()
    worker = shop.start()
    shop.publish([*person(1), order("before", 1, 1)])
    shop.wait_until_done()
    for _ in range(300):
        shop.publish_raw("purchases.v1", b"since the last deploy", key=b"one partition")
    assert shop.producer.flush(20) == 0
    shop.wait(lambda: worker.metric('wafa_fuse_open{topic="purchases.v1"}') == 1, "the fuse blows")
    shop.wait(lambda: "purchases.v1" in " ".join(worker.reasons("/readyz")), "readyz says so")
    said = " ".join(worker.reasons("/readyz"))
    assert "held" in said
    assert "wafa redrive" in said
    assert "WAFA_WORKER_FUSE_REFUSED_FRACTION=1" in said
    assert worker.get("/readyz")[0] == 503
    assert worker.get("/livez")[0] == 200
    assert worker.popen.poll() is None
    at_stop = len(shop.dead_letters())
    assert at_stop >= 200

    # more of the same is not even read; other sources go on
    for _ in range(100):
        shop.publish_raw("purchases.v1", b"since the last deploy", key=b"one partition")
    ticket = {"ticket_id": "t1", "kind": "complaint", "severity": 2}
    shop.publish([event("TicketOpened", 1, at(2), customer_id="c1", **ticket)])
    shop.publish([event("CustomerIdentified", "after", at(2), customer_id="after")])
    others = [topic for topic in topics.SOURCES if topic is not topics.PURCHASES]
    shop.wait_until_drained([*others, topics.UNIDENTIFIED_EVENTS, topics.CUSTOMER_EVENTS])
    assert customer_ids(shop.settings, "after")
    # but what waits is counted, and grows older
    published, topic = 1 + 300 + 100, f'topic="{shop.settings.topic("purchases.v1")}"'
    shop.wait(
        lambda: total(worker, "wafa_consumer_lag_records", topic) == published - 1 - at_stop,
        "all that waits is counted",
    )
    shop.wait(lambda: total(worker, "wafa_oldest_unprocessed_age_seconds", topic) > 3, "and grows older")
    assert total(worker, "wafa_oldest_unprocessed_age_seconds", topic) <= time.time() - began_at
    assert len(shop.dead_letters()) == at_stop
    assert worker.get("/livez")[0] == 200
    assert worker.end() == 0

    # as /readyz said: restarted so, everything passes, as dead letters
    again = shop.start(WAFA_WORKER_FUSE_REFUSED_FRACTION="1")
    shop.publish([order("after", 1, 3)])
    shop.wait_until_done()
    assert len(shop.dead_letters()) == 400
    shop.wait(lambda: again.get("/readyz")[0] == 200, "ready")
    assert again.metric("wafa_fuse_open{") == 0
    shop.check()


def test_bad_records_among_many_good_ones_blow_no_fuse(shop: Shop) -> None:
    worker = shop.start(WAFA_WORKER_FUSE_RECORDS_MIN="20")
    for number in range(150):
        shop.publish([order(number, number % 10, 1)])
        if number % 3 == 0:
            shop.publish_raw("purchases.v1", b"now and then")
    shop.wait_until_done()
    assert len(shop.dead_letters()) == 50
    assert worker.metric("wafa_fuse_open{") == 0
    assert worker.get("/readyz")[0] == 200
    shop.check()
