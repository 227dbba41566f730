"""A customer's needs in words, for a terminal: what we know of them and how, and what they may want next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ABOUT_THE_PERSON: Final = frozenset(("language", "time_zone", "country", "kind"))
_SENSITIVITIES: Final = {
    "unknown": "not enough orders to say",
    "full_price": "they pay the full price",
    "mixed": "with offers and without",
    "offers_only": "they buy only with offers",
}


def needs_lines(needs: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What a person wants to know of their needs, one line each."""
    if needs is None:
        return
    for title, is_about_person in (("wishes", False), ("person", True)):
        facts = [each for each in needs["facts"] if (each["fact"] in _ABOUT_THE_PERSON) is is_about_person]
        if facts:
            yield title, "; ".join(map(_fact, facts))
    if needs["channels"]:
        yield "responds", "; ".join(map(_channel, needs["channels"]))
    if needs["preferred_time"]:
        time = needs["preferred_time"]
        hours = f"{time['from_hour']:02} to {time['to_hour']:02} h"
        yield "time of day", f"{hours} ({time['time_zone']}): {time['fraction']:.0%} of {time['answers']} signs of life"
    if needs["affinity"]:
        yield "buys", ", ".join(map(_category, needs["affinity"]))
    if needs["shift"]:
        shift = needs["shift"]
        yield "shift", f"since {shift['since_on']} more {shift['toward']}, less {shift['away_from']}"
    if needs["next_best"]:
        yield "next best", "; ".join(map(_suggestion, needs["next_best"]))
    price = needs["price"]
    if price["orders"]:
        told = _SENSITIVITIES[price["sensitivity"]]
        yield "price", f"{told}: {price['discounted']} of {price['orders']} orders with a discount"


def _fact(fact: Mapping[str, Any]) -> str:
    how = {"stated": "said", "inferred": "inferred"}[fact["source"]]
    at = f" {str(fact['confirmed_at'])[:10]}" if fact["confirmed_at"] else ""
    stale = ", too long ago: not used" if fact["stale"] else ""
    return f"{fact['fact'].replace('_', ' ')} {', '.join(fact['value'])} ({how}{at}{stale})"


def _channel(channel: Mapping[str, Any]) -> str:
    bought = f", {channel['bought']} orders after" if channel["bought"] else ""
    return f"{channel['channel']} {channel['answered']} of {channel['tried']}{bought}"


def _category(category: Mapping[str, Any]) -> str:
    stale = ", none for a year" if category["stale"] else ""
    return f"{category['category']} {category['share_fraction']:.0%} ({category['orders']} orders{stale})"


def _suggestion(suggestion: Mapping[str, Any]) -> str:
    why = {
        "stated": "they said so",
        "own purchases": "they buy it",
        "bought with": f"goes with {suggestion['because']}",
        "popular": "popular",
    }
    return f"{suggestion['category']} ({why[suggestion['basis']]})"
