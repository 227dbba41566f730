"""How much we do for a customer: four levels of treatment, by how far the relationship has grown and by their tier.

*Basic*: entice to buy; no follow-up and no comment asked. *Reactive*: comments are sought, and answered. *Accountable*:
promises are kept, and the journey goes on after the purchase. *Proactive*: wishes are heeded before they are said.
Who has bought is at least reactive; the most valuable and the most growable are treated one level up; who costs more
to serve than they bring is at most reactive. Partnership is between two companies, and no treatment of a customer.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import Final

from pipeline.core.profile import Stage, Tier


class Treatment(IntEnum):
    """What somebody may expect of us."""

    BASIC = 0
    REACTIVE = 1
    ACCOUNTABLE = 2
    PROACTIVE = 3

    @cached_property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


_BY_STAGE: Final = {
    Stage.EXPLORATORY: Treatment.BASIC,
    Stage.BASIC: Treatment.REACTIVE,
    Stage.COLLABORATIVE: Treatment.ACCOUNTABLE,
    Stage.BONDED: Treatment.PROACTIVE,
}
PROSPECT: Final = _BY_STAGE
"""Of somebody who has not bought, by stage."""


def _one_up(treatment: Treatment) -> Treatment:
    return Treatment(min(treatment + 1, Treatment.PROACTIVE))


_BUYER: Final = {stage: max(treatment, Treatment.REACTIVE) for stage, treatment in _BY_STAGE.items()}
BUYER: Final = {
    (stage, tier): {
        Tier.MVC: _one_up(treatment), Tier.MGC: _one_up(treatment), Tier.BZ: Treatment.REACTIVE,
    }.get(tier, treatment)
    for stage, treatment in _BUYER.items()
    for tier in Tier
}  # fmt: skip
"""Of somebody who has, by stage and tier; without a tier as in `rest`."""


def treatment(stage: Stage, tier: Tier, *, has_bought: bool) -> Treatment:
    """How much we do for somebody."""
    return BUYER[stage, tier] if has_bought else PROSPECT[stage]
