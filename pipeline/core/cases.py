"""Tickets as their customers see them: open or solved, answered in time or not, and what they said of it.

A case is told from its events in any order and any number of times. Once any of them calls it a complaint it is one,
and as grave as the gravest says. The latest eight are kept one by one, and of open complaints up to sixteen;
of older ones only how their promises ended, and news of them comes too late.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from msgspec.structs import replace

from pipeline.core.marks import short_mark
from pipeline.core.profile import CASES_MAX, COMPLAINTS_MAX, Case, Dealings, Profile, Settled
from pipeline.schemas import logged


class Kind(IntEnum):
    """What a ticket means to us; of several that were told the lowest counts."""

    COMPLAINT = 0
    COMPLIMENT = 1
    OTHER = 2
    """A question, a suggestion, a product idea."""
    UNSAID = 3
    """No event has said yet."""


_COMPLAINT: Final = int(Kind.COMPLAINT)
_KINDS: Final = {"complaint": Kind.COMPLAINT, "compliment": Kind.COMPLIMENT, None: Kind.UNSAID}
_ANSWERED: Final = ("pending", "solved", "closed")
_SOLVED: Final = ("solved", "closed")


def with_ticket(dealings: Dealings, event: logged.TicketEvent, at: int) -> Dealings:
    """The dealings with what a ticket's event says; the same ones if it says nothing new."""
    case = told(dealings, event, at)
    return dealings if case is None or case == find(dealings, event.ticket_id) else with_case(dealings, case, at)


def told(dealings: Dealings, event: logged.TicketEvent, at: int, *, knows_all: bool = False) -> Case | None:
    """A ticket's case after one event of it; None where that is too old to be told.

    `knows_all`: the marks of all that were let go are known, and this is none of them; so it is news, however old.
    """
    before = find(dealings, event.ticket_id)
    if before is None:
        settled = dealings.answers_settled
        if settled is not None and not knows_all and at <= settled.through_at:
            return None
        before = Case(short_mark(event.ticket_id), Kind.UNSAID)
    return _told(before, event, at)


def with_case(dealings: Dealings, case: Case, at: int) -> Dealings:
    """The dealings with a case, in its place if it has one; of too many the oldest are let go."""
    cases = dealings.cases
    for place, before in enumerate(cases):
        if before.ticket == case.ticket:
            return replace(dealings, cases=(*cases[:place], case, *cases[place + 1 :]))
    dealings = replace(dealings, cases=(*cases, case))
    while _is_too_many(dealings.cases):
        dealings = _settled(dealings, at)
    return dealings


def find(dealings: Dealings, ticket_id: str) -> Case | None:
    """What is known of a ticket."""
    key = short_mark(ticket_id)
    for case in dealings.cases:
        if case.ticket == key:
            return case
    return None


def is_solved(case: Case) -> bool:
    """Whether it was solved, and not opened again since."""
    return case.solved_at > case.reopened_at


def is_open_complaint(case: Case) -> bool:
    """Whether it is a complaint that waits for us."""
    if case.kind != _COMPLAINT:
        return False
    after = case.solved_after  # `is_solved`, without a call: every step asks
    return not after or case.answered_at + after - 1 <= case.reopened_at


def has_open_complaint(profile: Profile) -> bool:
    """Whether a complaint of theirs waits for us."""
    for case in profile.dealings.cases:  # noqa: SIM110 - a plain loop: every step asks
        if is_open_complaint(case):
            return True
    return False


def opened_at(case: Case) -> int:
    """Since when it has been open, as far as is known: its first day, or when it was opened again."""
    return max(dated(case), case.reopened_at if case.solved_after else 0)


def is_late(case: Case) -> bool:
    """Whether it was answered after the time we promised."""
    return bool(case.promised_at) and case.answered_at > case.promised_at


def was_served_well(case: Case) -> bool:
    """Whether it was solved in time, was no complaint, and was not called bad."""
    is_good = case.kind != Kind.COMPLAINT and not is_late(case) and case.said_at >= 0
    return is_good and case.solved_after > 0


def answer_seconds(case: Case) -> int | None:
    """How long they waited for the first answer, where we know it: who tells solutions alone tells no answer."""
    return case.answered_at - case.opened_at if case.replied and case.opened_at else None


def _told(case: Case, event: logged.TicketEvent, at: int) -> Case:
    """The case with what an event of it says. Earliest and latest, least and most are the same in any order."""
    changes: dict[str, Any] = {
        "kind": min(case.kind, _KINDS.get(event.kind, Kind.OTHER)),
        "severity": max(case.severity, event.severity or 0),
    }
    if isinstance(event, logged.TicketOpened):
        changes["opened_at"] = _earlier(case.opened_at, at)
    solves = isinstance(event, logged.TicketResolved) or event.status in _SOLVED
    if solves or event.status in _ANSWERED:
        answered_at = _earlier(case.answered_at, at)
        first_at, last_at, is_reply = case.solved_first_at, case.solved_last_at, bool(case.replied)
        if solves:
            first_at, last_at = _earlier(first_at, at), max(last_at, at)
        if not case.answered_at or at < case.answered_at or (at == case.answered_at and not solves):
            is_reply = not solves
        changes["answered_at"] = answered_at
        changes["replied"] = (first_at - answered_at + 2 if first_at else 1) if is_reply else 0
        changes["solved_after"] = last_at - answered_at + 1 if last_at else 0
    elif event.status == "open" and isinstance(event, logged.TicketUpdated):
        changes["reopened_at"] = max(case.reopened_at, at)
    if event.promised_at is not None:
        changes["promised_at"] = _earlier(case.promised_at, int(event.promised_at.timestamp()))
    if event.csat is not None and (at, event.csat == "bad") > (abs(case.said_at), case.said_at < 0):
        changes["said_at"] = at if event.csat == "good" else -at
    return replace(case, **changes)


def _earlier(before: int, at: int) -> int:
    return min(before or at, at)


def _is_too_many(cases: tuple[Case, ...]) -> bool:
    if len(cases) <= CASES_MAX:
        return False
    return len(cases) > COMPLAINTS_MAX or not all(is_open_complaint(case) for case in cases)


def _settled(dealings: Dealings, at: int) -> Dealings:
    """The dealings without the oldest case that is over; if none is, without the oldest that is no open complaint.

    If all are open complaints, without the oldest. Its promise is counted.
    """
    cases = dealings.cases
    over = [case for case in cases if case.solved_after and is_solved(case)]
    over = over or [case for case in cases if not is_open_complaint(case)] or list(cases)
    dates = [case.opened_at or dated(case) for case in over]
    earliest = min(dates)
    oldest = over[dates.index(earliest)]
    if dates.count(earliest) > 1:
        oldest = min((case for case in over if dated(case) == earliest), key=lambda case: case.ticket)
    before = dealings.answers_settled or Settled()
    due_at, answered_at = oldest.promised_at, oldest.answered_at
    after = Settled(
        before.kept + (0 < answered_at <= due_at),
        before.broken + (0 < due_at < (answered_at or at)),
        max(before.through_at, dated(oldest)),
    )
    kept = tuple(case for case in cases if case is not oldest)
    return replace(dealings, cases=kept, answers_settled=after)


def dated(case: Case) -> int:
    """When we first heard of it, as far as is known."""
    return case.opened_at or case.answered_at or case.solved_at or case.reopened_at or abs(case.said_at)
