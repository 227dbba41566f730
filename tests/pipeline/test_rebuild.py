"""State derived anew from the log is the live state, to the byte; nothing is sent; a crash leaves one or the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline import topics
from pipeline.admin import Admin
from pipeline.agents.skipping import Skipped
from pipeline.engine.processor import State
from pipeline.inquiry import scan
from pipeline.rebuilding import rebuild
from pipeline.schemas import logged
from tests.core.builders import consent, day, order
from tests.pipeline.history import order as bought
from tests.pipeline.history import weeks
from tests.pipeline.shop import REPOSITORY, Shop, at
from tests.pipeline.written import Entry, customers_of, lived, state_of, write_log, write_state

PARTITION = 3
DYING = """
import os, sys
from pipeline.__main__ import main
from pipeline.engine.producer import TransactionalProducer
commit = TransactionalProducer.commit_blocking
left = int(sys.argv.pop(1))
def die(self):
    global left
    if not left:
        assert self._producer.flush(20) == 0  # all of it is on the broker, in an open transaction
        os.kill(os.getpid(), 9)
    left -= 1
    commit(self)
TransactionalProducer.commit_blocking = die
main()
"""
"""`wafa` killed as it is about to commit, the first argument's count of commits later."""


def effects(shop: Shop) -> tuple[object, ...]:
    """Everything that Wafa ever sent, and the log."""
    return shop.entries(), shop.decisions(), shop.triggers(), shop.dead_letters()


def traded(shop: Shop, customers: int = 20, count: int = 10) -> None:
    """Some weeks of a shop, by a real worker that then ends."""
    worker = shop.start()
    for week, events in enumerate(weeks(customers, count)):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    assert worker.end() == 0


def test_the_live_state_is_what_the_log_leads_to_and_a_damaged_one_is_put_right(shop: Shop) -> None:
    traded(shop)
    before, live, decisions = effects(shop), shop.changelog(), shop.decisions()
    assert decisions
    said = shop.wafa("rebuild", "--check")
    assert (said.returncode, "the state is what the log leads to" in said.stdout) == (0, True), said
    said = shop.wafa("rebuild")
    assert said.returncode == 0, said
    assert shop.changelog() == live

    # one customer lost, one changed, one of whom the log knows nothing
    lost, changed = sorted(shop.state())[:2]
    for customer, value in ((lost, None), (changed, live[lost])):
        partition = topics.partition_of(customer, topics.CUSTOMER_STATE.partitions)
        write_state(shop, partition, {customer: value}, position=None)
    write_state(shop, PARTITION, {b"nobody": live[lost]}, position=None)
    said = shop.wafa("rebuild", "--check")
    assert said.returncode == 1
    for customer, how in (
        (lost, "is in the log and not"),
        (changed, "differs"),
        (b"nobody", "is in the state and not"),
    ):
        assert f"customer {customer.decode()} {how}" in said.stderr
    assert "3 entries differ" in said.stdout
    said = shop.wafa("rebuild")
    assert (said.returncode, "3 entries were put right" in said.stdout) == (0, True), said
    assert shop.changelog() == live
    assert effects(shop) == before

    shop.start()
    shop.publish([bought("after", 1, 80)])
    shop.tick(at(90))
    shop.wait_until_done()
    assert len(shop.decisions()) > len(decisions)
    shop.check_against_core()


def test_a_lost_changelog_is_written_anew_and_workers_go_on_without_saying_anything_twice(shop: Shop) -> None:
    traded(shop)
    before, live = effects(shop), shop.changelog()
    made_anew(shop, topics.CUSTOMER_STATE)
    assert shop.changelog() == {}
    said = shop.wafa("rebuild")
    assert said.returncode == 0, said
    assert "the changelog had no position" in said.stderr
    assert (shop.changelog(), effects(shop)) == (live, before)
    shop.start()
    shop.publish([bought("after", 1, 80)])
    shop.tick(at(90))
    shop.wait_until_done()
    shop.check_against_core()


def test_after_a_lost_changelog_views_are_later_than_those_of_before_a_repartition(shop: Shop) -> None:
    (who, *_) = customers_of(PARTITION, 1)
    write_log(shop, PARTITION, history([who]))
    producer = Producer({"bootstrap.servers": shop.bootstrap})
    producer.produce(shop.settings.topic(topics.PROFILES.name), b'{"partition":1,"offset":500}', who.encode())
    assert producer.flush(20) == 0
    assert shop.wafa("rebuild").returncode == 0
    shop.start()
    write_log(shop, PARTITION, [(who.encode(), order(2, "more"))])
    shop.wait(lambda: len(list(scan(shop.settings, topics.PROFILES))) > 1, "a view")
    assert [msgspec.json.decode(record.value or b"")["offset"] for record in scan(shop.settings, topics.PROFILES)][
        -1
    ] > 500


def made_anew(shop: Shop, topic: topics.Topic) -> None:
    """Delete a topic and make it again, empty."""
    with Admin(shop.settings) as admin:
        admin._ask(lambda client: client.delete_topics([shop.settings.topic(topic.name)]))
        shop.wait(lambda: not admin.topic_states((topic,), missing_ok=True), "the topic is gone")
        admin.create_topics()


def history(customers: list[str]) -> list[Entry]:
    """A tick, then everybody says yes to offers and buys; two months later they are at risk."""
    entries: list[Entry] = [(logged.CONTROL_KEY, logged.Tick(as_of=day(0)))]
    for number, who in enumerate(customers):
        entries.append((who.encode(), consent(0.1)))
        entries.append((who.encode(), order(1 + number / 100, f"o{number}")))
    return entries


def tick(on: float) -> Entry:
    return logged.CONTROL_KEY, logged.Tick(as_of=day(on))


def test_a_record_on_the_skip_list_is_passed_over_until_told_to_try_it_again(shop: Shop) -> None:
    entries = [*history(customers_of(PARTITION, 5)), tick(20), tick(70)]
    skipped = 4  # the second customer's order, on which `step` failed before it was mended
    who = entries[skipped][0]
    write_log(shop, PARTITION, entries)
    left = [entry for number, entry in enumerate(entries) if number != skipped]
    kept = state_of(lived(left)) | {b"__skipped__/offset/4": b"ValueError: mended since"}
    write_state(shop, PARTITION, kept, position=len(entries))

    said = shop.wafa("rebuild", "--check", "--partition", str(PARTITION))
    assert said.returncode == 0, said
    assert "1 records passed over" in said.stderr
    said = shop.wafa("rebuild", "--check", "--partition", str(PARTITION), "--retry-skipped")
    assert said.returncode == 1
    assert f"customer {who.decode()} differs" in said.stderr
    assert "entry __skipped__/offset/4 is in the state and not in the log" in said.stderr
    assert "2 entries differ" in said.stdout
    assert shop.wafa("rebuild", "--retry-skipped").returncode == 0
    assert shop.changelog() == state_of(lived(entries)) != kept
    assert shop.decisions() == []


def test_a_customer_passed_over_at_some_ticks_is_passed_over_at_the_same(shop: Shop) -> None:
    customers = customers_of(PARTITION, 4)
    who = customers[2]
    ticks = [tick(number) for number in (8, 63, 66, 75)]
    driver = lived(history(customers))
    marks = State()
    skipped = Skipped(marks)
    for _, control in ticks:
        assert isinstance(control, logged.Tick)
        before = driver.profiles[who]
        driver.control(control)
        if day(9) < control.as_of < day(70):  # at the second and the third
            driver.profiles[who] = before
            skipped.failed(who.encode(), control.as_of, "ValueError: mended since", marks)
        else:
            skipped.visited(who.encode(), control.as_of, marks)
    write_log(shop, PARTITION, history(customers) + ticks)
    kept = state_of(driver) | dict(marks.items())
    write_state(shop, PARTITION, kept, position=len(history(customers)) + len(ticks))
    assert state_of(driver) != state_of(lived(history(customers) + ticks)), "what is passed over makes a difference"

    assert shop.wafa("rebuild", "--check").returncode == 0
    assert shop.wafa("rebuild", "--retry-skipped").returncode == 0
    assert shop.changelog() == state_of(lived(history(customers) + ticks))


def test_marks_of_visits_say_from_which_tick_until_which() -> None:
    state = State()
    skipped = Skipped(state)
    for on in (1, 2, 3):
        skipped.failed(b"c", day(on), "first", state)
    skipped.visited(b"c", day(4), state)
    skipped.failed(b"c", day(6), "second", state)
    skipped.visited(b"c", day(6), state)  # the same Tick again, by a version that can
    again = Skipped(state)  # as another worker reads it
    assert [on for on in range(8) if again.covers(b"c", day(on))] == [1, 2, 3]
    again.failed(b"c", day(7), "third", state)
    assert Skipped(state).covers(b"c", day(7) + timedelta(days=900))
    assert msgspec.json.decode(dict(state.items())[b"__skipped__/customer/c"])["problem"] == "third"


@pytest.mark.parametrize("visited", [0, 3, 7, 8])
def test_a_state_in_the_middle_of_a_tick_is_rebuilt_to_the_middle_of_it(shop: Shop, visited: int) -> None:
    """The position is on the Tick, and so many of those due have been visited."""
    customers = customers_of(PARTITION, 8)
    before = [*history(customers), tick(20)]
    driver = lived(before)
    _, control = tick(70)
    assert isinstance(control, logged.Tick)
    due = sorted((profile.next_review_at, who) for who, profile in driver.profiles.items())
    everybody = dict(driver.profiles)
    driver.control(control)
    for _, who in due[visited:]:
        driver.profiles[who] = everybody[who]
    write_log(shop, PARTITION, [*before, (logged.CONTROL_KEY, control), (due[0][1].encode(), order(71, "next"))])
    write_state(shop, PARTITION, state_of(driver), position=len(before))
    said = shop.wafa("rebuild", "--check")
    assert said.returncode == 0, said


@pytest.mark.parametrize("commits", [0, 1], ids=["in the first", "in the second"])
def test_killed_as_it_writes_it_leaves_whole_partitions_only_and_is_begun_again(shop: Shop, commits: int) -> None:
    expected: dict[bytes, bytes] = {}
    for partition in (2, 5):
        entries = [*history(customers_of(partition, 200)), tick(70)]
        write_log(shop, partition, entries)
        expected |= state_of(lived(entries))
        assert lived(entries).sent("retention_offer"), "of day 61: not to be sent by whoever goes on from here"
    killed = subprocess.run(
        [sys.executable, "-c", DYING, str(commits), "rebuild"], cwd=REPOSITORY, env=shop.environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed
    with Admin(shop.settings) as admin:
        written = admin.end_offsets((topics.CUSTOMER_STATE,))
        readable = admin.end_offsets((topics.CUSTOMER_STATE,), committed_only=True)
    assert sum(written.values()) > sum(readable.values()) + 200, "it died in the middle of a transaction"
    assert sum(key.startswith(b"customer") for key in shop.state()) == 200 * commits
    said = shop.wafa("rebuild")
    assert said.returncode == 0, said
    assert shop.changelog() == expected
    shop.start()
    shop.tick(at(1_000))
    shop.wait_until_done()
    assert shop.decisions() == []


def test_it_refuses_while_a_worker_runs_and_a_worker_it_takes_a_partition_from_goes_on_rightly(shop: Shop) -> None:
    worker = shop.start()
    for week, events in enumerate(weeks(20, 6)):
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()
    said = shop.wafa("rebuild")
    assert (said.returncode, "stop them first" in said.stderr) == (1, True), said

    for _ in rebuild(shop.settings, partitions=None, check=False, retry_skipped=False, on_progress=lambda *_: None):
        pass
    shop.publish(bought(f"after{number}", number, 80) for number in range(20))
    shop.tick(at(90))
    shop.wait(lambda: "fenced" in worker.log(), "the worker hears that it lost its partitions")
    shop.wait_until_done()
    shop.check_against_core()


def test_a_log_without_its_beginning_is_refused(shop: Shop) -> None:
    write_log(shop, PARTITION, history(customers_of(PARTITION, 2)))
    place = TopicPartition(shop.settings.topic(topics.CUSTOMER_EVENTS.name), PARTITION, 2)
    client = AdminClient({"bootstrap.servers": shop.bootstrap})
    client.delete_records([place])[place].result(10)
    said = shop.wafa("rebuild")
    assert (said.returncode, "begins at 2, not at 0" in said.stderr) == (1, True), said
