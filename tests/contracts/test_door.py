"""The door as a whole: a record that is right by itself may still be refused there, and then once and as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline import topics
from pipeline.agents import ingest as door
from pipeline.agents.directory import Directory
from pipeline.agents.ingest import Fuse, Ingest, Names
from pipeline.core.door import Admitted, Refusal, Shop, admit
from pipeline.core.rates import Rates
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.schemas import parse
from pipeline.schemas.dead_letters import Reason, read_dead_letter, redrive_record
from tests.contracts.records import Given, data, golden

NAMES = Names.of(lambda name: name)
CALL = {
    "type": "track", "event": "Order Completed", "messageId": "ajs-1", "userId": "C-104233",
    "timestamp": "2026-02-06T20:03:41Z", "context": {"campaign": {"name": "spring", "medium": "email"}},
    "properties": {"order_id": "100234", "revenue": 144.7, "currency": "EUR"},
}  # fmt: skip


def taken_in(*values: object, topic: topics.Topic = topics.PURCHASES) -> list[Given]:
    """What the door of an empty shop in euros puts out for records: (topic, then the record)."""
    directory = Directory({}, topics.IDENTITIES.name)  # not started: nobody is known yet
    fuse = Fuse(topic.name, refused_fraction=1, records_min=1_000)
    ingest = Ingest(topic, names=NAMES, directory=directory, key=b"key", shop=Shop("EUR", Rates()), fuse=fuse)
    outbox = Outbox()
    records: Any = [Given(data(value)) for value in values]
    assert ingest.process(Batch(topic.name, 0, records, len(records), flush=False), State(), outbox) == len(records)
    return [Given(value, tuple(headers), topic.encode()) for topic, value, _, _, headers in outbox.messages]


def letters(given: list[Given]) -> list[Given]:
    return [each for each in given if each.key == topics.DEAD_LETTERS.name.encode()]


def test_a_call_of_two_events_goes_on_as_two() -> None:
    assert [each.key for each in taken_in(CALL)] == [topics.UNIDENTIFIED_EVENTS.name.encode()] * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "2026-03-02T12:05:01Z"}, Reason.TOO_FAR_AHEAD),  # it arrived at 12:00
        ({"properties": {**CALL["properties"], "currency": "JPY"}}, Reason.NO_RATE),
        ({"userId": "anonymous"}, Reason.NO_ALIAS),
    ],
)
def test_a_call_of_two_events_is_refused_once_and_whole(change: dict[str, Any], reason: Reason) -> None:
    value = {**CALL, **change}
    (letter,) = taken_in(value)
    assert read_dead_letter(letter).reason is reason
    assert redrive_record(letter).value == data(value)


AHEAD = "occurred_at: expected at most 0:05:00 after its arrival, got 0:05:01 after"  # it arrived at 12:00
RATE = "currency: expected one with a rate for 2026-03-02, got JPY"
NOBODY = "customer_id, email, phone, handle: expected one that means somebody, got only such as 0, null or anonymous"
BOTH = {"occurred_at": "2026-03-02T12:05:01Z", "currency": "JPY"}


@pytest.mark.parametrize(
    ("change", "topic", "reason", "problems"),
    [
        (BOTH, topics.PURCHASES, Reason.TOO_FAR_AHEAD, [AHEAD, RATE]),
        ({**BOTH, "customer_id": "0", "email": None}, topics.PURCHASES, Reason.NO_ALIAS, [NOBODY, AHEAD, RATE]),
        (BOTH, topics.EMAILS, Reason.WRONG_TOPIC,
         ["type: expected an event of this topic, got OrderCompleted (belongs on purchases.v1)", AHEAD, RATE]),
    ],
    ids=["by the clock and the rates", "nobody's, too", "on another topic, too"],
)  # fmt: skip
def test_a_letter_has_what_every_stage_has_against_the_event(
    change: dict[str, Any], topic: topics.Topic, reason: Reason, problems: list[str]
) -> None:
    (letter,) = taken_in({**golden("order-completed").value, **change}, topic=topic)
    said = read_dead_letter(letter)
    assert (said.reason, list(said.problems)) == (reason, problems)


def test_a_cost_of_an_odd_period_and_without_a_rate_is_told_both() -> None:
    period = {"period_start_on": "2028-01-01", "period_end_on": "2027-01-01"}
    spent = {"department": "marketing", "channel": "search", "amount_minor": 1, "currency": "JPY"}
    cost = {"type": "CostRecorded", "id": "c", "source": "s", "occurred_at": "2026-03-02T12:00:00Z", **spent}
    (letter,) = taken_in({**cost, "period_start_on": "2028-01-01"}, topic=topics.COSTS)
    assert [problem.partition(":")[0] for problem in read_dead_letter(letter).problems] == [
        "currency",
        "period_start_on",
    ]
    (letter,) = taken_in({**cost, **period}, topic=topics.COSTS)
    assert [problem.partition(":")[0] for problem in read_dead_letter(letter).problems] == [
        "period_end_on", "currency", "period_start_on", "period_end_on",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "nobody",
    [
        "0", "-1", "null", "anonymous", " ", "00000000-0000-0000-0000-000000000000",
        "\0", "\u200b", "\ufeff \u200d", "\u2060\x1f",
    ],
)  # fmt: skip
def test_an_order_of_nobody_is_refused_and_not_dropped(nobody: str) -> None:
    (letter,) = taken_in({**golden("order-completed.least").value, "customer_id": nobody})
    told = read_dead_letter(letter)
    assert told.reason is Reason.NO_ALIAS
    assert told.problems[0].startswith("customer_id, email, phone, handle: expected one that means somebody")


def test_what_needs_nobody_is_no_refusal() -> None:
    month = {**golden("cost-recorded.channel").value, "customer_id": "anonymous"}
    (cost,) = taken_in(month, topic=topics.COSTS)
    assert cost.key == topics.SHOP_COSTS.name.encode()
    mention = golden("mention-posted.anybody").value
    assert [each.key for each in taken_in(mention, topic=topics.SOCIALS)] == [topics.MENTIONS.name.encode()]


def test_a_refused_record_does_not_touch_the_one_behind_it() -> None:
    right = golden("order-completed").value
    given = taken_in({**right, "revenue_minor": -1}, right, b"no JSON", right)
    assert len(letters(given)) == 2
    assert len(given) == 4


@pytest.mark.parametrize(("place", "name"), [(door, "admit"), (parse, "contradiction")])
def test_a_record_that_makes_the_door_fail_is_a_letter_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    """The order of a call is taken in before the touch that came along fails: neither may be left."""
    works = getattr(place, name)

    def fails_at_a_touch(event: Any, **told: Any) -> Any:
        if event.type == "TouchRecorded":
            raise ValueError("nobody thought of spring")
        return works(event, **told)

    monkeypatch.setattr(place, name, fails_at_a_touch)
    right = golden("order-completed").value
    given = taken_in(right, CALL, right)
    assert len(given) == 3
    (letter,) = letters(given)
    told = read_dead_letter(letter)
    assert told.reason is Reason.ADMISSION_FAILED
    assert redrive_record(letter).value == data(CALL)
    assert "test_door.py" in told.problems[0]
    assert "spring" not in told.problems[0], "what a person wrote is quoted nowhere"


def test_what_is_dated_before_the_shop_opened_is_refused_by_name_and_day() -> None:
    """A till whose clock stands at its maker's default: 1 January 2000."""
    opened = Shop("EUR", Rates(), opened_at=datetime(2024, 5, 1, tzinfo=UTC))
    received_at = datetime(2026, 2, 6, 21, tzinfo=UTC)

    def on(day: str) -> Admitted | Refusal:
        order = golden("order-completed").value | {"occurred_at": f"{day}T00:00:00Z"}
        (parsed,), refused = parse.parse_batch([Given(data(order))], topics.PURCHASES.name)
        assert not refused
        return admit(parsed.event, received_at=received_at, shop=opened)

    assert on("2000-01-01") == Refusal(
        Reason.BEFORE_THE_SHOP,
        ("occurred_at: expected 2024-05-01 or later, when the shop opened, got 2000-01-01",),
    )
    assert isinstance(on("2024-05-01"), Admitted)
