"""Why a customer's value is what it is: the entries behind each part, by living their log again.

What each event changed in each part is its entry. So the entries of a part add up to the part, refunds, repetition and
everything too old included.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from pipeline.core.lived import Life, Moment, Records
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import NOTHING, Value, value
from pipeline.schemas import logged

REFERRAL: Final = "referral_value_minor"
"""The part that stands beside the value."""


class Entry(NamedTuple):
    """What one event changed in one part of a customer's value."""

    part: str
    amount_minor: int
    at: datetime
    """When it happened."""
    type: str
    id: str
    """Of the event; of a channel's cost the channel and its month."""
    order_id: str | None


class Explained(NamedTuple):
    """A customer's value, and the entries it is made of, in the order of their log."""

    value: Value
    entries: tuple[Entry, ...]


class ValueEntries:
    """Gathers the entries, moment by moment."""

    def __init__(self) -> None:
        self.value = NOTHING
        self.referral_minor = 0
        self.entries: list[Entry] = []

    def see(self, moment: Moment) -> None:
        """What this moment changed."""
        profile, controls, event = moment.after, moment.controls, moment.event
        if profile is None:
            return
        before, self.value = self.value, value(profile, controls)
        self.entries.extend(_entries(before, self.value, event))
        had, self.referral_minor = self.referral_minor, referral_value_minor(profile, controls.policy.value)
        if self.referral_minor != had:
            self.entries.append(_entry(REFERRAL, self.referral_minor - had, event))


def explained(customer_id: str, records: Records) -> Explained:
    """The value of a customer and its entries, from the records of their partition (others' are passed over)."""
    gathered = ValueEntries()
    for moment in Life(customer_id).moments(records):
        gathered.see(moment)
    return Explained(gathered.value, tuple(gathered.entries))


def _entries(before: Value, after: Value, event: logged.Logged) -> list[Entry]:
    if before == after:
        return []
    return [
        _entry(part, new - old, event)
        for part, old, new in zip(Value._fields, before, after, strict=True)
        if new != old
    ]


def _entry(part: str, amount_minor: int, event: logged.Logged) -> Entry:
    event_id, order_id = getattr(event, "id", ""), getattr(event, "order_id", None)
    if isinstance(event, logged.ChannelCostRevised):
        event_id = f"{event.channel} {event.cohort_month}"
    return Entry(part, amount_minor, happened_at(event), type(event).__name__, event_id, order_id)


def happened_at(event: logged.Logged) -> datetime:
    """When an event happened, or a control was given."""
    match event:
        case logged.Tick():
            return event.as_of
        case logged.PolicyAdopted():
            return event.adopted_at
        case logged.ModelFitted():
            return event.fitted_at
        case logged.ChannelCostRevised():
            return event.revised_at
        case _:
            return event.occurred_at
