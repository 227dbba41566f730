"""Why a customer counts as satisfied, and what we owe them: each piece and promise, with the events behind it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from msgspec.structs import replace

from pipeline.core import owed
from pipeline.core.days import DAY_SECONDS, date_of, day_of, instant, instant_or_none
from pipeline.core.digits import shown
from pipeline.core.explain_moves import COUNTED, cause_of
from pipeline.core.lived import Life, Moment
from pipeline.core.marks import short_mark
from pipeline.core.policy import Policy
from pipeline.core.profile import Dealings
from pipeline.core.reckoned import reckoned
from pipeline.core.satisfaction import Piece, pieces, said, weight_of
from pipeline.core.view_dealings import owed_to_them, satisfaction_of
from pipeline.schemas import logged

_OF_DELIVERIES: Final = (
    logged.OrderPromised, logged.OrderShipped, logged.OrderDelivered, logged.OrderCancelled,
)  # fmt: skip
_NONE: Final = Dealings()

Causes = list[dict[str, Any]]


class DealingsTold:
    """Gathers the events behind surveys, reviews and mentions, tickets, promised deliveries and messages."""

    def __init__(self) -> None:
        self.of_ticket: dict[int, Causes] = {}
        self.of_order: dict[int, Causes] = {}
        self.of_said: dict[Piece, Causes] = {}
        self.of_message: dict[int, Causes] = {}
        self.names: dict[int, str] = {}
        """Tickets and orders by their short marks."""

    def see(self, moment: Moment) -> None:
        """What this moment told of how we deal with them."""
        event, after = moment.event, moment.after
        if moment.outcome not in COUNTED or after is None:
            return
        cause = cause_of(moment)
        before = _NONE if moment.before is None else moment.before.dealings
        if isinstance(event, logged.TicketEvent):
            self._name(self.of_ticket, event.ticket_id, cause)
        elif isinstance(event, _OF_DELIVERIES):
            self._name(self.of_order, event.order_id, cause)
        for piece in Counter(said(after.dealings)) - Counter(said(before)):
            self.of_said.setdefault(piece, []).append(cause)
        for at in Counter(after.dealings.unconsented_at) - Counter(before.unconsented_at):
            self.of_message.setdefault(at, []).append(cause)

    def _name(self, causes: dict[int, Causes], name: str, cause: dict[str, Any]) -> None:
        key = short_mark(name)
        self.names[key] = name
        causes.setdefault(key, []).append(cause)


# -- satisfaction -----------------------------------------------------------------------------------------------------


def satisfaction_document(life: Life, told: DealingsTold) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    if life.profile is None:
        return None
    profile, policy = replace(life.profile, as_of=life.as_of), life.controls.policy
    rules = policy.satisfaction
    found = sorted(pieces(profile, life.as_of, policy), key=lambda each: (-each.day, each.kind, each.key))
    of_said = {piece: list(causes) for piece, causes in told.of_said.items()}
    return {
        "satisfaction": satisfaction_of(profile, policy, reckoned(profile, life.controls)),
        "prior_fraction": rules.prior_permille / 1000,
        "prior_weight": rules.prior_weight_permille / 1000,
        "entries": [
            {
                "kind": piece.kind,
                "what": piece.what or None,
                "about": told.names.get(piece.key),
                "on": date_of(piece.day),
                **_weighed(piece, life.as_of, policy),
                "events": _behind(piece, told, of_said),
            }
            for piece in found
        ],
    }


def _weighed(piece: Piece, as_of: int, policy: Policy) -> dict[str, Any]:
    age = max(day_of(as_of, policy.shop.time_zone) - piece.day, 0)
    weight = shown(weight_of(piece.kind, age, policy.satisfaction))
    return {"age_days": age, "score": piece.score, "weight": weight}


def _behind(piece: Piece, told: DealingsTold, of_said: dict[Piece, Causes]) -> Causes:
    """The events behind a piece; of several alike on one day each has its own."""
    if piece.kind == "ticket":
        return told.of_ticket.get(piece.key, [])
    if piece.kind == "promise":
        return told.of_order.get(piece.key, [])
    causes = of_said.get(piece)
    return [causes.pop(0)] if causes else []


# -- what we owe ------------------------------------------------------------------------------------------------------


def owed_document(life: Life, told: DealingsTold) -> dict[str, Any] | None:
    """The whole explanation; None before anything is known of them."""
    profile, as_of = life.profile, life.as_of
    if profile is None:
        return None
    behind = {"delivery": told.of_order, "answer": told.of_ticket, "message": told.of_message}
    return {
        "departments": owed_to_them(profile, as_of)["departments"],
        "entries": [
            {
                "department": each.department,
                "what": each.what,
                "about": told.names.get(each.key) if each.what != "message" else None,
                "due_at": instant(each.due_at),
                "done_at": instant_or_none(each.done_at),
                "outcome": each.outcome,
                "age_days": max(as_of - each.due_at, 0) // DAY_SECONDS,
                "events": behind[each.what].get(each.key, []),
            }
            for each in owed.one_by_one(profile.dealings, as_of)
        ],
        "counted": [
            {"department": name, "kept": of.kept, "broken": of.broken}
            for name, of in owed.in_numbers(profile).items()
            if of.made
        ],
    }
