"""Who is most valuable (MVC), who most growable (MGC), who costs more than they bring (BZ), and the rest.

From numbers alone: what a customer is worth in all (so far, with referrals, and expected), how much more those like
them are worth, how likely they are to come back, and what serving them costs. Where the lines run is a share of the
shop's customers (`population`) by policy. A tier once reached is kept while its lines are missed by little, and no fall
follows another move at once: so nobody flickers.

Below zero is a probability, not a sign, and BZ asks for its cause besides: serving them costs more than is usual.
Below zero for another reason (acquisition, discounts, refunds) is said with that reason, and is no tier.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

import msgspec

from pipeline.core.outlook import gap_minor
from pipeline.core.policy import TierRules
from pipeline.core.profile import Tier
from pipeline.core.tier_lines import Lines

_WHOLE: Final = 1000
_UNKNOWN, _BZ, _REST, _MGC, _MVC = Tier
"""Looked up once: before Python 3.12 every look at a member takes as long as a struct that is made."""


class Why(IntEnum):
    """What a tier rests on. Codes are kept in profiles: add at the end."""

    NO_PURCHASE_YET = 0
    NO_FORECAST_YET = 1
    NO_POPULATION_YET = 2
    USUAL = 3
    MOST_VALUABLE = 4
    ROOM_TO_GROW = 5
    COSTS_MORE_TO_SERVE = 6
    VALUABLE_BUT_LEAVING = 7
    BELOW_ZERO_SERVICE = 8
    BELOW_ZERO_ACQUISITION = 9
    BELOW_ZERO_DISCOUNTS = 10
    BELOW_ZERO_REFUNDS = 11
    BELOW_ZERO_KEEPING = 12
    BELOW_ZERO_MARGIN = 13
    NOT_LOOKED_AT_YET = 14

    @cached_property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


class Drags(NamedTuple):
    """What pulled a customer's value down, in minor units; of several alike the first weighs most."""

    service: int
    """Serving them: where that is dearer than is usual, what it cost beyond; else all of it."""
    acquisition: int
    discounts: int
    refunds: int
    """The margin of what they gave back."""
    keeping: int
    """E-mails, gifts, rewards."""


_USUAL, _MOST_VALUABLE, _ROOM_TO_GROW = Why.USUAL, Why.MOST_VALUABLE, Why.ROOM_TO_GROW
_LEAVING: Final = Why.VALUABLE_BUT_LEAVING
NO_DRAGS: Final = Drags(0, 0, 0, 0, 0)
_BELOW: Final = Drags(
    Why.BELOW_ZERO_SERVICE, Why.BELOW_ZERO_ACQUISITION, Why.BELOW_ZERO_DISCOUNTS, Why.BELOW_ZERO_REFUNDS,
    Why.BELOW_ZERO_KEEPING,
)  # fmt: skip
"""The reason that each of them is."""


class Figures(msgspec.Struct, frozen=True, gc=False):
    """What a tier is told from; money in minor units."""

    actual_minor: int
    """So far, with referrals."""
    ahead_minor: int
    """Expected, less what keeping and serving them will cost."""
    potential_minor: int
    """Expected of the best of those who are alike; never less than of themselves."""
    p_return: float
    serve_minor: int
    """Cost to serve, for each order."""
    p_below_zero: float | None = None
    """None where it is not in doubt, or too early to say."""
    p_below_zero_usual: float | None = None
    """The same if serving them cost what is usual."""
    drags: Drags = NO_DRAGS


def told(figures: Figures, lines: Lines) -> tuple[Tier, Why]:
    """The tier that figures lead to, and why; by the lines for those in the tier that somebody is in."""
    below = _below_zero(figures, lines) if figures.p_below_zero is not None else None
    if below is not None:
        return below
    ahead, p_return = figures.ahead_minor, figures.p_return
    total = figures.actual_minor + ahead
    if total <= 0:
        return _REST, _USUAL
    is_valuable = total >= lines.value_minor
    if is_valuable and p_return * _WHOLE > lines.return_permille:
        return _MVC, _MOST_VALUABLE
    gap = gap_minor(p_return, ahead, figures.potential_minor)
    if 0 < gap >= lines.gap_minor:
        return _MGC, _ROOM_TO_GROW
    return _REST, _LEAVING if is_valuable else _USUAL


def _below_zero(figures: Figures, lines: Lines) -> tuple[Tier, Why] | None:
    """Below zero, and whether because of what serving them costs; None for who is not surely."""
    surely, usual = lines.below_zero_permille / _WHOLE, figures.p_below_zero_usual
    if figures.p_below_zero is None or figures.p_below_zero <= surely:
        return None
    weightiest = max(figures.drags)
    costs_more = figures.serve_minor > lines.serve_minor
    is_the_cause = figures.drags.service >= weightiest or (usual is not None and usual <= surely)
    if costs_more and is_the_cause:
        return _BZ, Why.COSTS_MORE_TO_SERVE
    why = _BELOW[figures.drags.index(weightiest)] if weightiest > 0 else Why.BELOW_ZERO_MARGIN
    return _REST, Why(why)


def settled(before: Tier, since_days: int, found: tuple[Tier, Why], rules: TierRules) -> Tier:
    """The tier they are in from today on: a rise counts at once, a fall only some days after the last move."""
    tier = found[0]
    if tier is before:
        return tier
    is_fall = before is not _UNKNOWN and tier < before
    return before if is_fall and since_days < rules.hold_days else tier
