"""A customer's tier, kept: looked at when money moved or time passed, with its figures and month by month."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from pipeline.core import tier as tiers
from pipeline.core.ahead import Known
from pipeline.core.below_zero import p_below_zero
from pipeline.core.controls import Controls
from pipeline.core.days import day_of, running_month
from pipeline.core.moment import Changes
from pipeline.core.outlook import Facts, ahead_minor, facts, potential_minor, upkeep_minor
from pipeline.core.policy import TierRules
from pipeline.core.population import Population
from pipeline.core.profile import MONTH_ENDS_MAX, Profile, Standing, Tier
from pipeline.core.tier import Drags, Figures, Why
from pipeline.core.tier_lines import Lines
from pipeline.core.timing import next_order_quantile
from pipeline.schemas import logged

_WHOLE: Final = 1000
_TIER_BY_CODE: Final = tuple(Tier)
_TIERS: Final = len(Tier)
_OLDEST: Final = _TIERS**MONTH_ENDS_MAX
"""The leading 1 of as many months as are kept."""


_MOVES_MONEY: Final = frozenset(
    (
        logged.Tick, logged.OrderCompleted, logged.OrderRefunded, logged.OrderCancelled, logged.CostRecorded,
        logged.ReferralCredited,
    )
)  # fmt: skip
_MAY_TAKE_TIME: Final = frozenset(
    (logged.TicketOpened, logged.TicketUpdated, logged.TicketResolved, logged.ContactMade)
)


def after(customer_id: str, profile: Profile, event: logged.CustomerEvent | logged.Tick, controls: Controls) -> Changes:
    """What changes in the profile when the tier is looked at; nothing unless the event moved money or is a review."""
    kind = type(event)
    if kind in _MOVES_MONEY:
        return looked_at(customer_id, profile, controls)
    if kind not in _MAY_TAKE_TIME:
        return {}
    if isinstance(event, logged.TicketEvent) and (event.service_minutes or event.service_cost_minor):
        return looked_at(customer_id, profile, controls)
    if isinstance(event, logged.ContactMade) and event.service_minutes:
        return looked_at(customer_id, profile, controls)
    return {}


def looked_at(customer_id: str, profile: Profile, controls: Controls) -> Changes:
    """The same of a look, with what the tier was at the ends of the months since the last one."""
    population, before, has_bought = controls.population, profile.standing, profile.ledger.last_at > 0
    if not has_bought and before is None:
        return {}
    today = day_of(profile.as_of, controls.policy.shop.time_zone)
    if not has_bought and before is not None:
        return {"standing": _without_purchase(before, today)}
    known = None if population is None else facts(profile, controls, today, customer_id)
    return {} if known is None else {"standing": _standing(before, known, controls, today)}


def _standing(before: Standing | None, known: Facts, controls: Controls, today: int) -> Standing:
    population, rules = controls.population, controls.policy.tiers
    assert population is not None, "figures are told by it"
    held, since_days = (_TIER_BY_CODE[before.tier], _since_days(before, today)) if before else (Tier.UNKNOWN, 0)
    lines = controls.lines[held]
    told = figures(known, population, rules, lines)
    found = tiers.told(told, lines)
    tier = held if found[0] is held else tiers.settled(held, since_days, found, rules)
    return Standing(
        tier=int(tier),
        why=int(found[1]) if tier is found[0] or before is None else before.why,
        checked_day=today,
        since_days=since_days if tier is held else 0,
        actual_minor=told.actual_minor,
        ahead_minor=told.ahead_minor,
        potential_minor=told.potential_minor,
        p_return_milli=round(told.p_return * _WHOLE),
        serve_minor=told.serve_minor,
        p_below_zero_milli=-1 if told.p_below_zero is None else round(told.p_below_zero * _WHOLE),
        months=months(before, today) if before else 1,
    )


def figures(known: Facts, population: Population, rules: TierRules, lines: Lines) -> Figures:
    """What a tier is told from: what is known of somebody, beside what is usual; `lines`: of the tier they are in."""
    outlook = known.outlook
    upkeep = upkeep_minor(outlook, population.upkeep_minor)
    ahead = ahead_minor(outlook, upkeep)
    told = Figures(
        outlook.actual_minor, ahead, potential_minor(outlook, ahead, population), outlook.p_return, outlook.serve_minor
    )
    is_doubtful = outlook.actual_minor < 0 or known.margin_minor < upkeep  # so far, or from an order to come
    if is_doubtful and _is_old_enough(known, rules):
        return _doubted(told, known, (population, rules), lines)
    return told


def _doubted(told: Figures, known: Facts, usual: tuple[Population, TierRules], lines: Lines) -> Figures:
    """The figures of somebody who may be worth less than nothing: how likely that is, and what pulls them down.

    `usual`: what is in the shop, and by its policy.
    """
    (population, rules), worth = usual, known.worth
    is_dearer = told.serve_minor > lines.serve_minor
    excess = max(0, worth.service_cost_minor - round(lines.serve_minor * known.outlook.orders)) if is_dearer else 0
    below = _p_below_zero(known, population, less_minor=0)
    below_usual = None
    if excess and below * _WHOLE > rules.bz_certainty_permille - rules.slack_permille:
        below_usual = _p_below_zero(known, population, less_minor=excess)
    drags = Drags(
        service=excess if is_dearer else worth.service_cost_minor,
        acquisition=worth.acquisition_cost_minor,
        discounts=worth.discount_cost_minor,
        refunds=known.refunded_margin_minor,
        keeping=worth.send_cost_minor + worth.marketing_cost_minor,
    )
    return replace(told, p_below_zero=below, p_below_zero_usual=below_usual, drags=drags)


def _is_old_enough(known: Facts, rules: TierRules) -> bool:
    """Whether there is something to go by: enough orders, or long enough for somebody to have come again."""
    history = known.history
    if history.frequency + 1 >= rules.bz_orders_min:
        return True
    usual_gap = next_order_quantile(known.model.timing, history.frequency, history.recency, 0.5)
    return history.tenure(known.day) >= rules.bz_gaps_min * usual_gap


def _p_below_zero(known: Facts, population: Population, *, less_minor: int) -> float:
    """Of somebody who had cost so much less to serve."""
    model, history = known.model, known.history
    of = Known(
        frequency=history.frequency,
        tenure=max(history.tenure(known.day), history.recency),
        p_alive=known.p_alive,
        spend_days=history.spend_days,
        mean_margin_minor=history.mean_margin_minor,
        poor_days=history.poor_days,
        poor_minor=history.poor_minor,
        upkeep_minor=upkeep_minor(known.outlook, population.upkeep_minor, less_minor=less_minor),
    )
    actual_minor, horizon = known.outlook.actual_minor + less_minor, (model.value_weeks, model.discount)
    return p_below_zero(model.timing, model.spend, of, actual_minor, horizon)


def _without_purchase(before: Standing, today: int) -> Standing:
    """Every purchase was cancelled: there is nothing to tell a tier from."""
    if before.tier == Tier.UNKNOWN and before.checked_day == today:
        return before
    return Standing(
        tier=int(Tier.UNKNOWN), why=int(Why.NO_PURCHASE_YET), checked_day=today,
        since_days=_since_days(before, today) if before.tier == Tier.UNKNOWN else 0,
        actual_minor=0, ahead_minor=0, potential_minor=0, p_return_milli=0, serve_minor=0,
        months=months(before, today),
    )  # fmt: skip


def _since_days(before: Standing, today: int) -> int:
    """For how many days they have been in their tier."""
    return before.since_days + max(today - before.checked_day, 0)


def months(before: Standing, today: int) -> int:
    """The tiers at the ends of the months before today's, given those before the last look's."""
    ends = before.months
    if today == before.checked_day:
        return ends
    for _ in range(min(running_month(today) - running_month(before.checked_day), MONTH_ENDS_MAX)):
        ends = ends * _TIERS + before.tier
        if ends >= 2 * _OLDEST:
            ends = ends % _OLDEST + _OLDEST
    return ends
