"""How satisfied a customer is, by what they said and what became of what they asked of us. Never by what they spend.

Five kinds of evidence, each piece a score from 0 (bad) to 1 (good) with its day: surveys, reviews, mentions whose
sentiment could be told, tickets, promised deliveries. A piece weighs what the policy gives its kind, half as much for
each half-life of its age. Satisfaction is the mean of the pieces and of a weak prior, so weighed:

    s = (w0 p + sum of w score) / (w0 + sum of w)

and its band where 90 % of a Beta distribution of that mean and as many observations lie, by the normal approximation.
Without evidence, or when all of it is so old that it weighs next to nothing, it is unknown. The latest eight pieces of
each kind count, in whatever order they were told.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from math import fsum, sqrt
from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core import cases, owed
from pipeline.core.days import DAY_SECONDS, HOUR_SECONDS, day_of
from pipeline.core.digits import shown
from pipeline.core.normal import NINE_IN_TEN
from pipeline.core.policy import Policy, SatisfactionRules
from pipeline.core.profile import SAID_MAX, Case, Dealings, Profile


class Said(IntEnum):
    """What they say of us, kept as a series of (day, score in per cent), as `buckets` keeps one: newest first."""

    SURVEY = 0
    REVIEW = 1
    MENTION = 2


KINDS: Final = ("survey", "review", "mention", "ticket", "promise")
_WEIGHT_OF: Final = {kind: f"{kind}_weight_permille" for kind in KINDS}
"""Which of the policy's weights each kind has."""
MIDDLE_MILLI: Final = 500
"""Half of the best there is: who answers a survey with less does not say that they were dealt with well."""
LEVELS: Final = ("unknown", "dissatisfied", "mixed", "satisfied")

SCORES: Final = {
    "called_good": 1.0,
    "called_bad": 0.0,
    "compliment": 1.0,
    "complaint_open": 0.1,
    "complaint_solved_in_time": 0.7,
    "complaint_solved_late": 0.45,
    "solved_in_time": 0.8,
    "solved_late": 0.5,
    "answer_overdue": 0.1,
    "promise_kept": 0.8,
    "promise_broken": 0.1,
}
"""What a ticket or promise is worth as evidence. What they said of a ticket beats what became of it."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One piece of evidence."""

    kind: str
    day: int
    score: float
    what: str = ""
    """What a ticket or promise came to, as `SCORES` has it; empty for what they said."""
    key: int = 0
    """The short mark of the ticket or order."""


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """The pieces of one kind."""

    kind: str
    pieces: int
    mean_fraction: float
    latest_day: int
    weight: float
    """What they weigh now, together."""


class Satisfaction(msgspec.Struct, frozen=True, gc=False):
    """A customer's satisfaction, 0 to 1, and what it rests on; None and `unknown` without evidence."""

    level: str
    fraction: float | None
    low: float | None
    high: float | None
    evidence: tuple[Evidence, ...]


UNKNOWN: Final = Satisfaction("unknown", None, None, None, ())


def with_said(dealings: Dealings, kind: Said, day: int, score: float) -> Dealings:
    """The dealings with one more answer of a kind, score 0 to 1: the latest eight stay, of one day the best."""
    series = dealings.said
    if len(series) <= kind:
        series += ((),) * (kind + 1 - len(series))
    known, percent = series[kind], round(100 * score)
    if not known or day > known[0]:  # the latest, as mostly
        after = (day, percent, day - known[0], *known[1 : 2 * SAID_MAX - 2]) if known else (day, percent)
        return replace(dealings, said=(*series[:kind], after, *series[kind + 1 :]))
    pieces = sorted([*_days(known), (day, percent)], reverse=True)[:SAID_MAX]
    numbers: list[int] = []
    before = 0
    for on, percent in pieces:
        numbers += (before - on if numbers else on, percent)
        before = on
    if known == tuple(numbers):
        return dealings
    return replace(dealings, said=(*series[:kind], tuple(numbers), *series[kind + 1 :]))


def satisfaction(profile: Profile, as_of: int, policy: Policy) -> Satisfaction:
    """How satisfied they are as of an instant."""
    rules, today = policy.satisfaction, day_of(as_of, policy.shop.time_zone)
    by_kind: dict[str, list[Piece]] = {}
    for piece in pieces(profile, as_of, policy):
        by_kind.setdefault(piece.kind, []).append(piece)
    if not by_kind:
        return UNKNOWN
    found, scores, weights = [], [], []
    for kind in KINDS:
        some = by_kind.get(kind)
        if not some:
            continue
        days, told = [piece.day for piece in some], [piece.score for piece in some]
        aged = [weight_of(kind, today - day, rules) for day in days]
        scores += [weight * score for weight, score in zip(aged, told, strict=True)]
        weights += aged
        mean = shown(fsum(told) / len(some))
        latest = max(days)
        found.append(Evidence(kind, len(some), mean, latest, shown(fsum(aged))))
    weight = fsum(weights)
    if weight * 1000 < max(rules.least_weight_permille, 1):
        return Satisfaction("unknown", None, None, None, tuple(found))
    prior = rules.prior_weight_permille / 1000
    good = prior * rules.prior_permille / 1000 + fsum(scores)
    mean, total = good / (prior + weight), prior + weight
    mean = shown(mean)
    half = NINE_IN_TEN * sqrt(mean * (1.0 - mean) / (total + 1.0))
    low, high = shown(max(mean - half, 0.0)), shown(min(mean + half, 1.0))
    return Satisfaction(_level(mean, policy), mean, low, high, tuple(found))


def weight_of(kind: str, age_days: int, rules: SatisfactionRules) -> float:
    """What a piece of evidence of a kind weighs at an age: half as much after each half-life."""
    unit: int = getattr(rules, _WEIGHT_OF[kind])
    left: float = 2.0 ** (-max(age_days, 0) / rules.half_life_days)
    return unit / 1000 * left


def _level(mean: float, policy: Policy) -> str:
    rules = policy.satisfaction
    if mean * 1000 >= rules.satisfied_from_permille:
        return "satisfied"
    return "dissatisfied" if mean * 1000 < rules.dissatisfied_below_permille else "mixed"


def pieces(profile: Profile, as_of: int, policy: Policy) -> Iterator[Piece]:
    """All evidence there is of one customer."""
    zone, dealings = policy.shop.time_zone, profile.dealings
    yield from said(dealings)
    for case in dealings.cases:
        judged = _judged(case, as_of, policy)
        if judged is not None:
            at, what = judged
            yield Piece("ticket", day_of(at, zone), SCORES[what], what, case.ticket)
    for key, at, kept in owed.deliveries_ended(dealings, as_of):
        what = "promise_kept" if kept else "promise_broken"
        yield Piece("promise", day_of(at, zone), SCORES[what], what, key)


def said(dealings: Dealings) -> Iterator[Piece]:
    """What they said of us: surveys, reviews, mentions."""
    for kind, series in zip(KINDS, dealings.said, strict=False):
        for day, percent in _days(series):
            yield Piece(kind, day, percent / 100)


def _judged(case: Case, as_of: int, policy: Policy) -> tuple[int, str] | None:
    """When and how a ticket went, None where that is still open. An open complaint hurts as on its first day.

    What is not answered when we had promised to has gone badly, answered later or not.
    """
    if case.said_at:
        return abs(case.said_at), "called_good" if case.said_at > 0 else "called_bad"
    if case.kind == cases.Kind.COMPLIMENT:
        return cases.dated(case), "compliment"
    is_complaint = case.kind == cases.Kind.COMPLAINT
    if not cases.is_solved(case):
        if is_complaint:
            return as_of, "complaint_open"
        is_overdue = 0 < case.promised_at < (case.answered_at or as_of)
        return (case.promised_at, "answer_overdue") if is_overdue else None
    when = "late" if _is_slow(case, policy.satisfaction) else "in_time"
    return case.solved_at, f"complaint_solved_{when}" if is_complaint else f"solved_{when}"


def _is_slow(case: Case, rules: SatisfactionRules) -> bool:
    """Whether it was solved too late, or answered later than promised; without a promise, than we should."""
    if case.opened_at and case.solved_at - case.opened_at > rules.solved_in_time_days * DAY_SECONDS:
        return True
    if case.promised_at:
        return cases.is_late(case)
    waited = cases.answer_seconds(case)
    return waited is not None and waited > rules.answered_in_time_hours * HOUR_SECONDS


def _days(series: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(day, per cent) of a series, the newest first."""
    day = 0
    for place in range(0, len(series), 2):
        day = day - series[place] if place else series[place]
        yield day, series[place + 1]
