"""What protects the customer from us: consent, an open complaint, a rule's cool-down, their own wish, the cap.

Each rail answers the same question: may this go out now, and if not, why, and when may it? Consent fails closed: not
given is not there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.core import needs
from pipeline.core.cases import has_open_complaint
from pipeline.core.days import DAY_SECONDS
from pipeline.core.decisions import Reason
from pipeline.core.policy import Policy, Rule
from pipeline.core.profile import EVERY_CHANNEL, MESSAGES_MAX, MESSAGES_WINDOW_DAYS_MAX, Profile
from pipeline.core.words import forms

NEVER = 2**62
_EVERY: Final = forms(EVERY_CHANNEL)
MONTH_DAYS: Final = 31
"""A month of the customer's own wish: any so many days, as many as the longest has, so that no month has more."""
assert MONTH_DAYS <= MESSAGES_WINDOW_DAYS_MAX, "messages are remembered for so long"
_FINAL_IF_LONG: Final = (Reason.COOL_DOWN, Reason.WISH)


class Stop(NamedTuple):
    """Why not now, and from when on perhaps (`NEVER`: only something else than time can change it)."""

    reason: Reason
    until_at: int


def channel_of(profile: Profile, rule: Rule, policy: Policy) -> str:
    """The channel they chose or answer best, where they consented to it for this purpose; else the rule's own."""
    chosen = needs.marketing_channel(profile, policy.needs)
    if chosen is not None and has_consent(profile, rule.purpose, chosen, profile.as_of):
        return chosen
    return rule.channel


def has_consent(profile: Profile, purpose: str, channel: str, as_of: int) -> bool:
    """Whether they said yes to this purpose on this channel, and have not taken it back since.

    The later of what they said of the channel and of all channels counts; a no at the same instant wins.
    """
    latest, granted = -1, 0
    about, by = forms(purpose), forms(channel) + _EVERY
    for consent in profile.consents:
        if consent.purpose_code in about and consent.channel_code in by:
            in_force = consent.granted if not consent.valid_until or as_of < consent.valid_until else 0
            if consent.changed_at > latest or (consent.changed_at == latest and not in_force):
                latest, granted = consent.changed_at, in_force
    return bool(granted)


def consent_ends_at(profile: Profile) -> int:
    """The next instant at which anything they agreed to ends by itself; `NEVER` where nothing does.

    A yes on another channel, or a later word, may count instead: a look then finds that nothing has moved.
    """
    ends_at = NEVER
    for consent in profile.consents:
        if profile.as_of < consent.valid_until < ends_at:
            ends_at = consent.valid_until
    return ends_at


def first_stop(profile: Profile, name: str, policy: Policy) -> Stop | None:
    """The first rail that stops a message under this rule now, or None."""
    rule: Rule = getattr(policy.rules, name)
    as_of = profile.as_of
    if not has_consent(profile, rule.purpose, channel_of(profile, rule, policy), as_of):
        return Stop(Reason.NO_CONSENT, NEVER)
    if has_open_complaint(profile):
        return Stop(Reason.COMPLAINT_OPEN, NEVER)
    rails = policy.guard_rails
    calm_at = profile.complaint_closed_at + rails.complaint_cool_down_days * DAY_SECONDS
    if profile.complaint_closed_at and as_of < calm_at:
        return Stop(Reason.COMPLAINT_RECENT, calm_at)
    last = profile.rule_sent_at.get(name, 0)
    cool_at = last + rule.cool_down_days * DAY_SECONDS
    if last and as_of < cool_at:
        return Stop(Reason.COOL_DOWN, cool_at)
    return _wish(profile, policy) or _cap(profile, policy)


def messages_within(profile: Profile, days: int) -> list[int]:
    """When the messages of the last so many days were sent, the earliest first."""
    since = profile.as_of - days * DAY_SECONDS
    return [at for at in profile.sent_at if at > since]


def _wish(profile: Profile, policy: Policy) -> Stop | None:
    """What they said they want at most, until a message is a month old, or the wish itself too old to hold.

    No more messages are remembered than `MESSAGES_MAX`, so a wish for more counts as one for so many.
    """
    wish = needs.contacts_max(profile, policy.needs)
    if wish is None:
        return None
    most = min(wish, MESSAGES_MAX)
    recent = messages_within(profile, MONTH_DAYS)
    if len(recent) < most:
        return None
    until_at = needs.contacts_max_until(profile, policy.needs)
    return Stop(Reason.WISH, min(until_at, recent[-most] + MONTH_DAYS * DAY_SECONDS) if most else until_at)


def _cap(profile: Profile, policy: Policy) -> Stop | None:
    """The policy's cap over all rules, until the message that filled it is old enough."""
    rails = policy.guard_rails
    recent = messages_within(profile, rails.messages_window_days)
    if len(recent) < rails.messages_max:
        return None
    return Stop(Reason.CAP, recent[-rails.messages_max] + rails.messages_window_days * DAY_SECONDS)


def is_final(stop: Stop, expires_at: int) -> bool:
    """Whether waiting is in vain: consent is asked for once; a cool-down or their wish may outlast the message."""
    return stop.reason is Reason.NO_CONSENT or (stop.reason in _FINAL_IF_LONG and stop.until_at >= expires_at)
