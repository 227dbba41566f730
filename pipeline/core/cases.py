"""Tickets as their customers see them: answered in time or not, solved or not, and what they said of it.

A case is told from its events in any order and any number of times. The latest eight are kept one by one; of older ones
only how their promises ended, and news of them comes too late.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from msgspec.structs import replace

from pipeline.core.marks import short_mark
from pipeline.core.profile import CASES_MAX, Case, Dealings, Settled
from pipeline.schemas import logged


class Kind(IntEnum):
    """What a ticket means for satisfaction."""

    COMPLAINT = 0
    COMPLIMENT = 1
    OTHER = 2
    """A question, a suggestion, a product idea."""


_KINDS: Final = {"complaint": Kind.COMPLAINT, "compliment": Kind.COMPLIMENT}
_ANSWERED: Final = ("pending", "solved", "closed")
_SOLVED: Final = ("solved", "closed")


def with_ticket(dealings: Dealings, event: logged.TicketEvent, at: int) -> Dealings:
    """The dealings with what a ticket's event says; the same ones if it says nothing new."""
    key = short_mark(event.ticket_id)
    cases = dealings.cases
    for place, before in enumerate(cases):
        if before.ticket == key:
            after = _told(before, event, at)
            if after == before:
                return dealings
            return replace(dealings, cases=(*cases[:place], after, *cases[place + 1 :]))
    if dealings.answers_settled is not None and at <= dealings.answers_settled.through_at:
        return dealings
    new = _told(Case(key, _kind(event)), event, at)
    if len(cases) < CASES_MAX:
        return replace(dealings, cases=(*cases, new))
    return _settled(dealings, (*cases, new), at)


def is_solved(case: Case) -> bool:
    """Whether it was solved, and not opened again since."""
    return case.solved_at > case.reopened_at


def is_late(case: Case) -> bool:
    """Whether it was answered after the time we promised."""
    return bool(case.promised_at) and case.answered_at > case.promised_at


def answer_seconds(case: Case) -> int | None:
    """How long they waited for the first answer, where we know it: who tells solutions alone tells no answer."""
    return case.answered_at - case.opened_at if case.replied and case.opened_at else None


def _kind(event: logged.TicketEvent) -> int:
    return _KINDS.get(event.kind, Kind.OTHER)


def _told(case: Case, event: logged.TicketEvent, at: int) -> Case:
    """The case with what an event of it says. Earliest and latest are the same in any order."""
    changes: dict[str, Any] = {}
    if isinstance(event, logged.TicketOpened):  # it says best what the ticket is about
        kind = _kind(event)
        changes["kind"] = min(case.kind, kind) if case.opened_at else kind
        changes["opened_at"] = _earlier(case.opened_at, at)
    elif not case.opened_at:
        changes["kind"] = min(case.kind, _kind(event))
    solves = isinstance(event, logged.TicketResolved) or event.status in _SOLVED
    if solves or event.status in _ANSWERED:
        answered_at = _earlier(case.answered_at, at)
        solved_at = max(case.solved_at, at) if solves else case.solved_at
        if not case.answered_at or at < case.answered_at or (at == case.answered_at and not solves):
            changes["replied"] = int(not solves)
        changes["answered_at"] = answered_at
        changes["solved_after"] = solved_at - answered_at + 1 if solved_at else 0
    elif event.status == "open" and isinstance(event, logged.TicketUpdated):
        changes["reopened_at"] = max(case.reopened_at, at)
    if event.promised_at is not None:
        changes["promised_at"] = _earlier(case.promised_at, int(event.promised_at.timestamp()))
    if event.csat is not None and (at, event.csat == "bad") > (abs(case.said_at), case.said_at < 0):
        changes["said_at"] = at if event.csat == "good" else -at
    return replace(case, **changes)


def _earlier(before: int, at: int) -> int:
    return min(before or at, at)


def _settled(dealings: Dealings, cases: tuple[Case, ...], at: int) -> Dealings:
    """The dealings without the oldest case that is over; if none is, without the oldest. Its promise is counted."""
    over = [case for case in cases if case.solved_after and is_solved(case)] or cases
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
