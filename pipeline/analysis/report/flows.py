"""A customer's money, each amount on its day: what an order brought when placed, and lost when it came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.analysis.report.calendar import Place
from pipeline.analysis.report.life import Life, OrderTold
from pipeline.analysis.report.measures import Measure, Row, nothing
from pipeline.core.acquisition import WHOLE, parts_among
from pipeline.core.costs import MILLI
from pipeline.core.days import DAY_SECONDS
from pipeline.core.ledger import is_void
from pipeline.core.money import portion, rounded
from pipeline.core.policy import ATTRIBUTIONS
from pipeline.core.profile import Order
from pipeline.core.worth import Worth, worth

_TOUCHES_SHARING: Final = 16
"""So many touches before an order share it at most, the latest."""
_TOUCHES_DIFFERING: Final = 2
"""From so many on models differ."""


class Flow(NamedTuple):
    """What a moment brought or took."""

    at: int
    row: Row


def standing_orders(life: Life) -> list[tuple[Order, OrderTold]]:
    """The orders that stand, oldest first."""
    found = [
        (entry, told)
        for told in life.orders.values()
        for entry in told.ledger.orders
        if entry.known and not entry.cancelled
    ]
    return sorted(found, key=lambda each: (each[0].purchased_at, each[0].order))


def flows_of(entry: Order, told: OrderTold) -> Iterator[Flow]:
    """An order as it was, then what each refund took of it."""
    before = worth(entry, ())
    placed = _row(Worth(), before, orders=1)
    placed[Measure.KEPT] = int(not is_void(told.ledger, entry))
    yield Flow(entry.purchased_at, placed)
    refunds = sorted(told.ledger.refunds, key=lambda each: (each.refunded_at, each.refund))
    for number, refund in enumerate(refunds, 1):
        after = worth(entry, refunds[:number])
        yield Flow(refund.refunded_at, _row(before, after, orders=0))
        before = after


def _row(before: Worth, after: Worth, *, orders: int) -> Row:
    row = nothing()
    row[Measure.ORDERS] = orders
    row[Measure.REVENUE] = after.revenue_minor - before.revenue_minor
    row[Measure.REFUNDED] = after.refunded_minor - before.refunded_minor
    row[Measure.MARGIN] = after.margin_minor - before.margin_minor
    row[Measure.DISCOUNT] = after.discount_minor - before.discount_minor
    row[Measure.COMMISSION] = after.commission_minor - before.commission_minor
    row[Measure.RETURNS] = after.returns_minor - before.returns_minor
    return row


def spent_rows(spent: Mapping[Place, Row]) -> Iterator[tuple[Place, Row]]:
    """What was spent and done, in minor units: thousandths rounded so that all places together are rounded once."""
    milli = {Measure.SENDS: 0, Measure.SERVICE_TIME: 0}
    for place in sorted(spent, key=lambda each: (each.month, each.period)):
        row = list(spent[place])
        for measure, before in milli.items():
            through = before + row[measure]
            row[measure] = rounded(through, MILLI) - rounded(before, MILLI)
            milli[measure] = through
        yield place, row


def order_shares(touches: Sequence[tuple[int, str]], at: int, window_days: int) -> dict[str, dict[str, int]]:
    """By each model the parts of `WHOLE` that channels have in an order, by the touches before it; none without."""
    since = at - window_days * DAY_SECONDS
    channels = [channel for when, channel in sorted(touches) if since <= when <= at][-_TOUCHES_SHARING:]
    if len(channels) < _TOUCHES_DIFFERING:  # then all models say the same
        alone = dict.fromkeys(channels, WHOLE)
        return dict.fromkeys(ATTRIBUTIONS, alone)
    return {model: parts_among(channels, model) for model in ATTRIBUTIONS}


def split(row: Row, shares: Mapping[str, int], nobody: str) -> dict[str, Row]:
    """A row by channel, whole: each part is a portion of what is left, what nobody has a share in is `nobody`'s."""
    if not shares:
        return {nobody: row}
    found: dict[str, Row] = {}
    left, parts_left = list(row), WHOLE
    for channel, share in shares.items():
        part = [portion(each, share, parts_left) if each else 0 for each in left]
        left = [each - taken for each, taken in zip(left, part, strict=True)]
        parts_left -= share
        found[channel] = part
    if parts_left:
        found[nobody] = left
    return found
