"""What each role may do on Kafka, and no more: granted on a broker that asks, then everything Wafa does is done.

The broker writes down all that it was asked. So the table in `pipeline.rights` is held from both sides: nothing that a
role asks for is refused, and no right of a role is without use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from pipeline import topics
from pipeline.admin import SEALED, Admin
from pipeline.core.policy import default_text
from pipeline.inquiry import scan
from pipeline.kafka_clients import librdkafka_config
from pipeline.local.valkey import ValkeyServer
from pipeline.rights import ROLES, Granted
from pipeline.settings import Settings, load
from tests.cli.conftest import Ask
from tests.guarded import Guarded, run_guarded
from tests.pipeline.history import event, order, person, weeks
from tests.pipeline.shop import Process, Shop, at
from tests.pipeline.test_lost import delete_to_the_end
from tests.pipeline.test_rebuild import made_anew
from tests.pipeline.test_repartition import under

WEEKS: Final = 8
CUSTOMERS: Final = 12


@dataclass
class Guild:
    """A shop on a guarded broker: tests themselves may do everything, and each role signs in as a user of its own."""

    shop: Shop
    guarded: Guarded
    ask: Ask
    folder: Path
    signs_in: dict[str, dict[str, str]]
    """By a command, or what else is named in the table: the settings of who runs it."""
    user_of: dict[str, str]

    def settings(self, who: str) -> Settings:
        """Those of a client that signs in in this role."""
        given = self.shop.environment() | self.signs_in[who]
        ours = {name.removeprefix("WAFA_").lower(): given[name] for name in given if name.startswith("WAFA_")}
        return load(**ours)

    def start(self, who: str, **extra: str) -> Process:
        """A process in its role."""
        return self.shop.start(who, **self.signs_in[who], **extra)

    def wafa(self, who: str, *words: str, expected: int = 0) -> str:
        """What a command says, run in its role."""
        code, said, problem = self.tried(who, *words)
        assert code == expected, f"{who}: {said}{problem}"
        return said

    def tried(self, who: str, *words: str) -> tuple[int, str, str]:
        """A command run in its role: exit code, what it says, and what it complains of."""
        return self.ask(*who.split(), *words, **self.shop.environment() | self.signs_in[who])

    def write(self, name: str, text: str) -> str:
        """A file to give to a command."""
        (self.folder / name).write_text(text)
        return str(self.folder / name)


def names(role: str) -> list[str]:
    """The commands of a role, without `wafa`, or what else it is called."""
    return re.findall(r"`wafa ([^`]+)`", role) or [role]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[Guarded]:
    with run_guarded(tmp_path_factory.mktemp("guarded"), jar_cache) as guarded:
        yield guarded


@pytest.fixture
def guild(guarded: Guarded, valkey: ValkeyServer, ask: Ask, tmp_path: Path) -> Iterator[Guild]:
    """Every role with the rights it has in the table; there are no topics yet."""
    shop = Shop(guarded.server.bootstrap_servers, valkey.url, tmp_path)
    signs_in, user_of = {}, {}
    for role in ROLES:
        user = shop.prefix + re.sub("[^a-z]+", "-", role.name).strip("-")
        signs = guarded.let_in(user, role.granted(shop.settings))
        for who in names(role.name):
            signs_in[who], user_of[who] = signs, user
    try:
        yield Guild(shop, guarded, ask, tmp_path, signs_in, user_of)
    finally:
        shop.stop()


@pytest.mark.timeout(600)
def test_every_role_works_with_the_rights_it_is_granted_and_each_of_them_is_needed(guild: Guild) -> None:
    topics_and_policy_are_made(guild)
    history_becomes_triggers(guild)
    what_is_known_is_asked_and_reckoned(guild)
    letters_are_sent_again(guild)
    the_halves_work_alone_and_keep_the_time(guild)
    what_is_deleted_unread_is_passed_over(guild)
    state_and_log_are_written_anew(guild)
    used, refused = guild.guarded.rights_used(), guild.guarded.refused()
    for role in ROLES:
        user = guild.user_of[names(role.name)[0]]
        assert refused.get(user, set()) == set(), role.name
        assert sorted(map(str, role.granted(guild.shop.settings))) == sorted(map(str, used[user])), role.name


def topics_and_policy_are_made(guild: Guild) -> None:
    """One topic is lost and one set wrong on the way; the policy has a zone of its own, and a goal."""
    settings = guild.shop.settings
    assert guild.wafa("topics create").count("created") == len(topics.TOPICS)
    with Admin(settings) as admin:
        admin.delete([settings.topic(topics.MENTIONS.name)])
        admin._alter({settings.topic(topics.TRIGGERS.name): {"retention.ms": "1000"}})
    guild.wafa("topics check", expected=1)
    made = guild.wafa("topics create --fix")
    assert (made.count("created"), made.count("fixed")) == (1, 1)
    guild.wafa("topics check")
    policy = default_text().replace('"UTC"', '"Europe/Berlin"').replace("target_minor = 0", "target_minor = 100", 1)
    guild.wafa("policy adopt", guild.write("policy.toml", policy))
    assert 'time_zone = "Europe/Berlin"' in guild.wafa("policy show")


def history() -> list[dict[str, Any]]:
    """Weeks of a shop, a mention, a cost and somebody's words: something for each topic."""
    mention = event("MentionPosted", 1, at(1), mention_id="p1", platform="forum", author_handle="nobody", text="Lovely")
    cost = event("CostRecorded", 1, at(1), department="marketing", amount_minor=900, currency="USD", channel="search")
    words = event(
        "TicketOpened", 1, at(40), customer_id="c1", ticket_id="t1", kind="complaint", severity=2, text="It broke."
    )
    return [*(each for week in weeks(CUSTOMERS, WEEKS) for each in week), mention, cost, words]


def lines(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in events)


def history_becomes_triggers(guild: Guild) -> None:
    """A publisher, a worker, the views, and who acts on triggers."""
    shop = guild.shop
    guild.wafa("publish", guild.write("history.jsonl", lines(history())))
    worker, views = guild.start("worker"), guild.start("views")
    for day in (57, 90, 130):
        shop.tick(at(day))
    shop.wait_until_done()
    shop.check_against_core()
    triggers = {trigger["trigger_id"] for trigger in shop.triggers()}
    assert triggers
    assert acted_on(guild, len(triggers)) == triggers
    assert guild.wafa("triggers").count("\n") == len(triggers)
    shop.wait(lambda: views.get("/readyz")[0] == 200, "the views are level")
    assert views.end() == 0
    assert worker.popen.poll() is None


def acted_on(guild: Guild, count: int) -> set[str]:
    """The triggers that marketing automation gets, as a member of its group."""
    config = librdkafka_config(guild.settings("marketing automation"))
    consumer = Consumer(
        {**config, "group.id": "marketing-automation", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([guild.shop.settings.topic(topics.TRIGGERS.name)])
    found: set[str] = set()

    def has_all() -> bool:
        for message in consumer.consume(1_000, 0.2):
            assert message.error() is None, message.error()
            found.add(json.loads(message.value() or b"")["trigger_id"])
        return len(found) == count

    guild.shop.wait(has_all, "marketing automation has every trigger")
    consumer.commit(asynchronous=False)
    consumer.close()
    return found


def what_is_known_is_asked_and_reckoned(guild: Guild) -> None:
    guild.wafa("customer", "c1")
    for question in ("books", "report", "lag"):
        guild.wafa(question)
    guild.wafa("analyst", "--once")
    spend = guild.write("spend.csv", f"channel,month,spend_minor\nsearch,{at(1):%Y-%m},1000\n")
    assert "1 revised" in guild.wafa("spend", spend)
    guild.wafa("affinity")


def letters_are_sent_again(guild: Guild) -> None:
    """Something unreadable on every source, by a publisher of its own, and on the log: seven letters, twice."""
    shop = guild.shop
    publisher = Producer(librdkafka_config(guild.settings("publish")))
    for source in topics.SOURCES:
        publisher.produce(shop.settings.topic(source.name), b"not json", b"k")
    assert publisher.flush(30) == 0
    shop.producer.produce(shop.settings.topic(topics.CUSTOMER_EVENTS.name), b"not of ours", b"k", 0)
    shop.wait_until_done()
    assert len(shop.dead_letters()) == 7
    assert "7 letters sent again" in guild.wafa("redrive")
    shop.wait_until_done()
    assert len(shop.dead_letters()) == 14


def the_halves_work_alone_and_keep_the_time(guild: Guild) -> None:
    """In place of the worker that did all. They end with every control copied and taken up."""
    shop = guild.shop
    for process in shop.processes:
        if process.popen.poll() is None:
            assert process.end() == 0
    before = len(list(scan(shop.settings, topics.CONTROLS)))
    customers = guild.start("worker", WAFA_WORKER_ROLE="customers")
    doors = guild.start("worker", WAFA_WORKER_ROLE="doors", WAFA_CLOCK_SOURCE="wall", WAFA_CLOCK_TICK_SECONDS="0.5")
    shop.wait(lambda: len(list(scan(shop.settings, topics.CONTROLS))) > before, "the clock has ticked")
    assert doors.end() == 0
    shop.wait_until_drained((topics.CUSTOMER_EVENTS,))
    assert customers.end() == 0


def what_is_deleted_unread_is_passed_over(guild: Guild) -> None:
    """A record that nobody has read in each partition of a source, of what waits and of mentions; then all is gone."""
    shop = guild.shop
    for topic in (topics.COSTS, topics.UNIDENTIFIED_EVENTS, topics.MENTIONS):
        for partition in range(topic.partitions):
            shop.producer.produce(shop.settings.topic(topic.name), b"unread", b"key", partition)
    assert shop.producer.flush(30) == 0
    for topic in (topics.COSTS, topics.UNIDENTIFIED_EVENTS, topics.MENTIONS):
        delete_to_the_end(shop, topic)
    lost = topics.COSTS.partitions + topics.UNIDENTIFIED_EVENTS.partitions + topics.MENTIONS.partitions
    assert guild.wafa("lost", expected=1).count("were deleted") == lost
    assert guild.wafa("lost --accept").count("goes on at") == lost
    assert guild.wafa("lost") == "Nothing is lost.\n"


def state_and_log_are_written_anew(guild: Guild) -> None:
    """The state is lost, and derived from the log; the log gets another count, where that was begun before."""
    shop, few = guild.shop, under(guild.shop, 3)
    live = shop.changelog()
    made_anew(shop, topics.CUSTOMER_STATE)
    guild.wafa("rebuild --check", expected=1)
    guild.wafa("rebuild")
    assert shop.changelog() == live
    for again in ("rebuild --check", "rebuild"):
        assert "the state is what the log leads to" in guild.wafa(again)
    with Admin(shop.settings) as admin, Admin(few.settings) as new_admin:
        for name in (topics.CUSTOMER_STATE.name, topics.CUSTOMER_EVENTS.name):
            admin.seal(shop.settings.topic(name), SEALED)
        new_admin.make_log()
    guild.wafa("repartition", "3")
    assert few.state() == shop.state()


LOG: Final = "{topics}customer-events.v1"
POLICY: Final = "policy.toml"
MISSING: Final = (
    ("topics create", (), "CREATE Topic {topics}*", "CREATE on Topic {topics}mentions.v1 is missing"),
    ("topics create --fix", (), "ALTER_CONFIGS Topic {topics}*", "DESCRIBE_CONFIGS on Topic "),
    ("topics check", (), "DESCRIBE_CONFIGS Topic {topics}*", "DESCRIBE_CONFIGS on Topic "),
    ("publish", ("-",), "WRITE Topic {topics}costs.v1", "DESCRIBE on Topic {topics}costs.v1 is missing"),
    ("policy show", (), "DESCRIBE Group wafa-reader-*", "DESCRIBE on Group wafa-reader-inquiry is missing"),
    (
        "policy adopt",
        ("policy.toml",),
        "READ Topic {topics}controls.v1",
        "READ on Topic {topics}controls.v1 is missing",
    ),
    ("policy adopt", ("policy.toml",), "WRITE Topic {topics}controls.v1", "WRITE is missing on every Topic"),
    ("rebuild", (), "DESCRIBE_CONFIGS Topic " + LOG + "*", "DESCRIBE_CONFIGS on Topic " + LOG + " is missing"),
    ("rebuild", (), "READ Topic {topics}profiles.v1", "DESCRIBE on Topic {topics}profiles.v1 is missing"),
    ("rebuild", (), "WRITE TransactionalId {app}-customers-*", "WRITE on this TransactionalId is missing"),
    ("repartition", ("3",), "ALTER_CONFIGS Topic " + LOG + "*", "DESCRIBE_CONFIGS on Topic " + LOG + " is missing"),
    ("redrive", (), "WRITE TransactionalId {app}-redrive*", "WRITE on a TransactionalId is missing"),
    ("redrive", (), "READ Group {app}-redrive*", "READ on Group {app}-redrive is missing"),
    ("lag", (), "DESCRIBE Group {app}-doors", "GROUP/{app}-doors"),
)
"""What is tried, with which right taken away, and what is said of it."""


def test_a_command_without_a_right_says_which_one_is_missing(guild: Guild) -> None:
    shop = guild.shop
    shop.create()
    with Admin(shop.settings) as admin:
        admin.delete([shop.settings.topic(topics.MENTIONS.name)])
    policy = guild.write(POLICY, default_text())
    names_here = {"topics": shop.prefix, "app": shop.settings.worker_app_id}
    for who, words, taken, expected in MISSING:
        operation, resource, name = taken.format(**names_here).split()
        right = Granted(resource, name.removesuffix("*"), name.endswith("*"), operation)  # type: ignore[arg-type]  # of the table
        guild.guarded.take(guild.user_of[who], [right])
        code, _, problem = guild.tried(who, *(policy if word == POLICY else word for word in words))
        assert (code, expected.format(**names_here) in problem) == (3, True), f"{who} without {taken}: {code} {problem}"
        assert "Traceback" not in problem
        guild.guarded.grant(guild.user_of[who], [right])


def test_a_publisher_may_neither_read_the_log_nor_ask_what_is_known(guild: Guild) -> None:
    shop = guild.shop
    shop.create()
    log = shop.settings.topic(topics.CUSTOMER_EVENTS.name)
    publisher = Producer(librdkafka_config(guild.settings("publish")))
    seen = publisher.list_topics(log, timeout=30).topics[log]
    assert seen.error is not None
    assert seen.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    code, _, problem = guild.ask("books", **shop.environment() | guild.signs_in["publish"])
    assert (code, f"DESCRIBE on Topic {shop.prefix}customer-state.v1, {log} is missing" in problem) == (3, True), (
        problem
    )


def test_a_worker_without_its_group_ends_and_without_its_transactional_ids_waits_and_both_say_why(guild: Guild) -> None:
    shop = guild.shop
    shop.create()
    shop.publish([*person(1), order(1, 1, 1)])
    app, user = shop.settings.worker_app_id, guild.user_of["worker"]
    group = Granted("Group", app, is_prefix=False, operation="READ")
    ids = Granted("TransactionalId", f"{app}-", is_prefix=True, operation="WRITE")
    guild.guarded.take(user, [group, ids])
    worker = guild.start("worker")
    assert worker.popen.wait(60) == 3
    assert f"GROUP/{app}" in worker.log()

    guild.guarded.grant(user, [group])
    worker = guild.start("worker")

    def says_which() -> bool:
        said = " ".join(worker.reasons("/readyz"))
        return f"init_transactions {app}-customers-" in said and "WRITE on this TransactionalId is missing" in said

    shop.wait(says_which, "it says which right is missing")
    assert shop.log() == {}
    guild.guarded.grant(user, [ids])
    shop.wait_until_done()
    shop.check_against_core()
    assert len(shop.entries()) == 4
