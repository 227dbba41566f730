"""What channels cost, counted anew: spend as told, customers as won, and a revision for each month that has changed.

A channel's month has its spend from one source: the costs that name the channel, or a file, which then stands in their
place. What is odd is named, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pipeline.core import controls as core_controls
from pipeline.core.controls import Controls, spending
from pipeline.core.shop_costs import ChannelMonth
from pipeline.schemas import logged

CHANNELS_MAX: Final = 64
"""Channels whose costs are spread; what further ones spent is named."""
EVENTS: Final = "events"
FILE: Final = "file"


class Odd(StrEnum):
    """What is odd about a channel's spend on a month. Closed: it labels a metric."""

    NOBODY_WON = "nobody_won"
    """Spent, and no customer of that month came by the channel."""
    BELOW_ZERO = "below_zero"
    """More was taken back than spent; it counts."""
    TOLD_TWICE = "told_twice"
    """Costs name it, and a file tells it: the file counts."""
    NO_CHANNEL = "no_channel"
    """Costs that name no channel: spread over nobody."""
    TOO_MANY = "too_many"
    """No place for it: more channels or months than are kept; spread over nobody."""


class Remark(NamedTuple):
    """One odd thing, and how much money it is about."""

    odd: Odd
    channel: str
    cohort_month: str
    amount_minor: int


class Won(NamedTuple):
    """Whom channels won, by (channel, month): parts of `acquisition.WHOLE`, and customers with a part."""

    parts: Mapping[ChannelMonth, int]
    customers: Mapping[ChannelMonth, int]


class Spend(NamedTuple):
    """What channels spent: by the costs that name them, and as a file tells it (None: the costs count again)."""

    by_events: Mapping[ChannelMonth, int]
    by_file: Mapping[ChannelMonth, int | None]


class Revised(NamedTuple):
    """The revisions to append, in order, and what is odd."""

    revisions: tuple[logged.ChannelCostRevised, ...]
    remarks: tuple[Remark, ...]
    months: int
    """Channels' months in force afterwards."""


def revised(controls: Controls, spend: Spend, won: Won, revised_at: datetime) -> Revised:
    """What has changed since the last revisions, which `controls` holds; and all that is odd, changed or not."""
    told = _told(controls)
    channels = _channels(told, spend)
    revisions, remarks = [], list[Remark]()
    # The latest months first: should there be no place for all, the oldest go without.
    for place in sorted({*spend.by_events, *spend.by_file, *told}, key=lambda each: (each[1], each[0]), reverse=True):
        before = told.get(place)
        amount, told_by = _amount(place, before, spend)
        if told_by == FILE and spend.by_events.get(place):
            remarks.append(Remark(Odd.TOLD_TWICE, *place, spend.by_events[place]))
        if not place[0]:
            remarks.append(Remark(Odd.NO_CHANNEL, *place, amount))
            continue
        counted = (amount, won.customers.get(place, 0), won.parts.get(place, 0))
        if before is None and not amount and told_by == EVENTS:
            continue
        if before is None and place[0] not in channels:
            remarks.append(Remark(Odd.TOO_MANY, *place, amount))
            continue
        if before is None or (*counted, told_by) != (
            before.spend_minor, before.acquisitions, before.shares, before.told_by or FILE,
        ):  # fmt: skip
            revision = _revision(place, counted, told_by, before, revised_at)
            after = core_controls.adopt(controls, revision)
            if after is controls:
                remarks.append(Remark(Odd.TOO_MANY, *place, amount))
                continue
            controls = after
            revisions.append(revision)
        remarks.extend(_oddities(place, counted))
    return Revised(tuple(revisions), tuple(sorted(remarks)), len(_told(controls)))


def _told(controls: Controls) -> dict[ChannelMonth, logged.ChannelCostRevised]:
    return {(each.channel, each.cohort_month): each for each in spending(controls)}


def _channels(told: Mapping[ChannelMonth, logged.ChannelCostRevised], spend: Spend) -> set[str]:
    """The channels there is place for: those told already, then those that spent most."""
    kept = {channel for channel, _ in told}
    totals: dict[str, int] = {}
    for source in (spend.by_events, spend.by_file):
        for (channel, _), amount in source.items():
            if channel and channel not in kept:
                totals[channel] = totals.get(channel, 0) + abs(amount or 0)
    most = sorted(totals, key=lambda channel: (-totals[channel], channel))
    return kept | set(most[: max(0, CHANNELS_MAX - len(kept))])


def _amount(place: ChannelMonth, before: logged.ChannelCostRevised | None, spend: Spend) -> tuple[int, str]:
    """What was spent, and who tells it: a file told now, one told before, else the costs."""
    if place in spend.by_file:
        by_file = spend.by_file[place]
        if by_file is not None:
            return by_file, FILE
    elif before is not None and (before.told_by or FILE) == FILE:
        return before.spend_minor, FILE
    return spend.by_events.get(place, 0), EVENTS


def _revision(
    place: ChannelMonth, counted: tuple[int, int, int], told_by: str, before: logged.ChannelCostRevised | None,
    revised_at: datetime,
) -> logged.ChannelCostRevised:  # fmt: skip
    channel, month = place
    spent, customers, parts = counted
    if before is not None and before.revised_at > revised_at:  # a clock was ahead: what it told must not stand for ever
        revised_at = before.revised_at
    return logged.ChannelCostRevised(
        revised_at=revised_at, channel=channel, cohort_month=month, version=before.version + 1 if before else 1,
        spend_minor=spent, acquisitions=customers, shares=parts, told_by=told_by,
    )  # fmt: skip


def _oddities(place: ChannelMonth, counted: tuple[int, int, int]) -> Iterator[Remark]:
    spent, customers, _ = counted
    if spent < 0:
        yield Remark(Odd.BELOW_ZERO, *place, spent)
    if spent and not customers:
        yield Remark(Odd.NOBODY_WON, *place, spent)
