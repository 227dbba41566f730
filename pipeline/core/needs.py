"""What we know of a customer's needs and wishes, how we know it, and for how long it holds.

What is stated beats what is inferred; of two statements the one made later counts, whichever arrives first. Every fact
has a life in the policy: past it, it is shown as stale and not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from pipeline.core import categories, responses
from pipeline.core.affinity import Affinity
from pipeline.core.days import DAY_SECONDS, day_of
from pipeline.core.moment import Changes, Moment
from pipeline.core.policy import NeedsRules, Policy
from pipeline.core.profile import INTERESTS_MAX, Needs, Profile
from pipeline.core.quarters import quarter_of, rolled
from pipeline.schemas import logged

Source = Literal["stated", "inferred"]

_IDENTITY: Final = ("language", "time_zone", "country")
_LIVES: Final = {
    "marketing_channel": "channel_life_days",
    "service_channel": "channel_life_days",
    "contacts_per_month_max": "frequency_life_days",
    "interests": "interests_life_days",
    "reason_for_buying": "reason_life_days",
    "language": "person_life_days",
    "time_zone": "person_life_days",
    "country": "person_life_days",
    "kind": "person_life_days",
}
"""Which life of the policy each fact has."""


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One thing we know of them."""

    name: str
    value: str | int | tuple[str, ...]
    source: Source
    confirmed_at: int
    """When it was last said, or last seen; 0: not remembered."""
    is_stale: bool


# -- what they say ----------------------------------------------------------------------------------------------------


def identified(profile: Profile, event: logged.CustomerIdentified, now: Moment) -> Changes:
    """What an identification says of the person or company."""
    needs, at = profile.needs, now.at
    known_at = max(needs.known_at, at)
    said_at = dict(zip(_IDENTITY, _identity_said_at(profile), strict=True))
    known = {"language": profile.language, "time_zone": profile.time_zone, "country": needs.country}
    for name in _IDENTITY:
        value = getattr(event, name)
        if _is_later(value, at, known[name], said_at[name]):
            known[name], said_at[name] = value, at
    is_company = int(event.kind == "company")
    changes: Changes = {name: known[name] for name in ("language", "time_zone")}
    changes["needs"] = replace(
        needs,
        known_at=known_at,
        is_company=max((needs.known_at, needs.is_company), (at, is_company))[1],
        language_before=known_at - said_at["language"] if known["language"] else 0,
        time_zone_before=known_at - said_at["time_zone"] if known["time_zone"] else 0,
        country=known["country"] or "",
        country_before=known_at - said_at["country"] if known["country"] else 0,
    )
    return changes


def _identity_said_at(profile: Profile) -> tuple[int, int, int]:
    """When language, time zone and country were said; from before dates were kept: when they were first seen."""
    needs = profile.needs
    if not needs.known_at:
        return (profile.first_seen_at,) * 3
    at = needs.known_at
    return at - needs.language_before, at - needs.time_zone_before, at - needs.country_before


def stated(profile: Profile, event: logged.PreferenceStated, now: Moment) -> Changes:
    """What they say they want; what they do not mention stays."""
    needs, at = profile.needs, now.at
    changes: Changes = {}
    news: dict[str, Any] = {}
    for name in ("marketing_channel", "service_channel"):
        if _is_later(getattr(event, name), at, getattr(profile, name), getattr(profile, f"{name}_at")):
            changes[name], changes[f"{name}_at"] = getattr(event, name), at
    interests = event.interests[:INTERESTS_MAX]
    if interests and (at, interests) > (profile.interests_at, profile.interests):
        changes["interests"], changes["interests_at"] = interests, at
    wish = event.contacts_per_month_max
    if wish is not None and (at, -wish) > (needs.contacts_at, -needs.contacts_per_month_max):  # of two, the fewer
        news["contacts_per_month_max"], news["contacts_at"] = wish, at
    if _is_later(event.reason_for_buying, at, needs.reason_for_buying, needs.reason_at):
        news["reason_for_buying"], news["reason_at"] = event.reason_for_buying, at
    return changes | {"needs": replace(needs, **news)} if news else changes


def _is_later(value: str | None, at: int, known: str | None, known_at: int) -> bool:
    """Whether a statement takes the place of another; of two at one instant the greater, so that one rule decides."""
    return value is not None and (not known or (at, value) > (known_at, known))


# -- what they do -----------------------------------------------------------------------------------------------------


def answered(profile: Profile, now: Moment, code: int = 0) -> Needs:
    """The needs with a sign of life, by a channel or by none."""
    needs = profile.needs
    return replace(needs, answers=responses.with_answer(needs.answers, now.at, code))


def came(profile: Profile, channel: str | None, now: Moment, what: str) -> Needs:
    """The needs after they came to us by a channel: `answered` us, or `asked` for service."""
    needs = answered(profile, now, responses.CODES.get(channel or "", 0))
    return responses.with_contact(needs, now.day, channel, what)


def touched(profile: Profile, event: logged.TouchRecorded, now: Moment) -> Changes:
    """What a touch says of a channel: an answer if they followed it to us, else a try. E-mails are told one by one."""
    if event.channel not in responses.CODES:
        return {}
    if event.followed or event.referrer_host is not None:
        return {"needs": came(profile, event.channel, now, "answered")}
    if responses.CODES[event.channel] == responses.EMAIL:
        return {}
    return {"needs": responses.with_contact(profile.needs, now.day, event.channel, "tried")}


def met(profile: Profile, event: logged.ContactMade, now: Moment) -> Needs:
    """The needs after a person of ours dealt with them: a try if we began, else an answer, or a call for service."""
    if event.is_inbound:
        return came(profile, event.channel, now, "asked" if event.department == "service" else "answered")
    return responses.with_contact(profile.needs, now.day, event.channel, "tried")


def wrote(profile: Profile, language: str | None, now: Moment) -> Needs:
    """The needs after they wrote in public, in a language if that could be told."""
    needs = answered(profile, now)
    if not _is_later(language, now.at, needs.written_language, needs.written_at):
        return needs
    return replace(needs, written_language=language or "", written_at=now.at)


def reviewed(profile: Profile, policy: Policy, affinity: Affinity) -> Profile:
    """The customer as a review finds them: counts moved on, the channel they answer best, a shift in what they buy."""
    rules, zone = policy.needs, policy.shop.time_zone
    today = day_of(profile.as_of, zone)
    needs = rolled(profile.needs, quarter_of(today))
    channel = shifted_on = 0
    if needs.heard or needs.answers or profile.buckets:
        found = responses.best(replace(profile, needs=needs), policy, affinity.response_fraction)
        seen_at = responses.last_answer_at(profile, found) if found else 0
        if found and is_fresh("marketing_channel", seen_at, profile.as_of, rules):
            channel = responses.CODES[found]
    if len(needs.categories) > 1:
        shifted_on = categories.shifted_on(categories.bought(profile, today, zone), needs.shifted_on, rules)
    if (channel, shifted_on) != (needs.channel, needs.shifted_on):
        needs = replace(needs, channel=channel, shifted_on=shifted_on)
    return profile if needs is profile.needs else replace(profile, needs=needs)


# -- what holds -------------------------------------------------------------------------------------------------------


def is_fresh(name: str, confirmed_at: int, as_of: int, rules: NeedsRules) -> bool:
    """Whether a fact is still within its life."""
    life: int = getattr(rules, _LIVES[name])
    return as_of - confirmed_at < life * DAY_SECONDS


def holds_until(fact: Fact, rules: NeedsRules) -> int:
    """When a fact's life ends, unless it is said or seen again; 0 where it is not remembered when it was."""
    life: int = getattr(rules, _LIVES[fact.name])
    return fact.confirmed_at + life * DAY_SECONDS if fact.confirmed_at else 0


def marketing_channel(profile: Profile, rules: NeedsRules) -> str | None:
    """Where they want offers and news: what they said, while it holds; else where they answer best, if known."""
    chosen = profile.marketing_channel
    if chosen is not None and is_fresh("marketing_channel", profile.marketing_channel_at, profile.as_of, rules):
        return chosen
    return responses.CHANNELS[profile.needs.channel] or None  # a review takes it back when its life is over


def contacts_max(profile: Profile, rules: NeedsRules) -> int | None:
    """How many messages a month they want at most, while that holds; None: as many as we see fit."""
    said_at = profile.needs.contacts_at
    if not said_at or not is_fresh("contacts_per_month_max", said_at, profile.as_of, rules):
        return None
    return profile.needs.contacts_per_month_max


def contacts_max_until(profile: Profile, rules: NeedsRules) -> int:
    """When that holds no longer, unless they say it again."""
    return profile.needs.contacts_at + rules.frequency_life_days * DAY_SECONDS


def time_zone(profile: Profile, policy: Policy) -> str:
    """Their own time zone, while it holds; else the shop's."""
    _, said_at, _ = _identity_said_at(profile)
    if profile.time_zone is not None and is_fresh("time_zone", said_at, profile.as_of, policy.needs):
        return profile.time_zone
    return policy.shop.time_zone


def interests(profile: Profile, rules: NeedsRules) -> tuple[str, ...]:
    """What they said they care for, while it holds."""
    return profile.interests if is_fresh("interests", profile.interests_at, profile.as_of, rules) else ()


def facts(profile: Profile, rules: NeedsRules) -> list[Fact]:
    """All that is known of them, with source and age. Beside a stale statement stands what is inferred."""
    found = []
    fresh = set()
    for name, value, at in _statements(profile):
        is_stale = not is_fresh(name, at, profile.as_of, rules)
        found.append(Fact(name, value, "stated", at, is_stale))
        if not is_stale:
            fresh.add(name)
    for name, value, at in _inferences(profile, rules):
        if name not in fresh:
            is_stale = name != "marketing_channel" and not is_fresh(name, at, profile.as_of, rules)
            found.append(Fact(name, value, "inferred", at, is_stale))  # that channel a review drops when it is
    return found


def _statements(profile: Profile) -> Iterator[tuple[str, str | int | tuple[str, ...], int]]:
    """(name, value, when) of what they said."""
    needs = profile.needs
    if profile.marketing_channel is not None:
        yield "marketing_channel", profile.marketing_channel, profile.marketing_channel_at
    if profile.service_channel is not None:
        yield "service_channel", profile.service_channel, profile.service_channel_at
    if needs.contacts_at:
        yield "contacts_per_month_max", needs.contacts_per_month_max, needs.contacts_at
    if profile.interests:
        yield "interests", profile.interests, profile.interests_at
    if needs.reason_for_buying:
        yield "reason_for_buying", needs.reason_for_buying, needs.reason_at
    identity = (profile.language, profile.time_zone, needs.country)
    for name, value, at in zip(_IDENTITY, identity, _identity_said_at(profile), strict=True):
        if value:
            yield name, value, at
    if needs.known_at:
        yield "kind", "company" if needs.is_company else "person", needs.known_at


def _inferences(profile: Profile, rules: NeedsRules) -> Iterator[tuple[str, str, int]]:
    """(name, value, when last seen) of what their behaviour says."""
    needs = profile.needs
    if needs.channel:
        channel = responses.CHANNELS[needs.channel]
        yield "marketing_channel", channel, responses.last_answer_at(profile, channel)
    served = responses.service_channel(needs, rules)
    if served is not None:
        yield "service_channel", served[0], responses.last_answer_at(profile, served[0])
    if needs.written_language:
        yield "language", needs.written_language, needs.written_at
