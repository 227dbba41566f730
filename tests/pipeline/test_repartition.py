"""Another partition count: customers' order and state are kept to the byte, nothing is sent, no crash loses any."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from pipeline import topics
from pipeline.admin import Admin
from pipeline.inquiry import scan
from pipeline.recutting import CannotRepartition
from pipeline.repartitioning import abandon, repartition
from pipeline.schemas import logged
from pipeline.serving.read import Views
from pipeline.settings import LOG_PARTITIONS, LOG_TOPICS
from pipeline.topics import partition_of
from tests.core.builders import day
from tests.pipeline.history import order as bought
from tests.pipeline.history import weeks
from tests.pipeline.shop import REPOSITORY, Shop, at
from tests.pipeline.test_rebuild import history, tick
from tests.pipeline.written import customers_of, lived, state_of, write_log, write_state

DYING = """
import os, sys
from pipeline import repartitioning
from pipeline.__main__ import main
def die(*args, **more):
    os.kill(os.getpid(), 9)
name = sys.argv.pop(1)
where = repartitioning if hasattr(repartitioning, name) else repartitioning.Admin
after = getattr(where, name)
left = int(sys.argv.pop(1))
def counting(*args, **more):
    global left
    if not left:
        die()
    left -= 1
    return after(*args, **more)
setattr(where, name, counting)
main()
"""
"""`wafa` killed as it is about to call a function of `repartitioning` or a method of `Admin`, after so many calls."""


def under(shop: Shop, count: int) -> Shop:
    """The same shop with the log of another count."""
    settings = shop.settings.model_copy(update={"log_partitions": count})
    other = replace(shop, extra={**shop.extra, "WAFA_LOG_PARTITIONS": str(count)})
    other.settings = settings
    return other


def by_customer(shop: Shop) -> dict[bytes, list[bytes]]:
    """Each customer's events with the controls among them, in order; they must lie in one partition, the right one."""
    count = shop.settings.log_partitions
    lives: dict[bytes, list[bytes]] = defaultdict(list)
    for partition, records in shop.log().items():
        here = {key for key, _ in records if key != logged.CONTROL_KEY}
        assert {partition_of(key, count) for key in here} <= {partition}
        for key, value in records:
            for whose in here if key == logged.CONTROL_KEY else (key,):
                lives[whose].append(value)
    return dict(lives)


def sent(shop: Shop) -> tuple[object, ...]:
    """Everything that Wafa ever sent."""
    return shop.decisions(), shop.triggers(), shop.dead_letters()


def trade(shop: Shop, first: int, last: int, customers: int = 20) -> None:
    """Some weeks of a shop."""
    for week, events in list(enumerate(weeks(customers, last)))[first:]:
        shop.publish(events)
        shop.tick(at(7 * week + 8))
    shop.wait_until_done()


def replayed_states(shop: Shop) -> dict[bytes, bytes]:
    """What the naive core makes of the log, partition by partition."""
    states: dict[bytes, bytes] = {}
    for records in shop.log().values():
        driver = lived([(key, logged.decode(value)) for key, value in records])
        states |= {key: value for key, value in state_of(driver).items() if not key.startswith(b"__")}
    return states


@pytest.mark.parametrize("counts", [(8, 3), (2, 5)], ids=["8 to 3", "2 to 5"])
def test_everybody_goes_on_as_they_were_and_nothing_is_sent_twice(shop: Shop, counts: tuple[int, int]) -> None:
    few, many = (under(shop, count) for count in counts)
    few.create()
    if counts[0] != LOG_PARTITIONS:  # the fixture made the usual one
        with Admin(shop.settings) as admin:
            admin.delete([shop.settings.topic(name) for name in LOG_TOPICS])
        few.create()
    worker, views = few.start(), few.start("views")
    trade(few, 0, 10)
    assert worker.end() == 0
    before, lives, said = few.state(), by_customer(few), sent(few)
    assert few.decisions()

    done = few.wafa("repartition", str(counts[1]))
    assert done.returncode == 0, done
    assert f"WAFA_LOG_PARTITIONS={counts[1]}" in done.stdout
    assert (many.state(), by_customer(many), sent(many)) == (before, lives, said)
    assert many.wafa("topics", "check").returncode == 0
    checked = many.wafa("rebuild", "--check")
    assert checked.returncode == 0, checked

    refused = few.start()  # with the count as it was
    assert refused.popen.wait(30) == 1
    assert "WAFA_LOG_PARTITIONS is not the count it has now" in refused.log()

    worker = many.start()
    trade(many, 10, 14)
    many.publish([bought("after", 1, 100)])
    many.tick(at(200))
    many.wait_until_done()
    assert many.state() == replayed_states(many) != before
    ids = [trigger["trigger_id"] for trigger in many.triggers()]
    assert len(ids) == len(set(ids)) > len(said[1])
    moves = [(each["trigger_id"], each["outcome"]) for each in many.decisions()]
    assert len(moves) == len(set(moves))
    assert worker.end() == 0
    checked = many.wafa("rebuild", "--check")
    assert checked.returncode == 0, checked
    latest = {record.key: msgspec.json.decode(record.value or b"") for record in scan(many.settings, topics.PROFILES)}
    with Views(many.settings) as shown:
        many.wait(
            lambda: all(shown.profile((key or b"").decode()) == view for key, view in latest.items()), "the views"
        )
    assert views.popen.poll() is None


def filled(shop: Shop) -> None:
    """Customers in every partition, all processed."""
    for partition in range(LOG_PARTITIONS):
        entries = [*history(customers_of(partition, 20)), tick(70)]
        write_log(shop, partition, entries)
        write_state(shop, partition, state_of(lived(entries)), position=len(entries))


def die(shop: Shop, name: str, after: int, count: int) -> None:
    """Run `wafa repartition`, to be killed there."""
    killed = subprocess.run(
        [sys.executable, "-c", DYING, name, str(after), "repartition", str(count)], cwd=REPOSITORY,
        env=shop.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed


def problems(shop: Shop) -> list[str]:
    """What `wafa topics check` would say, and `wafa topics create` not mend."""
    with Admin(shop.settings) as admin:
        return [str(each) for outcome in admin.create_topics() for each in outcome.differences]


def go(shop: Shop, count: int) -> Shop:
    """`wafa repartition`, in this process; the shop with that count."""
    repartition(shop.settings, count, on_progress=lambda *_: None)
    return under(shop, count)


def test_killed_anywhere_the_old_log_is_whole_no_worker_may_start_and_it_can_be_abandoned(shop: Shop) -> None:
    """The last place is just before the word that the new log is in force."""
    filled(shop)
    before, lives = shop.state(), by_customer(shop)
    places = ("seal", 1), ("copy_log", 0), ("copy_state", 0), ("seal", 2)
    for name, after in places:
        die(shop, name, after, 11)
        assert "sealed" in str(problems(shop))
        assert "expected the only one" in str(problems(under(shop, 11)))
        abandon(shop.settings)
        assert problems(shop) == []
        assert (shop.state(), by_customer(shop)) == (before, lives), (name, after)
    many = go(shop, 11)
    assert (many.state(), by_customer(many)) == (before, lives)


def test_begun_again_without_abandoning_it_starts_over_also_with_another_count_and_can_go_back(shop: Shop) -> None:
    filled(shop)
    before, lives = shop.state(), by_customer(shop)
    for count in (11, 5):
        die(shop, "copy_state", 0, count)
    three = go(shop, 3)
    assert (three.state(), by_customer(three)) == (before, lives)
    assert problems(three) == [], "nothing of the others is left"
    with pytest.raises(CannotRepartition, match="is retired"):
        go(shop, 5)
    with pytest.raises(CannotRepartition, match="there already"):
        go(three, LOG_PARTITIONS)
    with Admin(shop.settings) as admin:
        admin.delete([shop.settings.topic(name) for name in LOG_TOPICS])
    assert go(three, LOG_PARTITIONS).state() == before
    assert by_customer(shop) == lives


def test_what_waits_for_a_worker_waits_behind_the_position_and_marks_move_with_their_records(shop: Shop) -> None:
    """Partition 2 has processed all, 5 but a part; both stand between the same two controls."""
    two, five = customers_of(2, 6), customers_of(5, 6)
    first, second = history(two), history(five)
    left = 4
    write_log(shop, 2, first)
    write_log(shop, 5, second)
    for partition in set(range(LOG_PARTITIONS)) - {2, 5}:
        write_log(shop, partition, [tick(0)])
        write_state(shop, partition, state_of(lived([tick(0)])), position=1)
    mark = {b"__skipped__/offset/2": b"ValueError: mended since"}  # the first order of partition 2
    write_state(shop, 2, state_of(lived([each for n, each in enumerate(first) if n != 2])) | mark, position=len(first))
    write_state(shop, 5, state_of(lived(second[:-left])), position=len(second) - left)
    before = shop.state()
    done = shop.wafa("repartition", "3")
    assert done.returncode == 0, done
    three = under(shop, 3)
    assert three.state() == before
    marks = [key for key in three.changelog() if key.startswith(b"__skipped__")]
    assert len(marks) == 1
    offset, whose = int(marks[0].rpartition(b"/")[2]), partition_of(first[2][0], 3)
    assert three.log()[whose][offset] == (first[2][0], logged.encode(first[2][1]))
    checked = three.wafa("rebuild", "--check")
    assert checked.returncode == 0, checked

    three.start()
    three.control(logged.encode(logged.Tick(as_of=day(70))), "Tick")
    three.wait_until_drained((topics.CONTROLS,))
    three.wait_until_drained((topics.CUSTOMER_EVENTS,))
    everything = [*[each for number, each in enumerate(first) if number != 2], *second[1:], tick(70)]
    expected = {key: value for key, value in state_of(lived(everything)).items() if not key.startswith(b"__")}
    assert three.state() == expected
    told = {(each["trigger_id"], each["outcome"]) for each in three.decisions()}
    late = lived([*first, *second[1:-left]]).decisions
    assert told == {(each.trigger_id, str(each.outcome)) for each in lived(everything).decisions} - {
        (each.trigger_id, str(each.outcome)) for each in late
    }


def test_partitions_that_do_not_stand_between_the_same_controls_are_refused_and_nothing_is_changed(shop: Shop) -> None:
    for partition in range(LOG_PARTITIONS):
        entries = [*history(customers_of(partition, 2)), tick(70)]
        write_log(shop, partition, entries)
        processed = entries[:-1] if partition == 6 else entries
        write_state(shop, partition, state_of(lived(processed)), position=len(processed))
    done = shop.wafa("repartition", "3")
    assert (done.returncode, "partition 6 has not come to a control" in done.stderr) == (1, True), done
    assert shop.wafa("topics", "check").returncode == 0
    assert under(shop, 3).wafa("topics", "check").returncode == 1


def test_a_sealed_log_takes_no_record_from_anybody_and_lets_a_transaction_end(shop: Shop) -> None:
    name, (key, event) = shop.settings.topic(topics.CUSTOMER_EVENTS.name), tick(1)
    open_one = Producer({"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.prefix}open"})
    open_one.init_transactions(20)
    open_one.begin_transaction()
    open_one.produce(name, logged.encode(event), key, 1)
    assert open_one.flush(20) == 0
    plain = Producer({"bootstrap.servers": shop.bootstrap})
    heard: list[str] = []

    def is_refused() -> bool:
        plain.produce(name, logged.encode(event), key, 2, on_delivery=lambda error, _: heard.append(str(error)))
        assert plain.flush(20) == 0
        return "MSG_SIZE_TOO_LARGE" in heard[-1]

    with Admin(shop.settings) as admin:
        admin.seal(name, "100")
        shop.wait(is_refused, "the broker has heard of it")
        taken = len(heard) - 1
        assert is_refused()
        open_one.commit_transaction(20)
        shop.wait(lambda: len(shop.entries()) == 1 + taken, "the transaction's mark is written", 20)
        admin.seal(name, None)
        shop.wait(lambda: not is_refused(), "it takes records again")


def test_it_refuses_while_a_worker_runs(shop: Shop) -> None:
    worker = shop.start()
    shop.wait(lambda: worker.get("/readyz")[0] == 200, "ready", 30)
    done = shop.wafa("repartition", "3")
    assert (done.returncode, "stop them first" in done.stderr) == (1, True), done
    assert shop.wafa("topics", "check").returncode == 0


def test_a_count_changed_in_place_is_refused_by_topics_and_by_workers(shop: Shop) -> None:
    """Customers' later events would lie in other partitions, away from their order and their state."""
    name = shop.settings.topic(topics.CUSTOMER_EVENTS.name)
    client = AdminClient({"bootstrap.servers": shop.bootstrap})
    client.create_partitions([NewPartitions(name, 12)])[name].result(10)
    for words in (("topics", "check"), ("topics", "create", "--fix")):
        said = shop.wafa(*words)
        assert (said.returncode, "expected 8, got 12" in said.stdout) == (1, True), said
    worker = shop.start()
    assert worker.popen.wait(30) == 1
    assert "expected 8, got 12" in worker.log()
    said = shop.wafa("repartition", "12")
    assert (said.returncode, "expected 8 partitions, got 12" in said.stderr) == (1, True), said


def test_another_count_in_the_settings_alone_makes_no_empty_log(shop: Shop) -> None:
    many = under(shop, 12)
    said = many.wafa("topics", "create")
    assert said.returncode == 1
    with Admin(many.settings) as admin:
        assert not admin.is_there(many.settings.topic(topics.CUSTOMER_EVENTS.name))
    worker = many.start()
    assert worker.popen.wait(30) == 1
    assert "expected the only one" in worker.log()


def test_the_settings_know_the_rows_of_the_log() -> None:
    assert (topics.CUSTOMER_EVENTS.name, topics.CUSTOMER_STATE.name) == LOG_TOPICS
    assert {topics.CUSTOMER_EVENTS.partitions, topics.CUSTOMER_STATE.partitions} == {LOG_PARTITIONS}
