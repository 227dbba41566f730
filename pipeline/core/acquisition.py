"""What winning a customer cost: their share of what the channels spent that had a part in it.

A customer's touches before the first purchase share it by a stated model; the month of that purchase is their cohort.
What a channel spent in a month, as `ChannelCostRevised` last said it, is spread over the cohort's shares in it. So
spend that arrives late reaches everybody it belongs to, and the sum over customers is what the channel spent.

Shares are whole: an acquisition is 720,720 parts, which any number of touches up to 16 divides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import sqrt
from typing import Any, Final, NamedTuple

from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, date_of, day_of
from pipeline.core.digits import shown
from pipeline.core.money import portion, rounded
from pipeline.core.normal import NINE_IN_TEN
from pipeline.core.policy import ValueRules
from pipeline.core.profile import TOUCHES_MAX, Ledger, Profile, Touched
from pipeline.schemas import logged

WHOLE: Final = 720_720
"""Parts of one acquisition: the least common multiple of 1 to 16."""
CPAS_KEPT: Final = 4_096
"""Costs of an acquisition remembered, by what they are reckoned from: customers of one month and channel share one."""
_END_SHARE: Final = WHOLE * 2 // 5
"""By position the first and the last touch have two fifths each."""

Touches = tuple[Touched, ...]
"""By channel, so that a name is there once; together at most `TOUCHES_MAX`."""


class ChannelCost(NamedTuple):
    """A channel's part in winning a customer."""

    channel: str
    share: int
    """Of `WHOLE`."""
    cost_minor: int


class Cpa(NamedTuple):
    """What an acquisition through a channel costs, for forecasts and advice; 90 % sure to lie between low and high."""

    estimate_minor: int
    low_minor: int
    high_minor: int


def with_touch(touches: Touches, touch: tuple[int, str], ledger: Ledger) -> Touches:
    """The touches with one more. Of too many, the latest after the first purchase goes, else the oldest."""
    known = _in_order(touches)
    if touch in known:
        return touches
    first_at = ledger.first_at
    if ledger.folded_orders and first_at == ledger.folded_first_at and touch[0] > first_at:
        return touches  # the first has folded: only an earlier one could take its place
    kept = sorted((*known, touch))
    if len(kept) > TOUCHES_MAX:
        kept.pop(-1 if first_at and kept[-1][0] > first_at else 0)
    by_channel: dict[str, tuple[int, ...]] = {}
    for at, channel in kept:
        by_channel[channel] = (*by_channel.get(channel, ()), at)
    return tuple(Touched(channel, at) for channel, at in by_channel.items())


def _in_order(touches: Touches) -> list[tuple[int, str]]:
    """(instant, channel), oldest first."""
    return sorted((at, touched.channel) for touched in touches for at in touched.at)


def cohort_month(profile: Profile, zone: str) -> str | None:
    """The month of their first purchase in the shop's zone, YYYY-MM."""
    return month_of_first(profile.ledger.first_at, zone)


def month_of_first(first_at: int, zone: str) -> str | None:
    """The month of a first purchase; None before there was one."""
    return date_of(day_of(first_at, zone))[:7] if first_at else None


def shares(profile: Profile, rules: ValueRules) -> dict[str, int]:
    """The parts of `WHOLE` that each channel has in winning them; none before a purchase, or without a touch."""
    return shares_in(profile.ledger.first_at, _in_order(profile.touched), rules)


def won_by(profile: Profile, rules: ValueRules) -> str | None:
    """The channel that had the largest part in winning them, of equal ones the first by name; None if none had."""
    parts = shares(profile, rules) if profile.touched else None
    return max(sorted(parts), key=lambda each: parts[each]) if parts else None


def shares_in(first_at: int, touches: Sequence[tuple[int, str]], rules: ValueRules) -> dict[str, int]:
    """The same of a first purchase (0: none yet) and of touches (instant, channel), oldest first: the latest count."""
    since = first_at - rules.attribution_window_days * DAY_SECONDS
    channels = [channel for at, channel in touches if since <= at <= first_at][-TOUCHES_MAX:]
    if not first_at or not channels:
        return {}
    return parts_among(channels, rules.attribution)


def parts_among(channels: Sequence[str], model: str) -> dict[str, int]:
    """The parts of `WHOLE` that touches share, oldest first, summed by channel."""
    found: dict[str, int] = {}
    for channel, part in zip(channels, _parts(len(channels), model), strict=True):
        if part:
            found[channel] = found.get(channel, 0) + part
    return found


def _parts(touches: int, model: str) -> list[int]:
    """Each touch's parts, the oldest first; what does not divide is the last one's."""
    if model == "first":
        parts = [WHOLE] + [0] * (touches - 1)
    elif model == "last":
        parts = [0] * touches
    elif model == "position" and touches > 2:  # noqa: PLR2004 - the two ends
        parts = [_END_SHARE] + [(WHOLE - 2 * _END_SHARE) // (touches - 2)] * (touches - 2) + [0]
    else:
        parts = [WHOLE // touches] * touches
    parts[-1] += WHOLE - sum(parts)
    return parts


def channel_costs(profile: Profile, controls: Controls) -> tuple[ChannelCost, ...]:
    """What winning them cost, channel by channel, as far as spend has been told; in the order of the first touches."""
    if not profile.touched:
        return ()
    policy = controls.policy
    return costs_of(shares(profile, policy.value), cohort_month(profile, policy.shop.time_zone), controls)


def costs_of(share_by_channel: Mapping[str, int], month: str | None, controls: Controls) -> tuple[ChannelCost, ...]:
    """What these shares in winning somebody of a month cost."""
    return tuple(
        ChannelCost(channel, share, _spread(_revision(controls, channel, month), share))
        for channel, share in share_by_channel.items()
    )


def _revision(controls: Controls, channel: str, month: str | None) -> logged.ChannelCostRevised | None:
    return controls.spent.get(month, {}).get(channel) if month is not None else None


def parts_of(revision: logged.ChannelCostRevised) -> int:
    """All shares in the channel's month; where none are told, whole customers."""
    return revision.shares or revision.acquisitions * WHOLE


def _spread(revision: logged.ChannelCostRevised | None, share: int) -> int:
    parts = parts_of(revision) if revision is not None else 0
    return portion(revision.spend_minor, share, parts) if revision is not None and parts else 0


def cpa(controls: Controls, channel: str, month: str) -> Cpa | None:
    """Cost of an acquisition through a channel in a month, shrunk toward that of all channels; None if nothing is told.

    Acquisitions per money spent are Poisson; their rate has a gamma prior worth `cpa_prior_customers` acquisitions at
    the cost of all channels of the month. So the estimate is (spend + m CPA0) / (acquisitions + m).
    """
    of_month = controls.spent.get(month, {})
    mine = of_month.get(channel)
    if mine is None:
        return None
    spend, parts = sum([each.spend_minor for each in of_month.values()]), sum(map(parts_of, of_month.values()))
    if not parts:
        return None
    return cpa_from((mine.spend_minor, parts_of(mine)), (spend, parts), controls.policy.value.cpa_prior_customers)


@lru_cache(maxsize=CPAS_KEPT)
def cpa_from(mine: tuple[int, int], all_of_them: tuple[int, int], prior: int) -> Cpa:
    """The same from (spend, parts won) of a channel and of all, of which something must have been won.

    Spend below zero, of which more was taken back than told, has an interval that lies below zero.
    """
    spend, parts = all_of_them
    money = mine[0] * parts + prior * spend * WHOLE  # both times `parts`, to stay whole
    acquired = mine[1] + prior * WHOLE
    count = acquired / WHOLE
    ends = [round(money / parts / _gamma_quantile(count, z)) for z in (NINE_IN_TEN, -NINE_IN_TEN)]
    return Cpa(rounded(money * WHOLE, acquired * parts), min(ends), max(ends))


def _gamma_quantile(shape: float, z: float) -> float:
    """A quantile of the gamma distribution of rate 1 at a normal one, to some thousandths from shape 5 on.

    Source: Wilson and Hilferty (1931), The distribution of chi-square, PNAS 17(12), 684-688.
    """
    cube: float = (1 - 1 / (9 * shape) + z / (3 * sqrt(shape))) ** 3
    return shape * cube


def channel_view(told: ChannelCost, controls: Controls, month: str) -> dict[str, Any]:
    """A channel's part in winning somebody of a month, as views have it."""
    cost = cpa(controls, told.channel, month)
    return {
        "channel": told.channel,
        "share_fraction": shown(told.share / WHOLE),
        "cost_minor": told.cost_minor,
        "cpa_minor": cost.estimate_minor if cost else None,
        "cpa_low_minor": cost.low_minor if cost else None,
        "cpa_high_minor": cost.high_minor if cost else None,
    }
