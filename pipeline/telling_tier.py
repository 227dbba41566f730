"""A customer's tier in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.telling_value import money

TIERS: Final = {
    "unknown": "not known yet",
    "bz": "below zero (BZ)",
    "rest": "the rest",
    "mgc": "most growable (MGC)",
    "mvc": "most valuable (MVC)",
}
TIER_REASONS: Final = {
    "no_purchase_yet": "they have not bought",
    "no_forecast_yet": "no model was fitted when they were last looked at (`wafa fit`)",
    "no_population_yet": "the shop's customers are not measured yet (`wafa tiers`)",
    "not_looked_at_yet": "looked at with their next purchase, cost or review, within seven days",
    "usual": "neither among the best nor far from them",
    "most_valuable": "among the best by what they are worth in all, and likely to come back",
    "room_to_grow": "among those with the most room to grow, counted by their chance to come back",
    "costs_more_to_serve": "worth less than nothing, because serving them costs more than is usual",
    "valuable_but_leaving": "among the best by what they are worth in all, and not likely to come back",
    "below_zero_service": "worth less than nothing; serving them weighs most, and costs no more than is usual",
    "below_zero_acquisition": "worth less than nothing; winning them weighs most",
    "below_zero_discounts": "worth less than nothing; discounts weigh most",
    "below_zero_refunds": "worth less than nothing; what they gave back weighs most",
    "below_zero_keeping": "worth less than nothing; e-mails, gifts and rewards weigh most",
    "below_zero_margin": "worth less than nothing; what they buy leaves too little",
}


def tier_lines(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """One line a question; none of a view from before there were tiers."""
    told, currency = profile.get("tier"), profile["value"]["currency"]
    if told is None:
        return
    since = f" since {told['since_on']}" if told.get("since_on") else ""
    yield "tier", f"{TIERS[told['tier']]}{since}: {TIER_REASONS[told['tier_reason']]}; treatment: {told['treatment']}"
    if told.get("checked_on"):
        actual, expected, potential, serve = (
            money(told[name], currency)
            for name in ("actual_minor", "expected_minor", "potential_minor", "cost_to_serve_per_order_minor")
        )
        yield "", f"worth {actual} so far with referrals, {expected} from now on; {potential} would be of the best"
        below = told["p_below_zero"]
        doubt = "" if below is None else f"; {below:.0%} to be worth less than nothing in all"
        yield "", f"{told['p_return']:.0%} to come back, {serve} to serve an order{doubt} ({told['checked_on']})"
    scores = profile.get("rfm")
    if scores:
        yield (
            "RFM",
            f"{scores['recency']}{scores['frequency']}{scores['monetary']}: {scores['segment'].replace('_', ' ')}",
        )


def kept_line(kept: Mapping[str, Any], tier: str) -> str:
    """Why they are in another tier than their figures lead to, as a sentence."""
    told = f"by their figures alone {TIERS[kept['else_tier']]}; kept as {TIERS[tier]}"
    if kept["by"] == "slack":
        return f"{told}, whose line is missed by less than {kept['slack_permille'] / 1000:.0%}"
    return f"{told}: nobody falls within {kept['hold_days']} days of a move, theirs was {kept['since_days']} days ago"


def potential_line(potential: Mapping[str, Any], currency: str | None) -> str:
    """Whom what they might be worth is told from, as a sentence."""
    found, of_best = (money(potential[name], currency) for name in ("potential_minor", "best_tenth_minor"))
    group, theirs = potential["compared_with"], potential["they_are"]
    few = f"; when the shop was measured, too few were {_whose(theirs)}" if group not in (None, theirs) else ""
    tenth = f"the best tenth of {_alike(group)}" if group else ""
    told = f"they might be worth {found} from now on"
    if potential["told_by"] == "categories":
        broadest, own = potential["categories_of_broadest"], potential["categories"]
        who = _alike(potential["broadest_of"])
        told += f", if they bought in {broadest} categories as the broadest tenth of {who} do, and not in {own}"
        return f"{told}; counted as twice what is expected at most"
    if potential["told_by"] == "best_tenth":
        return f"{told}, as is expected of {tenth or 'anybody'}{few}"
    return f"{told}, as is expected of them" + (f": of {tenth} {of_best} are{few}" if tenth else "")


def _alike(group: Mapping[str, Any]) -> str:
    """Customers who are alike, with how many they are where that is known."""
    count = f"{group['customers']:,} " if group["customers"] is not None else ""
    return f"the {count}customers {_whose(group)}"


def _whose(group: Mapping[str, Any]) -> str:
    channel, start, end = group["channel"], group["weeks_from"], group["weeks_below"]
    told = [] if channel is None else ["won through no channel" if channel == "none" else f"won through {channel}"]
    if start is not None:
        told.append(f"here for {start} weeks or more" if end is None else f"here for {start} to {end} weeks")
    return " and ".join(told) or "who bought"
