"""What an event changes in a customer: one small function for each type of event, found by class. No decision here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.core import (
    acquisition,
    booking,
    buckets,
    cases,
    categories,
    costs,
    dealt,
    forecast,
    lifecycle,
    needs,
    owed,
    referrals,
)  # fmt: skip
from pipeline.core import ledger as ledgers
from pipeline.core.buckets import Buckets, Measure
from pipeline.core.days import day_of
from pipeline.core.guardrails import NEVER
from pipeline.core.live import days_bought
from pipeline.core.marks import mark, short_mark
from pipeline.core.moment import Changes, Moment, Note
from pipeline.core.profile import (
    CASES_MAX,
    CONSENTS_MAX,
    EVERY_CHANNEL,
    LET_GO_MAX,
    Case,
    Consent,
    Dealings,
    Ledger,
    Lifecycle,
    Order,
    Pace,
    Profile,
)  # fmt: skip
from pipeline.core.responses import EMAIL
from pipeline.core.satisfaction import MIDDLE_MILLI, Said
from pipeline.core.words import short
from pipeline.schemas import logged
from pipeline.schemas.dead_letters import Reason

PURPOSES: Final = ("marketing", "feedback")


def _count(profile: Profile, now: Moment, measure: Measure, value: int = 1, changes: Changes | None = None) -> Buckets:
    before = profile.buckets if changes is None else changes.get("buckets", profile.buckets)
    return buckets.add(before, now.day, measure, value, now.today)


# -- contacts ---------------------------------------------------------------------------------------------------------


def _identified(profile: Profile, event: logged.CustomerIdentified, now: Moment) -> Changes:
    return {"identified": 1, **needs.identified(profile, event, now)}


def _touched(profile: Profile, event: logged.TouchRecorded, now: Moment) -> Changes:
    return {
        **needs.touched(profile, event, now),
        "touches": profile.touches + 1,
        "touched": acquisition.with_touch(profile.touched, (now.at, event.channel), profile.ledger),
    }


def _stated(profile: Profile, event: logged.PreferenceStated, now: Moment) -> Changes:
    changes = needs.stated(profile, event, now)
    if event.interests or event.reason_for_buying:
        changes |= dealt.need_said(profile, now)
    return changes


def _contacted(profile: Profile, event: logged.ContactMade, now: Moment) -> Changes:
    before = profile.sold_at if event.department == "sales" else getattr(profile, f"{event.department}_at")
    return {
        f"{event.department}_at": max(before, now.at),
        "buckets": _count(profile, now, Measure.CONTACTS),
        "needs": needs.met(profile, event, now),
        **_service_time(profile, event, now),
        **dealt.need_met(profile, event.need, now),
    }


# -- purchases --------------------------------------------------------------------------------------------------------


def _ordered(profile: Profile, event: logged.OrderCompleted, now: Moment) -> Changes | None:
    before = profile.ledger
    entry = booking.order_entry(event, now)
    key = entry.order
    after = ledgers.with_order(before, entry)
    if after is before:
        return None
    is_new = len(after.orders) > len(before.orders)
    wants = profile.needs
    if entry.categories:
        wants, after = categories.booked(wants, after, key, event.items)
    if not is_new and wants.categories:  # an earlier version may have been the only one of its categories
        wants, after = categories.tidied(wants, after)
    is_given_back = ledgers.is_given_back(after, key)
    if is_new and not is_given_back:  # nothing about it has come before
        booked = buckets.add(profile.buckets, now.day, Measure.ORDERS, 1, now.today)
        booked = buckets.add(booked, now.day, Measure.REVENUE_MINOR, event.revenue_minor, now.today)
    else:
        booked = _booked(profile, (ledgers.find(before, key), _there(after, key)), after, now)
    changes: Changes = {"ledger": after, "currency": event.currency, "buckets": booked, "needs": wants}
    changes |= dealt.bought(profile, event, after, now)
    if not is_new or is_given_back:
        booking.doubt_order(before, after, entry, now)
    if is_new and now.at >= profile.as_of and now.at > before.last_at > 0:
        changes.update(_next_purchase_moves(profile, after, now))
    else:
        changes.update(_purchase_moves(profile, after, now))
    return changes


def _there(ledger: Ledger, key: int) -> Order:
    found = ledgers.find(ledger, key)
    assert found is not None, "just put there"
    return found


def _booked(profile: Profile, order: tuple[Order | None, Order], ledger: Ledger, now: Moment) -> Buckets:
    """The buckets with the difference that an order's entry (before, after) makes put on its days."""
    zone = now.policy.shop.time_zone
    differences: dict[tuple[int, int], int] = {}
    for entry, of, sign in ((order[0], profile.ledger, -1), (order[1], ledger, 1)):
        if entry is None or not entry.known or entry.cancelled:
            continue
        day = day_of(entry.purchased_at, zone)
        figures: list[tuple[int, int, int]] = [
            (day, Measure.ORDERS, 1),
            (day, Measure.REVENUE_MINOR, entry.revenue_minor),
        ]
        figures += [(day_of(at, zone), Measure.REFUNDED_MINOR, amount) for at, amount in ledgers.given_back(of, entry)]
        for day, measure, value in figures:
            differences[day, measure] = differences.get((day, measure), 0) + sign * value
    kept = profile.buckets
    for (day, measure), value in differences.items():
        kept = buckets.add(kept, day, measure, value, now.today)
    return kept


def _purchase_moves(profile: Profile, after: Ledger, now: Moment) -> Changes:
    """The lifecycle after the purchases may have changed, and how long they may be silent from now on.

    Where they have not, nothing is told anew: else any word of an order would let a more patient model end a risk.
    """
    silent_until = now.as_of if now.first_tick_at else 0
    zone = now.policy.shop.time_zone
    history = ledgers.history(after, zone)
    changed_at = lifecycle.first_difference(ledgers.history(profile.ledger, zone), history)
    if changed_at is None and history:
        return {}
    days = sorted({day for _, day in history})

    paces: dict[int, Pace | None] = {}

    def pace_after(number: int) -> Pace | None:
        if number not in paces:  # asked for twice
            paces[number] = forecast.pace_after(after, days[:number], now.models, now.policy)
        return paces[number]

    to, reason = lifecycle.lived(history, now.policy, silent_until, pace_after)
    was_so = to == profile.lifecycle and changed_at is not None
    before = lifecycle.Active(profile.lifecycle_since_at, changed_at or 0) if was_so else None
    since_at = lifecycle.since_at(history, to, now.policy, pace_after, before)
    changes: Changes = {"lifecycle_reason": reason, "pace": pace_after(len(days)), "lifecycle_since_at": since_at}
    if to == profile.lifecycle:
        return changes
    return {**changes, "lifecycle": int(to), "prospect_overdue": 0}


def _next_purchase_moves(profile: Profile, after: Ledger, now: Moment) -> Changes:
    """The same for a purchase later than all before and than all that is known: from where they stand now."""
    zone = now.policy.shop.time_zone
    last_at = profile.ledger.last_at
    if day_of(last_at, zone) == now.day:
        return {}
    before = Lifecycle(profile.lifecycle)
    state, reason = lifecycle.silent(before, profile.lifecycle_reason, now.at - last_at, now.policy, profile.pace)
    was_away = state != before
    days = days_bought(after, zone, now.customer_id) if state == Lifecycle.NEW or now.models.shop is not None else ()
    if state != Lifecycle.NEW or len(days) >= now.policy.lifecycle.active_from_purchases:
        state, reason = lifecycle.ON_PURCHASE[state]
    changes: Changes = {
        "lifecycle_reason": reason, "pace": forecast.pace_after(after, days, now.models, now.policy),
    }  # fmt: skip
    if state == before and not was_away:
        return changes
    return {**changes, "lifecycle": int(state), "lifecycle_since_at": now.at, "prospect_overdue": 0}


def _refunded(profile: Profile, event: logged.OrderRefunded, now: Moment) -> Changes | None:
    before, key = profile.ledger, mark(event.order_id)
    entry = booking.refund_entry(event, now)
    after = ledgers.with_refund(before, entry)
    if after is before:
        return None
    changes: Changes = {"ledger": after}
    order = ledgers.find(before, key)
    if order is not None:
        changes["buckets"] = _booked(profile, (order, order), after, now)
        booking.doubt_refund(after, order, entry, now)
    return changes


def _cancelled(profile: Profile, event: logged.OrderCancelled, now: Moment) -> Changes | None:
    before, key = profile.ledger, mark(event.order_id)
    after = ledgers.with_cancellation(before, key, at=now.at, arrived_at=now.arrived_at)
    if after is before:
        return None
    entries = (ledgers.find(before, key), _there(after, key))
    changes: Changes = {"ledger": after, "buckets": _booked(profile, entries, after, now)}
    changes["dealings"] = dealt.cancelled(profile, event, after, now)
    changes.update(_purchase_moves(profile, after, now))
    return changes


def _promised(profile: Profile, event: logged.OrderPromised, now: Moment) -> Changes:
    promised_at = int(event.promised_at.timestamp())
    after = owed.with_promise(
        profile.dealings, profile.ledger, event.order_id, promised_at=promised_at, at=now.at
    )  # fmt: skip
    late = owed.let_go_late(profile.dealings, after, now.at)
    if not late:
        return {"dealings": after}
    return {"dealings": after, "ledger": ledgers.with_lateness(profile.ledger, late)}


def _shipped(profile: Profile, event: logged.OrderShipped, now: Moment) -> Changes:
    return {"dealings": owed.with_shipping(profile.dealings, profile.ledger, event.order_id, at=now.at)}


def _delivered(profile: Profile, event: logged.OrderDelivered, now: Moment) -> Changes:
    key = mark(event.order_id)
    after = ledgers.with_delivery(profile.ledger, key, at=now.at, arrived_at=now.arrived_at)
    dealings = owed.with_delivery(profile.dealings, event.order_id, at=now.at)
    changes: Changes = {"ledger": after, "dealings": dealings}
    if ledgers.find(after, key) is None and not owed.was_late(dealings, key):  # of an order that has folded
        changes["sales_at"] = max(profile.sold_at, now.at)
    return changes


# -- e-mails and consent ----------------------------------------------------------------------------------------------


def _mail_delivered(profile: Profile, event: logged.EmailDelivered, now: Moment) -> Changes:
    return {
        "emails_delivered": profile.emails_delivered + 1,
        "sends_milli": profile.sends_milli + costs.send_milli(now.policy.value),
        "buckets": _count(profile, now, Measure.EMAILS_DELIVERED),
        **dealt.written_to(profile, event, now),
    }


def _mail_opened(profile: Profile, event: logged.EmailOpened, now: Moment) -> Changes:
    if event.is_machine:
        return {}
    return {
        "needs": needs.answered(profile, now, EMAIL),
        "emails_opened": profile.emails_opened + 1,
        **dealt.answered(profile, event, now),
        "buckets": _count(profile, now, Measure.EMAILS_OPENED),
    }


def _mail_clicked(profile: Profile, event: logged.EmailClicked, now: Moment) -> Changes:
    if event.is_machine:
        return {}
    return {
        "needs": needs.answered(profile, now, EMAIL),
        "emails_clicked": profile.emails_clicked + 1,
        **dealt.answered(profile, event, now),
        "buckets": _count(profile, now, Measure.EMAILS_CLICKED),
    }


def _mail_bounced(profile: Profile, event: logged.EmailBounced, now: Moment) -> Changes:
    return _no_mail(profile, now) if event.bounce_type == "hard" else {}


def _unsubscribed(profile: Profile, event: logged.EmailUnsubscribed, now: Moment) -> Changes:
    return _no_mail(profile, now) if event.list_id is None else {}


def _called_spam(profile: Profile, event: logged.EmailMarkedAsSpam, now: Moment) -> Changes:
    return _no_mail(profile, now)


def _no_mail(profile: Profile, now: Moment) -> Changes:
    consents = profile.consents
    for purpose in PURPOSES:
        consents = _with_consent(consents, Consent(short(purpose), short("email"), 0, now.at))
    return {"consents": consents}


def _consent(profile: Profile, event: logged.ConsentChanged, now: Moment) -> Changes:
    until = int(event.valid_until.timestamp()) if event.valid_until else 0
    purpose, channel = short(event.purpose), short(event.channel or EVERY_CHANNEL)
    said = Consent(purpose, channel, int(event.state == "granted"), now.at, until)
    consents = _with_consent(profile.consents, said)
    return {"consents": consents, **dealt.consented(profile, consents, now)}


def _with_consent(consents: tuple[Consent, ...], said: Consent) -> tuple[Consent, ...]:
    """The latest word on each purpose and channel; of two at one instant the no, of two grants the shorter."""
    kept = []
    for consent in consents:
        if (consent.purpose, consent.channel) == (said.purpose, said.channel):
            word = max(said, consent, key=_counts_as)
            first_at = min(filter(None, (consent.first_yes_at, said.first_yes_at)), default=0)
            said = word.after(first_at) if first_at else word
            if said == consent:
                return consents
        else:
            kept.append(consent)
    kept.append(said)
    kept.sort(key=lambda each: (each.purpose not in PURPOSES, each.purpose, each.channel))
    return tuple(kept[:CONSENTS_MAX])  # what no rule asks for goes first: a no that counts is never forgotten


def _counts_as(word: Consent) -> tuple[int, int, int]:
    """Of two words on one purpose and channel the greater counts."""
    return word.changed_at, -word.granted, -(word.valid_until or NEVER)


# -- socials ----------------------------------------------------------------------------------------------------------


def _mentioned(profile: Profile, event: logged.MentionPosted, now: Moment) -> Changes:
    changes: Changes = {
        "buckets": _count(profile, now, Measure.MENTIONS),
        "needs": needs.wrote(profile, event.language, now),
    }
    if event.sentiment is not None:
        changes |= dealt.said(profile, Said.MENTION, (event.sentiment + 1) / 2, now)
    return _felt(profile, event.sentiment, now, changes)


def _reviewed(profile: Profile, event: logged.ReviewPosted, now: Moment) -> Changes:
    changes: Changes = {
        "buckets": _count(profile, now, Measure.REVIEWS),
        "needs": needs.answered(profile, now),
        **dealt.said(profile, Said.REVIEW, event.rating_fraction, now),
    }
    return _felt(profile, event.sentiment, now, changes)


def _felt(profile: Profile, sentiment: float | None, now: Moment, changes: Changes) -> Changes:
    if sentiment is not None:
        changes["buckets"] = _count(profile, now, Measure.SENTIMENTS, 1, changes)
        changes["buckets"] = _count(profile, now, Measure.SENTIMENT_MILLI, round(sentiment * 1000), changes)
    return changes


def _surveyed(profile: Profile, event: logged.SurveyAnswered, now: Moment) -> Changes:
    share = round(1000 * event.score / event.score_max) if event.score_max else 0
    changes: Changes = {
        "needs": needs.answered(profile, now),
        "surveys": profile.surveys + 1,
        "survey_sum_milli": profile.survey_sum_milli + share,
        **dealt.said(profile, Said.SURVEY, share / 1000, now),
    }
    if share >= MIDDLE_MILLI:
        changes["marketing_at"] = max(profile.marketing_at, now.at)
    return changes


# -- tickets and costs ------------------------------------------------------------------------------------------------


def _ticket(profile: Profile, event: logged.TicketEvent, now: Moment) -> Changes | None:
    """Any event of a ticket: what it cost, and what its case has become by it.

    In any order of arrival and however often told, but for the channel of a ticket that is told to be opened twice.
    """
    before = profile.dealings
    changes = _service_time(profile, event, now)
    if event.service_cost_minor:
        changes["service_cost_minor"] = profile.service_cost_minor + event.service_cost_minor
    if short_mark(event.ticket_id) in profile.tickets_let_go:
        return changes or None
    knows_all = len(profile.tickets_let_go) < LET_GO_MAX
    was, case = cases.find(before, event.ticket_id), cases.told(before, event, now.at, knows_all=knows_all)
    after = cases.with_case(before, case, now.at) if case is not None and case != was else before
    if case is None:  # too old to be told
        return changes
    if isinstance(event, logged.TicketOpened):
        if was is None or not was.opened_at:
            changes["needs"] = needs.came(profile, event.channel, now, "asked")
        if event.kind not in ("complaint", "compliment"):
            said = dealt.need_said(profile, now, after)
            after = said["dealings"]
            if said["need_at"] != profile.need_at:
                changes["need_at"] = said["need_at"]
    if after is before:  # known already
        return changes or (None if was is not None else {})
    changes["dealings"] = after
    changes |= _complained(profile, was, case, now)
    if len(before.cases) >= CASES_MAX:
        changes |= _let_go(profile, case, after)
    return changes


def _let_go(profile: Profile, told: Case, after: Dealings) -> Changes:
    """What stays of the tickets that are no longer kept one by one: their marks, and service's latest good deed."""
    kept = {each.ticket for each in after.cases}
    gone = [each for each in (*profile.dealings.cases, told) if each.ticket not in kept]
    if not gone:
        return {}
    served_at = [each.solved_at for each in gone if cases.was_served_well(each)]
    marks = dict.fromkeys((*profile.tickets_let_go, *(each.ticket for each in gone)))
    return {
        "service_at": max([profile.service_at, *served_at]), "tickets_let_go": tuple(marks)[-LET_GO_MAX:],
    }  # fmt: skip


def _complained(profile: Profile, was: Case | None, case: Case, now: Moment) -> Changes:
    """What changes if a ticket is a complaint: it is counted once, on its day, and its solution calms for a while."""
    if case.kind != cases.Kind.COMPLAINT:
        return {}
    zone = now.policy.shop.time_zone
    changes: Changes = {}
    day, counted_on = day_of(cases.dated(case), zone), None
    if was is not None and was.kind == cases.Kind.COMPLAINT:
        counted_on = day_of(cases.dated(was), zone)
    else:
        changes["complaints"] = profile.complaints + 1
    if day != counted_on:
        booked = buckets.add(profile.buckets, day, Measure.COMPLAINTS, 1, now.today)
        if counted_on is not None:
            booked = buckets.add(booked, counted_on, Measure.COMPLAINTS, -1, now.today)
        changes["buckets"] = booked
    if case.solved_last_at > profile.complaint_closed_at:
        changes["complaint_closed_at"] = case.solved_last_at
    return changes


def _service_time(profile: Profile, event: logged.TicketEvent | logged.ContactMade, now: Moment) -> Changes:
    if not event.service_minutes:
        return {}
    return {
        "service_minutes": profile.service_minutes + round(event.service_minutes),
        "service_time_milli": profile.service_time_milli
        + costs.service_time_milli(event.service_minutes, now.policy.value),
    }


_COST_FIELD: Final = {
    "marketing": "retention_cost_minor",
    "sales": "acquisition_cost_minor",
    "service": "service_cost_minor",
}


def _spent(profile: Profile, event: logged.CostRecorded, now: Moment) -> Changes:
    name = _COST_FIELD[event.department]
    spent = getattr(profile, name) + event.amount_minor
    changes: Changes = {name: spent}
    more, than = -spent, f"{event.department} has spent"
    if event.order_id is not None:
        key = mark(event.order_id)
        changes["ledger"] = after = ledgers.with_cost(
            profile.ledger, key, at=now.at, amount_minor=event.amount_minor, arrived_at=now.arrived_at
        )
        order = ledgers.find(after, key)
        if more <= 0 and order is not None:
            more, than = -order.cost_minor, "was spent on the order"
    if more > 0 and event.amount_minor < 0:
        problem = f"amount_minor: expected no more taken back than {than}, got {more} more; counted"
        now.notes.append(Note(Reason.COST_BELOW_ZERO, problem))
    return changes


APPLY: Final[dict[type, Callable[[Profile, Any, Moment], Changes | None]]] = {
    logged.CustomerIdentified: _identified,
    logged.TouchRecorded: _touched,
    logged.PreferenceStated: _stated,
    logged.ContactMade: _contacted,
    logged.OrderCompleted: _ordered,
    logged.OrderRefunded: _refunded,
    logged.OrderCancelled: _cancelled,
    logged.OrderPromised: _promised,
    logged.OrderShipped: _shipped,
    logged.OrderDelivered: _delivered,
    logged.EmailDelivered: _mail_delivered,
    logged.EmailOpened: _mail_opened,
    logged.EmailClicked: _mail_clicked,
    logged.EmailBounced: _mail_bounced,
    logged.EmailUnsubscribed: _unsubscribed,
    logged.EmailMarkedAsSpam: _called_spam,
    logged.ConsentChanged: _consent,
    logged.MentionPosted: _mentioned,
    logged.ReviewPosted: _reviewed,
    logged.ReferralMade: referrals.made,
    logged.SurveyAnswered: _surveyed,
    logged.TicketOpened: _ticket,
    logged.TicketUpdated: _ticket,
    logged.TicketResolved: _ticket,
    logged.CostRecorded: _spent,
    logged.CustomerReferred: referrals.referred,
    logged.ReferralCredited: referrals.credited,
}
"""What each type of event changes; None: nothing, it was known already."""

KNOWN_BY_OWN_ID: Final = frozenset(
    (logged.OrderCompleted, logged.OrderRefunded, logged.OrderCancelled, logged.ReferralMade)
)
"""Events told from their repetitions by the business ids they carry, not by the event's own id."""
