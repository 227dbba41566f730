"""Where and when a customer answers: by what channel, at what time of day. By response, not by how much they are sent.

Two things are kept. The latest signs of life, each a moment and a channel: opened or followed a mail, came by a link,
wrote, called, answered a survey. And what passed by each channel, by quarter. E-mails are counted by the rolling
figures, orders by the ledger; neither is kept twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core import buckets
from pipeline.core import ledger as ledgers
from pipeline.core.buckets import Measure
from pipeline.core.days import DAY_SECONDS, day_of, hour_of
from pipeline.core.digits import shown
from pipeline.core.policy import NeedsRules, Policy
from pipeline.core.profile import ANSWERS_MAX, QUARTERS_KEPT, Heard, Needs, Profile
from pipeline.core.quarters import counted, quarter_of, rolled

CHANNELS: Final = ("", "email", "sms", "push", "phone", "post", "messenger", "chat", "social", "in_person")
"""Channels that a customer can be dealt with by; kept by their places, so new ones go to the end."""
CODES: Final = {name: code for code, name in enumerate(CHANNELS) if name}
MESSAGE_CHANNELS: Final = frozenset(("email", "sms", "push", "phone", "post", "messenger"))
"""Those that a trigger can go out by."""
EMAIL: Final = CODES["email"]
_MESSAGE_CODES: Final = frozenset(CODES[name] for name in MESSAGE_CHANNELS)
SLOT_SECONDS: Final = 900
"""Signs of life are kept to a quarter of an hour."""
HOURS_TOGETHER: Final = 3
"""A day is looked at in eight parts of three hours."""
YEAR_DAYS: Final = 365
_CODE_BITS: Final = 4
_CODES_MASK: Final = (1 << _CODE_BITS) - 1
_PARTS: Final = 24 // HOURS_TOGETHER
_ABOVE_CHANCE: Final = 2
"""A time of day is preferred if so many times more falls into it than into each of eight parts by chance."""

Answers = tuple[int, ...]


class Response(msgspec.Struct, frozen=True, gc=False):
    """How a customer responds by one channel, over the last year."""

    channel: str
    tried: int
    """Messages and contacts of ours."""
    answered: int
    bought: int
    """Orders soon after an answer by it, as far as both are remembered."""
    fraction: float
    """Of all these, answers and orders: shrunk to the usual."""


class PreferredTime(msgspec.Struct, frozen=True, gc=False):
    """The part of the day in which a customer answers and buys most."""

    from_hour: int
    to_hour: int
    fraction: float
    """Of the days and parts of days on which they did something, so much in these hours."""
    answers: int
    """How many these are in all."""
    time_zone: str


# -- signs of life ----------------------------------------------------------------------------------------------------


def with_answer(answers: Answers, at: int, code: int) -> Answers:
    """The latest signs of life with one more; of one channel in a quarter of an hour one counts.

    The newest comes first, slot and channel in one number; each other as slots back from the one before it, likewise.
    """
    slot = at // SLOT_SECONDS
    this = slot << _CODE_BITS | code
    if not answers:
        return (this,)
    first = answers[0]
    if this > first:
        back = slot - (first >> _CODE_BITS)
        return (this, back << _CODE_BITS | first & _CODES_MASK, *answers[1 : ANSWERS_MAX - 1])
    if this == first:
        return answers
    known = [slot << _CODE_BITS | by for slot, by in slots(answers)]
    if this in known:
        return answers
    return _packed(sorted((*known, this), reverse=True)[:ANSWERS_MAX])


def slots(answers: Answers) -> list[tuple[int, int]]:
    """(slot since 1970, channel's place) of each sign of life, the newest first."""
    found: list[tuple[int, int]] = []
    at = 2 * (answers[0] >> _CODE_BITS) if answers else 0  # the first step, a slot and no gap, leads to it
    for number in answers:
        at -= number >> _CODE_BITS
        found.append((at, number & _CODES_MASK))
    return found


def _packed(newest_first: list[int]) -> Answers:
    numbers: list[int] = []
    before = 0
    for number in newest_first:
        slot = number >> _CODE_BITS
        numbers.append((before - slot if numbers else slot) << _CODE_BITS | number & _CODES_MASK)
        before = slot
    return tuple(numbers)


# -- what passed by a channel -----------------------------------------------------------------------------------------


def with_contact(needs: Needs, day: int, channel: str | None, what: str) -> Needs:
    """The needs with one thing more that passed by a channel: `tried`, `answered` or `asked` (for service)."""
    code = CODES.get(channel or "")
    if code is None:
        return needs
    needs = rolled(needs, quarter_of(day))
    place = needs.quarter - quarter_of(day)
    if place >= QUARTERS_KEPT:
        return needs
    heard = {each.channel: each for each in needs.heard}
    before = heard.get(code) or Heard(code)
    last_day = before.last_day if what == "tried" else max(before.last_day, day)
    heard[code] = replace(before, **{what: counted(getattr(before, what), place), "last_day": last_day})
    return replace(needs, heard=tuple(heard[each] for each in sorted(heard)))


def responses(
    profile: Profile, policy: Policy, usual_fraction: float | None, year: Sequence[int] | None = None
) -> list[Response]:
    """How they respond by each channel that was tried or that they came by, the best first.

    `usual_fraction`: how customers of the shop respond; None: as the policy says. `year`: the rolling figures of the
    last 365 days, if they are reckoned already.
    """
    rules = policy.needs
    usual = rules.usual_response_permille / 1000 if usual_fraction is None else usual_fraction
    bought = _bought_after(profile, rules)
    heard = {each.channel: (sum(each.tried), sum(each.answered)) for each in profile.needs.heard}
    tried, answered = heard.get(EMAIL, (0, 0))
    if year is None:
        delivered, followed = mails(profile, day_of(profile.as_of, policy.shop.time_zone))
    else:
        delivered, followed = mails_of(year)
    heard[EMAIL] = (tried + delivered, max(answered, followed))  # who follows a mail is often told of as coming by it
    found = []
    for code in sorted({*heard, *bought}):
        tried, answered = heard.get(code, (0, 0))
        orders = bought.get(code, 0)
        if tried or answered or orders:
            tried = max(tried, answered)
            good = answered + orders + rules.response_prior_tries * usual
            fraction = good / (tried + orders + rules.response_prior_tries)
            found.append(Response(CHANNELS[code], tried, answered, orders, shown(fraction)))
    return sorted(found, key=lambda each: (-each.fraction, -each.answered, CODES[each.channel]))


def best(profile: Profile, policy: Policy, usual_fraction: float | None) -> str | None:
    """The channel for messages that they respond to best, of those tried often enough; None: it cannot be said."""
    rules = policy.needs
    if not any(each.channel in _MESSAGE_CODES and (each.tried or each.answered) for each in profile.needs.heard):
        return CHANNELS[EMAIL] if _answers_mail(profile, policy) else None
    for each in responses(profile, policy, usual_fraction):
        if each.channel in MESSAGE_CHANNELS and each.answered and each.tried >= rules.response_tries_min:
            return each.channel
    return None


def _answers_mail(profile: Profile, policy: Policy) -> bool:
    """Whether they answered e-mail within the year, and had enough of it: all to ask where nothing else was tried."""
    kept = profile.buckets
    since = day_of(profile.as_of, policy.shop.time_zone) - YEAR_DAYS + 1
    has_answered = any(
        buckets.reaches(kept, measure, 1, since) for measure in (Measure.EMAILS_OPENED, Measure.EMAILS_CLICKED)
    )
    least = policy.needs.response_tries_min
    return has_answered and any(buckets.reaches(kept, measure, least, since) for measure in _MAILS)


_MAILS: Final = (Measure.EMAILS_DELIVERED, Measure.EMAILS_OPENED, Measure.EMAILS_CLICKED)
"""Who opened a mail had one, whether or not its delivery was told."""


def mails(profile: Profile, today: int) -> tuple[int, int]:
    """(delivered, opened or followed) of the last 365 days; of a mail opened and followed one counts."""
    first = today - YEAR_DAYS + 1
    return _of_mails(*(buckets.total(profile.buckets, measure, first, today) for measure in _MAILS))


def mails_of(year: Sequence[int]) -> tuple[int, int]:
    """The same of the rolling figures of the year."""
    return _of_mails(*(year[measure] for measure in _MAILS))


def _of_mails(delivered: int, opened: int, clicked: int) -> tuple[int, int]:
    return delivered, max(opened, clicked)


def _bought_after(profile: Profile, rules: NeedsRules) -> dict[int, int]:
    """By channel: orders of the ledger soon after a sign of life by it, the latest one before the order."""
    answers = [each for each in slots(profile.needs.answers) if each[1]]
    within = rules.attributed_within_days * DAY_SECONDS
    found: dict[int, int] = {}
    if answers:
        for order in ledgers.purchases(profile.ledger):
            for slot, code in answers:
                since = order.purchased_at - slot * SLOT_SECONDS
                if since >= 0:
                    if since <= within:
                        found[code] = found.get(code, 0) + 1
                    break
    return found


def last_answer_at(profile: Profile, channel: str) -> int:
    """When they last answered or asked by a channel, to the day if that is no longer among the latest signs of life.

    0: not in the last year, as far as is remembered.
    """
    needs, code = profile.needs, CODES.get(channel)
    for slot, by in slots(needs.answers):
        if by == code:
            return slot * SLOT_SECONDS
    days = [each.last_day for each in needs.heard if each.channel == code]
    if code == EMAIL:
        days += [
            buckets.newest(profile.buckets, measure) for measure in (Measure.EMAILS_OPENED, Measure.EMAILS_CLICKED)
        ]
    return max(days, default=0) * DAY_SECONDS


def service_channel(needs: Needs, rules: NeedsRules) -> tuple[str, int] | None:
    """The channel they most often come for service by, and how often; None while that is too seldom to say."""
    asked = [(sum(each.asked), -each.channel) for each in needs.heard]
    times, code = max(asked, default=(0, 0))
    return (CHANNELS[-code], times) if times >= rules.service_contacts_min else None


# -- time of day ------------------------------------------------------------------------------------------------------


def preferred_time(profile: Profile, policy: Policy, time_zone: str) -> PreferredTime | None:
    """When they answer and buy most, in a time zone; None while too little is known, or no time stands out."""
    since = profile.as_of - policy.needs.answers_life_days * DAY_SECONDS
    instants = [slot * SLOT_SECONDS for slot, _ in slots(profile.needs.answers)]
    instants += [order.purchased_at for order in ledgers.purchases(profile.ledger)]
    parts = [0] * _PARTS
    # Six mails opened in one evening are one evening.
    for _, part in {
        (day_of(at, time_zone), hour_of(at, time_zone) // HOURS_TOGETHER) for at in instants if at >= since
    }:
        parts[part] += 1
    count = sum(parts)
    if count < policy.needs.time_answers_min:
        return None
    beside = [parts[place - 1] + parts[(place + 1) % _PARTS] for place in range(_PARTS)]
    chosen = max(range(_PARTS), key=lambda place: (parts[place], beside[place], -place))
    if parts[chosen] * _PARTS < count * _ABOVE_CHANCE:
        return None
    start = chosen * HOURS_TOGETHER
    return PreferredTime(start, start + HOURS_TOGETHER, shown(parts[chosen] / count), count, time_zone)
