"""A profile as bytes, as the table and the changelog hold it, and back; and a glance at the few fields ahead of it.

Header: version, next review (seconds), stage, lifecycle, flags. Then the profile as MessagePack arrays, well-known
words in it as one character (`words`). The same profile is the same bytes: nothing in it is unordered, and no float is
in it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.core.buckets import from_pairs
from pipeline.core.cases import Kind, has_open_complaint, was_served_well
from pipeline.core.folded import as_gaps, with_even_past
from pipeline.core.marks import shortened
from pipeline.core.money import portion
from pipeline.core.policy import DEFAULT
from pipeline.core.profile import LIFECYCLES, STAGES, Case, Ledger, Needs, Profile, Ticket
from pipeline.core.words import CODE_BY_WORD, WORD_BY_CODE, short

VERSION: Final = 5
_BEFORE_ONES: Final = 4
"""Packed when rolling figures had a value behind every day, open considerations their rule in full, and a ledger the
instant through which it is folded."""
_BEFORE_CASES: Final = 3
"""Packed when open tickets stood beside their cases: read with how grave they are in the cases."""
_BEFORE_WORDS: Final = 2
"""Packed before well-known words were one character: words are read as they are."""
_BEFORE_MARGINS: Final = 1
"""Packed before orders had margins and days were gaps: read with the margin of the default policy."""
_HEADER: Final = struct.Struct(">BIBBB")
_STANDING: Final = slice(5, 7)
"""Where in it stage and lifecycle are."""
_PROSPECT_OVERDUE: Final = 1
_COMPLAINT_OPEN: Final = 2

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode


class UnknownVersion(Exception):
    """Packed by a version this one cannot read."""


class Peek(NamedTuple):
    """What can be known of a packed profile without unpacking it."""

    next_review_at: int
    stage: str
    lifecycle: str


def pack(profile: Profile) -> bytes:
    """The profile's bytes."""
    flags = (_PROSPECT_OVERDUE if profile.prospect_overdue else 0) | (
        _COMPLAINT_OPEN if has_open_complaint(profile) else 0
    )
    review_at = min(max(profile.next_review_at, 0), 0xFFFFFFFF)
    header = _HEADER.pack(VERSION, review_at, profile.stage, profile.lifecycle, flags)
    return header + _encode(_with_words(profile, CODE_BY_WORD, 0 if review_at else profile.next_review_at))


def unpack(packed: bytes) -> Profile:
    """The profile of these bytes. Raises UnknownVersion."""
    _check(packed)
    profile = _decode(memoryview(packed)[_HEADER.size :])
    if packed[0] <= _BEFORE_ONES:
        profile = _with_ones(profile)
    if packed[0] <= _BEFORE_CASES:
        profile = _with_cases(profile)
    if packed[0] > _BEFORE_WORDS:
        return _with_words(profile, WORD_BY_CODE, _HEADER.unpack_from(packed)[1] or profile.next_review_at)
    consents = (  # in full so far: what is in their fields is no code
        replace(each, purpose_code=short(each.purpose_code), channel_code=short(each.channel_code))
        for each in profile.consents
    )
    ledger = profile.ledger
    if packed[0] != _BEFORE_WORDS:
        ledger = _with_margins(ledger)
        ledger = replace(ledger, folded_days=as_gaps(ledger.folded_days))
    return replace(profile, consents=tuple(consents), ledger=with_even_past(ledger))


def _with_words(profile: Profile, told: Mapping[str, str], next_review_at: int) -> Profile:
    """The profile with its well-known words told another way. When its next review is stands in the header alone."""
    get, stage, lifecycle = told.get, profile.stage_reason, profile.lifecycle_reason
    last, sent, zone, language = profile.last_decision, profile.rule_sent_at, profile.time_zone, profile.language
    if last is not None:
        rule, outcome, reason, at = last
        last = (get(rule, rule), get(outcome, outcome), get(reason, reason), at)
    return replace(
        profile,
        stage_reason=get(stage, stage),
        lifecycle_reason=get(lifecycle, lifecycle),
        last_decision=last,
        rule_sent_at={get(rule, rule): at for rule, at in sent.items()} if sent else sent,
        next_review_at=next_review_at,
        time_zone=get(zone, zone) if zone else zone,
        language=get(language, language) if language else language,
        currency=get(profile.currency, profile.currency),
    )


def _check(packed: bytes) -> None:
    if not _BEFORE_MARGINS <= packed[0] <= VERSION:
        raise UnknownVersion(f"packed profile: expected version {_BEFORE_MARGINS} to {VERSION}, got {packed[0]}")


def _with_ones(profile: Profile) -> Profile:
    ledger = profile.ledger
    return replace(
        profile,
        ledger=replace(ledger, folded_through_after=ledger.folded_through_after - ledger.folded_last_at),
        buckets=tuple(map(from_pairs, profile.buckets)),
        considerations=tuple(replace(each, rule_code=short(each.rule_code)) for each in profile.considerations),
    )


def _with_cases(profile: Profile) -> Profile:
    """The profile with what its open tickets said in their cases, no bad deed for a good one, and offers by quarter."""
    known = {shortened(ticket.ticket): ticket for ticket in profile.tickets}
    cases = [_with_ticket(case, known.get(case.ticket)) for case in profile.dealings.cases]
    there = {case.ticket for case in cases}
    cases += [
        Case(
            key, kind=Kind.COMPLAINT if ticket.is_complaint else Kind.OTHER, opened_at=ticket.opened_at,
            promised_at=ticket.promised_at, severity=ticket.severity,
        )
        for key, ticket in known.items()
        if key not in there
    ]  # fmt: skip
    was_bad = any(case.solved_last_at == profile.service_at > 0 and not was_served_well(case) for case in cases)
    was_late = any(each.delivered_at == profile.sales_at > each.promised_at > 0 for each in profile.dealings.deliveries)
    return replace(
        profile, tickets=(), tickets_let_go=(), needs=_with_offers(profile.needs),
        dealings=replace(profile.dealings, cases=tuple(cases)),
        service_at=0 if was_bad else profile.service_at, sales_at=0 if was_late else profile.sales_at,
    )  # fmt: skip


def _with_ticket(case: Case, ticket: Ticket | None) -> Case:
    """A case with what its ticket said, if that was open."""
    if ticket is not None:
        kind = Kind.COMPLAINT if ticket.is_complaint else case.kind
        return replace(case, severity=ticket.severity, kind=kind)
    if case.kind == Kind.COMPLAINT and not case.opened_at and not case.solved_after:
        return replace(case, kind=Kind.UNSAID)  # an update's default alone said it, and nobody counted it
    return case


def _with_offers(needs: Needs) -> Needs:
    """The needs with offers by quarter, which were one number: spread over the orders of each."""
    orders, discounted = sum(needs.settled) + needs.settled_older, needs.settled_discounted
    if not orders or not discounted:
        return needs
    by_quarter, left = [], discounted
    for count in needs.settled:
        by_quarter.append(min(count, -(-discounted * count // orders), left))
        left -= by_quarter[-1]
    return replace(needs, with_offer=tuple(by_quarter), settled_discounted=left)


def _with_margins(ledger: Ledger) -> Ledger:
    rate = DEFAULT.value.margin_permille
    orders = tuple(
        replace(each, margin_minor=portion(each.revenue_minor + each.discount_minor, rate, 1000))
        for each in ledger.orders
    )
    revenue, refunded, discount = (
        ledger.folded_revenue_minor, ledger.folded_refunded_minor, ledger.folded_discount_minor,
    )  # fmt: skip
    kept = discount - portion(discount, refunded, revenue) if revenue else discount
    margin = portion(revenue - refunded + kept, rate, 1000)
    return replace(ledger, orders=orders, folded_margin_minor=margin, folded_discount_kept_minor=kept)


def peek(packed: bytes) -> Peek:
    """The header of these bytes. Raises UnknownVersion."""
    next_review_at, stage, lifecycle = peek_codes(packed)
    return Peek(next_review_at, STAGES[stage], LIFECYCLES[lifecycle])


def peek_codes(packed: bytes) -> tuple[int, int, int]:
    """The same with stage and lifecycle as numbers, for who looks at a million. Raises UnknownVersion."""
    _check(packed)
    _, next_review_at, stage, lifecycle, _ = _HEADER.unpack_from(packed)
    return next_review_at, stage, lifecycle


def labels(stage: int, lifecycle: int) -> tuple[str, str]:
    """What these numbers of a header are called."""
    return STAGES[stage], LIFECYCLES[lifecycle]


def stand_alike(one: bytes, other: bytes) -> bool:
    """Whether two packed profiles have the same stage and lifecycle."""
    return one[_STANDING] == other[_STANDING]
