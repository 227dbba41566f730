"""How many orders may come of a customer and what they may leave: how likely less than an amount, and within what band.

The orders of a time are as many as the lesser of two numbers: those that their rate allows (Poisson, the rate Gamma)
and those until they leave (geometric, the chance Beta); both tails are closed forms, and their product is the number's
own. How many of them leave something is Beta binomial. What so many leave is, given its mean, Gamma, and the mean's
inverse is Gamma too: so a sum of j margins is below an amount with the probability of an incomplete beta function.
Beyond the first few, numbers of orders are taken in groups, each at its middle, and what is left by those of them that
leave something as a Gamma sum of the same mean and variance; for a band, as sixteen equally likely numbers of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, sqrt
from typing import Final, NamedTuple

from pipeline.core.incomplete_beta import incomplete_beta
from pipeline.core.spend import PRIOR_DAYS, Spend, expected_margin, poor_margin
from pipeline.core.timing import Timing

SHARE: Final = 0.8
"""Of customers like this one so many end up within a band; one in ten below, one in ten above."""
_LOW: Final = (1.0 - SHARE) / 2.0
_LEAST: Final = 1e-3
"""Chances below this are left out."""
_HALVINGS: Final = 48
_SHARES: Final = 16
"""Equally likely numbers of orders that leave something, looked at for a band."""
_DOUBLINGS_MAX: Final = 64
_HALF_A_MINOR: Final = 0.5
ORDERS_MAX: Final = 1 << 20
"""More are not looked for."""


class Grouping(NamedTuple):
    """How numbers of orders are put together."""

    single: int
    """So many are looked at one by one."""
    growth: float
    """How much longer each group beyond is than the one before."""
    groups_max: int
    chance_max: float = 1.0
    """A group that is likelier is made shorter: who buys often buys about as often, and all would be in one."""


COARSE: Final = Grouping(3, 2.0, 16)
"""For a probability that is asked for at every look at a tier."""
FINE: Final = Grouping(12, 1.2, 96, 0.05)
"""For a band that somebody asked for."""


class Known(NamedTuple):
    """What is known of a customer; times in weeks, money in minor units."""

    frequency: int
    tenure: float
    p_alive: float
    spend_days: int
    mean_margin_minor: float
    upkeep_minor: float = 0.0
    """What keeping and serving them costs for each order to come."""
    poor_days: int = 0
    """Repeat days that left nothing or less, and what in all."""
    poor_minor: int = 0


class Group(NamedTuple):
    """Numbers of orders, at their middle, and the chance that one of them comes."""

    orders: float
    chance: float


def groups(timing: Timing, known: Known, weeks: float, grouping: Grouping) -> list[Group]:
    """How many orders the weeks to come may bring, none first; the chances are 1 together."""
    single, growth, most, chance_max = grouping
    chances = [at_least(timing, known, weeks, orders) for orders in range(1, single + 1)]
    found = [Group(0.0, 1.0 - known.p_alive * chances[0])]
    low, chance = 1, chances[0]
    for number in range(1, most):
        high = low + 1 if low <= single else max(low + 1, round(low * growth))
        beyond = chances[high - 1] if high <= single else at_least(timing, known, weeks, high)
        while chance - beyond > chance_max and high > low + 1:
            high = (low + high + 1) // 2
            beyond = at_least(timing, known, weeks, high)
        if beyond < _LEAST or number == most - 1:
            beyond = 0.0
        if chance > beyond:
            found.append(Group((low + high - 1) / 2.0, known.p_alive * (chance - beyond)))
        low, chance = high, beyond
        if not chance:
            break
    return found


def at_least(timing: Timing, known: Known, weeks: float, orders: int) -> float:
    """Probability of at least so many orders in the weeks to come, of somebody who has not left."""
    stays, start = timing.stays + known.frequency + 1.0, timing.alpha + known.tenure
    allowed = incomplete_beta(orders, timing.r + known.frequency, weeks / (start + weeks))
    stayed = exp(
        lgamma(stays + orders - 1.0) - lgamma(stays)
        - lgamma(timing.a + stays + orders - 1.0) + lgamma(timing.a + stays)
    )  # fmt: skip
    return allowed * stayed


class Payers(NamedTuple):
    """How it is reckoned how many of some orders leave something."""

    single: int = COARSE.single
    """Of up to so many orders each number of them is looked at by itself."""
    places: tuple[float, ...] = ()
    """Of more: equally likely numbers, in standard deviations from the mean; without any, one number of the same mean
    and variance."""


ROUGHLY: Final = Payers()


def leaves_less(
    spend: Spend, known: Known, numbers: Sequence[Group], amount_minor: float, payers: Payers = ROUGHLY
) -> float:
    """Probability that the orders to come leave, less their upkeep, less than an amount."""
    chances = [
        each.chance * spends_less(spend, known, each.orders, amount_minor + each.orders * known.upkeep_minor, payers)
        for each in numbers
    ]
    return min(1.0, sum(chances))


def spends_less(spend: Spend, known: Known, orders: float, amount_minor: float, payers: Payers = ROUGHLY) -> float:
    """Probability that so many orders leave less than an amount."""
    if not orders:
        return 1.0 if amount_minor > 0.0 else 0.0
    pays, fails = _payers(spend, known)
    if not fails:
        return _rich_less(spend, known, spend.p * orders, amount_minor)
    if orders <= payers.single:
        return _counted_less(spend, known, round(orders), amount_minor)
    share, weight = pays / (pays + fails), pays + fails
    paid = Paid(
        orders, _none_pays(pays, fails, orders), share * orders,
        share * orders * ((1.0 - share) * (weight + orders) / (weight + 1.0) + share * orders),
    )  # fmt: skip
    if payers.places:
        return _spread_less(spend, known, paid, amount_minor, payers.places)
    return _paid_less(spend, known, paid, amount_minor)


class Paid(NamedTuple):
    """How many of some orders leave something."""

    orders: float
    none: float
    """The chance that none does."""
    mean: float
    square: float
    """Mean of their number, and of its square."""


def _paid_less(spend: Spend, known: Known, paid: Paid, amount_minor: float) -> float:
    """Probability that orders leave less than an amount, where those that leave something are about so many."""
    orders, none, mean, square = paid
    poor = poor_margin(spend, known.poor_days, known.poor_minor)
    below = none if amount_minor > orders * poor else 0.0
    some = 1.0 - none
    mean, square = mean / some, square / some
    wider = 1.0 + spend.p * (square - mean * mean) / mean
    short = (amount_minor - (orders - mean) * poor) / wider
    return below + some * _rich_less(spend, known, spend.p * mean / wider, short)


def _spread_less(spend: Spend, known: Known, paid: Paid, amount_minor: float, places: Sequence[float]) -> float:
    """The same, by equally likely numbers of those that leave something: the more do, the fewer cost."""
    orders, none, mean, square = paid
    poor = poor_margin(spend, known.poor_days, known.poor_minor)
    some = 1.0 - none
    mean, square = mean / some, square / some
    deviation, summed = sqrt(max(0.0, square - mean * mean)), 0.0
    for place in places:
        rich = min(max(1.0, mean + place * deviation), orders)
        summed += _rich_less(spend, known, spend.p * rich, amount_minor - (orders - rich) * poor)
    return (none if amount_minor > orders * poor else 0.0) + some * summed / len(places)


def _counted_less(spend: Spend, known: Known, orders: int, amount_minor: float) -> float:
    """The same, by each number of them that may leave something."""
    pays, fails = _payers(spend, known)
    poor, chance = poor_margin(spend, known.poor_days, known.poor_minor), _none_pays(pays, fails, orders)
    below = chance if amount_minor > orders * poor else 0.0
    for rich in range(1, orders + 1):  # each from the one before
        chance *= (orders - rich + 1.0) / rich * (pays + rich - 1.0) / (fails + orders - rich)
        below += chance * _rich_less(spend, known, spend.p * rich, amount_minor - (orders - rich) * poor)
    return below


def _none_pays(pays: float, fails: float, orders: float) -> float:
    """The chance that of so many orders none leaves anything."""
    weight = pays + fails
    return exp(lgamma(fails + orders) - lgamma(fails) - lgamma(weight + orders) + lgamma(weight))


def _payers(spend: Spend, known: Known) -> tuple[float, float]:
    """The Beta that the share of orders is drawn from that leave something."""
    pays, fails = spend.paying_fraction * PRIOR_DAYS, (1.0 - spend.paying_fraction) * PRIOR_DAYS
    return known.spend_days + pays, known.poor_days + fails


def _places(spend: Spend, known: Known) -> tuple[float, ...]:
    """Where equally likely shares of orders that leave something lie, in standard deviations; none where all do."""
    pays, fails = _payers(spend, known)
    if not fails:
        return ()
    shares = [
        _crossing(lambda share: incomplete_beta(pays, fails, share), (place + 0.5) / _SHARES, (0.0, 1.0), 1e-5)
        for place in range(_SHARES)
    ]
    mean = sum(shares) / _SHARES
    deviation = sqrt(sum((share - mean) ** 2 for share in shares) / _SHARES)
    return tuple([(share - mean) / deviation if deviation else 0.0 for share in shares])


def _crossing(rising: Callable[[float], float], level: float, ends: tuple[float, float], precision: float) -> float:
    """Where something that rises reaches a level, between two ends; by halving."""
    low, high = ends
    for _ in range(_HALVINGS):
        if high - low <= precision:
            break
        middle = (low + high) / 2.0
        low, high = (low, middle) if rising(middle) >= level else (middle, high)
    return (low + high) / 2.0


def _rich_less(spend: Spend, known: Known, shape: float, amount_minor: float) -> float:
    """Probability that a sum of such a shape of margins above zero is less than an amount."""
    if amount_minor <= 0.0:
        return 0.0
    seen = spend.gamma + known.spend_days * known.mean_margin_minor
    return incomplete_beta(shape, spend.q + spend.p * known.spend_days, amount_minor / (amount_minor + seen))


class Band(NamedTuple):
    """Where `SHARE` of customers like this one end up: one in ten below it, one in ten above, or fewer."""

    low: float
    high: float


def orders_band(timing: Timing, known: Known, weeks: float) -> tuple[int, int]:
    """How many orders the weeks to come bring, four times in five at the least: from so many to so many."""

    def more_than(orders: int) -> float:
        return known.p_alive * at_least(timing, known, weeks, orders + 1)

    return _first(lambda orders: more_than(orders) <= 1.0 - _LOW), _first(lambda orders: more_than(orders) <= _LOW)


def _first(holds: Callable[[int], bool]) -> int:
    """The least number, from 0, at which something holds that holds from then on."""
    if holds(0):
        return 0
    high = 1
    while high < ORDERS_MAX and not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def margin_band(timing: Timing, spend: Spend, known: Known, weeks: float) -> Band:
    """What the orders of the weeks to come leave, four times in five at the least; in minor units, not discounted."""
    numbers, payers = groups(timing, known, weeks, FINE), Payers(FINE.single, _places(spend, known))

    def less(amount_minor: float) -> float:
        return leaves_less(spend, known, numbers, amount_minor, payers)

    each = expected_margin(spend, known.spend_days, known.mean_margin_minor, known.poor_days, known.poor_minor)
    about = max(1.0, abs(each) * sum(number.orders * number.chance for number in numbers))
    return Band(_amount_at(less, _LOW, about), _amount_at(less, 1.0 - _LOW, about))


def _amount_at(less: Callable[[float], float], share: float, about: float) -> float:
    """The amount that such a share of outcomes stays below, or that is theirs: `less` gives the share below an amount.

    By halving, from `about` so much or as little on, to half a minor unit or a ten-thousandth. Nothing at all is an
    amount that many may have in common.
    """
    none = less(0.0)
    if none < share <= less(_HALF_A_MINOR):
        return 0.0
    is_above = none < share
    far = about if is_above else -about

    def holds(amount: float) -> bool:
        return (less(amount) >= share) is is_above

    factor = 0.5 if holds(far) else 2.0
    for _ in range(_DOUBLINGS_MAX):
        if abs(far) < _HALF_A_MINOR or holds(far * factor) is (factor > 1.0):
            break
        far *= factor
    near, far = sorted((far, far * factor), key=abs)
    return _crossing(less, share, (min(near, far), max(near, far)), max(_HALF_A_MINOR, 1e-4 * abs(far)))
