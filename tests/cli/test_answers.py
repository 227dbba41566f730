"""A shop run from the command line alone: what an operator types, and what Kafka and the screen then hold."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline import topics
from pipeline.core.policy import default_text
from pipeline.inquiry import scan
from pipeline.local.kafka import KafkaServer
from pipeline.local.valkey import ValkeyServer
from pipeline.schemas.explanations import Explanation
from tests.cli.conftest import Ask
from tests.pipeline.conftest import opened
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import REPOSITORY, Shop, at


@pytest.fixture(scope="module")
def shop(kafka: KafkaServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Topics and a worker. Ann (c1) and Bob (c2) bought on day 1; Bob never agreed to marketing; day 70 has come."""
    folder = tmp_path_factory.mktemp("cli")
    with opened(kafka, valkey, folder) as shop:
        worker = shop.start()
        file = folder / "shop.jsonl"
        bob = event("CustomerIdentified", 2, at(0), customer_id="c2", email="c2@example.org", name="Bob")
        lines = [*person(1), bob, order("1", 1, 1, 5_000), order("2", 2, 1, 2_550)]
        file.write_text("".join(json.dumps(each) + "\n" for each in lines))
        said = shop.wafa("publish", str(file))
        assert said.returncode == 0, said.stderr
        assert "6 lines read" in said.stdout.replace("\n", " ")
        assert "6 events published, 0 lines refused" in said.stdout
        shop.tick(at(2))
        shop.tick(at(62))
        shop.wait_until_done()
        shop.wait(lambda: worker.metric("wafa_customers{") == 2, "both customers are counted")
        shop.wait(lambda: bool(list(scan(shop.settings, topics.PROFILES))), "profiles are out")
        yield shop


class Answer(NamedTuple):
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str

    def lines(self) -> list[str]:
        return self.stdout.splitlines()


Wafa = Callable[..., Answer]


@pytest.fixture
def wafa(shop: Shop, ask: Ask) -> Wafa:
    """A command asked of the shop."""
    return asked_of(shop, ask)


def asked_of(shop: Shop, ask: Ask) -> Wafa:
    environment = {name: value for name, value in shop.environment().items() if name.startswith("WAFA_")}
    return lambda *words: Answer(*ask(*words, **environment))


def test_topics_that_are_missing_are_named_and_made(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path, ask: Ask
) -> None:
    bare = Shop(kafka.bootstrap_servers, valkey.url, tmp_path)
    wafa = asked_of(bare, ask)
    try:
        before = wafa("topics", "check")
        assert before.returncode == 1
        missing = [line.removeprefix("missing ") for line in before.lines() if line.startswith("missing ")]
        assert missing == [bare.settings.topic(topic.name) for topic in topics.TOPICS]
        assert wafa("lag").returncode == 1
        for command in ("fit", "tiers", "affinity"):
            refused = wafa(command)
            assert refused.returncode != 0
            assert bare.settings.topic(topics.CONTROLS.name) in refused.stderr, "where what they find goes"
        made = wafa("topics", "create")
        assert made.returncode == 0
        assert made.stdout.count("created") == len(topics.TOPICS)
        after = wafa("topics", "check")
        assert (after.returncode, after.stdout) == (0, "Every topic is as it should be.\n")
    finally:
        bare.stop()


def test_lag_is_nothing_once_all_is_done(shop: Shop, wafa: Wafa) -> None:
    shop.wait(lambda: "In all 0 records behind." in wafa("lag").stdout, "no lag is shown", 30)


@pytest.mark.parametrize("who", ["c1", "C1@Example.org"])
def test_a_customer_is_found_by_any_alias_and_told_in_words(shop: Shop, wafa: Wafa, who: str) -> None:
    done = wafa("customer", who)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "20.00 USD to date = margin 20.00 USD on 1 orders of 50.00 USD net" in said
    assert "20.00 USD OrderCompleted o1 (2023-11-15)" in said, "what the margin is made of"
    assert "Orders, once: the latest 1 of 1" in said
    assert "at risk since" in said
    assert "marketing by email: yes since 2023-11-14" in said
    assert "OrderCompleted" in said
    sent = [line for line in done.lines() if "retention offer" in line and "sent" in line]
    assert len(sent) == 1
    assert "silent for 61 days since the last purchase" in sent[0], "day 1 to day 62"


def test_why_nothing_was_sent_is_told(shop: Shop, wafa: Wafa) -> None:
    done = wafa("customer", "c2", "--why", "retention-offer")
    withheld = [line for line in done.lines() if "withheld" in line]
    assert len(withheld) == 1
    assert "they have not agreed to marketing by email" in withheld[0]
    assert "in the way of a message now: they have not agreed to it (no_consent)" in done.stdout


def test_each_figure_is_explained_in_words_and_by_its_contract(shop: Shop, wafa: Wafa) -> None:
    found = {"stage": "exploratory since", "lifecycle": "at risk since", "prediction": "no model has been fitted yet"}
    found |= {
        "value": "20.00 USD",
        "retention_offer": "sent",
        "feedback_request": "before the log's first Tick",
        "tier": "no model",
        "satisfaction": "unknown: they have said nothing yet",
        "needs": "not enough orders to say",
        "owed": "marketing in all",
        "rfm": "the shop has not been measured yet",
    }
    for question, words in found.items():
        done = wafa("customer", "c1", "--why", question)
        assert done.returncode == 0, done.stderr
        document = json.loads(wafa("customer", "c1", "--why", question, "--json").stdout)
        assert Explanation.model_validate(document).why == question
        assert words in done.stdout
    value = json.loads(wafa("customer", "c1", "--why", "value", "--json").stdout)["value"]
    everything = json.loads(wafa("customer", "c1", "--json").stdout)
    assert value["entries"] == [
        {**entry, "at": entry["at"].replace("+00:00", "Z")} for entry in everything["value_entries"]
    ]
    assert value["value_to_date_minor"] == everything["profile"]["value"]["value_to_date_minor"]


def test_the_document_has_everything_and_the_start_of_an_id_finds_it(shop: Shop, wafa: Wafa) -> None:
    document = json.loads(wafa("customer", "c2@example.org", "--json").stdout)
    assert document["profile"]["value"]["net_revenue_minor"] == 2_550
    assert [each["type"] for each in sorted(document["events"], key=lambda each: each["occurred_at"])] == [
        "CustomerIdentified",
        "OrderCompleted",
    ]
    again = wafa("customer", document["customer_id"][:8], "--json")
    assert json.loads(again.stdout) == document


def test_nobody_is_somebody(shop: Shop, wafa: Wafa) -> None:
    done = wafa("customer", "nobody@example.org")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("wafa: nobody is known by 'nobody@example.org'")
    assert "first 4 characters" not in done.stderr
    assert "of an id its first 4 characters will do" in wafa("customer", "f5").stderr


def test_triggers_are_told_in_words_and_as_json(shop: Shop, wafa: Wafa) -> None:
    (words,) = wafa("triggers").lines()
    assert words.startswith(f"{at(62):%Y-%m-%d %H:%M}  retention offer for ")
    assert "by email: silent for 61 days since the last purchase" in words
    documents = [json.loads(line) for line in wafa("triggers", "--json").lines()]
    assert documents == shop.triggers()
    assert wafa("triggers", "--limit", "0").stdout == ""


def test_a_customer_list_is_imported_and_imported_again_changes_nothing(shop: Shop, wafa: Wafa, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(
        "Kontakt,name,consent_email,order_id,order_at,Summe\n"
        "carla@example.org,Carla,yes,o7,2023-12-01,19.90\n"
        "nonsense,Dan,yes,o8,2023-12-01,1.00\n"
    )

    def profile() -> dict[str, Any]:
        done = wafa("customer", "carla@example.org", "--json")
        return (json.loads(done.stdout)["profile"] if done.returncode == 0 else None) or {}

    for _ in range(2):
        done = wafa("publish", str(file), "--map", "email=Kontakt", "--map", "order_amount=Summe")
        assert done.returncode == 1
        assert "3 events published, 1 lines refused" in done.stdout
        assert done.stderr.startswith("line 3: email: expected ")
        shop.wait_until_done()
        shop.wait(lambda: profile() != {}, "Carla's profile is out", 30)
        assert (profile()["value"]["orders"], profile()["value"]["revenue_minor"]) == (1, 1_990)
    shop.check_against_core()


def test_a_policy_is_adopted_and_shown(shop: Shop, wafa: Wafa, tmp_path: Path) -> None:
    assert wafa("policy", "show").stdout == default_text()
    file = tmp_path / "policy.toml"
    file.write_text(default_text().replace("at_risk_after_days = 60", "at_risk_after_days = 61"))
    adopted = wafa("policy", "adopt", str(file))
    assert adopted.returncode == 0, adopted.stderr
    shown = wafa("policy", "show").stdout
    assert adopted.stdout.split()[1].rstrip(".") in shown
    assert "at_risk_after_days = 61" in shown
    mine = tmp_path / "mine.toml"
    mine.write_text(shown)
    assert wafa("policy", "check", str(mine)).returncode == 0


def test_a_letter_is_sent_again_once_for_each_choice(shop: Shop, wafa: Wafa) -> None:
    shop.publish_raw("purchases.v1", b"not json", key=b"k")
    shop.publish_raw("emails.v1", b'{"type": "Nonsense"}')
    shop.wait_until_done()
    for process in shop.processes:
        process.end()  # else what is sent again is refused again: a new letter
    looked = wafa("redrive", "--dry-run")
    letters = len(shop.dead_letters())  # the two, and perhaps an order that came too late in another test
    assert letters >= 2
    assert f"{letters} letters would be sent again." in looked.stdout
    (wrong,) = [line for line in looked.stdout.splitlines() if "not_json" in line]
    assert "@" in wrong, "where it lies"
    assert "value: expected JSON, got" in wrong
    before = len(list(scan(shop.settings, topics.PURCHASES)))
    counts = []
    for words in (("--reason", "not_json"), ("--reason", "not_json"), ("--topic", f"{shop.prefix}emails.v1"), ()):
        done = wafa("redrive", *words)
        assert done.returncode == 0, done.stderr
        counts.append(int(done.stdout.splitlines()[-1].split()[0]))
    assert counts == [1, 0, 1, letters], "all letters are another choice than those of one reason or topic"
    purchases = list(scan(shop.settings, topics.PURCHASES))
    assert [(each.key, each.value) for each in purchases if each.value == b"not json"] == [(b"k", b"not json")] * 3
    assert len(purchases) == before + 2


def test_a_stream_is_sent_line_by_line_and_ctrl_c_says_what_was(shop: Shop) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "publish", "-"], cwd=REPOSITORY, env=shop.environment(COLUMNS="200"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"nonsense\n" + json.dumps(order("stream", 1, 3)).encode() + b"\n" + b'{"half a line"')
    process.stdin.flush()
    shop.wait(
        lambda: any(b"ostream" in (each.value or b"") for each in scan(shop.settings, topics.PURCHASES)),
        "the line is on Kafka while the stream goes on", 30,
    )  # fmt: skip
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"1 events published, 1 lines refused." in out
    assert error.splitlines()[0].startswith(b"line 1: value: expected JSON")
    assert error.splitlines()[-1] == b"wafa: interrupted. What is published stays; publish the file again for the rest."
