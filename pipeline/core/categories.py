"""What a customer buys, by category: how much of each and how lately, and whether that has shifted.

An order in the ledger holds which of the customer's categories it was of, so that what is told again, cancelled or
given back leaves no trace; when it folds it is counted. Up to 16 categories a customer, any order of arrival gives one
state. Beyond, the lightest is forgotten to make room, and what is forgotten hangs on what came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from math import pi, sqrt
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core.days import day_of
from pipeline.core.digits import shown
from pipeline.core.marks import short_mark
from pipeline.core.policy import NeedsRules
from pipeline.core.profile import CATEGORIES_MAX, QUARTERS_KEPT, Category, Ledger, Needs, Order, Profile
from pipeline.core.quarters import QUARTER_DAYS, counted, quarter_of, rolled
from pipeline.schemas.logged import Item

UNKNOWN: Final = -1
"""Stands for an order's categories until they have been looked up."""
NAME_CHARS: Final = 32
_NAME_KEPT: Final = NAME_CHARS - 9
NAMES_REMEMBERED: Final = 4_096
"""Categories remembered as they are kept, and as many sets of an order's."""
PAIRED: Final = ">"
"""Joins two categories in the shop's table; so no name has it."""
WEIGHTS: Final[tuple[float, ...]] = tuple(0.5 ** (place / 4) for place in range(QUARTERS_KEPT))
"""What a purchase weighs by its quarter: half after a year."""
OLDER_WEIGHT: Final = 0.25
_RECENT_QUARTERS: Final = 2
_ENDS_AT: Final = (2, 3)
"""A shift ends when its distance falls below this part of what began it."""


class Buys(msgspec.Struct, frozen=True, gc=False):
    """What they bought of one category, or in all: orders by quarter, the running one first, and those before."""

    quarters: tuple[int, ...]
    older: int
    last_day: int
    """The day of the last one; of folded ones the last of their quarter on which any of them may have been."""
    orders: int
    """In all."""
    weight: float
    """The same, lately bought ones counting more."""


class Bought(NamedTuple):
    """What a customer bought, as of a day."""

    in_all: Buys
    """Orders that were kept; also those from before categories were counted, and those of none."""
    by_category: Mapping[str, Buys]
    today: int

    @property
    def lately(self) -> dict[str, Buys]:
        """The categories bought of in the quarters that are kept."""
        return {name: each for name, each in self.by_category.items() if any(each.quarters)}


class Shift(msgspec.Struct, frozen=True, gc=False):
    """How far what they bought of late is from what they bought before."""

    distance: float
    """0: no further than chance makes it; toward 1: nothing in common, of many purchases."""
    toward: str
    away_from: str


@lru_cache(maxsize=NAMES_REMEMBERED)
def code(category: str) -> str:
    """A category's name as it is kept: at most 32 characters, the rest as a short mark; `>` is written `/`.

    Of a path with `>` the end is kept, which says most, else the beginning.
    """
    name = " ".join(category.replace(PAIRED, "/").split())
    if len(name) <= NAME_CHARS:
        return name
    rest = f"{short_mark(name):08x}"
    return f"{rest}~{name[-_NAME_KEPT:]}" if PAIRED in category else f"{name[:_NAME_KEPT]}~{rest}"


# -- booking ----------------------------------------------------------------------------------------------------------


def booked(needs: Needs, ledger: Ledger, key: int, items: Sequence[Item]) -> tuple[Needs, Ledger]:
    """With the categories of an order's lines on its entry, if this version of it is the one that counts."""
    order = ledgers.find(ledger, key)
    if order is None or order.categories != UNKNOWN:
        return needs, ledger
    names = {code(item.category) for item in items if item.category} - {""}
    bits = [1 << place for place, each in enumerate(needs.categories) if each.name in names]
    if len(bits) < len(names):
        needs, ledger = _widened(needs, ledger, names)
        bits = [1 << place for place, each in enumerate(needs.categories) if each.name in names]
    return needs, ledgers.put(ledger, replace(order, categories=sum(bits)))


def _widened(needs: Needs, ledger: Ledger, names: AbstractSet[str]) -> tuple[Needs, Ledger]:
    """With these categories of a new order among the customer's own, the heaviest of all; of equal ones the new."""
    in_orders = _in_orders(ledger)
    known = {each.name: each for each in needs.categories}
    weights = {
        each.name: _folded_weight(each) + in_orders.get(place, 0) + (each.name in names)
        for place, each in enumerate(needs.categories)
    }
    candidates = [(-weights.get(name, 1), name in known, name) for name in sorted({*known, *names})]
    kept = sorted(name for _, _, name in sorted(candidates)[:CATEGORIES_MAX])
    return _with_table(needs, ledger, [known.get(name) or Category(name) for name in kept])


def _in_orders(ledger: Ledger) -> dict[int, int]:
    """By place in the customer's table: how many of the ledger's orders were of it."""
    found: dict[int, int] = {}
    for order in ledger.orders:
        for place in places_of(order.categories):
            found[place] = found.get(place, 0) + 1
    return found


def _folded_weight(category: Category) -> float:
    recent = sum(count * each for count, each in zip(category.quarters, WEIGHTS, strict=False))
    return recent + category.older * OLDER_WEIGHT


def _with_table(needs: Needs, ledger: Ledger, table: Sequence[Category]) -> tuple[Needs, Ledger]:
    """With another table of categories, and every order's places in it."""
    place_of = {each.name: place for place, each in enumerate(table)}
    moved = [place_of.get(each.name) for each in needs.categories]
    orders = []
    for order in ledger.orders:
        is_of = order.categories
        if is_of > 0:
            places = (moved[place] for place in places_of(is_of))
            is_of = sum(1 << place for place in places if place is not None)
        orders.append(order if is_of == order.categories else replace(order, categories=is_of))
    return replace(needs, categories=tuple(table)), replace(ledger, orders=tuple(orders))


@lru_cache(maxsize=NAMES_REMEMBERED)
def places_of(is_of: int) -> tuple[int, ...]:
    """The places in the customer's table that an order's number stands for."""
    return tuple(place for place in range(CATEGORIES_MAX) if is_of > 0 and is_of >> place & 1)


def _has_settled(category: Category) -> bool:
    """Whether orders that have left the ledger were of it."""
    return bool(category.older or any(category.quarters))


def tidied(needs: Needs, ledger: Ledger) -> tuple[Needs, Ledger]:
    """Without the categories that no order is of any more, and none was."""
    used = 0
    for order in ledger.orders:
        if order.categories > 0:
            used |= order.categories
    kept = [each for place, each in enumerate(needs.categories) if used >> place & 1 or _has_settled(each)]
    return (needs, ledger) if len(kept) == len(needs.categories) else _with_table(needs, ledger, kept)


def breadth(needs: Needs, ledger: Ledger) -> int:
    """In how many categories they bought something that was neither cancelled nor given back whole."""
    known = needs.categories
    if not known:
        return 0
    used, every = 0, (1 << len(known)) - 1
    for order in ledger.orders:  # of few it is asked what became of them: most are of no category that is new
        new = max(order.categories, 0) & ~used
        if new and order.known and not ledgers.is_void(ledger, order):
            used |= new
            if used == every:
                return len(known)
    return sum(bool(used >> place & 1) or _has_settled(each) for place, each in enumerate(known))


def settled(needs: Needs, before: Ledger, after: Ledger, zone: str) -> tuple[Needs, Ledger]:
    """With the orders counted that have left the ledger. What was cancelled or all given back was no purchase."""
    here = {order.order for order in after.orders}
    uncounted = 0
    for order in before.orders:
        if order.order in here:
            continue
        if order.known and not ledgers.is_void(before, order):
            needs = _with_settled(needs, order, quarter_of(day_of(order.purchased_at, zone)))
        else:
            uncounted |= max(order.categories, 0)
    return tidied(needs, after) if uncounted else (needs, after)


def is_with_offer(order: Order) -> bool:
    """Whether an order was bought with an offer: something off the price, or one that they named."""
    return order.discount_minor > 0 or order.offer > 0


def _with_settled(needs: Needs, order: Order, quarter: int) -> Needs:
    needs = rolled(needs, quarter)
    place = needs.quarter - quarter
    is_kept, has_offer = place < QUARTERS_KEPT, is_with_offer(order)
    categories = list(needs.categories)
    for each in places_of(order.categories):
        category = categories[each]
        if is_kept:
            categories[each] = replace(category, quarters=counted(category.quarters, place))
        else:
            categories[each] = replace(category, older=category.older + 1)
    return replace(
        needs,
        categories=tuple(categories),
        settled=counted(needs.settled, place) if is_kept else needs.settled,
        settled_older=needs.settled_older + (not is_kept),
        with_offer=counted(needs.with_offer, place) if is_kept and has_offer else needs.with_offer,
        settled_discounted=needs.settled_discounted + (has_offer and not is_kept),
    )


# -- what they buy ----------------------------------------------------------------------------------------------------


def bought(profile: Profile, today: int, zone: str) -> Bought:
    """What they bought, folded and unfolded; of orders told again their latest version, of void ones nothing."""
    quarter = quarter_of(today)
    needs = rolled(profile.needs, quarter)
    names = [each.name for each in needs.categories]
    by_place: list[list[int]] = [[] for _ in names]
    days: list[int] = []
    for order in ledgers.standing(profile.ledger):
        day = day_of(order.purchased_at, zone)
        days.append(day)
        for place in places_of(order.categories):
            by_place[place].append(day)
    folded_at = profile.ledger.folded_last_at
    through = min(today, day_of(folded_at, zone)) if folded_at else today
    in_all = buys(needs.settled, needs.settled_older, days, needs.quarter, through)
    found = {}
    for category, own_days in zip(needs.categories, by_place, strict=True):
        one = buys(category.quarters, category.older, own_days, needs.quarter, through)
        if one.orders:
            found[category.name] = one
    return Bought(in_all, found, today)


def buys(folded: Sequence[int], older: int, days: Iterable[int], quarter: int, through: int) -> Buys:
    """Folded purchases by quarter (`quarter` first), those before, and the days of others, put together.

    No folded one is of a later day than `through`.
    """
    quarters = [*folded, *(0,) * (QUARTERS_KEPT - len(folded))]
    last = 0
    for place, count in enumerate(folded):
        if count:
            last = min((quarter - place + 1) * QUARTER_DAYS - 1, through)
            break
    for day in days:
        last = max(last, day)
        place = quarter - quarter_of(day)
        if place < QUARTERS_KEPT:
            quarters[place] += 1
        else:
            older += 1
    recent, weight = sum(quarters), older * OLDER_WEIGHT
    for count, each in zip(quarters, WEIGHTS, strict=True):
        weight += count * each
    return Buys(tuple(quarters), older, last, recent + older, weight)


def shift(found: Bought, orders_min: int) -> Shift | None:
    """How their shares of categories in the last two quarters differ from before; None while either says too little.

    The distance is half the sum of the differences between shares (total variation), less what chance alone would make
    of it: the mean absolute difference of two samples of one mixture, of these sizes, by the normal approximation.
    """
    kinds = found.by_category
    recent = {name: sum(each.quarters[:_RECENT_QUARTERS]) for name, each in kinds.items()}
    before = {name: each.orders - recent[name] for name, each in kinds.items()}
    news, olds = sum(recent.values()), sum(before.values())
    if min(news, olds) < max(orders_min, 1):
        return None
    gains = {name: recent[name] / news - before[name] / olds for name in sorted(kinds)}
    by_chance = 0.0
    for name in gains:
        share = kinds[name].orders / (news + olds)
        by_chance += sqrt(2 / pi * share * (1 - share) * (1 / news + 1 / olds)) / 2
    distance = max(sum(map(abs, gains.values())) / 2 - by_chance, 0.0)
    return Shift(shown(distance), max(gains, key=lambda name: gains[name]), min(gains, key=lambda name: gains[name]))


def shifted_on(found: Bought, since: int, rules: NeedsRules) -> int:
    """The day since which they buy other things than before, 0 if they do not.

    It begins at the policy's distance. Once begun it lasts until the distance is below two thirds of that, or they
    bought nothing in the last two quarters: so a purchase more or less ends nothing.
    """
    seen = shift(found, 1 if since else rules.shift_orders_min)
    if seen is None:
        return 0
    part, of = _ENDS_AT if since else (1, 1)
    return (since or found.today) if seen.distance * 1000 * of >= rules.shift_distance_permille * part else 0
