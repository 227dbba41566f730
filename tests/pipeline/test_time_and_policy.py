"""What applies to everybody: time passes, and rules change, at one place of every partition's log."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline import topics
from pipeline.adoption import adopt_policy, policy_in_force
from pipeline.core.controls import INITIAL, adopt
from pipeline.core.policy import BadPolicy, default_text, load_policy, policy_hash, to_dict
from pipeline.inquiry import scan
from pipeline.schemas import logged
from tests.pipeline.history import event, weeks
from tests.pipeline.shop import Shop, at


def controls_by_partition(shop: Shop) -> list[list[bytes]]:
    """The controls each partition of the customers' log has seen, in order."""
    return [[value for key, value in records if key == logged.CONTROL_KEY] for _, records in sorted(shop.log().items())]


def changed_policy() -> str:
    """The defaults, but who is silent for a week is at risk, and nobody is asked how it was."""
    text = default_text()
    for before, after in (
        ("at_risk_after_days = 60", "at_risk_after_days = 7"),
        ("lapsed_after_days = 180", "lapsed_after_days = 21"),
        ("how was it?\nenabled = true", "how was it?\nenabled = false"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    return text


def test_a_policy_adopted_in_mid_stream_decides_from_there_on_in_every_partition(shop: Shop) -> None:
    shop.start()
    history = list(weeks(40, 10))
    for week, events in enumerate(history[:5]):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    before = shop.decisions()
    assert {each["rule"] for each in before} == {"feedback_request"}, "nobody is silent for 60 days yet"
    assert len({each["policy_hash"] for each in before}) == 1

    digest = adopt_policy(shop.settings, changed_policy())
    with pytest.raises(BadPolicy):
        adopt_policy(shop.settings, changed_policy().replace("lapsed_after_days = 21", "lapsed_after_days = 3"))
    with pytest.raises(BadPolicy, match=r"shop\.time_zone: expected UTC, under which the log has begun"):
        adopt_policy(shop.settings, changed_policy().replace('"UTC"', '"Asia/Tehran"'))
    for week, events in enumerate(history[5:], 5):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    shop.check()

    seen = controls_by_partition(shop)
    assert len(seen) == topics.CUSTOMER_EVENTS.partitions
    assert all(controls == seen[0] for controls in seen)
    kinds = [json.loads(control)["type"] for control in seen[0]]
    assert kinds == ["Tick"] * 5 + ["PolicyAdopted"] + ["Tick"] * 5
    for records in shop.log().values():
        place = next(n for n, (_, value) in enumerate(records) if b'"PolicyAdopted"' in value)
        assert 0 < place < len(records) - 1

    known = {(each["trigger_id"], each["outcome"]) for each in before}
    new = [each for each in shop.decisions() if (each["trigger_id"], each["outcome"]) not in known]
    assert {each["policy_hash"] for each in new} == {digest}
    considered_before = {each["trigger_id"] for each in before}
    asked = {each["trigger_id"] for each in new if each["rule"] == "feedback_request"}
    assert asked <= considered_before, "what was held may still end, nothing new is asked"
    assert any(each["rule"] == "retention_offer" and each["outcome"] == "sent" for each in new)
    assert digest in policy_in_force(shop.settings)


def test_a_policy_adopted_by_a_clock_that_was_ahead_does_not_stay_for_ever(shop: Shop) -> None:
    ahead, text = datetime.now(UTC) + timedelta(days=400), default_text()
    wrong = load_policy(text.replace("at_risk_after_days = 60", "at_risk_after_days = 50"))
    adoption = logged.PolicyAdopted(adopted_at=ahead, policy_hash=policy_hash(wrong), policy=to_dict(wrong))
    shop.control(logged.encode(adoption), "PolicyAdopted")
    assert "at_risk_after_days = 50" in policy_in_force(shop.settings)
    adopt_policy(shop.settings, text.replace("at_risk_after_days = 60", "at_risk_after_days = 70"))
    assert "at_risk_after_days = 70" in policy_in_force(shop.settings)
    controls = INITIAL
    for found in scan(shop.settings, topics.CONTROLS):
        controls = adopt(controls, logged.decode(found.value or b""))
    assert controls.policy.lifecycle.at_risk_after_days == 70, "and so workers have it"


def test_ticks_that_come_twice_late_or_in_disorder_do_nothing(shop: Shop) -> None:
    shop.start()
    for week, events in enumerate(weeks(30, 6)):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.tick(at(130))
    shop.wait_until_done()
    before = (shop.entries(), shop.decisions(), shop.triggers(), shop.state())
    assert before[2]
    for day, times in ((130, 2), (129, 1), (8, 1), (0, 1)):
        for _ in range(times):
            shop.tick(at(day))
    shop.control(b"no control", "Tick")
    shop.control(b"", "")
    shop.control(b'{"type":"EmailOpened"}', "EmailOpened")
    shop.wait_until_done()
    assert (shop.entries(), shop.decisions(), shop.triggers(), shop.state()) == before
    shop.tick(at(131))
    shop.wait_until_done()
    assert [len(controls) for controls in controls_by_partition(shop)] == [8] * topics.CUSTOMER_EVENTS.partitions
    shop.check()


def test_by_the_wall_clock_time_passes_once_a_second_and_never_before_what_came_before(shop: Shop) -> None:
    """Each event of this history is dated now; a Tick of a later instant stands behind it in its partition."""
    worker = shop.start(WAFA_CLOCK_SOURCE="wall", WAFA_CLOCK_TICK_SECONDS="1")
    shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready")

    def ticks() -> list[datetime]:
        controls = [logged.decode(record.value or b"") for record in scan(shop.settings, topics.CONTROLS)]
        return [control.as_of for control in controls if isinstance(control, logged.Tick)]

    begun = datetime.now(UTC)
    for number in itertools.count():
        who = {"customer_id": f"c{number % 30}", "email": f"c{number % 30}@example.org"}
        shop.publish([event("CustomerIdentified", number, datetime.now(UTC), **who)])
        if number % 50 == 0 and len(ticks()) >= 4:
            break
        assert datetime.now(UTC) - begun < timedelta(seconds=60), "no four Ticks in a minute"
    shop.wait_until_done()
    passed = ticks()
    assert passed == sorted(passed)
    assert passed[0] > begun
    assert worker.metric("wafa_tick_interval_seconds") == 1
    assert worker.metric("wafa_last_tick_timestamp_seconds") >= begun.timestamp()
    for records in shop.log().values():
        latest = at(0)
        for _, value in records:
            entry = logged.decode(value)
            if isinstance(entry, logged.Tick):
                latest = entry.as_of
            else:
                assert entry.received_at > latest - timedelta(milliseconds=1), "it came before a Tick that precedes it"
    shop.check()


def test_while_a_source_is_held_by_its_fuse_no_time_passes(shop: Shop) -> None:
    worker = shop.start(
        WAFA_CLOCK_SOURCE="wall", WAFA_CLOCK_TICK_SECONDS="0.5", WAFA_WORKER_FUSE_RECORDS_MIN="5"
    )  # fmt: skip
    for _ in range(20):
        shop.publish_raw("costs.v1", b"nothing good", key=b"a")
    assert shop.producer.flush(20) == 0
    shop.wait(lambda: worker.metric('wafa_fuse_open{topic="costs.v1"}') == 1, "the fuse blows")
    shop.publish_raw("costs.v1", b"nothing good", key=b"a")
    assert shop.producer.flush(20) == 0
    counted = len(list(scan(shop.settings, topics.CONTROLS)))
    shop.publish([event("CustomerIdentified", 1, at(1), customer_id="c1")])
    shop.wait_until_drained((topics.CONTACTS, topics.UNIDENTIFIED_EVENTS, topics.CUSTOMER_EVENTS))
    deadline = datetime.now(UTC) + timedelta(seconds=2)
    while datetime.now(UTC) < deadline:
        assert len(list(scan(shop.settings, topics.CONTROLS))) <= counted + 1, "at most the one that was on its way"
