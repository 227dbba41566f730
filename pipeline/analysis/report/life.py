"""What the report keeps of a customer while their log is read: a small record an order, ticket, touch, period, wish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.analysis.report.calendar import Place
from pipeline.analysis.report.measures import Row
from pipeline.core.cases import Kind
from pipeline.core.profile import Case, Dealings, Delivery, Ledger
from pipeline.core.referrals import Rewards

ANSWERS_MAX: Final = 1_024
"""E-mails answered that are kept of a customer, the first told."""
REFERRALS_MAX: Final = 1_024
"""Referrals kept of a customer, the first told."""
TOUCHES_MAX: Final = 256
"""Touches kept of a customer, the latest."""
WISHES_MAX: Final = 64
"""Different things a customer said, kept for the needs report."""
_NO_PRODUCT: Final = (("", ""),)


class Wish(NamedTuple):
    """Something a customer let us know, in codes."""

    kind: str
    product_id: str
    category: str
    reason: str


Version = tuple[int | str, ...]
"""Of two versions of the same the greater counts, as in the ledger."""


class Word(NamedTuple):
    """Something that was said of an order: when, what and why, and of which products if it names any."""

    at: int
    kind: str
    reason: str
    items: tuple[tuple[str, str], ...] = ()
    refund: int = 0
    """The mark of the refund it was said with."""
    version: Version = ()
    """That refund's, of which a later one replaces the word."""


class OrderTold:
    """One order, its refunds, what was promised, and what was said of it."""

    __slots__ = (
        "cancelled_at", "cancelled_for", "delivered_at", "items", "items_version", "ledger", "promised_at", "said",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.items: tuple[tuple[str, str], ...] = ()
        """(product, category) of its lines, the first few: of its latest version that has lines."""
        self.items_version: Version = ()
        self.cancelled_at = 0
        """When that was said first."""
        self.cancelled_for = (0, "")
        """The reason that was given last, with its instant."""
        self.promised_at = 0
        self.delivered_at = 0
        self.said: tuple[Word, ...] = ()
        """Of refunds and in reviews; of a refund its latest version alone."""

    def refunded(self, word: Word) -> None:
        """A word said with a refund, which may have been told before; in any order of arrival the same counts."""
        before = [each for each in self.said if each.kind == word.kind and each.refund == word.refund]
        if all((word.version, word.reason) > (each.version, each.reason) for each in before):
            self.said = (*(each for each in self.said if each not in before), word)

    def words(self) -> Iterator[Word]:
        """All that was said of it."""
        yield from self.said
        if self.cancelled_at:
            yield Word(self.cancelled_at, "cancellation", self.cancelled_for[1])

    @property
    def delivery(self) -> Delivery:
        """What was promised of it, and what became of that, as profiles keep it."""
        return Delivery(0, promised_at=self.promised_at, delivered_at=self.delivered_at, cancelled_at=self.cancelled_at)


class TicketTold:
    """One ticket, by the profiles' own rule; since when it is known, and what it is about, whichever event said it.

    Of each thing the latest word, with its instant: an event that says nothing of it takes nothing back, and one that
    arrives late is heard all the same.
    """

    __slots__ = ("called", "case", "heard_at", "is_opened", "of_order", "of_product", "with_reason")

    def __init__(self, case: Case, heard_at: int) -> None:
        self.case, self.heard_at = case, heard_at
        self.is_opened = False
        """Whether its opening has been told, and counted."""
        self.called = self.of_product = self.with_reason = (0, "")
        self.of_order = (0, 0)
        """The mark of the order it is about; 0: of none."""

    @property
    def kind(self) -> str:
        """What wish it is, if any. Called a complaint once, it is one, as profiles have it."""
        return "complaint" if self.case.kind == Kind.COMPLAINT else self.called[1]


class Said:
    """What a customer did and said in one period, where it is asked of how many people."""

    __slots__ = ("dealings", "is_promoting", "is_reached")

    def __init__(self) -> None:
        self.dealings = Dealings()
        """Surveys, reviews and mentions, as profiles keep them."""
        self.is_reached = self.is_promoting = False
        """Promoting: by what they said; whom they sent is kept by referral."""


class Life:
    """One customer, as far as their log has been read."""

    __slots__ = (
        "answered", "first_at", "first_touch", "low_rating", "marks", "orders", "referrals", "referred_at", "rewards",
        "said", "spent", "tickets", "touches", "wishes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.answered: dict[int, int] = {}
        """An e-mail's mark to when a person first opened or clicked it."""
        self.first_at = 0
        self.marks = b""
        self.orders: dict[int, OrderTold] = {}
        self.touches: list[tuple[int, str]] = []
        self.first_touch: tuple[int, str] | None = None
        """The earliest of all, kept or not."""
        self.referrals: dict[int, int] = {}
        """A referral's mark to the earliest date it was told with."""
        self.referred_at = 0
        self.rewards: Rewards = ()
        self.spent: dict[Place, Row] = {}
        self.said: dict[int, Said] = {}
        self.tickets: dict[int, TicketTold] = {}
        self.wishes: dict[Wish, int] = {}
        """How often in the time of the report: what is said of no order and in no ticket."""
        self.low_rating: tuple[int, Wish] | None = None
        """The latest of all time, of a product."""

    def words(self) -> Iterator[tuple[int, Wish]]:
        """What they said of orders and in tickets, at any time, with its instant: a wish a product."""
        for order in self.orders.values():
            for word in order.words():
                for product_id, category in word.items or order.items or _NO_PRODUCT:
                    yield word.at, Wish(word.kind, product_id, category, word.reason)
        for ticket in self.tickets.values():
            told, product = self.orders.get(ticket.of_order[1]), ticket.of_product[1]
            items = ((product, ""),) if product else told.items if told else ()
            if ticket.kind:
                for product_id, category in items or _NO_PRODUCT:
                    yield ticket.heard_at, Wish(ticket.kind, product_id, category, ticket.with_reason[1])
