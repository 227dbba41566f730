"""Why a customer's value is what it is: the entries behind each part, by living their log again.

What each event changed in each part is its entry. So the entries of a part add up to the part, refunds, repetition and
everything too old included.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import astuple

from pipeline.core.acquisition import WHOLE, channel_costs, channel_view, cohort_month, parts_of
from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, instant
from pipeline.core.digits import shown
from pipeline.core.ledger import worth_of
from pipeline.core.lived import Life, Moment, Records
from pipeline.core.marks import short_mark
from pipeline.core.profile import Profile
from pipeline.core.referrals import referral_value_minor
from pipeline.core.value import NOTHING, Value, value
from pipeline.schemas import logged

REFERRAL: Final = "referral_value_minor"
REVENUE: Final = "net_revenue_minor"
"""What stands beside the value: through referrals; and what they paid and did not get back."""


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
    friend_id: str | None = None
    """Of what came through a referral: the friend who was referred, where the log names them."""


class Explained(NamedTuple):
    """A customer's value, and the entries it is made of, in the order of their log."""

    value: Value
    entries: tuple[Entry, ...]


class ValueEntries:
    """Gathers the entries, moment by moment."""

    def __init__(self) -> None:
        self.value = NOTHING
        self.referral_minor = self.revenue_minor = 0
        self.entries: list[Entry] = []
        self._friends: dict[int, str] = {}

    def see(self, moment: Moment) -> None:
        """What this moment changed."""
        profile, controls, event = moment.after, moment.controls, moment.event
        if profile is None:
            return
        before, self.value = self.value, value(profile, controls)
        self.entries.extend(_entries(before, self.value, event))
        paid, self.revenue_minor = self.revenue_minor, _net_revenue_minor(profile)
        if self.revenue_minor != paid:
            self.entries.append(_entry(REVENUE, self.revenue_minor - paid, event))
        if isinstance(event, logged.ReferralMade) and event.referred_customer_id:
            self._friends[short_mark(event.referred_customer_id)] = event.referred_customer_id
        had, self.referral_minor = self.referral_minor, referral_value_minor(profile, controls.policy.value)
        if self.referral_minor != had:
            entry = _entry(REFERRAL, self.referral_minor - had, event)
            if isinstance(event, logged.ReferralCredited):
                entry = entry._replace(friend_id=self._friends.get(event.path[-1]))
            self.entries.append(entry)


def _net_revenue_minor(profile: Profile) -> int:
    of_orders = worth_of(profile.ledger)
    return of_orders.revenue_minor - of_orders.refunded_minor


def channels(profile: Profile, controls: Controls) -> list[dict[str, Any]]:
    """What winning them cost, channel by channel: the touches that count, and the spend that is shared."""
    policy = controls.policy
    zone, rules, first_at = policy.shop.time_zone, policy.value, profile.ledger.first_at
    month = cohort_month(profile, zone)
    since = first_at - rules.attribution_window_days * DAY_SECONDS
    touches = {each.channel: [at for at in each.at if since <= at <= first_at] for each in profile.touched}
    found = []
    for each in channel_costs(profile, controls):
        revision = controls.spent.get(month or "", {}).get(each.channel)
        found.append(
            {
                **channel_view(each, controls, month or ""),
                "cohort_month": month,
                "touches_at": [instant(at) for at in touches[each.channel]],
                "spend_minor": revision.spend_minor if revision else None,
                "customers_won": shown(parts_of(revision) / WHOLE) if revision else None,
            }
        )
    return found


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
        for part, old, new in zip(Value.__struct_fields__, astuple(before), astuple(after), strict=True)
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
