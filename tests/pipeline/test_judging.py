"""The judge of whole runs passes a good one, and catches every kind of bad one: its records spoilt by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import pytest

from pipeline import topics
from pipeline.engine.changelog import POSITION_KEY
from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from pipeline.schemas import logged
from pipeline.topics import Topic
from tests.engine.checking import Record
from tests.pipeline.conftest import opened
from tests.pipeline.history import event, weeks
from tests.pipeline.judging import Run, at_the_door, behind_the_log, problems
from tests.pipeline.shop import Shop, at

LOG, TRIGGERS, DECISIONS = topics.CUSTOMER_EVENTS, topics.TRIGGERS, topics.DECISIONS
LETTERS, IDENTITIES, STATE = topics.DEAD_LETTERS, topics.IDENTITIES, topics.CUSTOMER_STATE
Spoil = Callable[[Run], Run]


@pytest.fixture(scope="module")
def good(kafka: KafkaServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A shop's weeks as a worker really left them; with a letter that is no JSON, and a click of nobody known."""
    with opened(kafka, valkey, tmp_path_factory.mktemp("good")) as shop:
        shop.start()
        publish_everything(shop)
        shop.wait_until_done()
        return shop.run()


def publish_everything(shop: Shop) -> None:
    history = list(weeks(20, 8))
    for week, events in enumerate(history):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    who = {"customer_id": "c1"}
    shop.publish(
        [
            event("EmailClicked", 1, at(50), email="nobody@example.org", email_id="m1"),
            event("CostRecorded", 1, at(50), department="marketing", channel="ads", amount_minor=900, currency="USD"),
            event("TicketOpened", "told", at(50), **who, ticket_id="told", kind="compliment", text="Lovely"),
            event("MentionPosted", 1, at(50), **who, mention_id="p1", platform="forum", reach=7),
        ]
    )
    shop.publish_raw("purchases.v1", b"not json", key=b"who")
    new = {"customer_id": "new"}
    consent = {"purpose": "marketing", "channel": "email", "state": "granted"}
    shop.publish([event("ConsentChanged", "new", at(50), **new, **consent)])
    shop.wait_until_done()
    shop.publish([event("EmailDelivered", "new", at(51), **new, email_id="m2")])
    for week in range(8, 14):
        shop.tick(at(7 * week + 8))


def test_a_good_run_passes(good: Run) -> None:
    assert problems(good) == []
    assert all(good.of(topic) for topic in (LOG, TRIGGERS, DECISIONS, LETTERS, STATE, topics.TEXTS, topics.MENTIONS))


# -- how records are spoilt ---------------------------------------------------------------------------------------


def having(run: Run, topic: Topic, records: Iterable[Record]) -> Run:
    return replace(run, records={**run.records, topic.name: list(records)})


def pick(run: Run, topic: Topic, kind: str = "") -> Record:
    """The last record of a kind (or id): when it came, everybody was long known."""
    return next(each for each in reversed(run.of(topic)) if is_of(each, kind))


def is_of(record: Record, kind: str) -> bool:
    value = record.value or b""
    return f':"{kind}"'.encode() in value if kind else record.key not in (logged.CONTROL_KEY, POSITION_KEY)


def dropped(topic: Topic, kind: str = "") -> Spoil:
    return lambda run: having(run, topic, (each for each in run.of(topic) if each != pick(run, topic, kind)))


def doubled(topic: Topic, kind: str = "") -> Spoil:
    def spoil(run: Run) -> Run:
        again = pick(run, topic, kind)
        return having(run, topic, [*run.of(topic), again._replace(offset=again.offset + 100_000)])

    return spoil


def cut(topic: Topic) -> Spoil:
    """The last quarter of the records of one partition is not there."""

    def spoil(run: Run) -> Run:
        number = pick(run, topic).partition
        there = [each for each in run.of(topic) if each.partition == number]
        gone = set(there[-(len(there) // 4 + 1) :])
        return having(run, topic, (each for each in run.of(topic) if each not in gone))

    return spoil


def changed(topic: Topic, kind: str = "", **fields: object) -> Spoil:
    """A record's fields, not its value's."""
    return lambda run: exchanged(run, topic, {pick(run, topic, kind): pick(run, topic, kind)._replace(**fields)})


def body_changed(topic: Topic, kind: str = "", **fields: object) -> Spoil:
    """The right id with another body."""

    def spoil(run: Run) -> Run:
        record = pick(run, topic, kind)
        body = {**json.loads(record.value or b""), **fields}
        value = json.dumps(body, separators=(",", ":")).encode()
        return exchanged(run, topic, {record: record._replace(value=value)})

    return spoil


def exchanged(run: Run, topic: Topic, instead: dict[Record, Record]) -> Run:
    return having(run, topic, (instead.get(each, each) for each in run.of(topic)))


def swapped(run: Run, topic: Topic, one: Record, other: Record) -> Run:
    """Each in the other's place."""
    there = {"partition": one.partition, "offset": one.offset}
    here = {"partition": other.partition, "offset": other.offset}
    return exchanged(run, topic, {one: other._replace(**there), other: one._replace(**here)})


def two_swapped(topic: Topic) -> Spoil:
    def spoil(run: Run) -> Run:
        one, other = next((a, b) for a, b in combinations(run.of(topic), 2) if a.partition == b.partition)
        return swapped(run, topic, one, other)

    return spoil


def pair_swapped(first: str, second: str) -> Spoil:
    """Two events of a customer in the log, the one published before the other."""

    def spoil(run: Run) -> Run:
        for one, other in combinations(run.of(LOG), 2):
            if one.key == other.key and is_of(one, first) and is_of(other, second):
                return swapped(run, LOG, one, other)
        raise AssertionError("nobody has both")

    return spoil


def one_lost_and_one_doubled(run: Run) -> Run:
    """As many records as there should be."""
    return dropped(LOG, "OrderCompleted")(doubled(LOG, "EmailOpened")(run))


def two_persons_under_one_key(run: Run) -> Run:
    """The log of one customer continued under the key of another."""
    keys = sorted({each.key or b"" for each in run.of(LOG) if each.key != logged.CONTROL_KEY})
    one, other = next(
        (a, b) for a, b in combinations(keys, 2) if topics.partition_of(a, 8) == topics.partition_of(b, 8)
    )
    return having(run, LOG, (each._replace(key=other) if each.key == one else each for each in run.of(LOG)))


def nobody_waits(run: Run) -> Run:
    kept = (each for each in run.of(IDENTITIES) if not (each.key or b"").startswith(b"waiting/"))
    return having(run, IDENTITIES, kept)


def header_changed(run: Run) -> Run:
    record = pick(run, TRIGGERS)
    headers = tuple((name, b"another" if name == "ce_id" else value) for name, value in record.headers)
    return exchanged(run, TRIGGERS, {record: record._replace(headers=headers)})


# -- what is caught -----------------------------------------------------------------------------------------------

AT_THE_DOOR: dict[str, tuple[Spoil, str]] = {
    "a record lost before its source": (dropped(topics.PURCHASES), "1 times less there than published"),
    "an event lost": (dropped(LOG, "OrderCompleted"), "let in 1 times, there 0 times"),
    "an event doubled": (doubled(LOG, "OrderCompleted"), "let in 1 times, there 2 times"),
    "one event lost and another doubled": (one_lost_and_one_doubled, "let in 1 times, there 2 times"),
    "a log cut short": (cut(LOG), "let in 1 times, there 0 times"),
    "a right id with another body": (body_changed(LOG, "OrderCompleted", revenue_minor=1), "expected ["),
    "an event that nobody sent": (body_changed(LOG, "OrderCompleted", id="forged"), "'forged'): let in 0 times"),
    "an event under another's key": (changed(LOG, "OrderCompleted", key=b"another"), "under 2 keys"),
    "two persons under one key": (two_persons_under_one_key, "the key of ["),
    "an event in another's partition": (changed(LOG, "OrderCompleted", partition=99), "in partition 99 of the log"),
    "two orders of a customer swapped": (pair_swapped("OrderCompleted", "OrderCompleted"), "and before it in the log"),
    "a delivery before its order": (pair_swapped("OrderCompleted", "OrderDelivered"), "and before it in the log"),
    "a newcomer's consents swapped": (pair_swapped("ConsentChanged", "ConsentChanged"), "and before it in the log"),
    "a dead letter lost": (dropped(LETTERS), "expected one dead letter, got 0"),
    "a dead letter doubled": (doubled(LETTERS), "expected one dead letter, got 2"),
    "a dead letter with other bytes": (changed(LETTERS, value=b"other"), "does not carry the record"),
    "an event that waits lost": (nobody_waits, "let in 1 times, there 0 times"),
    "an address lost": (dropped(topics.ADDRESSES), "addresses.v1: 1 missing"),
    "an address doubled": (doubled(topics.ADDRESSES), "addresses.v1: 1 too many"),
    "an address of another": (changed(topics.ADDRESSES, key=b"another"), "addresses.v1: 1 missing"),
    "a text lost": (dropped(topics.TEXTS), "texts.v1: 1 missing"),
    "a mention doubled": (doubled(topics.MENTIONS), "mentions.v1: 1 too many"),
    "a cost of the shop's lost": (dropped(topics.SHOP_COSTS), "shop-costs.v1: 1 missing"),
}

BEHIND_THE_LOG: dict[str, tuple[Spoil, str]] = {
    f"{name}: {what}": (spoil, f"{name}s of partition")
    for topic, name in ((DECISIONS, "decision"), (TRIGGERS, "trigger"))
    for what, spoil in {
        "dropped": dropped(topic),
        "doubled": doubled(topic),
        "swapped with another": two_swapped(topic),
        "the last ones cut": cut(topic),
        "the right id with another body": body_changed(topic, numbers={}),
        "under another's key": changed(topic, key=b"another"),
        "in another's partition": changed(topic, partition=99),
        "with another header": changed(topic, headers=(("ce_id", b"another"),)),
    }.items()
} | {
    "trigger: with another's id in its header": (header_changed, "triggers of partition"),
    "a state lost": (changed(STATE, value=None), "state of 1 customers"),
    "a state of nobody": (changed(STATE, key=b"nobody"), "state of"),
    "a state as it was before": (dropped(STATE), "state of 1 customers"),
    "an event of the log with another effect": (body_changed(LOG, "OrderCompleted", revenue_minor=1), "state of 1"),
    "an event of the log without effect": (dropped(LOG, "OrderCompleted"), "state of 1 customers"),
}


@pytest.mark.parametrize("name", AT_THE_DOOR)
def test_what_went_wrong_at_the_door_is_caught(good: Run, name: str) -> None:
    spoil, said = AT_THE_DOOR[name]
    assert_told(at_the_door(spoil(good)), said)


@pytest.mark.parametrize("name", BEHIND_THE_LOG)
def test_what_went_wrong_behind_the_log_is_caught(good: Run, name: str) -> None:
    spoil, said = BEHIND_THE_LOG[name]
    assert_told(behind_the_log(spoil(good)), said)


def assert_told(found: Sequence[str], said: str) -> None:
    assert any(said in each for each in found), found


def test_a_newcomer_s_event_may_be_overtaken_by_a_later_one_that_comes_when_they_are_known(good: Run) -> None:
    """On its way by `unidentified-events`. Both were published on `emails.v1`."""
    assert at_the_door(pair_swapped("ConsentChanged-new", "EmailDelivered-new")(good)) == []
