"""What an event says of how we deal with a customer: needs known and met, answers, evidence of satisfaction, consent.

A need is known once they said it (interests, a reason for buying, a question, a suggestion, a product idea), once they
bought something that is told by its lines, or once a message to them names it. It is met by an answer to a message made
from it: one that names the need it was made from; or, where messages name none, any later answer to a message of
marketing's, for it was written to somebody whose need was known. A message that a trigger of ours made is about an
order or a silence, so its answer counts only if it names a need.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from pipeline.core import ledger as ledgers
from pipeline.core import owed, satisfaction
from pipeline.core.days import day_of
from pipeline.core.moment import Changes, Moment
from pipeline.core.profile import Consent, Dealings, Ledger, Profile
from pipeline.core.satisfaction import Said
from pipeline.schemas import logged

_GAPS: Final = 8
"""The typical gap is the middle one of the latest so many; there is none before two."""


def need_said(profile: Profile, now: Moment, dealings: Dealings | None = None) -> Changes:
    """They said what they need."""
    return {
        "need_at": max(profile.need_at, now.at),
        "dealings": _with_need(profile.dealings if dealings is None else dealings, now.at),
    }


def need_met(profile: Profile, need: str | None, now: Moment) -> Changes:
    """They dealt with us about a need of theirs, where it is named."""
    if need is None:
        return {}
    dealings = _with_need(profile.dealings, now.at)
    return {"dealings": replace(dealings, need_met_at=max(dealings.need_met_at, now.at))}


def answered(profile: Profile, event: logged.EmailOpened | logged.EmailClicked, now: Moment) -> Changes:
    """They answered an e-mail."""
    changes: Changes = {"marketing_at": max(profile.marketing_at, now.at)}
    if event.need is not None:
        return changes | need_met(profile, event.need, now)
    if event.trigger_id is None:
        changes["answered_at"] = max(profile.answered_at, now.at)
    return changes


def bought(profile: Profile, event: logged.OrderCompleted, after: Ledger, now: Moment) -> Changes:
    """They bought: a need where its lines tell what, an answer of theirs where they used an offer, and a rhythm."""
    changes: Changes = {}
    if event.coupon is not None:
        changes["marketing_at"] = max(profile.marketing_at, now.at)
        changes["answered_at"] = max(profile.answered_at, now.at)
    dealings = profile.dealings
    if event.items:  # known from the next moment on: the offer they used to buy it was not made from it
        dealings = _with_need(dealings, now.at + 1)
    last_at = profile.ledger.last_at
    if now.at < last_at or not last_at or day_of(last_at, now.policy.shop.time_zone) != now.day:
        dealings = _with_gap(dealings, after, now)
    if dealings is not profile.dealings:
        changes["dealings"] = dealings
    return changes


def cancelled(profile: Profile, event: logged.OrderCancelled, after: Ledger, now: Moment) -> Dealings:
    """An order is void: nothing is owed on it, and its day is none they bought on."""
    return _with_gap(owed.with_cancellation(profile.dealings, event.order_id, at=now.at), after, now)


def written_to(profile: Profile, event: logged.EmailDelivered, now: Moment) -> Changes:
    """We wrote to them: a promise of marketing's, to do so only with their consent.

    A campaign's e-mail, or a trigger's; what is neither is a receipt or the like. A trigger's had consent when it was
    sent: the guard rails see to it.
    """
    changes: Changes = {}
    if event.need is not None:
        changes["dealings"] = _with_need(profile.dealings, now.at)
    if event.trigger_id is None and event.campaign_id is None:
        return changes
    changes["messages"] = profile.messages + 1
    grace = now.policy.owed.consent_grace_hours
    if event.trigger_id is None and not owed.was_allowed(profile.consents, now.at, grace_hours=grace):
        changes["dealings"] = owed.with_message(changes.get("dealings", profile.dealings), now.at)
    return changes


def consented(profile: Profile, consents: tuple[Consent, ...], now: Moment) -> Changes:
    """They said a word on consent: what was sent with a yes that is told only now was no broken word."""
    if not profile.dealings.unconsented_at:
        return {}
    return {"dealings": owed.forgiven(profile.dealings, consents, grace_hours=now.policy.owed.consent_grace_hours)}


def said(profile: Profile, kind: Said, score: float, now: Moment) -> Changes:
    """They said how we are, 0 to 1. A survey that says no ill is marketing's doing too: `apply` says so."""
    return {"dealings": satisfaction.with_said(profile.dealings, kind, now.day, score)}


def _with_need(dealings: Dealings, at: int) -> Dealings:
    if dealings.need_since_at and dealings.need_since_at <= at:
        return dealings
    return replace(dealings, need_since_at=at)


def _with_gap(dealings: Dealings, ledger: Ledger, now: Moment) -> Dealings:
    days = ledgers.purchase_days(ledger, now.policy.shop.time_zone)[-_GAPS - 1 :]
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    gap = gaps[(len(gaps) - 1) // 2] if len(gaps) > 1 else 0
    return dealings if gap == dealings.gap_days else replace(dealings, gap_days=gap)
