"""What the customers' processor puts out beside decisions: what is odd, as dead letters; what other logs are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.agents.customers import Customers, Names
from pipeline.engine.processor import Batch, Outbox, State
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import OutRecord, Reason, is_carried, read_dead_letter
from tests.core.builders import cancelled, day, order, refund, said

NAMES = Names.of(lambda name: name)


@dataclass(frozen=True)
class Given:
    """A record of the customers' log."""

    key: bytes
    value: bytes
    offset: int
    topic: str = NAMES.customer_events
    partition: int = 3
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def put_out(topic: str, *told: tuple[str, Any]) -> list[OutRecord]:
    """What one batch of (customer, event or control) puts out on a topic."""
    records = [Given(key.encode(), logged.encode(event), number) for number, (key, event) in enumerate(told)]
    outbox = Outbox()
    processor = Customers(3, State(), (), names=NAMES)
    assert processor.process(Batch(NAMES.customer_events, 3, records, len(records), flush=False), State(), outbox)
    return [OutRecord(key, value, tuple(headers)) for name, value, key, _, headers in outbox.messages if name == topic]


def tick(on: float) -> tuple[str, logged.Tick]:
    """It is that day."""
    return logged.CONTROL_KEY.decode(), logged.Tick(as_of=day(on))


def test_an_odd_event_counts_and_is_a_dead_letter_as_it_came() -> None:
    too_much = refund(1, "A", "R", 5_000)
    (letter,) = put_out(NAMES.dead_letters, ("a", order(0)), ("a", too_much))
    read = read_dead_letter(letter)
    assert (read.reason, read.topic, read.partition, read.offset) == (
        Reason.REFUND_ABOVE_ORDER, "customer-events.v1", 3, 1,
    )  # fmt: skip
    assert (letter.key, letter.value) == (b"a", logged.encode(too_much))


def test_a_refund_let_go_by_a_tick_is_a_letter_of_the_customer_that_cannot_be_sent_again() -> None:
    waits = ("a", refund(1, "Z", "R", 700))
    (letter,) = put_out(NAMES.dead_letters, tick(0), waits, *(tick(on) for on in range(2, 140, 5)))
    read = read_dead_letter(letter)
    assert read.reason is Reason.REFUND_WITHOUT_ORDER
    assert (letter.key, letter.value) == (b"a", None)
    assert not is_carried(read, letter.value)
    assert "700 not counted" in read.problems[0]


def test_a_cancellation_let_go_beside_another_event_is_no_letter_of_that_event() -> None:
    waits = ("a", cancelled(1, "Z"))
    letters = put_out(NAMES.dead_letters, tick(0), waits, tick(150), ("a", order(160)))
    assert [(read_dead_letter(each).reason, each.key, each.value) for each in letters] == [
        (Reason.CANCELLATION_WITHOUT_ORDER, b"a", None)
    ]


def test_a_friends_log_is_told_by_its_key_and_the_referrers_too() -> None:
    refers = said(logged.ReferralMade, 0, referral_id="f", referred_customer_id="b")
    introduced = said(logged.CustomerReferred, 0, referrer_id="a", referral_id="f")
    told = put_out(NAMES.customer_events, ("a", refers), ("b", introduced), ("b", order(1, "A", 1_000)))
    sent = [(each.key, logged.decode(each.value or b"")) for each in told]
    assert [(key, type(event)) for key, event in sent] == [
        (b"b", logged.CustomerReferred), (b"a", logged.ReferralCredited),
    ]  # fmt: skip
    credit = sent[1][1]
    assert isinstance(credit, logged.ReferralCredited)
    assert (credit.amount_minor, credit.currency, len(credit.path)) == (400, "USD", 1)
