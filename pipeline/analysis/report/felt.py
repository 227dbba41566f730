"""How satisfied a customer was in a time, by the profiles' own rule on the evidence of that time alone.

What they said in it, and tickets and promised deliveries as they stood at its end, where they are dated in it: what was
solved later was still open then, and an open complaint is of each time at whose end it is open. Of a ticket that was
solved, opened again and solved again, the first solution is not known any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from math import fsum
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.analysis.report.life import Life, OrderTold, TicketTold
from pipeline.core import satisfaction
from pipeline.core.days import day_of
from pipeline.core.policy import Policy
from pipeline.core.profile import Case, Dealings, Delivery, Profile
from pipeline.core.satisfaction import KINDS, LEVELS, Said, weight_of


class Span(NamedTuple):
    """A time: its first and last day, and the last instant of it that is known."""

    first_day: int
    last_day: int
    until: int


class Felt(NamedTuple):
    """How somebody felt in a time."""

    score: float
    """Mean of the evidence, each piece by its weight."""
    is_satisfied: bool
    """So far as that much evidence tells, as profiles reckon it."""


def felt_in(life: Life, said: Iterable[Dealings], span: Span, policy: Policy) -> Felt | None:
    """The same of what was said in that time, and of all tickets and promises; None without evidence that weighs."""
    dealings = reduce(_put_together, said, Dealings())
    dealings = replace(
        dealings,
        cases=tuple(_stood(life.tickets.values(), span.until)),
        deliveries=tuple(_due(life.orders.values(), span.until)),
    )
    felt = _with(_dated_in(dealings, span, policy))
    found = satisfaction.satisfaction(felt, span.until, policy)
    if found.fraction is None:
        return None
    pieces, today = list(satisfaction.pieces(felt, span.until, policy)), day_of(span.until, policy.shop.time_zone)
    weights = [weight_of(each.kind, today - each.day, policy.satisfaction) for each in pieces]
    scores = fsum(weight * each.score for weight, each in zip(weights, pieces, strict=True))
    return Felt(scores / fsum(weights), found.level == LEVELS[-1])


def was_dealt_with(life: Life) -> bool:
    """Whether anything but what they said may tell how they felt."""
    return bool(life.tickets) or any(told.promised_at for told in life.orders.values())


def _with(dealings: Dealings) -> Profile:
    return Profile(first_seen_at=0, as_of=0, dealings=dealings)


def _put_together(one: Dealings, other: Dealings) -> Dealings:
    for piece in satisfaction.said(other):
        one = satisfaction.with_said(one, Said(KINDS.index(piece.kind)), piece.day, piece.score)
    return one


def _stood(tickets: Iterable[TicketTold], until: int) -> Iterator[Case]:
    """Those heard of until then, without what was told of them later."""
    for told in tickets:
        case = told.case
        if told.heard_at > until:
            continue
        if max(case.answered_at, case.solved_last_at, case.reopened_at, abs(case.said_at)) > until:
            solved_at = max((at for at in (case.solved_first_at, case.solved_last_at) if at <= until), default=0)
            case = replace(
                case,
                answered_at=case.answered_at if case.answered_at <= until else 0,
                solved_after=solved_at - case.answered_at + 1 if solved_at else 0,
                reopened_at=case.reopened_at if case.reopened_at <= until else 0,
                said_at=case.said_at if abs(case.said_at) <= until else 0,
            )
        yield case


def _due(orders: Iterable[OrderTold], until: int) -> Iterator[Delivery]:
    for number, told in enumerate(orders):
        if told.promised_at:
            yield Delivery(
                number,
                promised_at=told.promised_at,
                delivered_at=told.delivered_at if told.delivered_at <= until else 0,
                cancelled_at=told.cancelled_at if told.cancelled_at <= until else 0,
            )


def _dated_in(dealings: Dealings, span: Span, policy: Policy) -> Dealings:
    """Without the tickets and promises whose evidence is of another time."""

    def is_of_it(**alone: tuple[Case] | tuple[Delivery]) -> bool:
        pieces = satisfaction.pieces(_with(Dealings(**alone)), span.until, policy)  # type: ignore[arg-type]  # one of the two
        return any(span.first_day <= piece.day <= span.last_day for piece in pieces)

    return replace(
        dealings,
        cases=tuple(each for each in dealings.cases if is_of_it(cases=(each,))),
        deliveries=tuple(each for each in dealings.deliveries if is_of_it(deliveries=(each,))),
    )
