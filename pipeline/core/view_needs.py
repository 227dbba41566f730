"""A customer's needs as others may see them: the block `needs` of a view. Reckoned when a view is made, not before."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import asdict, replace

from pipeline.core import categories, needs, responses
from pipeline.core.affinity import next_best
from pipeline.core.categories import Bought
from pipeline.core.controls import Controls
from pipeline.core.days import date_of, instant_or_none
from pipeline.core.digits import shown
from pipeline.core.price import price
from pipeline.core.profile import Profile
from pipeline.core.quarters import quarter_of, rolled
from pipeline.core.reckoned import Reckoned

CATEGORIES_SHOWN: Final = 8


def needs_view(profile: Profile, controls: Controls, known: Reckoned) -> dict[str, Any]:
    """What they need and want, each thing with where it comes from."""
    policy, affinity = controls.policy, controls.affinity
    rules, zone = policy.needs, policy.shop.time_zone
    quarter = quarter_of(known.today)
    if 0 < profile.needs.quarter < quarter:
        profile = replace(profile, needs=rolled(profile.needs, quarter))
    found = categories.bought(profile, known.today, zone)
    suggested = next_best(found, needs.interests(profile, rules), affinity, rules)
    responded = responses.responses(profile, policy, affinity.response_fraction, known.windows[responses.YEAR_DAYS])
    time = responses.preferred_time(profile, policy, needs.time_zone(profile, policy))
    return {
        "facts": [
            {
                "fact": each.name,
                "value": list(each.value) if isinstance(each.value, tuple) else [str(each.value)],
                "source": each.source,
                "confirmed_at": instant_or_none(each.confirmed_at),
                "stale": each.is_stale,
            }
            for each in needs.facts(profile, rules)
        ],
        "channels": [asdict(each) for each in responded],
        "preferred_time": asdict(time) if time else None,
        "affinity": _affinity(found),
        "next_best": [asdict(each) for each in suggested],
        "price": asdict(price(profile, known.live.worth, rules, affinity.discounted_fraction, zone=zone)),
        "shift": _shift(profile.needs.shifted_on, found),
    }


def _affinity(found: Bought) -> list[dict[str, Any]]:
    """The categories they buy most of, lately bought ones counting more."""
    total = sum(each.weight for each in found.by_category.values())
    best = sorted(found.by_category.items(), key=lambda pair: (-pair[1].weight, pair[0]))
    lately = found.lately
    return [
        {
            "category": name,
            "share_fraction": shown(each.weight / total),
            "orders": each.orders,
            "last_on": date_of(each.last_day) if name in lately else None,
            "stale": name not in lately,
        }
        for name, each in best[:CATEGORIES_SHOWN]
    ]


def _shift(since: int, found: Bought) -> dict[str, Any] | None:
    seen = categories.shift(found, 1) if since else None
    return {"since_on": date_of(since), **asdict(seen)} if seen else None
