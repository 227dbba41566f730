"""What is expected of a customer in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pipeline.telling_value import money


def forecast_lines(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """One line a question; none before a model is fitted, or before a purchase."""
    found = profile.get("prediction")
    if found is None:
        return
    currency = profile["value"]["currency"]
    by = f"by {found['basis']}; model of {found['model_scope']}, fitted {str(found['model_fitted_at'])[:10]}"
    yield "forecast", f"{found['p_return']:.0%} to buy within {found['return_days']} days ({by})"
    for ahead in found["ahead"]:
        margin, revenue = (money(ahead[name], currency) for name in ("margin_minor", "revenue_minor"))
        yield "", f"within {ahead['days']} days {ahead['orders']:.2f} orders, margin {margin}, revenue {revenue}"
    ahead = money(found["value_ahead_minor"], currency)
    yield "value ahead", f"{ahead} of margin within {found['value_ahead_days']} days, discounted"
    yield "next order", _next_order(profile, found)


def _next_order(profile: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    days = found["next_order_days"]
    if days["median"] is None:
        told = "not within ten years, if it is like those before"
    else:
        as_of = datetime.fromisoformat(str(profile["as_of"]))
        early, median = ((as_of + timedelta(days=days[name])).date().isoformat() for name in ("early", "median"))
        late = (as_of + timedelta(days=days["late"])).date().isoformat() if days["late"] is not None else "far off"
        told = f"about {median} if they stay (one in ten before {early}, one in ten after {late})"
    return f"{told}; overdue from {str(found['overdue_at'])[:10]}" if found["overdue_at"] else told
