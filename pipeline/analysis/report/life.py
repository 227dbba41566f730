"""What the report keeps of a customer while their log is read: a small record an order, touch, period and wish."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.analysis.report.calendar import Place
from pipeline.analysis.report.measures import Row
from pipeline.core.profile import Case, Dealings, Ledger
from pipeline.core.referrals import Rewards

TOUCHES_MAX: Final = 256
"""Touches kept of a customer, the latest."""
WISHES_MAX: Final = 64
"""Different things a customer said, kept for the needs report."""


class Wish(NamedTuple):
    """Something a customer let us know, in codes."""

    kind: str
    product_id: str
    category: str
    reason: str


class OrderTold:
    """One order, its refunds, and what was promised."""

    __slots__ = ("cancelled_at", "delivered_at", "items", "ledger", "promised_at")

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.items: tuple[tuple[str, str], ...] = ()
        """(product, category) of its lines, the first few."""
        self.cancelled_at = 0
        self.promised_at = 0
        self.delivered_at = 0


class TicketTold:
    """One ticket, by the profiles' own rule, and since when it is known."""

    __slots__ = ("case", "heard_at", "is_opened")

    def __init__(self, case: Case, heard_at: int) -> None:
        self.case, self.heard_at = case, heard_at
        self.is_opened = False
        """Whether its opening has been told, and counted."""


class Said:
    """What a customer did and said in one period, where it is asked of how many people."""

    __slots__ = ("dealings", "is_promoting", "is_reached")

    def __init__(self) -> None:
        self.dealings = Dealings()
        """Surveys, reviews and mentions, as profiles keep them."""
        self.is_reached = self.is_promoting = False


class Life:
    """One customer, as far as their log has been read."""

    __slots__ = (
        "first_at", "first_touch", "marks", "orders", "referred_at", "rewards", "said", "spent", "tickets", "touches",
        "wishes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.first_at = 0
        self.marks = b""
        self.orders: dict[int, OrderTold] = {}
        self.touches: list[tuple[int, str]] = []
        self.first_touch: tuple[int, str] | None = None
        """The earliest of all, kept or not."""
        self.referred_at = 0
        self.rewards: Rewards = ()
        self.spent: dict[Place, Row] = {}
        self.said: dict[int, Said] = {}
        self.tickets: dict[int, TicketTold] = {}
        self.wishes: dict[Wish, tuple[int, int]] = {}
        """How often in the time of the report, and when last."""
