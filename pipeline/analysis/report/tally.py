"""What all customers come to, summed as they are read: tables of bounded size, no customer in them.

Keys are what is summed over: a period (its number, or `WHOLE_TIME`), a channel, a tier, a month, a wish.
"""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import Final

from pipeline.analysis.report.calendar import Calendar
from pipeline.analysis.report.life import Wish
from pipeline.analysis.report.measures import Row, nothing
from pipeline.core.normal import NINE_IN_TEN
from pipeline.core.owed import Owed
from pipeline.core.policy import Policy
from pipeline.core.value import NOTHING, Value

WHOLE_TIME: Final = -2
"""The place of everything in the report's time together, where people are counted once."""
NO_CHANNEL: Final = "none known"
WORD_OF_MOUTH: Final = "word of mouth alone"
OF_NO_CHANNEL: Final = (WORD_OF_MOUTH, NO_CHANNEL)
"""Who came without a touch: sent by a friend, or nobody knows how."""
ALL_EVIDENCE: Final = "all"
"""All kinds of evidence of satisfaction together."""
MICRO: Final = 1_000_000
SHOP, TIER, CHANNEL, OVERHEAD, FRIEND = "shop", "tier", "channel", "overhead", "friend"
BY_FRIEND: Final = ("by no channel", "by a channel too")
"""Whom a friend sent: touched so."""
NO_TIER: Final = ""


_COUNT_MIN: Final = 2


class Moments:
    """Sums of value and cost over customers, and of their squares: enough for a ratio and its interval."""

    __slots__ = ("above_zero", "cost", "cost_square", "count", "predicted", "product", "value", "value_square")

    def __init__(self) -> None:
        self.above_zero = 0
        """The value of those whose value is."""
        self.count = self.value = self.cost = self.value_square = self.cost_square = self.product = self.predicted = 0

    def take(self, value: int, spent: int, predicted: int) -> None:
        """One customer more."""
        self.count += 1
        self.value += value
        self.above_zero += max(value, 0)
        self.cost += spent
        self.value_square += value * value
        self.cost_square += spent * spent
        self.product += value * spent
        self.predicted += predicted

    def ratio(self) -> tuple[float | None, float | None, float | None]:
        """Value by cost and its interval: a ratio of means, linearised. None without cost, or of one customer.

        Source: Cochran (1977), Sampling Techniques, 3rd edition, section 6.4.
        """
        if not self.cost or self.count < _COUNT_MIN:
            return (round(self.value / self.cost, 4) if self.cost else None), None, None
        ratio = self.value / self.cost
        squares = self.value_square - 2 * ratio * self.product + ratio * ratio * self.cost_square
        error = sqrt(max(0.0, squares) * self.count / (self.count - 1)) / abs(self.cost)
        return round(ratio, 4), round(ratio - NINE_IN_TEN * error, 4), round(ratio + NINE_IN_TEN * error, 4)


class Felt:
    """Sums of how satisfied customers are, and of the evidence behind it."""

    __slots__ = ("ages", "levels", "scores")

    def __init__(self) -> None:
        self.levels: Counter[str] = Counter()
        """Level to customers."""
        self.scores: dict[str, Moments] = {}
        """Kind of evidence to its scores in millionths (as value) by pieces (as cost), customer by customer; of all
        kinds together, each customer's satisfaction by one."""
        self.ages: Counter[tuple[str, int]] = Counter()
        """(kind, age in days) to pieces."""


class Lost:
    """Who is at risk or lapsed, and what they had said last."""

    __slots__ = ("people", "told", "wishes")

    def __init__(self) -> None:
        self.people = self.told = 0
        """All, and those who had said what was wrong."""
        self.wishes: Counter[Wish] = Counter()
        """What they said last, product by product, to people."""


class Tally:
    """The sums."""

    first_day: int | None = None
    """Of the first event of anybody; None: there was none."""

    def __init__(self, calendar: Calendar, policy: Policy) -> None:
        self.calendar, self.policy, self.rules = calendar, policy, policy.value
        self.rows: dict[tuple[str, str, int], Row] = {}
        """(what, which, period) to money and doings."""
        self.people: Counter[tuple[str, str, int]] = Counter()
        """(step, channel, period) to people; who were persuaded in parts of `acquisition.WHOLE` by channel. Prospects,
        newcomers and first orders by channel are of the one that touched them first."""
        self.prospects_before = 0
        """Known before the report's time, and without a purchase until then."""
        self.owed: dict[str, Owed] = {}
        """Department to what it promised, kept and broke, to date."""
        self.felt = Felt()
        self.bought_before: Counter[int] = Counter()
        """Period to people who bought in the whole one before it, in the report or not."""
        self.retained: Counter[int] = Counter()
        """Of them, those who bought in it."""
        self.score_micro: Counter[tuple[str, int]] = Counter()
        """(heard, or of them those who complain from before; period) to their satisfaction in all, in millionths."""
        self.promises: Counter[tuple[str, str, int]] = Counter()
        """(kept or broken, department, period)."""
        self.attributed: dict[tuple[str, str], list[int]] = {}
        """(model, channel) to parts of orders, their net revenue and what they brought, in the report's time."""
        self.sizes: Counter[int] = Counter()
        """Month of the first purchase to customers."""
        self.bought: Counter[tuple[int, int]] = Counter()
        """(month of the first purchase, months since) to people who bought."""
        self.left: Counter[tuple[str, int, int]] = Counter()
        """(channel, month of the first purchase, months since) to what its customers left, but for the channel."""
        self.won: Counter[tuple[str, int]] = Counter()
        """(channel, month) to parts of customers won."""
        self.value_won: Counter[tuple[str, int]] = Counter()
        """(channel, month) to value to date of customers won."""
        self.by_lifecycle: dict[str, Moments] = {}
        self.by_tier: dict[str, Moments] = {}
        self.by_friend = {touched: Moments() for touched in BY_FRIEND}
        """Who came by a friend."""
        self.won_by_friend: Counter[str] = Counter()
        """The same, with their first order in the report's time."""
        self.tier_moves: Counter[tuple[str, str, int]] = Counter()
        """(from, to, period) to customers: from a month's end to the next one's, or to now, which is in the period."""
        self.wishes: dict[Wish, list[int]] = {}
        """What was said to (times, people, MVCs among them, their value)."""
        self.lost = Lost()
        self.category_by_product: dict[str, str] = {}
        """As orders last named it, or a refund where none did."""
        self.sales_by_day: Counter[int] = Counter()
        self.totals: Row = nothing()
        """Everything, whenever."""
        self.value: Value = NOTHING
        """The same by the profiles."""
        self.has_predictions = False

    def row(self, what: str, which: str, period: int) -> Row:
        """What was summed there."""
        return self.rows.get((what, which, period)) or nothing()

    def keys(self, what: str) -> list[str]:
        """Whose rows there are."""
        return sorted({which for kind, which, _ in self.rows if kind == what})
