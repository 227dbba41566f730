"""The pure core at a test's hands: feed events, let time pass, look at what came of it. Also the oracle.

Naive on purpose: no batches, no index of who is due, nothing packed until the end. It leaves out Kafka, identity and
the door; those have tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.core.codec import pack
from pipeline.core.controls import INITIAL, Controls, adopt, is_latest
from pipeline.core.decisions import Decision
from pipeline.core.moment import Note
from pipeline.core.policy import DEFAULT, Policy, policy_hash, to_dict
from pipeline.core.profile import Profile
from pipeline.core.referrals import Told
from pipeline.core.step import Outcome, Step, step
from pipeline.schemas import logged


@dataclass
class Driver:
    """One partition of customers, stepped one event at a time."""

    policy: Policy = DEFAULT
    controls: Controls = INITIAL
    profiles: dict[str, Profile] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    """What customers' logs were told by others and have not yet had: see `deliver`."""

    def __post_init__(self) -> None:
        if self.policy is not DEFAULT:
            adopted_at = datetime.fromisoformat("1970-01-02T00:00:00+00:00")
            self.control(
                logged.PolicyAdopted(
                    adopted_at=adopted_at, policy_hash=policy_hash(self.policy), policy=to_dict(self.policy)
                )
            )

    def feed(self, event: logged.CustomerEvent, customer_id: str = "c") -> Step:
        """One event of one customer."""
        stepped = step(customer_id, self.profiles.get(customer_id), event, self.controls)
        self.told.extend(stepped.told)
        self.outcomes.append(stepped.outcome)
        if stepped.outcome is not Outcome.TOO_OLD:
            self.profiles[customer_id] = stepped.profile
        self.decisions.extend(stepped.decisions)
        self.notes.extend(stepped.notes)
        return stepped

    def deliver(self, place: int = 0) -> None:
        """One of the events that a customer's log was told by another's; each log's own in their order."""
        told = self.told.pop(place)
        self.feed(told.event, told.customer_id)

    def control(self, control: logged.Control) -> None:
        """A control; a Tick visits everybody who is due, in the order of (next review, id)."""
        self.controls = adopt(self.controls, control)
        if not isinstance(control, logged.Tick) or not is_latest(self.controls, control):
            return
        until = int(control.as_of.timestamp())
        due = sorted(
            (profile.next_review_at, customer_id.encode(), customer_id)
            for customer_id, profile in self.profiles.items()
            if profile.next_review_at <= until
        )
        for _, _, customer_id in due:
            self.feed_tick(customer_id, control)

    def feed_tick(self, customer_id: str, tick: logged.Tick) -> None:
        """One visit."""
        stepped = step(customer_id, self.profiles[customer_id], tick, self.controls)
        self.profiles[customer_id] = stepped.profile
        self.decisions.extend(stepped.decisions)
        self.notes.extend(stepped.notes)

    def tick(self, as_of: datetime) -> None:
        """It is now `as_of`."""
        self.control(logged.Tick(as_of=as_of))

    def sent(self, rule: str) -> list[Decision]:
        """The decisions to send, of one rule."""
        return [each for each in self.decisions if each.rule == rule and each.outcome == "sent"]


@dataclass(frozen=True)
class Replayed:
    """What a partition's log amounts to."""

    profiles: dict[str, bytes]
    decisions: list[Decision]
    told: list[Told]


def replay(records: Iterable[tuple[bytes, bytes]]) -> Replayed:
    """State (packed), decisions and what others are told, of one partition of the customers' log, from its start."""
    driver = Driver()
    for key, value in records:
        event = logged.decode(value)
        if key == logged.CONTROL_KEY:
            driver.control(event)
        else:
            driver.feed(event, key.decode())
    packed = {customer: pack(profile) for customer, profile in driver.profiles.items()}
    return Replayed(packed, driver.decisions, driver.told)
