"""Why a figure is what it is: the entries behind each part of a customer's value, by living their log again.

Each event is stepped as the worker steps it, and what it changed in each part is its entry. So the entries of a part
add up to the part, refunds, repetition and everything too old included, and no second bookkeeping can disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls
from pipeline.core.profile import Profile
from pipeline.core.referrals import referral_value_minor
from pipeline.core.step import Outcome, step
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


def explained(customer_id: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> Explained:
    """The value of a customer and its entries, from the records of their partition (others' are passed over)."""
    key = customer_id.encode()
    controls, profile, worth = core_controls.INITIAL, None, NOTHING
    tick: logged.Tick | None = None  # the last one; it matters only once the customer is due or something happens
    referral, entries = 0, list[Entry]()
    for record_key, record in records:
        if record_key not in (key, logged.CONTROL_KEY) or record is None:
            continue
        event = logged.decode(record)
        if isinstance(event, logged.Tick):
            if controls.first_tick_at and (profile is None or profile.next_review_at > event.as_of.timestamp()):
                tick = event
                continue
            controls, profile = _ticked(customer_id, profile, controls, event)
            continue
        if tick is not None:
            controls, tick = core_controls.adopt(controls, tick), None
        if isinstance(event, logged.Control):
            controls = core_controls.adopt(controls, event)
        else:
            profile = _lived(customer_id, profile, event, controls)
        if profile is not None:
            before, worth = worth, value(profile, controls)
            entries.extend(_entries(before, worth, event))
            had, referral = referral, referral_value_minor(profile, controls.policy.value)
            if referral != had:
                entries.append(_entry(REFERRAL, referral - had, event))
    return Explained(worth, tuple(entries))


def _ticked(
    customer_id: str, profile: Profile | None, controls: Controls, tick: logged.Tick
) -> tuple[Controls, Profile | None]:
    """As a Tick leaves them: it visits who is due, if it is newer than the last."""
    controls = core_controls.adopt(controls, tick)
    due = profile is not None and profile.next_review_at <= tick.as_of.timestamp()
    if due and core_controls.is_latest(controls, tick):
        profile = step(customer_id, profile, tick, controls).profile
    return controls, profile


def _lived(
    customer_id: str, profile: Profile | None, event: logged.CustomerEvent, controls: Controls
) -> Profile | None:
    """As an event leaves them; one that the worker refuses leaves them as they were."""
    try:
        stepped = step(customer_id, profile, event, controls)
    except Exception:  # noqa: BLE001 - the worker keeps such a record as a dead letter and goes on
        return profile
    return profile if stepped.outcome is Outcome.TOO_OLD else stepped.profile


def _entries(before: Value, after: Value, event: logged.Logged) -> list[Entry]:
    if before == after:
        return []
    return [
        _entry(part, new - old, event)
        for part, old, new in zip(Value._fields, before, after, strict=True)
        if new != old
    ]


def _entry(part: str, amount_minor: int, event: logged.Logged) -> Entry:
    at = event.occurred_at if isinstance(event, logged.Event) else _adopted_at(event)
    event_id, order_id = getattr(event, "id", ""), getattr(event, "order_id", None)
    if isinstance(event, logged.ChannelCostRevised):
        event_id = f"{event.channel} {event.cohort_month}"
    return Entry(part, amount_minor, at, type(event).__name__, event_id, order_id)


def _adopted_at(control: logged.Logged) -> datetime:
    at: datetime = getattr(control, "revised_at", None) or control.adopted_at  # type: ignore[union-attr]  # by its kind
    return at
