"""What is expected of a customer, from their profile and the models in force; and how long they may be silent.

The purchases that the models need are reckoned from the ledger each time they are asked for, so that no order of
arrival, refund or cancellation can make them differ from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core.acquisition import cohort_month, won_by
from pipeline.core.controls import Controls
from pipeline.core.days import DAY_SECONDS, day_of
from pipeline.core.folded import MICRO, folded_brought_minor, folded_days, rest_of
from pipeline.core.history import WEEK_DAYS, History, of_days, spend_and_poor, sum_log_gap
from pipeline.core.live import Live, live_of
from pipeline.core.models import SHOP, Models
from pipeline.core.policy import Policy
from pipeline.core.predict import Model, Prediction, overdue_after, predict
from pipeline.core.profile import Ledger, Pace, Past, Profile
from pipeline.core.spend import PRIOR_DAYS, paying_margin, paying_share
from pipeline.core.worth import Worth


def forecast(profile: Profile, controls: Controls, day: int) -> Prediction | None:
    """What is expected of a customer from the end of a day on; None before a model or a purchase."""
    scope = scope_of(profile, controls.models, controls.policy)
    zone = controls.policy.shop.time_zone
    live = live_of(profile.ledger, zone) if scope else None
    known = history_with(profile.ledger, zone, live) if live else None
    if scope is None or live is None or known is None:
        return None
    return forecast_with(controls.models.of(scope), known, live.worth, day)


def forecast_with(model: Model, known: History, of_orders: Worth, day: int) -> Prediction:
    """The same by a model, where their history and what their orders are worth are known."""
    found, revenue = predict(model, known, day), _revenue_minor(model, known, of_orders)
    return replace(found, revenue_minor=tuple([orders * revenue for orders in found.orders]))


def _revenue_minor(model: Model, known: History, total: Worth) -> float:
    """Net revenue expected of a purchase day to come, by what their days that left something are expected to leave.

    For each unit of that as much as so far, drawn to the shop's by one average purchase day. Revenue of days that were
    sold at a loss is in it: so it does not hang on what those left.
    """
    spend = model.spend
    kept = total.revenue_minor - total.refunded_minor + PRIOR_DAYS * max(spend.mean_minor, 0.0) * model.revenue_rate
    left = max(total.brought_minor - known.poor_minor, known.spend_minor)  # the first day may be a poor one
    left_a_day = paying_share(spend, known.spend_days, known.poor_days) * paying_margin(
        spend, known.spend_days, known.mean_margin_minor
    )
    return left_a_day * kept / (left + PRIOR_DAYS * spend.paying_fraction * spend.paying_minor)


def scope_of(profile: Profile, models: Models, policy: Policy) -> str | None:
    """Whose model is theirs: their channel's or else their cohort's, where the last fit found one; else the shop's."""
    if models.shop is None:
        return None
    if models.segments:
        for scope in scopes_of(profile, policy):
            if scope in models.segments:
                return scope
    return SHOP


def scopes_of(profile: Profile, policy: Policy) -> list[str]:
    """The segments that a buyer is in: the channel that had the largest part in winning them, and their cohort."""
    channel, month = won_by(profile, policy.value), cohort_month(profile, policy.shop.time_zone)
    scopes = [f"channel/{channel}"] if channel else []
    return [*scopes, f"cohort/{month}"] if month else scopes


def history_of(ledger: Ledger, zone: str) -> History | None:
    """A customer's purchases as the models see them; None without any."""
    return history_with(ledger, zone, live_of(ledger, zone))


def history_with(ledger: Ledger, zone: str, live: Live) -> History | None:
    """The same, where it is known what the orders come to that may still change."""
    if not ledger.folded_days:
        return of_days(live.brought_by_day) if live.brought_by_day else None
    folded, margins, rest, past = folded_days(ledger), dict(live.brought_by_day), rest_of(ledger), ledger.past or Past()
    days = sorted({*folded, *margins})
    if len(days) == 1 and not rest.older_days:
        return History(days[0], days[0])
    spent_days = spent_minor = poor_days = poor_minor = 0
    first_folded = day_of(ledger.folded_first_at, zone) if rest.older_days else folded[0]
    ends = {first_folded: past.first_margin_minor, folded[-1]: past.last_margin_minor}
    between = len(folded) + rest.older_days - len(ends)
    if between:  # they are worth the folded totals less the ends
        spent_days, poor_days, poor_minor = between - rest.poor_days, rest.poor_days, rest.poor_minor
        spent_minor = folded_brought_minor(ledger) - sum(ends.values()) - rest.poor_minor
        spent_minor += sum(margins.pop(day, 0) for day in folded if day not in ends)
    for day, margin in ends.items():
        margins[day] = margins.get(day, 0) + margin
    bought = _bought(ledger, days, zone)
    margins.pop(bought.first_day)  # the first says nothing of the next
    more_days, more_minor, more_poor_days, more_poor_minor = spend_and_poor([*margins.values()])
    return History(
        bought.first_day, bought.last_day, bought.frequency, bought.sum_log_gap, spent_days + more_days,
        max(0, spent_minor + more_minor), poor_days + more_poor_days, poor_minor + more_poor_minor,
    )  # fmt: skip


def _bought(ledger: Ledger, days: Sequence[int], zone: str) -> History:
    """The purchases of these days (distinct, oldest first) and of those before them; without their margins."""
    rest = rest_of(ledger)
    if not rest.older_days:
        return History(days[0], days[-1], len(days) - 1, sum_log_gap(days))
    gap_logs = sum_log_gap(days) + rest.gap_log_micro / MICRO
    return History(day_of(ledger.first_at, zone), days[-1], rest.older_days + len(days) - 1, gap_logs)


def pace_after(ledger: Ledger, days: Sequence[int], models: Models, policy: Policy) -> Pace | None:
    """How long they may be silent after the last of these purchase days (distinct, oldest first): by the shop's model.

    None before a model or a purchase. A channel or cohort buys and leaves in its own way, but its rhythm is the shop's.
    """
    if models.shop is None or not days:
        return None
    rules = policy.forecast
    longest_weeks = rules.at_risk_max_days / WEEK_DAYS
    weeks = overdue_after(models.shop, _bought(ledger, days, policy.shop.time_zone), longest_weeks)
    silent_days = ceil(min(weeks * WEEK_DAYS, rules.at_risk_max_days))
    return Pace(max(rules.at_risk_min_days, silent_days), models.mark)


def paced(profile: Profile, models: Models, policy: Policy) -> Profile:
    """The customer with their pace reckoned under the models in force; the same object if it is."""
    before = profile.pace
    if models.shop is None or not profile.ledger.last_at:
        return profile if before is None else replace(profile, pace=None)
    if before is not None and before.reckoned_under == models.mark:
        return profile
    days = ledgers.all_days(profile.ledger, policy.shop.time_zone)
    return replace(profile, pace=pace_after(profile.ledger, days, models, policy))


def overdue_at(profile: Profile) -> int | None:
    """When their silence is longer than their own rhythm explains; None before a model or a purchase."""
    return None if profile.pace is None else profile.ledger.last_at + profile.pace.at_risk_days * DAY_SECONDS
