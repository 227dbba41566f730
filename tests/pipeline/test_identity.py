"""Who an event is about, on the real path: newcomers, events that wait, claims that contradict, and races.

The law: an alias has one writer, the owner of its partition of `unidentified-events`. So the same alias seen through
two sources at once gives one customer. Two *different* aliases of one person that are both new have two writers; if
each comes first in an event of its own, each makes a customer, and the event that names both together is recorded as a
conflict, for a merge to settle. The first link wins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from pipeline import topics
from pipeline.agents.identify import CONFLICT_PREFIX
from pipeline.agents.waiting import EVENTS_MAX
from pipeline.core.identity import alias_hash
from pipeline.engine.changelog import payload_of
from pipeline.inquiry import customer_ids, scan
from pipeline.settings import DEMONSTRATION_KEY
from pipeline.topics import LINK_PREFIX
from tests.pipeline.history import event, order
from tests.pipeline.shop import Shop, at


def hashed(kind: str, value: str) -> str:
    return alias_hash(kind, value, DEMONSTRATION_KEY.encode())


def identities(shop: Shop) -> dict[bytes, bytes]:
    """What the identities' changelog says, positions left out."""
    found = {}
    for record in scan(shop.settings, topics.IDENTITIES):
        if record.key is not None and not record.key.startswith(b"__"):
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = payload_of(record.value)
    return found


def linked(shop: Shop, kind: str, value: str) -> str:
    return identities(shop)[LINK_PREFIX + hashed(kind, value).encode()].decode()


def claims(shop: Shop, kind: str, value: str) -> list[str]:
    """Which other customers claimed an alias."""
    found = identities(shop).get(CONFLICT_PREFIX + hashed(kind, value).encode())
    return [] if found is None else msgspec.json.decode(found, type=list[str])


def events_of(shop: Shop, customer: str) -> list[str]:
    """The types of a customer's events, in order."""
    return [json.loads(value)["type"] for key, value in shop.entries() if key == customer.encode()]


def opened(number: object, email: str) -> dict[str, object]:
    """An event that may not make a customer."""
    return event("EmailOpened", number, at(1), email=email, email_id=f"m{number}")


def test_only_so_many_wait_and_the_rest_are_kept_as_dead_letters_the_oldest_first(running: Shop) -> None:
    email = "patient@example.org"
    running.publish(opened(f"p{number}", email) for number in range(EVENTS_MAX + 3))
    running.wait_until_done()
    letters = [json.loads(value or b"")["id"] for _, value, _ in running.dead_letters() if email.encode() in value]
    assert letters == [f"EmailOpened-p{number}" for number in range(3)]
    reasons = {headers["wafa_reason"] for _, value, headers in running.dead_letters() if email.encode() in value}
    assert reasons == {"nobody_known"}
    worker = running.processes[0]
    assert worker.metric("wafa_waiting_events{") == EVENTS_MAX
    running.publish([event("CustomerIdentified", "patient", at(2), email=email)])
    running.wait_until_done()
    (customer,) = customer_ids(running.settings, email)
    assert events_of(running, customer) == ["EmailOpened"] * EVENTS_MAX + ["CustomerIdentified"]
    running.wait(lambda: worker.metric("wafa_waiting_events{") == 0, "nobody waits any more")
    running.check_against_core()


def test_an_event_that_waits_is_released_by_whichever_source_makes_its_person_known(running: Shop) -> None:
    running.publish([opened("released", "released@example.org")])
    running.wait_until_done()
    bought = order("released", 0, 2) | {"customer_id": "released", "email": "released@example.org"}
    running.publish([bought])
    running.wait_until_done()
    (customer,) = set(
        customer_ids(running.settings, "released") + customer_ids(running.settings, "released@example.org")
    )
    assert sorted(events_of(running, customer)) == ["EmailOpened", "OrderCompleted"]


def test_two_aliases_of_one_event_lead_to_one_customer_from_then_on(running: Shop) -> None:
    running.publish([event("CustomerIdentified", "two", at(1), customer_id="two", phone="+49 30 222")])
    running.wait_until_done()
    running.publish([order("two-a", 0, 2) | {"customer_id": "two"}])
    running.publish([order("two-b", 0, 3) | {"customer_id": None, "phone": "+4930222"}])
    running.wait_until_done()
    assert linked(running, "customer_id", "two") == linked(running, "phone", "+4930222")
    assert len(events_of(running, linked(running, "customer_id", "two"))) == 3


def test_an_alias_of_somebody_is_not_moved_to_another_who_claims_it_and_the_claim_is_kept(running: Shop) -> None:
    shared = "family@example.org"
    running.publish([event("CustomerIdentified", "mother", at(1), customer_id="mother", email=shared)])
    running.wait_until_done()
    running.publish([event("CustomerIdentified", "father", at(1), customer_id="father", email="his@example.org")])
    running.wait_until_done()
    for number in range(2):
        bought = order(f"father{number}", 0, 2) | {"customer_id": "father", "email": shared}
        running.publish([bought])
        running.wait_until_done()
    mother, father = (linked(running, "customer_id", who) for who in ("mother", "father"))
    assert mother != father
    assert linked(running, "email", shared) == mother
    assert claims(running, "email", shared) == [father]
    assert claims(running, "email", "his@example.org") == []
    running.publish([opened("shared", shared)])
    running.wait_until_done()
    assert events_of(running, mother) == ["CustomerIdentified", "EmailOpened"]
    assert events_of(running, father) == ["CustomerIdentified", "OrderCompleted", "OrderCompleted"]
    running.check_against_core()


def test_the_same_newcomer_through_all_sources_at_the_same_moment_is_one_customer(running: Shop) -> None:
    """20 people, each first seen in five sources at once: their events race through ten tasks."""

    def first_contacts(number: int) -> Iterator[dict[str, object]]:
        who = {"customer_id": f"race{number}"}
        name = f"race{number}"
        yield event("CustomerIdentified", name, at(1), **who)
        yield order(name, 0, 1) | who
        yield event(
            "ConsentChanged", name, at(1), **who, purpose="marketing", channel="email", state="granted",
        )  # fmt: skip
        yield event("SurveyAnswered", name, at(1), **who, survey_id="s", kind="nps", score=9, score_max=10)
        yield event("TicketOpened", name, at(1), **who, ticket_id=f"t{name}", kind="complaint", severity=2)

    running.publish(each for number in range(20) for each in first_contacts(number))
    running.wait_until_done()
    assert [letter for letter in running.dead_letters() if b"race" in (letter[1] or b"")] == []
    customers = {linked(running, "customer_id", f"race{number}") for number in range(20)}
    assert len(customers) == 20
    for customer in customers:
        assert len(events_of(running, customer)) == 5


def test_two_new_aliases_of_one_person_at_once_are_one_customer_or_two_with_the_claim_recorded(running: Shop) -> None:
    """What ANSWERS 5 leaves to a merge: never a lost event, never an alias moved, never a silent split."""
    for number in range(20):
        both = {"customer_id": f"split{number}", "email": f"split{number}@example.org"}
        by_mail = {"email": both["email"], "purpose": "marketing", "channel": "email", "state": "granted"}
        running.publish(
            [
                event("CustomerIdentified", f"split{number}", at(1), **both),
                event("ConsentChanged", f"split{number}", at(1), **by_mail),
            ]
        )
    running.wait_until_done()
    for number in range(20):
        by_id = linked(running, "customer_id", f"split{number}")
        by_mail = linked(running, "email", f"split{number}@example.org")
        if by_id == by_mail:
            assert sorted(events_of(running, by_id)) == ["ConsentChanged", "CustomerIdentified"]
        else:
            assert claims(running, "email", f"split{number}@example.org") == [by_id]
            assert (events_of(running, by_id), events_of(running, by_mail)) == (
                ["CustomerIdentified"],
                ["ConsentChanged"],
            )
    running.check_against_core()
